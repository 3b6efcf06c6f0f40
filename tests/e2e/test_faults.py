"""Mixed load while things break: clients that vanish, clients that don't read, a Redis and an upstream that stall, a
clock that jumps, kill -9, a disk that is full. After it: every answer was right, what was flushed is there, the pool
is idle, memory doesn't grow.

FAULT_SECONDS is how long the load runs: short by default, half an hour as ctest's `faults.long`."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import httpx
import pytest

from faults import ClockJumps, Faults, RedisStalls
from mixed_load import Load, allocated_kib, ask_body, config_of, open_files, pool_at_rest, rss_kib, start
from scripted_upstream import ScriptedUpstream
from server import until

SECONDS = float(os.environ.get("FAULT_SECONDS", "25"))

AROUND = """
[cache.shared]
url = "redis://127.0.0.1:{redis}"
timeout_ms = 200
retry_ms = 200
[[upstream]]
name = "s"
base_url = "{upstream}"
models = ["sonar"]
first_byte_timeout_s = 3
total_timeout_s = 10
stall_timeout_s = 3
retries = 1
backoff_s = 0.02
cooldown_failures = 0
"""


@pytest.fixture
def scripted():
    upstream = ScriptedUpstream()
    yield upstream
    upstream.stop()


@pytest.fixture
def clock(tmp_path):
    if not ClockJumps.library():
        pytest.skip("no libfaketime: apt-get install faketime")
    return ClockJumps(tmp_path)


def shared(server):
    return httpx.get(f"{server.url}/v1/cache", timeout=60).json()["shared"]


def says_the_time(server, clock):
    """The server's wall clock is where it was set; an answer may take its time on a machine that others use too."""
    answer = httpx.post(server.url + "/v1/chat/completions", json=ask_body(f"Time? {time.time()}"), timeout=110)
    return abs(answer.json()["created"] - time.time() - clock.offset) < 120


def check_what_was_stored(server, load):
    """All, or two thousand of them."""
    keys = random.Random(1).sample(sorted(load.stored), min(2000, len(load.stored)))
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for key in keys:
            got = client.get(f"/v1/cache/entries/{key}")
            assert got.status_code == 200 and got.json()["value"] == load.stored[key], key


@pytest.mark.parametrize("redis", ["redis-server"], indirect=True)  # Valkey's stalls: test_cache_shared.py
def test_mixed_load_and_faults_leave_no_wrong_answer_no_leak_and_an_idle_pool(
    binary, model_file, tmp_path, redis, scripted, clock
):
    config = tmp_path / "c.toml"
    around = AROUND.format(redis=redis.port, upstream=scripted.url)
    config.write_text(config_of(model_file, tmp_path / "cache", around))
    server = start(binary, config, env=clock.env())
    until(lambda: shared(server)["state"] == "up", seconds=30)
    clock.set(-7200)
    until(lambda: says_the_time(server, clock), seconds=120)
    load = Load(server.url, upstream="s/sonar")
    stalls = RedisStalls(redis)
    faults = Faults([stalls, clock])
    samples, anonymous, allocated, files = [], [], [], []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(min(1, SECONDS / 20))
        samples.append(rss_kib(server.process.pid))
        anonymous.append(rss_kib(server.process.pid, "RssAnon"))
        allocated.append(allocated_kib(server))
        files.append(open_files(server.process.pid))
    faults.end()
    load.end()
    pool = pool_at_rest(server.url)
    state = httpx.get(server.url + "/v1/cache").json()
    half = len(samples) // 2
    early, late = max(samples[: half + 1]), max(samples[half:])
    print(
        json.dumps({
            "seconds": SECONDS, "wrong": len(load.wrong), "errors": load.errors[:20], "counts": load.counts,
            "redis_stalls": stalls.count, "clock_jumps": clock.count,
            "shared": {k: state["shared"][k] for k in ("hits", "misses", "stores", "failures")},
            "upstream_requests": len(scripted.requests), "disk_entries": state["disk"]["entries"],
            "rss_early_kib": early, "rss_late_kib": late, "rss_kib": samples[:: max(1, len(samples) // 30)],
            "rss_anon_kib": anonymous[:: max(1, len(samples) // 30)],
            "allocated_kib": allocated[:: max(1, len(samples) // 30)],
            "open_files_early": max(files[: half + 1]), "open_files_late": max(files[half:]), "pool": pool,
        })
    )
    assert not load.wrong, load.wrong[:3]
    assert not load.errors, load.errors[:3]
    assert all(count > 0 for count in load.counts.values()), load.counts
    assert pool["idle"], pool
    until(lambda: shared(server)["state"] == "up", seconds=60)
    check_what_was_stored(server, load)
    assert state["shared"]["failures"] >= 1, "a Redis that hangs was noticed"
    assert state["disk"]["corrupt"] == state["shared"]["corrupt"] == 0
    # The first half fills the caches; from then on memory may only breathe.
    assert late <= early * 1.15 + 48 * 1024, f"RSS grew from {early} to {late} KiB"
    assert max(files[half:]) <= max(files[: half + 1]) + 8, "files or sockets are left open"
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
        config_of(model_file, small_disk / "cache", "disk_bytes_max = 1073741824", answer_bytes=67108864)
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
