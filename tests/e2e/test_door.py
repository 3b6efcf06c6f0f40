"""The door: which hosts get in, clients that end their sending, bodies in other encodings."""

import gzip
import json
import signal
import socket
import subprocess
import sys
import time
import zlib

import httpx
import pytest

from server import MODEL, RunningServer, until

ASK = {"model": MODEL, "prompt": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,", "temperature": 0}
OFF = {"permutation": {"cache": {"mode": "off"}}}


def raw_request(body, path="/v1/completions", method="POST", **headers):
    content = json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": len(content), **headers}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + content


def connect(server, timeout=120):
    url = httpx.URL(server.url)
    return socket.create_connection((url.host, url.port), timeout=timeout)


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


# ---- Hosts


def status_of(server, method="GET", path="/v1/cache", **headers):
    with connect(server) as connection:
        connection.sendall(raw_request(ASK, path, method, **{"Connection": "close", **headers}))
        return int(read_all(connection).split(b" ", 2)[1])


PATHS = [("GET", "/v1/cache"), ("GET", "/metrics"), ("GET", "/v1/kv"), ("DELETE", "/v1/cache"),
         ("POST", "/v1/completions")]  # fmt: skip


@pytest.mark.parametrize(
    "host", ["127.attacker.example", "127.0.0.1.attacker.example", "localhost.attacker.example", "0x7f.0.0.1",
             "2130706433", "127.1", "0177.0.0.1", "attacker@127.0.0.1", "[::1].attacker.example", "0.0.0.0",
             "127.0.0.1:99999", "xn--lcalhost-64a", ""],
)  # fmt: skip
def test_a_foreign_host_is_refused_on_every_path(server, host):
    assert {status_of(server, method, path, Host=host) for method, path in PATHS} == {403}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1.2.3:99", "LocalHost", "LOCALHOST:8080", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]:80",
             "[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[::1%25lo]"],
)  # fmt: skip
def test_every_spelling_of_this_machine_gets_in(server, host):
    assert status_of(server, Host=host) == 200
    port = httpx.URL(f"http://{host.replace('%25lo', '')}").port or 80
    assert status_of(server, Host=host, Origin=f"http://localhost:{port}") == 200
    assert status_of(server, Host=host, Origin=f"http://127.attacker.example:{port}") == 403


def test_two_hosts_and_the_absolute_form(server):
    with connect(server) as connection:
        connection.sendall(b"GET /v1/cache HTTP/1.1\r\nHost: 127.0.0.1\r\nhost: attacker.example\r\n\r\n")
        assert b" 400 " in read_all(connection).split(b"\r\n")[0]
    assert status_of(server, path="http://attacker.example/v1/cache") == 403
    assert status_of(server, path="http://localhost/v1/cache", Host="attacker.example") == 200


def test_allowed_hosts(binary, model_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'''
[server]
port = 0
stop_grace_ms = 500
allowed_hosts = ["chat.example.org", "*.lan"]
[[model]]
path = "{model_file}"
''')
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        for host in ("Chat.Example.org", "chat.example.org.:443", "pi.lan", "a.b.lan:8080", "localhost"):
            assert status_of(server, Host=host) == 200, host
        for host in ("example.org", "evil.chat.example.org", "lan", "evillan", "chat.example.org.attacker.example"):
            assert status_of(server, Host=host) == 403, host
        assert status_of(server, Origin="https://chat.example.org") == 200
        assert status_of(server, Origin="https://attacker.example", Host="chat.example.org") == 403
    finally:
        assert server.stop() == 0, server.log()


# ---- Clients that end their sending


def parsed(answer):
    head, body = answer.split(b"\r\n\r\n", 1)
    return head.decode(), body


def test_a_half_closed_client_gets_its_answer(server, fresh):
    body = {**ASK, "prompt": fresh(ASK["prompt"]), "max_tokens": 60}
    with connect(server) as connection:
        connection.sendall(raw_request(body))
        connection.shutdown(socket.SHUT_WR)
        head, content = parsed(read_all(connection))
    assert head.startswith("HTTP/1.1 200 OK\r\ndate: "), head
    assert json.loads(content)["usage"]["completion_tokens"] > 0
    # The same as one that stays; and a hit, which is there at once.
    again = httpx.post(server.url + "/v1/completions", json=body, timeout=60).json()
    assert again["permutation"]["cache"]["status"] == "hit"
    assert again["choices"] == json.loads(content)["choices"]
    with connect(server) as connection:
        connection.sendall(raw_request(body))
        connection.shutdown(socket.SHUT_WR)
        assert json.loads(parsed(read_all(connection))[1])["choices"] == again["choices"]


def test_a_half_closed_client_gets_its_whole_stream(server, fresh):
    body = {**ASK, "prompt": fresh(ASK["prompt"]), "max_tokens": 60, "stream": True}
    with connect(server) as connection:
        connection.sendall(raw_request(body))
        connection.shutdown(socket.SHUT_WR)
        head, content = parsed(read_all(connection))
    assert head.startswith("HTTP/1.1 200 OK\r\n"), head
    assert content.count(b"data: ") > 10
    assert b"data: [DONE]" in content and content.endswith(b"\r\n0\r\n\r\n")


LONG = {**ASK, **OFF, "max_tokens": 6000}


def cancelled_within(idle, seconds, start):
    before = idle()["engine"]
    start()
    after = idle(seconds)["engine"]
    assert after["cancelled"] - before["cancelled"] == 1
    assert after["completed"] == before["completed"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_is_killed_stops_its_generation(server, idle, pool, stream):
    """Its kernel sends the same end as one that half-closes."""

    def start():
        url = httpx.URL(server.url)
        request = raw_request({**LONG, "stream": stream})
        code = (
            f"import socket, time\nc = socket.create_connection(({url.host!r}, {url.port}))\n"
            f"c.sendall({request!r})\nprint('sent', flush=True)\ntime.sleep(100)"
        )
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout.readline() == b"sent\n"
        until(lambda: pool()["engine"]["running"] == 1)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()

    cancelled_within(idle, 3, start)


@pytest.mark.parametrize("reads", [False, True])
def test_a_half_closed_client_that_leaves_stops_its_generation(server, idle, pool, reads):
    def start():
        with connect(server) as connection:
            connection.sendall(raw_request(LONG))
            until(lambda: pool()["engine"]["running"] == 1)
            connection.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
            assert pool()["engine"]["running"] == 1, "it still waits for its answer"
            if reads:
                assert b"HTTP/1.1 ".startswith(connection.recv(100))

    cancelled_within(idle, 6, start)


# ---- Bodies

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Say hi"}], "temperature": 0, "max_tokens": 2}
PLAIN = json.dumps(CHAT).encode()


def post(http, content, **headers):
    return http.post("/v1/chat/completions", content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_bodies_that_are_read(http):
    assert post(http, gzip.compress(PLAIN), content_encoding="gzip").status_code == 200
    assert post(http, gzip.compress(PLAIN[:9]) + gzip.compress(PLAIN[9:]), content_encoding="X-GZip").status_code == 200
    assert post(http, zlib.compress(PLAIN), content_encoding="deflate").status_code == 200
    assert post(http, b"\xef\xbb\xbf" + PLAIN).status_code == 200
    assert post(http, PLAIN, content_type="application/x-www-form-urlencoded").status_code == 200  # curl -d


@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (PLAIN, {"content_encoding": "br"}, 415, "'br'"),
        (PLAIN, {"content_encoding": "gzip, zstd"}, 415, "gzip, zstd"),
        (PLAIN, {"content_encoding": "gzip"}, 400, "gzip"),
        (gzip.compress(PLAIN)[:-3], {"content_encoding": "gzip"}, 400, "cut off"),
        (gzip.compress(PLAIN), {}, 400, "content-encoding: gzip"),
        (gzip.compress(b" " * 40_000_000), {"content_encoding": "gzip"}, 413, "times its size"),
        (json.dumps(CHAT).encode("utf-16"), {}, 400, "UTF-16"),
        (json.dumps(CHAT).encode("utf-16-be"), {}, 400, "UTF-16"),
        (json.dumps(CHAT).encode("utf-32"), {}, 400, "UTF-32"),
        (b"model=x&messages=y", {"content_type": "application/x-www-form-urlencoded"}, 415, "application/x-www-form"),
        (b"<model/>", {"content_type": "application/xml"}, 415, "application/xml"),
    ],
)
def test_bodies_that_are_refused_for_what_they_are(http, content, headers, status, says):
    answer = post(http, content, **headers)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
    assert answer.headers["x-request-id"]
