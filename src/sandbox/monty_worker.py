"""The same REPL over pydantic-monty, where there are no namespaces: worker.py's frames on descriptor 3.

This file is ours and trusted. The program runs in a process of monty's, an interpreter that has no files, sockets or
processes to offer; it reaches only the functions that are looked up here.
"""

import ast
import io
import json
import os
import resource
import sys

OUTPUT_CHARS_MAX, MEMORY_BYTES, BLOCK_S = (float(word) for word in sys.argv[1:4])
sys.path.insert(0, sys.argv[4])
CALLS_MAX = 1_000_000  # over a session; the host counts by block


def form_text(response_format):
    """As text: a schema's members are written in its order, which the host's JSON doesn't keep."""
    return json.dumps(response_format) if isinstance(response_format, dict) else response_format


class Stop(Exception):
    """FINAL: the block ends here."""


def confine():
    for what, value in [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, 64)]:
        resource.setrlimit(what, (value, value))


class Bridge:
    def __init__(self):
        self.reader = io.open(3, "rb", closefd=False)
        self.writer = io.open(3, "wb", closefd=False)
        self.names, self.calls = [], 0

    def send(self, **frame):
        self.writer.write(json.dumps(frame, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n")
        self.writer.flush()

    def receive(self):
        line = self.reader.readline()
        if not line:
            os._exit(0)
        return json.loads(line)

    def call(self, function, **arguments):
        self.calls += 1
        self.send(op="call", id=self.calls, block=self.block, function=function, arguments=arguments)
        reply = self.receive()
        if reply["op"] == "error":
            raise RuntimeError(reply["message"])
        return reply["value"]

    def make_final(self, value=""):
        self.final = str(value)
        raise Stop("final")

    def make_final_of_variable(self, name):
        if isinstance(name, str):
            if name not in self.names:
                raise NameError(f"FINAL_VAR: there is no variable {name!r}")
            self.final_of = name
            raise Stop("final")
        self.make_final(name)

    def renew(self, context):
        self.text = context if isinstance(context, str) else "\n\n".join(context)
        self.session.feed_run("context = given_", inputs={"given_": context})

    def open(self, session, context, functions):
        self.session = session
        self.lookup = {
            "FINAL": self.make_final,
            "FINAL_VAR": self.make_final_of_variable,
            "SHOW_VARS": lambda: "\n".join(self.names) or "no variables yet",
            "context_slice": lambda start=0, end=None: self.text[start:end],
        }
        one = lambda f: lambda prompt, model=None, response_format=None: self.call(
            f, prompt=str(prompt), model=model, response_format=form_text(response_format)
        )
        deep = lambda f: lambda prompt, context=None, model=None, response_format=None: self.call(
            f, prompt=str(prompt), context=context, model=model, response_format=form_text(response_format)
        )
        many = lambda f: lambda prompts, model=None, response_format=None: self.call(
            f, prompts=[str(p) for p in prompts], model=model, response_format=form_text(response_format)
        )
        makers = {
            "llm_query": one,
            "rlm_query": deep,
            "llm_query_batched": many,
            "rlm_query_batched": many,
            "context_search": lambda f: lambda query, k=5: self.call(f, query=str(query), k=int(k)),
        }
        for name in functions:
            plain = lambda f: lambda **arguments: self.call(f, **arguments)
            self.lookup[name] = makers.get(name, plain)(name)
        self.renew(context)
        self.session.feed_run("answer = {'content': '', 'ready': False}")

    def run(self, number, code):
        self.block, self.final, self.final_of = number, None, None
        parts, kept, count = [], 0, 0

        def captured(stream, text):
            nonlocal kept, count
            count += len(text)
            room = int(OUTPUT_CHARS_MAX) - kept
            if room > 0:
                parts.append(text[:room])
                kept += len(parts[-1])

        self.learn_names(code)
        error, ended = "", False
        try:
            value = self.session.feed_run(code, external_lookup=self.lookup, print_callback=captured)
            if value is not None:  # of a last expression
                captured("stdout", repr(value) + "\n")
        except Exception as e:
            stopped = self.final is not None or self.final_of is not None
            error = "" if stopped else f"{type(e).__name__}: {e}"
            # After a time limit monty promises nothing about the session.
            ended = "TimeoutError" in error or type(e).__name__ == "MontyCrashedError"
        if not ended:
            error = self.find_final() or error
        self.send(
            op="done",
            id=number,
            output="".join(parts),
            output_chars=count,
            error=error,
            variables=[[n[:100], ""] for n in self.names[:100]],
            final=self.final,
            ended=ended,
        )

    def learn_names(self, code):
        try:
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    if node.id not in self.names and node.id not in ("answer", "context") and node.id[0] != "_":
                        self.names.append(node.id)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass

    def find_final(self):
        """Returns what went wrong, if anything did."""
        try:
            if self.final_of is not None:
                self.final = str(self.session.feed_run(f"str({self.final_of})"))
            answer = self.session.feed_run("answer")
            if self.final is None and isinstance(answer, dict) and answer.get("ready"):
                self.final = str(answer.get("content", ""))
        except Exception as e:  # the program rebound or deleted what it names
            return f"{type(e).__name__}: {e}"
        return ""


def main():
    confine()
    from pydantic_monty import Monty

    limits = {"max_memory": int(MEMORY_BYTES), "max_feed_duration_secs": BLOCK_S, "max_suspensions": CALLS_MAX}
    bridge, context = Bridge(), Context()
    with Monty(binary_path=os.path.join(sys.argv[4], "monty"), min_processes=1, max_processes=1) as pool:
        with pool.checkout(script_name="block", limits=limits) as session:
            bridge.send(op="hello")
            while True:
                frame = bridge.receive()
                if frame["op"] == "context":
                    context.take(frame["pieces"], frame["continues"])
                elif frame["op"] == "open":
                    bridge.open(session, context.whole(frame["list"]), frame["functions"])
                    bridge.send(op="ready")
                elif frame["op"] == "renew":
                    bridge.renew(context.whole(frame["list"]))
                    bridge.send(op="ready")
                elif frame["op"] == "run":
                    bridge.run(frame["id"], frame["code"])


main()
