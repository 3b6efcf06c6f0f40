"""Several servers behind one name: three scripted upstreams, one of which dies, drains or is busy."""

import concurrent.futures
import subprocess
import threading

import httpx
import openai
import pytest

from scripted_upstream import ScriptedUpstream
from server import RunningServer, extension, off, samples, streamed, until

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[upstream]]
name = "s"
base_urls = {urls}
models = ["m"]
retries = 0
cooldown_failures = 1
cooldown_s = 600
probe_interval_s = 0.1

[[upstream]]
name = "few"
base_urls = {urls}
balance = "least_busy"
models = ["m"]
"""
CONVERSATIONS = 40  # that none of three servers gets one of them happens once in 3 million runs


class Server(ScriptedUpstream):
    """One that dies as a process does: with every connection that it has."""

    def __init__(self, port=0):
        super().__init__(port)
        self.port = self._server.server_address[1]
        self.dead = False
        self.go = threading.Event()
        self.began = threading.Semaphore(0)

    def die(self):
        self.dead = True
        self.stop()

    def look(self, handler):
        if self.dead:
            raise ConnectionError("dead")
        super().look(handler)

    def act(self, handler, body):
        if self.dead:
            raise ConnectionError("dead")
        super().act(handler, body)

    def do_hold(self, handler, body):
        self.begin_stream(handler)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": "begin"}}]})
        self.began.release()
        self.go.wait(30)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": " end"}}]})
        self.event(handler, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": self.USAGE})
        self.event(handler, "[DONE]")


@pytest.fixture
def servers():
    running = [Server() for _ in range(3)]
    yield running
    for server in running:
        server.go.set()
        if not server.dead:
            server.stop()


@pytest.fixture
def gateway(binary, servers, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(urls=[server.url for server in servers]))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=60)


def begin(text):
    return [{"role": "system", "content": "You are brief."}, {"role": "user", "content": text}]


def turn(client, messages, model="s/m"):
    """The place of the server that answers, from 0; the conversation goes on."""
    answer = client.chat.completions.create(model=model, messages=messages, extra_body=off())
    said = answer.choices[0].message.content
    assert said == "It is so."
    messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "And then?"}]
    return extension(answer)["upstream"]["server"] - 1


def state(gateway, name="s"):
    upstreams = httpx.get(gateway.url + "/v1/upstreams").raise_for_status().json()["upstreams"]
    return next(one["servers"] for one in upstreams if one["name"] == name)


def drain(gateway, server, draining=True, name="s"):
    body = {"upstream": name, "server": server.url, "draining": draining}
    return httpx.post(gateway.url + "/v1/upstreams/drain", json=body)


def test_each_turn_goes_where_the_first_went(client, gateway, servers, fresh):
    used = set()
    for _ in range(CONVERSATIONS):
        messages = begin(fresh())
        where = [turn(client, messages) for _ in range(3)]
        assert len(set(where)) == 1, where
        used.add(where[0])
    assert used == {0, 1, 2}
    shown = state(gateway)
    assert [one["url"] for one in shown] == [server.url for server in servers]
    assert sum(one["requests"] for one in shown) == 3 * CONVERSATIONS
    assert all(one["healthy"] and not one["draining"] and one["in_flight"] == 0 for one in shown)
    assert "s/m" in {model.id for model in client.models.list()}
    requests = dict(samples(gateway)["permutation_upstream_server_requests_total"])
    for one, server in zip(shown, servers):
        assert requests[f'{{upstream="s",server="{server.url}"}}'] == one["requests"] > 0
    assert not any(server.probes for server in servers), "nobody looks at a healthy one"


def test_a_server_that_dies_loses_its_share_only(client, gateway, servers, fresh):
    conversations = [begin(fresh()) for _ in range(CONVERSATIONS)]
    home = [turn(client, messages) for messages in conversations]
    dead = home[0]
    servers[dead].die()
    then = [turn(client, messages) for messages in conversations]  # each is answered
    for before, after in zip(home, then):
        assert after != dead if before == dead else after == before
    assert not state(gateway)[dead]["healthy"]
    assert sum(one["failed"] for one in state(gateway)) == 1, "one request found out"
    up = dict(samples(gateway)["permutation_upstream_server_up"])
    assert up[f'{{upstream="s",server="{servers[dead].url}"}}'] == 0
    assert f"{servers[dead].url} is down" in gateway.log()

    servers[dead] = Server(servers[dead].port)
    until(lambda: state(gateway)[dead]["healthy"])
    assert servers[dead].probes[0] == "/health"
    assert [turn(client, messages) for messages in conversations] == then, "who moved stays where the prefix is"
    assert dead in {turn(client, begin(fresh())) for _ in range(CONVERSATIONS)}, "new ones come"


def test_no_request_is_lost_that_had_not_begun(client, servers, fresh):
    def ask(number):
        if number == 40:
            servers[1].die()
        return turn(client, begin(fresh(f"Number {number}")))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        where = list(pool.map(ask, range(160)))
    assert len(where) == 160 and set(where) >= {0, 2}
    assert 1 not in where[80:]


def test_a_stream_that_had_begun_ends_with_its_error(client, gateway, fresh):
    said = ""
    with pytest.raises(openai.APIError):
        messages = begin(fresh("do:break"))
        for chunk in client.chat.completions.create(model="s/m", messages=messages, stream=True, extra_body=off()):
            said += chunk.choices[0].delta.content or ""
    assert said == "half an "
    assert sum(one["requests"] for one in state(gateway)) == 1


def test_a_drained_server_keeps_its_streams(client, gateway, servers, fresh):
    messages = begin(fresh())
    at = turn(client, messages)
    messages[-1]["content"] = "do:hold"
    stream = client.chat.completions.create(model="s/m", messages=messages, stream=True, extra_body=off())
    chunks = [next(stream)]
    assert servers[at].began.acquire(timeout=10)
    shown = drain(gateway, servers[at]).raise_for_status().json()["upstreams"]
    assert shown == httpx.get(gateway.url + "/v1/upstreams").json()["upstreams"]
    assert state(gateway)[at]["draining"] and state(gateway)[at]["in_flight"] == 1
    assert not state(gateway, "few")[at]["draining"], "of that name alone"
    messages[-1]["content"] = "And then?"
    assert turn(client, messages) != at
    assert at not in {turn(client, begin(fresh())) for _ in range(CONVERSATIONS)}
    servers[at].go.set()
    said, _, _ = streamed([*chunks, *stream])
    assert said == "begin end"
    until(lambda: state(gateway)[at]["in_flight"] == 0)
    assert state(gateway)[at]["healthy"]

    drain(gateway, servers[at], draining=False).raise_for_status()
    assert at in {turn(client, begin(fresh())) for _ in range(CONVERSATIONS)}


def test_all_drained_is_503_and_says_so(client, gateway, servers, fresh):
    for server in servers:
        drain(gateway, server).raise_for_status()
    with pytest.raises(openai.InternalServerError, match="none of its 3 servers takes requests: 3 drained") as caught:
        turn(client, begin(fresh()))
    assert caught.value.status_code == 503


def test_least_busy_goes_where_nobody_waits(client, gateway, servers, fresh):
    def hold():
        messages = begin(fresh("do:hold"))
        return client.chat.completions.create(model="few/m", messages=messages, stream=True, extra_body=off())

    streams = [hold() for _ in range(6)]
    for server in servers:
        assert server.began.acquire(timeout=10) and server.began.acquire(timeout=10)
    assert [one["in_flight"] for one in state(gateway, "few")] == [2, 2, 2]
    servers[2].go.set()
    until(lambda: state(gateway, "few")[2]["in_flight"] == 0)
    assert [turn(client, begin(fresh()), "few/m") for _ in range(4)] == [2] * 4
    for server in servers:
        server.go.set()
    assert [streamed(stream)[0] for stream in streams] == ["begin end"] * 6


def test_what_cannot_be_drained_is_named(gateway, servers):
    unknown = drain(gateway, servers[0], name="else")
    assert unknown.status_code == 404 and unknown.json()["error"]["param"] == "upstream"
    assert "s, few" in unknown.json()["error"]["message"]
    body = {"upstream": "s", "server": "http://127.0.0.1:1"}
    unknown = httpx.post(gateway.url + "/v1/upstreams/drain", json=body)
    assert unknown.status_code == 404 and unknown.json()["error"]["param"] == "server"
    assert servers[2].url in unknown.json()["error"]["message"]
    assert not any(one["draining"] for one in state(gateway))


def test_like_servers_stand_in_one_table(binary, tmp_path):
    config = tmp_path / "config.toml"
    one = '[[upstream]]\nname = "s"\nbase_urls = ["http://127.0.0.1:1"]\nmodels = ["{}"]\n'
    config.write_text(one.format("a") + one.format("b"))
    ended = subprocess.run([binary, "serve", "--port", "0", "--config", str(config)], capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "two [[upstream]] named s have base_urls" in ended.stderr
