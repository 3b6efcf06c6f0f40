"""Two servers with one cache between them, over the real redis-server, and over the real valkey-server, on a free port."""

import concurrent.futures
import functools
import hashlib
import os
import re
import signal
import subprocess

import httpx
import openai
import pytest

from server import chat, chat_raw, extension, samples
from server import until as until_within

# A busy machine must not look like a Redis that hangs or a server that died: limits are long, except where a
# test is about one; what happened is told by counters.
until = functools.partial(until_within, seconds=60.0)
ONE_MODEL_CALL = 300

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"
kv_bytes = 67108864

[cache]
{cache}

[cache.shared]
url = "redis://127.0.0.1:{port}"
timeout_ms = {timeout_ms}
retry_ms = 100
lease_ms = {lease_ms}
wait_ms = 300000
reach_ms = 30000
{keys}
"""


@pytest.fixture
def start(redis, starting, model_file):
    def begin(cache="", wait=True, timeout_ms=20_000, lease_ms=20_000, keys=""):
        options = dict(cache=cache, timeout_ms=timeout_ms, lease_ms=lease_ms, keys=keys)
        server = starting(CONFIG.format(model=model_file, port=redis.port, **options))
        if wait and not keys:
            until(lambda: shared(server)["state"] == "up")
        return server

    return begin


def shared(server):
    return httpx.get(f"{server.url}/v1/cache", timeout=60).json()["shared"]


def asking(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=ONE_MODEL_CALL)


def put(server, key, value, **more):
    answer = httpx.put(f"{server.url}/v1/cache/entries/{key}", json={"value": value, **more}, timeout=60)
    assert answer.status_code == 200, answer.text


def get(server, key):
    answer = httpx.get(f"{server.url}/v1/cache/entries/{key}", timeout=60)
    return answer.json()["value"] if answer.status_code == 200 else None


def delete(server, key):
    return httpx.delete(f"{server.url}/v1/cache/entries/{key}", timeout=60).json()


def purge(server, **filters):
    return httpx.delete(f"{server.url}/v1/cache", params=filters, timeout=60).json()


def test_an_answer_of_one_server_is_a_hit_on_the_other(start):
    one, two = start(), start()
    options = dict(logprobs=True, top_logprobs=2, extra_body={"permutation": {"cache": {"tags": ["faq"]}}})
    headers, cold = chat_raw(asking(one), "Name a colour.", **options)
    assert headers["x-permutation-cache"] == "miss"
    until(lambda: shared(one)["stores"] == 1)
    headers, warm = chat_raw(asking(two), "Name a colour.", **options)
    assert headers["x-permutation-cache"] == "hit"
    assert warm.choices == cold.choices and warm.usage.total_tokens == cold.usage.total_tokens
    assert extension(warm)["cache"]["tokens_saved"] == cold.usage.total_tokens
    assert shared(two)["hits"] == 1
    counted = samples(two)
    hits = counted["permutation_response_cache_shared_hits_total"]
    assert (f'{{model="{cold.model}",tenant=""}}', 1) in hits and sum(value for _, value in hits) == 1
    assert counted["permutation_response_cache_shared_up"] == [("", 1)]
    # Streamed from RAM, which has it by now.
    chunks = list(chat(asking(two), "Name a colour.", stream=True, **options))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == cold.choices[0].message.content

    # A purge on the first reaches the second's RAM before it returns.
    until(lambda: shared(one)["servers"] == 2)
    assert purge(one, tag="faq")["shared"] == {"told": True, "servers": 2, "reached": 2}
    headers, _ = chat_raw(asking(two), "Name a colour.", **options)
    assert headers["x-permutation-cache"] == "miss"


def test_the_key_value_store_is_shared_and_deleted_everywhere(start):
    one, two = start(), start()
    until(lambda: shared(one)["servers"] == 2)
    for how in ({"tag": "t"}, {"namespace": "n"}, {"model": "m"}, {}):
        put(one, "sum", {"total": 7}, tags=["t"], namespace="n", model="m")
        until(lambda: get(two, "sum") == {"total": 7})
        assert purge(two, **how)["shared"]["reached"] == 2
        assert get(one, "sum") is None and get(two, "sum") is None
    put(one, "sum", 1)
    until(lambda: get(two, "sum") == 1)
    put(two, "sum", 2)
    until(lambda: get(one, "sum") == 2)
    assert httpx.delete(f"{one.url}/v1/cache/entries/sum").json()["deleted"] is True
    assert get(two, "sum") is None
    assert httpx.delete(f"{one.url}/v1/cache/entries/sum").status_code == 404


def test_one_of_two_servers_computes(start):
    one, two = start(), start()
    ask = lambda server: chat(asking(server), "Tell me a long story about a river.", max_tokens=120)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [one, two] * 4))
    assert len({a.choices[0].message.content for a in answers}) == 1
    statuses = sorted(extension(a)["cache"]["status"] for a in answers)
    assert statuses.count("miss") == 1, statuses
    assert sum(httpx.get(f"{s.url}/v1/kv").json()["models"][0]["engine"]["requests"] for s in (one, two)) == 1


def test_a_server_killed_while_computing_hands_over(start, redis):
    one, two = start(lease_ms=4000), start(lease_ms=4000)
    text = dict(text="Tell me a very long story about a mountain.", max_tokens=400)
    asked = lambda: int((re.search(r"cmdstat_set:calls=(\d+)", redis.cli("INFO", "commandstats")) or [0, 0])[1])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(chat, asking(one), **text)
        until(lambda: shared(one)["leases"] == 1)
        one.process.send_signal(signal.SIGSTOP)  # so that it can't be done before it is killed
        before = asked()
        second = pool.submit(chat, asking(two), **text)
        until(lambda: asked() >= before + 2)  # it has asked for the lease and asks again: it waits
        assert shared(two)["leases"] == 0
        one.stop(signal.SIGKILL)
        assert first.exception(timeout=60) is not None
        answer = second.result(timeout=ONE_MODEL_CALL)
    assert extension(answer)["cache"]["status"] == "miss"
    assert shared(two)["leases_taken_over"] == 1


def test_a_redis_that_hangs_costs_its_timeout_once(start, redis):
    server = start(timeout_ms=1000)
    put(server, "kept", 1)
    until(lambda: shared(server)["stores"] == 1)
    before = shared(server)
    assert before["failures"] == 0
    redis.send(signal.SIGSTOP)
    assert get(server, "absent") is None
    for i in range(100):
        assert get(server, f"absent-{i}") is None
    # One that waited for its answer until the limit, and 100 that were not asked.
    assert shared(server)["failures"] == 1 and shared(server)["skipped"] >= before["skipped"] + 101
    assert get(server, "kept") == 1
    answer = chat(asking(server), "Name a lake.", max_tokens=4)
    assert extension(answer)["cache"]["status"] == "miss"
    assert purge(server, tag="t")["shared"]["told"] is False
    now = shared(server)
    assert now["state"] == "down" and "no answer in time" in now["error"] and now["invalidations"]["pending"] == 1
    assert "Answers are not shared" in server.log()
    redis.send(signal.SIGCONT)
    until(lambda: shared(server)["state"] == "up")
    assert shared(server)["invalidations"]["pending"] == 0


def test_a_redis_that_dies_is_missed_by_nobody(start, redis):
    one, two = start(), start()
    put(one, "a", 1, tags=["t"])
    until(lambda: get(two, "a") == 1)
    redis.send(signal.SIGKILL)
    for server in (one, two):
        assert get(server, "a") == 1
        assert extension(chat(asking(server), "Name a sea.", max_tokens=4))["cache"]["status"] == "miss"
    until(lambda: shared(one)["state"] == shared(two)["state"] == "down")
    assert purge(one, tag="t") == {"purged": 1, "shared": {"told": False, "servers": 1, "reached": 1}}
    redis.start()
    until(lambda: shared(one)["state"] == shared(two)["state"] == "up")
    until(lambda: get(two, "a") is None)  # the purge was told as soon as there was somebody to tell
    put(one, "b", 2)
    until(lambda: get(two, "b") == 2)


def test_a_server_may_start_before_its_redis(start, redis):
    redis.send(signal.SIGKILL)
    server = start(wait=False)
    put(server, "a", 1)
    assert get(server, "a") == 1
    redis.start()
    until(lambda: shared(server)["state"] == "up")
    put(server, "b", 2)
    until(lambda: shared(server)["stores"] == 1)


def test_a_restart_with_a_disk_hears_of_what_was_purged_meanwhile(start, tmp_path):
    disk = f'path = "{tmp_path / "disk"}"'
    one, two = start(cache=disk), start()
    put(one, "a", 1, tags=["t"])
    put(one, "b", 2)
    assert httpx.post(f"{one.url}/v1/cache/flush").json()["durable"]
    assert one.stop() == 0
    assert purge(two, tag="t")["shared"]["told"]
    again = start(cache=disk)
    assert get(again, "a") is None
    assert get(again, "b") == 2


def test_values_that_were_tampered_with_are_misses(start, redis):
    one, two = start(), start()
    put(one, "a", "value")
    until(lambda: shared(one)["stores"] == 1)
    (name,) = redis.cli("KEYS", "permutation:v:*").split()
    redis.cli("SETRANGE", name, "60", "XXXX")
    assert get(two, "a") is None
    assert shared(two)["corrupt"] == 1 and "damaged" in two.log()
    assert get(one, "a") == "value"


def test_tenants_share_servers_and_nothing_else(start):
    keys = "".join(
        f'[[key]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        f'tenant = "{tenant}"\nscopes = {scopes}\n'
        for name, tenant, scopes in (
            ("ann", "a", '["inference", "cache"]'),
            ("bob", "b", '["inference", "cache"]'),
            ("ops", "", '["admin"]'),
        )
    )
    servers = one, two = start(keys=keys), start(keys=keys)
    anns, bobs, operators = ({"authorization": f"Bearer {name}"} for name in ("ann", "bob", "ops"))

    def call(method, server, path, who, **more):
        return httpx.request(method, f"{server.url}/v1/cache{path}", headers=who, timeout=60, **more)

    state = lambda server: call("GET", server, "", operators).json()["shared"]
    until(lambda: all(state(server)["servers"] == 2 for server in servers))
    ask = lambda server, name: chat_raw(openai.OpenAI(base_url=server.url + "/v1", api_key=name, max_retries=0, timeout=ONE_MODEL_CALL), "Name a bird.")[0]

    headers = ask(one, "ann")
    assert headers["x-permutation-cache"] == "miss"
    digest = headers["x-permutation-cache-key"]
    until(lambda: state(one)["stores"] == 1)
    # The other tenant gets no answer of hers, by question or by digest, and removes none.
    assert ask(two, "bob")["x-permutation-cache"] == "miss"
    for server in servers:
        assert call("GET", server, f"/entries/{digest}", bobs).status_code == 404
        assert call("DELETE", server, f"/entries/{digest}", bobs).status_code == 404
        assert call("POST", server, f"/entries/{digest}/false_hit", bobs).status_code in (403, 404)
        purged = call("DELETE", server, "", bobs).json()
        assert purged["shared"] == {"told": True, "servers": 2, "reached": 2}
    assert ask(two, "ann")["x-permutation-cache"] == "hit"
    assert state(two)["hits"] >= 1 and state(two)["void"] == 0
    # One name of two tenants is two entries, on every server.
    for name, who in (("ann", anns), ("bob", bobs)):
        assert call("PUT", one, "/entries/note", who, json={"value": name, "tags": ["t"]}).status_code == 200
    for name, who in (("ann", anns), ("bob", bobs)):
        until(lambda: call("GET", two, "/entries/note", who).json().get("value") == name)
    # A purge reaches its own tenant's entries everywhere, and no other's.
    assert call("DELETE", two, "", anns, params={"tag": "t"}).json()["shared"]["reached"] == 2
    for server in servers:
        assert call("GET", server, "/entries/note", anns).status_code == 404
        assert call("GET", server, "/entries/note", bobs).json()["value"] == "bob"
    # By digest a tenant may delete its own, which is gone on both then.
    assert call("DELETE", one, f"/entries/{digest}", anns).json()["deleted"] is True
    for server in servers:
        assert call("GET", server, f"/entries/{digest}", anns).status_code == 404
    # The operator's purge is everybody's.
    assert call("DELETE", one, "", operators).json()["shared"]["reached"] == 2
    assert call("GET", two, "/entries/note", bobs).status_code == 404


def test_a_purge_outlives_a_kill_of_who_heard_of_it(start, tmp_path):
    """What was purged does not come back from the disk of a server that was killed just after it had said so."""
    disk = f'path = "{tmp_path / "disk"}"'
    two = start()
    for i in range(2):
        one = start(cache=disk)
        assert get(one, "a") is None, i
        until(lambda: shared(two)["servers"] == 2)
        put(one, "a", i, tags=["t"])
        assert httpx.post(f"{one.url}/v1/cache/flush", timeout=60).json()["durable"]
        gone = delete(two, "a") if i % 2 else purge(two, tag="t")
        assert gone["shared"]["reached"] == 2
        one.stop(signal.SIGKILL)
        until(lambda: shared(two)["servers"] == 1)
    assert get(start(cache=disk), "a") is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('url = "http://x"', "must begin with redis://"),
        ('url = "redis://x:0"', "port"),
        ("", "url is required"),
        ('url = "redis://x"\nprefix = "a{b"', "prefix must be 1 to 64"),
        ('url = "redis://x"\ntimeout_ms = 0', "timeout_ms"),
        ('url = "redis://x"\nlease = 5', 'unknown key "lease"'),
        ('url = "redis://x"\npassword_file = "/nowhere"', "password_file"),
    ],
)
def test_the_config_says_what_is_wrong(binary, tmp_path, line, told):
    config = tmp_path / "c.toml"
    config.write_text(f"[cache.shared]\n{line}\n")
    done = subprocess.run([binary, "serve", "--config", str(config)], capture_output=True, text=True, timeout=30, env={**os.environ})
    assert done.returncode == 2 and told in done.stderr, done.stderr
