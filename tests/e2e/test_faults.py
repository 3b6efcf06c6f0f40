"""Mixed load while things break: clients that vanish, clients that don't read, kill -9, a disk that is full. After
it: every answer was right, what was flushed is there, the pool is idle, memory doesn't grow.

FAULT_SECONDS is how long the load runs: short by default, half an hour as ctest's `faults.long`."""

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest

from server import MODEL, RunningServer, until

SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))


def config_of(model_file, cache, more=""):
    return f"""
[server]
port = 0
stop_grace_ms = 2000
[[model]]
path = "{model_file}"
kv_bytes = 134217728
[cache]
path = "{cache}"
bytes_max = 16777216
{more}
"""


def start(binary, config):
    return RunningServer([binary, "serve", "--config", str(config)])


def ask_body(text, **more):
    return {"model": MODEL, "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": text}], **more}


class Load:
    """Clients of every temper, until told to stop. Each answer is compared with the first to its question."""

    def __init__(self, url):
        self.url = url
        self.answers, self.wrong, self.errors = {}, [], []
        self.counts = {"whole": 0, "streamed": 0, "dropped": 0, "stalled": 0, "stored": 0}
        self.stored = {}
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.threads = [
            threading.Thread(target=self.loop, args=(act, seed), daemon=True)
            for seed, act in enumerate([self.whole, self.whole, self.streamed, self.drop, self.stall, self.store])
        ]
        for thread in self.threads:
            thread.start()

    def loop(self, act, seed):
        rng = random.Random(seed)
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self.stop.is_set():
                try:
                    act(client, rng)
                except (httpx.HTTPError, OSError) as error:
                    if not self.stop.is_set():
                        with self.lock:
                            self.errors.append(f"{act.__name__}: {error!r}")

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def check(self, text, answer):
        with self.lock:
            if self.answers.setdefault(text, answer) != answer:
                self.wrong.append((text, self.answers[text], answer))

    @staticmethod
    def question(rng):
        return f"Count from {rng.randrange(40)} upwards." + " Go on." * rng.choice([0, 0, 30])

    def whole(self, client, rng):
        text = self.question(rng)
        cache = {"permutation": {"cache": {"mode": rng.choice(["on", "on", "off", "refresh"])}}}
        answer = client.post("/v1/chat/completions", json=ask_body(text, **cache))
        if answer.status_code == 200:
            self.check(text, answer.json()["choices"][0]["message"]["content"])
            self.count("whole")
        else:
            assert answer.status_code in (429, 503), answer.text

    def streamed(self, client, rng):
        text, said = self.question(rng), ""
        with client.stream("POST", "/v1/chat/completions", json=ask_body(text, stream=True)) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line[6:])
                    assert "error" not in chunk, chunk
                    said += "".join(c["delta"].get("content") or "" for c in chunk["choices"])
        self.check(text, said)
        self.count("streamed")

    def drop(self, client, rng):
        """Leaves in the middle of a stream."""
        body = ask_body(f"Tell a long story {rng.random()}", stream=True, max_tokens=400)
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            for _ in itertools.islice(answer.iter_lines(), rng.randrange(1, 12)):
                pass
        self.count("dropped")

    def stall(self, client, rng):
        """Asks for much and reads nothing; or begins a request and never ends it."""
        with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
            if rng.random() < 0.5:
                raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 500\r\n\r\n{")
            else:
                raw.sendall(b"GET /v1/cache/export HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 3)
            time.sleep(rng.uniform(0.1, 0.6))
        self.count("stalled")

    def store(self, client, rng):
        """Values of one's own, flushed: from then on they must outlive anything."""
        key = f"kept-{rng.random()}"
        value = "v" * rng.randrange(10, 2000)
        client.put(f"/v1/cache/entries/{key}", json={"value": value}).raise_for_status()
        client.post("/v1/cache/flush").raise_for_status()
        with self.lock:
            self.stored[key] = value
        self.count("stored")
        time.sleep(0.05)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=90)
            assert not thread.is_alive(), "a client hangs: the server owes it an answer"


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def idle_now(url):
    (model,) = httpx.get(url + "/v1/kv").json()["models"]
    engine = model["engine"]
    return engine["running"] == engine["waiting"] == model["sequences"] == 0 and model["bytes"] == model["bytes_prefixes"]


def test_mixed_load_leaves_no_wrong_answer_no_leak_and_an_idle_pool(binary, model_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(config_of(model_file, tmp_path / "cache"))
    server = start(binary, config)
    load = Load(server.url)
    samples = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(min(1, SECONDS / 20))
        samples.append(rss_kib(server.process.pid))
    load.end()
    assert not load.wrong, load.wrong[:3]
    assert not load.errors, load.errors[:3]
    assert all(count > 0 for count in load.counts.values()), load.counts
    until(lambda: idle_now(server.url), seconds=20)
    # The first half fills the caches; from then on memory may only breathe.
    half = len(samples) // 2
    early, late = max(samples[: half + 1]), max(samples[half:])
    print(json.dumps({"seconds": SECONDS, "counts": load.counts, "rss_early_kib": early, "rss_late_kib": late}))
    assert late <= early * 1.15 + 48 * 1024, f"RSS grew from {early} to {late} KiB"
    assert server.stop() == 0


def test_kill_9_under_load_loses_nothing_that_was_flushed(binary, model_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(config_of(model_file, tmp_path / "cache"))
    answers = {}
    for round_ in range(3):
        server = start(binary, config)
        load = Load(server.url)
        time.sleep(max(2.0, SECONDS / 10))
        with load.lock:
            promised = dict(load.stored)
        server.process.send_signal(signal.SIGKILL)
        load.end()
        server.process.wait(timeout=10)
        assert not load.wrong and promised
        for text, answer in load.answers.items():
            assert answers.setdefault(text, answer) == answer, "another answer after a restart"
        again = start(binary, config)
        assert "damaged" not in again.log(), again.log()
        with httpx.Client(base_url=again.url, timeout=60) as client:
            for key, value in promised.items():
                got = client.get(f"/v1/cache/entries/{key}")
                assert got.status_code == 200 and got.json()["value"] == value, (round_, key)
            assert client.get("/v1/cache").json()["disk"]["corrupt"] == 0
        assert again.stop() == 0


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run([mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if not done or done.returncode != 0:
        pytest.skip("can't mount a small tmpfs here (needs root): no full disk to be had")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_costs_copies_on_disk_and_nothing_else(binary, model_file, tmp_path, small_disk):
    config = tmp_path / "c.toml"
    config.write_text(
        config_of(model_file, small_disk / "cache", "disk_bytes_max = 1073741824")
    )
    server = start(binary, config)
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for i in range(40):
            client.put(f"/v1/cache/entries/big-{i}", json={"value": "x" * 300_000 + str(i)}).raise_for_status()
        flushed = client.post("/v1/cache/flush")
        assert flushed.status_code >= 500 and "error" in flushed.json()
        for i in range(40):
            assert client.get(f"/v1/cache/entries/big-{i}").json()["value"].endswith(str(i)), "RAM still has it"
        first = client.post("/v1/chat/completions", json=ask_body("Is the disk full?"))
        again = client.post("/v1/chat/completions", json=ask_body("Is the disk full?"))
        assert first.status_code == 200 and again.headers["x-permutation-cache"] == "hit"
        assert client.get("/health").status_code == 200
    assert server.stop() == 0
    again = start(binary, config)
    assert again.stop() == 0, "what was left on the disk can be opened"
