"""Attacks on a running server, a test for each kind: nothing that comes from outside ends it, stalls it or opens it.
Each test sends several inputs of its kind; afterwards the same process must answer a plain question."""

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest

from scripted_root import ScriptedRoot, block
from scripted_upstream import ScriptedUpstream
from server import MODEL, RunningServer, until

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"

[[upstream]]
name = "t"
base_url = "{upstream}"
models = ["m"]
retries = 0
cooldown_failures = 0

[[upstream]]
name = "r"
base_url = "{root}"
models = ["root"]
retries = 0
cooldown_failures = 0

[rlm]
root = "r/root"
leaf = "t/m"
max_iterations = 4
block_seconds = 5
"""
OFF = {"cache": {"mode": "off"}}
HELLO = [{"role": "user", "content": "Hello."}]
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}

FRAME = """
import os
data = {data}
while data:
    data = data[os.write(3, data):]
"""
PROGRAMS = {
    "deep_arrays": [block(FRAME.format(data="""b'{"op": "call", "id": ' + b'[' * 700000 + b']' * 700000 + b'}\\n'"""))],
    "deep_objects": [block(FRAME.format(data="""b'{"op":"done","variables":' + b'{"a":' * 300000 + b'1' + b'}' * 300000 + b'}\\n'"""))],
    "open_arrays": [block(FRAME.format(data="b'[' * 2000000 + b'\\n'"))],
    "no_frame": [block(FRAME.format(data="b'\\xff\\xfe' * 1000 + b'\\n'"))],
    "many_prompts": [block("FINAL(len(llm_query_batched(['So?'] * 200000)))")],
    "many_runs": [block("FINAL(len(rlm_query_batched(['So?'] * 100000)))")],
    "many_calls": [block("for i in range(100000):\n    llm_query(str(i))")],
    "plain": [block("FINAL(6 * 7)")],
}
for name in ("deep_arrays", "deep_objects", "open_arrays", "no_frame", "many_prompts", "many_runs", "many_calls"):
    PROGRAMS[name].append("FINAL(after)")


class Upstream(ScriptedUpstream):
    """Plays the bytes that a test has put into `plays`, else answers."""

    plays = None  # (content type, bytes)

    def act(self, handler, body):
        if self.plays is None:
            return self.do_ok(handler, body)
        kind, data = self.plays
        handler.send_response(200)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        try:
            handler.wfile.write(data)
        except OSError:
            pass  # refused in the middle


@pytest.fixture(scope="module")
def upstream():
    scripted = Upstream()
    yield scripted
    scripted.stop()


@pytest.fixture(scope="module")
def server(binary, model_file, upstream, tmp_path_factory):
    root = ScriptedRoot(PROGRAMS)
    config = tmp_path_factory.mktemp("hostile") / "config.toml"
    config.write_text(CONFIG.format(model=model_file, upstream=upstream.url, root=root.url))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    root.stop()
    if running.process.poll() is None:
        assert running.stop() == 0, running.log()[-2_000:]


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


@pytest.fixture(autouse=True)
def still_answering(http, server, upstream):
    """After each test: the same process, a plain question answered within seconds."""
    yield
    upstream.plays = None
    assert server.process.poll() is None, server.log()[-2_000:]
    plain = {"model": MODEL, "messages": HELLO, "max_tokens": 1, "permutation": OFF}
    assert http.post("/v1/chat/completions", json=plain, timeout=60).status_code == 200


@pytest.fixture
def chat(http):
    def ask(messages=None, **fields):
        sent = {"model": MODEL, "messages": messages or HELLO, "temperature": 0, "max_tokens": 2, "permutation": OFF, **fields}
        return http.post("/v1/chat/completions", content=json.dumps(sent), headers={"content-type": "application/json"})

    return ask


def refused(answer, field, *statuses):
    assert answer.status_code in (statuses or (400,)), answer.text[:500]
    error = answer.json()["error"]
    assert (error["param"] or "").startswith(field), error
    return error


# --- types and depth of a request ---------------------------------------------------------------------------


def called(function, **more):
    """A history with a call by the assistant."""
    return [*HELLO, {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": function, **more}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"}]  # fmt: skip


WRONG_TYPES = [
    ("tool_choice", {"tools": [WEATHER], "tool_choice": {"type": "function", "function": ["weather"]}}),
    ("tool_choice", {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": {}}}}),
    ("tool_choice", {"tools": [WEATHER], "tool_choice": {"type": "function", "function": 7}}),
    ("tool_choice", {"tools": [WEATHER], "tool_choice": {"function": None, "type": 5}}),
    ("tools[0]", {"tools": ["weather"]}),
    ("tools[0].type", {"tools": [{**WEATHER, "type": ["function"]}]}),
    ("tools[0].function", {"tools": [{"type": "function", "function": "weather"}]}),
    ("tools[0].function", {"tools": [{"type": "function", "function": []}]}),
    ("tools[0].function.name", {"tools": [{"type": "function", "function": {"name": [1]}}]}),
    ("tools[1].function.parameters", {"tools": [WEATHER, {"type": "function", "function": {"name": "b", "parameters": "x"}}]}),
    ("response_format.json_schema", {"response_format": {"type": "json_schema", "json_schema": 7}}),
    ("response_format.json_schema", {"response_format": {"type": "json_schema", "json_schema": [{}]}}),
    ("response_format.json_schema.schema", {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": "{}"}}}),
    ("response_format.type", {"response_format": {"type": {"json_schema": {}}}}),
    ("messages[1].tool_calls[0]", {"messages": called(None)[:1] + [{"role": "assistant", "tool_calls": ["x"]}]}),
    ("messages[1].tool_calls[0].function", {"messages": called("f")}),
    ("messages[1].tool_calls[0].function", {"messages": called(["f"])}),
    ("messages[1].tool_calls[0].function.name", {"messages": called({"name": {}, "arguments": "{}"})}),
    ("messages[1].tool_calls[0].function.arguments", {"messages": called({"name": "f", "arguments": 5})}),
    ("messages[0].content[0].text", {"messages": [{"role": "user", "content": [{"type": "text", "text": {}}]}]}),
]


@pytest.mark.parametrize("model", [MODEL, "permutation", "unified"])
def test_a_wrong_type_is_refused_with_its_path(chat, model):
    for path, fields in WRONG_TYPES:
        error = refused(chat(**{"model": model, **fields}), path.split("[")[0].split(".")[0])
        assert error["param"].startswith(path), (path, error)


def nested(levels, open="[", close="]"):
    return open * levels + close * levels


def test_json_in_a_string_has_the_same_depth_limit(chat):
    for levels, open, close in [(150_000, "[", "]"), (1_000, '{"a":', "}"), (300_000, '[{"a":', "}]")]:
        deep = open * levels + "1" + close * levels
        refused(chat(called({"name": "f", "arguments": deep})), "messages[1].tool_calls[0].function.arguments", 400, 413)
    assert chat(called({"name": "f", "arguments": nested(5)})).status_code == 200
    assert chat(called({"name": "f", "arguments": "{"})).status_code == 200, "a model's own broken call goes back as it is"


def test_a_deep_body_is_refused(http):
    for inside in (nested(200), nested(400_000), "[" * 400_000, '{"a":' * 200_000):
        for member in ("metadata", "tools", "response_format", "permutation", "messages"):
            body = f'{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "x"}}], "{member}": {inside}}}'
            answer = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 400, (member, answer.text[:300])


def test_what_a_body_is_packed_in_is_read_or_named(http):
    plain = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 1}).encode()
    post = lambda body, **headers: http.post("/v1/chat/completions", content=body, headers={
        "content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}})  # fmt: skip
    marked = post(b"\xef\xbb\xbf" + plain)
    assert marked.status_code == 200 or "byte order mark" in marked.json()["error"]["message"], marked.text
    for coding, body in [("gzip", gzip.compress(plain)), ("zstd", b"\x28\xb5\x2f\xfd" + plain), ("br", plain), ("x-odd", plain)]:
        answer = post(body, content_encoding=coding)
        assert answer.status_code == 200 or coding in answer.json()["error"]["message"], (coding, answer.text)
        assert answer.status_code in (200, 400, 415), (coding, answer.text)
    bomb = post(gzip.compress(b" " * 200_000_000), content_encoding="gzip")
    assert bomb.status_code in (413, 415), bomb.text[:300]
    wide = post(plain.decode().encode("utf-16"))
    assert wide.status_code in (400, 415) and "UTF-" in wide.json()["error"]["message"], wide.text
    large = post(b'{"a": "' + b"x" * 40_000_000 + b'"}')
    assert large.status_code == 413 and any(c.isdigit() for c in large.json()["error"]["message"]), large.text


# --- who may enter ------------------------------------------------------------------------------------------


FOREIGN = ["127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example", "127.0.0.1@evil.example",
           "1127.0.0.1", "127.0.0", "[::2]", "[::1.evil]", "localhostx", "x.localhost.evil.example", "128.0.0.1"]  # fmt: skip
OURS = ["LocalHost", "localhost.", "127.0.0.1", "127.9.8.7", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::ffff:127.0.0.1]"]


def test_a_foreign_host_or_origin_opens_nothing(http, server):
    port = httpx.URL(server.url).port
    body = {"model": MODEL, "messages": HELLO, "max_tokens": 1}
    for named in [*FOREIGN, *(f"{host}:{port}" for host in FOREIGN)]:
        for headers in ({"host": named}, {"host": f"127.0.0.1:{port}", "origin": f"http://{named}"}):
            for method, path, sent in [("GET", "/v1/cache", None), ("GET", "/metrics", None), ("DELETE", "/v1/cache", None),
                                       ("POST", "/v1/chat/completions", body)]:  # fmt: skip
                answer = http.request(method, path, json=sent, headers=headers)
                assert answer.status_code in (400, 403), (headers, method, path, answer.status_code)


def test_every_spelling_of_this_machine_is_this_machine(http, server):
    for host in OURS:
        named = f"{host}:{httpx.URL(server.url).port}"
        answer = http.get("/v1/cache", headers={"host": named, "origin": f"http://{named}"})
        assert answer.status_code == 200, (host, answer.text)


# --- one caller and the others ------------------------------------------------------------------------------

FORMS = {
    "many values": {"enum": [f"value {i}" for i in range(40_000)]},
    "many members": {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(5_000)}},
    "a pattern of many choices": {"type": "string", "pattern": "^" + "(b?)" * 15_000 + "$"},
    "a pattern in powers": {"type": "string", "pattern": "^((((z{90}){90}){90}){90})$"},
    "many repetitions": {"type": "array", "items": {"type": "array", "maxItems": 9_000, "items": {"const": 1}}, "minItems": 9_000},
    "itself": {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    "an ambiguous pattern": {"type": "string", "pattern": "^(((a|a)*)*)*$"},
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("as_tool", [False, True])
def test_a_heavy_form_holds_up_nobody(chat, name, as_tool):
    schema = FORMS[name]
    form = {"response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}}
    if as_tool:
        form = {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": schema}}}}],
                "tool_choice": "required"}  # fmt: skip

    def plain_s():
        begun = time.monotonic()
        assert chat(max_tokens=1).status_code == 200
        return time.monotonic() - begun

    alone_s = plain_s()  # this machine may be busy with other things
    answers = []
    asking = threading.Thread(target=lambda: answers.append(chat(max_tokens=4, **form)))
    asking.start()
    time.sleep(0.2)
    assert plain_s() < 5 + 3 * alone_s, f"a plain question beside it waited; alone it takes {alone_s:.1f} s"
    asking.join()
    assert answers[0].status_code in (200, 400, 413, 422), answers[0].text[:300]


def play(http, name, context="so it is", timeout=60):
    sent = {"model": "rlm", "messages": [{"role": "user", "content": f"play:{name}"}], "permutation": {**OFF, "rlm": {"context": context}}}
    return http.post("/v1/chat/completions", json=sent, timeout=timeout)


@pytest.mark.parametrize("name", ["deep_arrays", "deep_objects", "open_arrays", "no_frame"])
def test_a_program_that_forges_frames_is_ended(http, name):
    answer = play(http, name)
    assert answer.status_code == 200, answer.text[:300]
    assert answer.json()["choices"][0]["message"]["content"] == "after"
    assert play(http, "plain").json()["choices"][0]["message"]["content"] == "42"


@pytest.mark.parametrize("name", ["many_prompts", "many_runs", "many_calls"])
def test_every_prompt_of_a_batch_counts(http, upstream, name):
    before = len(upstream.requests)
    answer = play(http, name)
    assert answer.status_code in (200, 429), answer.text[:300]
    assert len(upstream.requests) - before < 2_000


LONG_TEXTS = {
    "lines": "x y z\n" * 4_000_000,
    "one line": "word " * 5_000_000,
    "one word": "w" * 25_000_000,
    "csv": "id,name,state\n" + "17,ann,open\n" * 2_000_000,
}


@pytest.mark.parametrize("text", LONG_TEXTS)
def test_a_long_text_ends_with_its_caller(binary, model_file, tmp_path, text):
    """And SIGTERM ends the server while it is read."""
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    sent = {"model": "rlm", "messages": HELLO, "permutation": {**OFF, "rlm": {"context": LONG_TEXTS[text]}}}
    # Some are answered before their caller can leave: then there is no work to end.
    with contextlib.suppress(httpx.TimeoutException):
        httpx.post(server.url + "/v1/chat/completions", json=sent, timeout=httpx.Timeout(60, read=0.05))

    def cpu_s():
        fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(1)
    before = cpu_s()
    time.sleep(1)
    used = cpu_s() - before
    begun = time.monotonic()
    assert server.stop() == 0, server.log()[-500:]
    assert time.monotonic() - begun < 10
    assert used < 0.3, f"{used} s of CPU in a second, a second after its caller had left"


# --- what upstreams and tenants send ------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_deep_answer_of_an_upstream_is_its_failure(chat, upstream, stream):
    for inside in (nested(300_000), nested(300), '{"a":' * 200_000 + "1" + "}" * 200_000):
        for at in ('"unknown": ', '"usage": ', '"id": '):
            member = at + inside
            if stream:
                chunk = '{"choices": [{"index": 0, "delta": {"content": "so"}, "finish_reason": "stop"}], ' + member + "}"
                upstream.plays = ("text/event-stream", f"data: {chunk}\n\ndata: [DONE]\n\n".encode())
            else:
                choice = '{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "so"}}'
                upstream.plays = ("application/json", f'{{"choices": [{choice}], {member}}}'.encode())
            answer = chat(model="t/m", stream=stream)
            assert answer.status_code in (200, 502), answer.text[:300]


def test_a_huge_piece_of_an_upstream_comes_or_is_told(chat, upstream):
    for size in (20_000_000, 35_000_000):
        chunk = json.dumps({"choices": [{"index": 0, "delta": {"content": "f" * size}, "finish_reason": "stop"}]})
        upstream.plays = ("text/event-stream", f"data: {chunk}\n\ndata: [DONE]\n\n".encode())
        answer = chat(model="t/m", stream=True, max_tokens=None)
        whole = answer.status_code == 200 and "f" * size in answer.text
        assert whole or '"error"' in answer.text, f"{answer.status_code}, {len(answer.text)} characters"


VALUES = [{"choices": 5}, {"choices": [None]}, {"choices": [{"text": 5}]}, {"choices": [[{}]]}, {"choices": {"0": {}}}, {"choices": [{}]},
          [], None, "x" * 10_000, "\0\ud7ff", 1e308, {"": {"": [[[[[]]]]]}}, {"choices": [{"text": ["a"]}], "usage": "x"}]  # fmt: skip


def test_no_tenants_value_breaks_the_operators_page(binary, model_file, tmp_path, new_key):
    operator = new_key("--name", "ops", "--scope", "admin")
    tenant = new_key("--name", "ann", "--tenant", "a", "--scope", "cache")
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\n' + operator["toml"] + tenant["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    bearer = lambda key: {"authorization": f"Bearer {key['key']}"}
    with httpx.Client(base_url=server.url, timeout=60) as http:
        for i, value in enumerate(VALUES):
            answer = http.put(f"/v1/cache/entries/v{i}", json={"value": value}, headers=bearer(tenant))
            assert answer.status_code == 200, (value, answer.text)
            page = http.get("/v1/dashboard/items?kind=cache", headers=bearer(operator))
            assert page.status_code == 200, (value, page.text)
            assert page.json()["total"] == i + 1
    assert server.stop() == 0


# --- the process and its surroundings -----------------------------------------------------------------------


@pytest.fixture
def lone(binary, model_file, tmp_path):
    """A server of the test's own, by its process: its log's end is the test's."""
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n[log]\nrequests = true\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    yield server
    if server.process.poll() is None:
        server.kill()


def test_it_serves_on_when_nobody_reads_its_log(binary, model_file, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n[log]\nrequests = true\n')
    with subprocess.Popen([binary, "serve", "--config", str(config)], stderr=subprocess.PIPE, text=True) as process:
        try:
            url = next(found[1] for line in process.stderr if (found := re.search(r"listening on (http://[^\s\"]+)", line)))
            process.stderr.close()
            for _ in range(5):
                assert httpx.get(url + "/v1/models", timeout=30).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["SIGHUP", "SIGPIPE"])
def test_a_signal_of_its_surroundings_ends_nothing(lone, name):
    for _ in range(3):
        lone.process.send_signal(getattr(signal, name))
        time.sleep(0.2)
    assert httpx.get(lone.url + "/v1/models", timeout=10).status_code == 200
    assert lone.stop() == 0


def test_a_config_that_cant_be_read_starts_nothing(binary, tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\0\0[server]")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "gone.toml").symlink_to("nowhere")
    for name in ("folder.toml", "bytes.toml", "loop.toml", "gone.toml", "folder.toml/x", "", "/dev/null/x", "/proc/self/mem"):
        path = str(tmp_path / name) if name and not name.startswith("/") else name
        ended = subprocess.run([binary, "serve", "--port", "0", "--config", path], capture_output=True, text=True, timeout=30)
        assert ended.returncode in (1, 2), (name, ended.returncode, ended.stderr)
        assert (name or "config") in ended.stderr, (name, ended.stderr)


# --- connections --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_half_closed_client_gets_its_answer(server, stream):
    url = httpx.URL(server.url)
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 20, "stream": stream, "permutation": OFF}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{url.port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert b" 200 " in answer.split(b"\r\n")[0]
    assert (b"data: [DONE]" if stream else b'"finish_reason"') in answer


def test_a_client_that_is_gone_frees_what_it_used(http, server):
    """The other side of the half-closed one: nobody waits for this answer any more."""
    url = httpx.URL(server.url)
    body = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 4_000, "ignore_eos": True, "stream": True, "permutation": OFF}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{url.port}\r\nContent-Type: application/json\r\n"
    connection = socket.create_connection((url.host, url.port), timeout=60)
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    connection.recv(1_000)
    connection.close()
    until(lambda: http.get("/v1/kv").json()["models"][0]["engine"]["running"] == 0, 30)
