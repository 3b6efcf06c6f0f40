"""A real HTTP server that does what an upstream may do: answers, refuses, stalls, breaks off, talks nonsense.

What it does stands in the last message's content: "do:garbage", or a list for the attempts in turn,
"do:500,429,ok". It is not a model: its answers are fixed.
"""

import collections
import http.server
import json
import re
import threading
import time

# A server with the real model and one upstream, "t", that is asked once. `models`: as in the config file.
CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"

[[upstream]]
name = "t"
base_url = "{url}"
models = {models}
retries = 0
cooldown_failures = 0
"""
# An engine with it as teacher that trusts its student never: only a probability of 1 would do.
UNSURE = """
[permutation]
teacher = "t/large"
confidence_min = 1.0
probe_tokens = 4
"""


class ScriptedUpstream:
    def __init__(self, port=0):
        self.requests = []  # bodies
        self.probes = []  # paths of GET requests
        self.bytes = []  # the same, as they came
        self.headers = []
        self.left = threading.Event()  # a client went away in the middle of an answer
        self._turn = collections.Counter()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for an ACK

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.look(self)

            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                body = json.loads(data)
                outer.bytes.append(data)
                outer.requests.append(body)
                outer.headers.append(dict(self.headers))
                outer.act(self, body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that went away is no news
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def look(self, handler):
        self.probes.append(handler.path)
        self.send(handler, 200, "{}")

    def act(self, handler, body):
        if "input" in body:
            return self.do_embed(handler, body)
        text = body["messages"][-1]["content"]
        found = re.search(r"do:([a-z0-9,]+)", text)
        plan = found[1].split(",") if found else ["ok"]
        turn = self._turn[text]
        self._turn[text] += 1
        what = plan[min(turn, len(plan) - 1)]
        getattr(self, "do_" + what)(handler, body)

    @staticmethod
    def send(handler, status, body, headers=()):
        data = body.encode()
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @staticmethod
    def begin_stream(handler):
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.close_connection = True

    @staticmethod
    def event(handler, data):
        text = data if isinstance(data, str) else json.dumps(data)
        handler.wfile.write(f"data: {text}\n\n".encode())
        handler.wfile.flush()

    CITATIONS = {
        "citations": ["https://a.example/1"],
        "search_results": [{"title": "A", "url": "https://a.example/1", "date": "2024-01-01"}],
    }
    VECTOR = [1.5, -0.25]
    USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14, "search_context_size": "low"}

    def do_ok(self, handler, body):
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is so."}}
            answer = {"id": "r", "object": "chat.completion", "created": 5, "model": "s", "choices": [choice]}
            return self.send(
                handler, 200, json.dumps({**answer, "usage": self.USAGE, **self.CITATIONS}),
                [("content-type", "application/json")],
            )
        self.begin_stream(handler)
        for piece in ["It ", "is ", "so."]:
            self.event(handler, {"created": 5, "choices": [{"index": 0, "delta": {"content": piece}}]})
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.event(handler, {"choices": [end], "usage": self.USAGE, **self.CITATIONS})
        self.event(handler, "[DONE]")

    def do_embed(self, handler, body):
        row = {"object": "embedding", "index": 0, "embedding": self.VECTOR}
        answer = {"object": "list", "data": [row], "model": body["model"], "usage": {"prompt_tokens": 1}}
        self.send(handler, 200, json.dumps(answer), [("content-type", "application/json")])

    def do_tools(self, handler, body):
        call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
        if not body.get("stream"):
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            answer = {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}], "usage": self.USAGE}
            return self.send(handler, 200, json.dumps(answer), [("content-type", "application/json")])
        self.begin_stream(handler)
        pieces = [{"index": 0, **call, "function": {"name": "weather", "arguments": ""}}]
        pieces += [{"index": 0, "function": {"arguments": part}} for part in ('{"city"', ': "Oslo"}')]
        for piece in pieces:
            self.event(handler, {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]})
        self.event(handler, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        self.event(handler, "[DONE]")

    def do_401(self, handler, body):
        self.send(handler, 401, json.dumps({"error": {"message": "bad key"}}))

    def do_404(self, handler, body):
        self.send(handler, 404, json.dumps({"error": {"message": "no such model"}}))

    def do_429(self, handler, body):
        self.send(handler, 429, json.dumps({"error": {"message": "slow down"}}), [("retry-after", "0.1")])

    def do_429long(self, handler, body):
        self.send(handler, 429, json.dumps({"error": {"message": "slow down"}}), [("retry-after", "40")])

    def do_500(self, handler, body):
        self.send(handler, 500, "oops")

    def do_garbage(self, handler, body):
        self.send(handler, 200, "<html>welcome</html>", [("content-type", "text/html")])

    def do_break(self, handler, body):
        self.begin_stream(handler)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": "half an "}}]})
        handler.wfile.write(b'data: {"choi')

    def do_stall(self, handler, body):
        self.begin_stream(handler)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": "and then"}}]})
        try:
            for _ in range(400):  # a comment keeps nobody waiting: only silence shows that the client is gone
                time.sleep(0.05)
                handler.connection.setblocking(False)
                if handler.connection.recv(1) == b"":
                    break
        except BlockingIOError:
            return self.do_wait_for_leave(handler)
        self.left.set()

    def do_wait_for_leave(self, handler):
        handler.connection.setblocking(True)
        handler.connection.settimeout(20)
        try:
            if handler.connection.recv(1) == b"":
                self.left.set()
        except OSError:
            pass

    def do_silent(self, handler, body):
        self.do_wait_for_leave(handler)
