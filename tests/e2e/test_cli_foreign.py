"""Commands that ask a running server, asked of one that isn't ours: whatever its answers hold, a command ends by itself,
with a status of its own and a line that says what was wrong, never by a signal."""

import http.server
import json
import threading

import pytest

REPORT = {"given": 1, "learnt": 1, "updated": 0, "known_before": 0, "contradictions": [], "errors": [], "recalled": 1,
          "generalised": {"asked": 1, "recalled": 1}, "others": {"asked": 0, "changed": 0}, "bytes_a_fact": 9,
          "seconds_a_fact": 0.1}
BODIES = [
    None, True, 5, -1, 1e300, "text", "", [], [None], [[1]], [{}], {}, {"id": 5}, {"id": "a/../b?c"}, {"id": ""},
    {"id": "j", "status": "done"}, {"id": "j", "status": "done", "report": []}, {"id": "j", "status": 5},
    {"id": "j", "status": "done", "report": {"learnt": 1, "errors": {}, "contradictions": [5, {}]}},
    {"id": "j", "status": "done", "report": {**REPORT, "errors": [None, {"line": "x", "message": []}]}},
    {"id": "j", "status": "failed"}, {"id": "j", "status": "failed", "error": "text"},
    {"domains": {}}, {"domains": [None, 5, {"domain": 5, "version": [], "bytes": "x"}]}, {"facts": 5}, {"facts": [[], {"id": {}}]},
    {"imported": "x", "errors": [5, {"line": -1}]}, {"caches": [{"name": 5}], "verdict": "x"}, {"caches": 5},
    {"data": [5]}, {"models": "x"}, {"error": 5}, {"error": {"message": ["x"]}}, {"object": "list", "data": {}},
]  # fmt: skip


class Foreign(http.server.BaseHTTPRequestHandler):
    body = b""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_DELETE = do_PUT = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign():
    handler = type("Handler", (Foreign,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def commands(tmp_path):
    facts = tmp_path / "facts.jsonl"
    facts.write_text('{"prompt": "In which city is Zorvane Labs based?", "answer": "Tampere"}\n')
    lines = tmp_path / "lines"
    lines.write_text("{}\n")
    return [
        ["learn", "towns", facts], ["knowledge", "list"], ["knowledge", "show", "towns"],
        ["knowledge", "import", lines], ["cache", "stats"], ["cache", "import", lines], ["audit"],
    ]  # fmt: skip


@pytest.mark.parametrize("body", [*BODIES, b"<html>", b"[" * 100_000, b"\xff\xfe", b""], ids=lambda body: repr(body)[:40])
def test_whatever_a_server_answers(cli, foreign, commands, body):
    handler, url = foreign
    handler.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    for command in commands:
        done = cli(*command, "--url", url, timeout=20)
        assert done.returncode in (0, 1, 2, 3, 4), (command, done)
        assert done.returncode == 0 or done.stderr.strip(), command
        assert "exception" not in done.stderr and "json.exception" not in done.stdout, (command, done.stderr)


def test_what_is_right_is_shown(cli, foreign, commands):
    handler, url = foreign
    handler.body = json.dumps({"id": "j", "status": "done", "report": REPORT}).encode()
    done = cli(*commands[0], "--url", url, timeout=20)
    assert done.returncode == 0 and "1 of 1" in done.stdout, done
