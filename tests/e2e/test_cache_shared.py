"""Two servers with one cache between them, over the real redis-server on a free port."""

import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import time

import httpx
import openai
import pytest

from server import RunningServer, chat, chat_raw, extension, until

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
timeout_ms = 150
retry_ms = 100
lease_ms = 1500
wait_ms = 120000
{more}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Redis:
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self):
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        until(self.answers, 10)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        except OSError:
            return False

    def send(self, what):
        self.process.send_signal(what)
        if what == signal.SIGKILL:
            self.process.wait()

    def cli(self, *words):
        argv = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


@pytest.fixture
def redis(tmp_path):
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server: apt-get install redis-server")
    running = Redis(tmp_path)
    yield running
    running.send(signal.SIGKILL)


@pytest.fixture
def start(binary, model_file, tmp_path, redis):
    started = []

    def begin(cache="", more="", wait=True):
        config = tmp_path / f"{len(started)}.toml"
        config.write_text(CONFIG.format(model=model_file, port=redis.port, cache=cache, more=more))
        started.append(RunningServer([binary, "serve", "--config", str(config)]))
        if wait:
            until(lambda: shared(started[-1])["state"] == "up", 10)
        return started[-1]

    yield begin
    for server in started:
        server.process.send_signal(signal.SIGCONT)
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def shared(server):
    return httpx.get(f"{server.url}/v1/cache", timeout=30).json()["shared"]


def asking(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=60)


def put(server, key, value, **more):
    answer = httpx.put(f"{server.url}/v1/cache/entries/{key}", json={"value": value, **more})
    assert answer.status_code == 200, answer.text


def get(server, key):
    answer = httpx.get(f"{server.url}/v1/cache/entries/{key}")
    return answer.json()["value"] if answer.status_code == 200 else None


def purge(server, **filters):
    return httpx.delete(f"{server.url}/v1/cache", params=filters, timeout=30).json()


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
    metrics = httpx.get(f"{two.url}/metrics").text
    assert "permutation_response_cache_shared_hits_total 1" in metrics
    assert "permutation_response_cache_shared_up 1" in metrics
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


def test_a_server_killed_while_computing_hands_over(start):
    one, two = start(), start()
    text = dict(text="Tell me a very long story about a mountain.", max_tokens=400)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(chat, asking(one), **text)
        until(lambda: shared(one)["leases"] == 1)
        second = pool.submit(chat, asking(two), **text)
        time.sleep(0.2)
        one.stop(signal.SIGKILL)
        assert first.exception(timeout=30) is not None
        answer = second.result(timeout=60)
    assert extension(answer)["cache"]["status"] == "miss"
    assert shared(two)["leases_taken_over"] == 1


def test_a_redis_that_hangs_costs_its_timeout_once(start, redis):
    server = start()
    put(server, "kept", 1)
    redis.send(signal.SIGSTOP)
    begin = time.monotonic()
    assert get(server, "absent") is None
    assert time.monotonic() - begin < 1
    for i in range(100):
        assert get(server, f"absent-{i}") is None
    assert shared(server)["failures"] == 1 and shared(server)["skipped"] >= 101
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
