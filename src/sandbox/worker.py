"""Inside the sandbox: a Python REPL on descriptor 3, as JSON lines. Standard library only.
context.py stands before it.

Host to here: context {pieces, continues} as often as it takes, open {list, functions} or later renew {list}, run
{id, code}, then for each of our calls value or error.
Here to host: hello, ready, call {id, block, function, arguments}, done {id, ...}.
Once a block has run, nothing in this process can be trusted, this file included: the host checks every frame.
"""

import ast
import io
import json
import linecache
import os
import resource
import signal
import sys
import threading
import traceback

OUTPUT_CHARS_MAX, MEMORY_BYTES, BLOCK_S = (float(word) for word in sys.argv[1:4])
VARIABLES_MAX = 100
RESERVED = {"answer", "context"}


def form_text(response_format):
    """As text: a schema's members are written in its order, which the host's JSON doesn't keep."""
    return json.dumps(response_format) if isinstance(response_format, dict) else response_format


class Stop(BaseException):
    """FINAL: the block ends here."""


class OutOfTime(BaseException):
    """The block's time is over; a chance to end with the variables kept, before the host ends the process."""


def limit(what, value):
    resource.setrlimit(what, (int(value), int(value)))


def confine():
    limit(resource.RLIMIT_AS, MEMORY_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, 64)
    limit(resource.RLIMIT_MEMLOCK, 0)
    os.dup2(0, 2)


class Channel:
    def __init__(self):
        self.reader = io.open(3, "rb", closefd=False)
        self.writer = io.open(3, "wb", closefd=False)

    def send(self, **frame):
        self.writer.write(json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
        self.writer.flush()

    def receive(self):
        line = self.reader.readline()
        if not line:
            os._exit(0)  # the host let go
        return json.loads(line)


class Capture(io.TextIOBase):
    """stdout and stderr in the order in which they were written; what is over the limit is only counted."""

    def __init__(self):
        self.begin()

    def begin(self):
        self.parts, self.kept, self.count = [], 0, 0

    def writable(self):
        return True

    def write(self, text):
        text = str(text)
        self.count += len(text)
        room = int(OUTPUT_CHARS_MAX) - self.kept
        if room > 0:
            self.parts.append(text[:room])
            self.kept += len(self.parts[-1])
        return len(text)


class Repl:
    def __init__(self, channel):
        self.channel = channel
        self.capture = Capture()
        self.lock = threading.Lock()
        self.block, self.calls, self.left_s = 0, 0, BLOCK_S
        self.final = None
        self.names = {"__name__": "__main__", "__builtins__": __builtins__}

    def renew(self, context):
        self.context = self.names["context"] = context
        self.text = context if isinstance(context, str) else "\n\n".join(context)

    def open(self, context, functions):
        self.renew(context)
        self.functions = {
            "FINAL": self.make_final,
            "FINAL_VAR": self.make_final_of_variable,
            "SHOW_VARS": self.show_variables,
            "context_slice": lambda start=0, end=None: self.text[start:end],
        }
        makers = {
            "llm_query": lambda f: lambda prompt, model=None, response_format=None: self.call(
                f, prompt=str(prompt), model=model, response_format=form_text(response_format)
            ),
            "rlm_query": lambda f: lambda prompt, context=None, model=None, response_format=None: self.call(
                f, prompt=str(prompt), context=context, model=model, response_format=form_text(response_format)
            ),
            "llm_query_batched": lambda f: lambda prompts, model=None, response_format=None: self.call(
                f, prompts=[str(p) for p in prompts], model=model, response_format=form_text(response_format)
            ),
            "rlm_query_batched": lambda f: lambda prompts, model=None, response_format=None: self.call(
                f, prompts=[str(p) for p in prompts], model=model, response_format=form_text(response_format)
            ),
            "context_search": lambda f: lambda query, k=5: self.call(f, query=str(query), k=int(k)),
        }
        for name in functions:
            plain = lambda f: lambda **arguments: self.call(f, **arguments)
            function = makers.get(name, plain)(name)
            function.__name__ = name
            self.functions[name] = function
        self.names["answer"] = {"content": "", "ready": False}
        self.restore()

    def restore(self):
        """What a block has overwritten of ours is there again for the next one."""
        self.names.update(self.functions)
        self.names["context"] = self.context
        if not isinstance(self.names.get("answer"), dict):
            self.names["answer"] = {"content": "", "ready": False}

    def call(self, function, **arguments):
        with self.lock:
            main = threading.current_thread() is threading.main_thread()
            if main:  # the time that the host takes is not the block's
                self.left_s = max(signal.setitimer(signal.ITIMER_REAL, 0)[0], 0.001)
            try:
                self.calls += 1
                number = self.calls
                self.channel.send(op="call", id=number, block=self.block, function=function, arguments=arguments)
                reply = self.channel.receive()
            finally:
                if main:
                    signal.setitimer(signal.ITIMER_REAL, self.left_s)
        if reply["op"] == "error":
            raise RuntimeError(reply["message"])
        return reply["value"]

    def make_final(self, value=""):
        self.final = str(value)
        raise Stop

    def make_final_of_variable(self, name):
        if isinstance(name, str) and name in self.names:
            name = self.names[name]
        elif isinstance(name, str):
            raise NameError(f"FINAL_VAR: there is no variable {name!r}; there are: {', '.join(self.own()) or 'none'}")
        self.make_final(name)

    def own(self):
        return [n for n in self.names if not n.startswith("_") and n not in self.functions and n not in RESERVED]

    def show_variables(self):
        return "\n".join(f"{n}: {type(self.names[n]).__name__}" for n in self.own()) or "no variables yet"

    def run(self, number, code):
        self.block, self.final = number, None
        self.capture.begin()
        sys.stdout = sys.stderr = self.capture
        name = f"<block {number}>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        error = ""
        try:
            signal.signal(signal.SIGALRM, out_of_time)
            signal.setitimer(signal.ITIMER_REAL, BLOCK_S)
            try:
                for part in parts_of(code, name):
                    exec(part, self.names)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Stop:
            pass
        except OutOfTime:
            error = f"TimeoutError: the block ran for its {BLOCK_S:g} s and was stopped. Its variables are kept."
        except BaseException as e:
            error = describe(e)
        sys.stdout = sys.stderr = self.capture
        self.restore()
        answer = self.names["answer"]
        if self.final is None and answer.get("ready"):
            self.final = str(answer.get("content", ""))
        variables = [[n[:100], type(self.names[n]).__name__[:100]] for n in self.own()[:VARIABLES_MAX]]
        self.channel.send(
            op="done",
            id=number,
            output="".join(self.capture.parts),
            output_chars=self.capture.count,
            error=error,
            variables=variables,
            final=self.final,
        )


def parts_of(code, name):
    """Compiled: all but a last expression, and that one so that its value is shown."""
    tree = ast.parse(code, name)
    last = [tree.body.pop()] if tree.body and isinstance(tree.body[-1], ast.Expr) else []
    parts = [compile(tree, name, "exec")]
    if last:
        parts.append(compile(ast.Interactive(last), name, "single"))
    return parts


def describe(error):
    try:
        frames = error.__traceback__
        while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<block"):
            frames = frames.tb_next
        text = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
        if isinstance(error, SystemExit):
            text += "\nA program can't leave the REPL: set answer['ready'] = True to finish."
    except BaseException:
        text = "an exception that can't be shown"
    half = int(OUTPUT_CHARS_MAX) // 2
    return text if len(text) <= 2 * half else text[:half] + "\n[...]\n" + text[-half:]


def out_of_time(signal_number, frame):
    raise OutOfTime


def main():
    confine()
    channel = Channel()
    repl, context = Repl(channel), Context()
    channel.send(op="hello")
    while True:
        frame = channel.receive()
        try:
            if frame["op"] == "context":
                context.take(frame["pieces"], frame["continues"])
            elif frame["op"] == "open":
                repl.open(context.whole(frame["list"]), frame["functions"])
                channel.send(op="ready")
            elif frame["op"] == "renew":
                repl.renew(context.whole(frame["list"]))
                channel.send(op="ready")
            elif frame["op"] == "run":
                repl.run(frame["id"], frame["code"])
        except OutOfTime:
            pass


main()
