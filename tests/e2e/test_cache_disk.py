"""The response cache on disk, exported and imported: what outlives a server."""

import json
import pathlib
import signal
import time

import httpx
import openai
import pytest

from server import RunningServer, chat, extension

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"
kv_bytes = 67108864

[cache]
path = "{path}"
{more}
"""


@pytest.fixture
def start(starting, model_file, tmp_path):
    def begin(folder="cache", more=""):
        return starting(CONFIG.format(model=model_file, path=tmp_path / folder, more=more))

    return begin


def put(server, key, value, **more):
    answer = httpx.put(f"{server.url}/v1/cache/entries/{key}", json={"value": value, **more})
    assert answer.status_code == 200, answer.text


def get(server, key):
    answer = httpx.get(f"{server.url}/v1/cache/entries/{key}")
    return answer.json()["value"] if answer.status_code == 200 else None


def ask(server):
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    return chat(client, "Name a colour.", max_tokens=8, logprobs=True, top_logprobs=2)


def test_a_restart_starts_warm(start):
    first = start()
    cold = ask(first)
    put(first, "sum", {"total": 7}, tags=["t"], ttl_s=3600)
    assert httpx.post(f"{first.url}/v1/cache/flush").json()["durable"] is True
    assert first.stop() == 0
    second = start()
    warm = ask(second)
    assert extension(warm)["cache"]["status"] == "hit"
    assert warm.choices == cold.choices
    assert get(second, "sum") == {"total": 7}
    assert httpx.get(f"{second.url}/v1/cache").json()["disk"]["entries"] == 2
    assert httpx.delete(f"{second.url}/v1/cache", params={"tag": "t"}).json()["purged"] == 1
    assert get(second, "sum") is None


def test_what_another_file_or_setting_said_isnt_replayed(starting, model_file, tmp_path):
    """A name says nothing of the file behind it, nor of how it is asked."""
    file = tmp_path / pathlib.Path(model_file).name

    def status(more=""):
        server = starting(CONFIG.format(model=file, path=tmp_path / "cache", more="").replace("[cache]", more + "[cache]"))
        said = extension(ask(server))["cache"]["status"]
        assert server.stop() == 0
        return said

    weights = pathlib.Path(model_file).read_bytes()
    file.write_bytes(weights)
    assert [status(), status()] == ["miss", "hit"]
    assert [status("kv_ratio = 8\n"), status("kv_ratio = 8\n"), status()] == ["miss", "hit", "hit"]
    middle = len(weights) // 2
    file.write_bytes(weights[:middle] + bytes(len(weights) // 64) + weights[middle + len(weights) // 64 :])
    assert [status(), status()] == ["miss", "hit"]
    file.write_bytes(weights)
    assert status() == "hit"


def test_kill_9_loses_nothing_that_was_durable(start):
    for round_ in range(3):
        server = start()
        for i in range(200):
            put(server, f"{round_}-{i}", "x" * i)
        assert httpx.post(f"{server.url}/v1/cache/flush").json()["durable"]
        for i in range(50):
            put(server, f"late-{round_}-{i}", i)
        server.stop(signal.SIGKILL)
    server = start()
    for round_ in range(3):
        for i in range(200):
            assert get(server, f"{round_}-{i}") == "x" * i
        for i in range(50):
            assert get(server, f"late-{round_}-{i}") in (None, i)


def test_a_folder_in_use_or_damaged_costs_only_the_disk(start, tmp_path):
    first = start()
    put(first, "a", 1)
    second = start()
    assert "another server uses" in second.log() and "in memory only" in second.log()
    put(second, "a", 2)
    assert get(second, "a") == 2 and get(first, "a") == 1
    assert httpx.post(f"{second.url}/v1/cache/flush").status_code == 404
    assert first.stop() == 0
    file = tmp_path / "cache" / "responses.mdb"
    file.write_bytes(b"\x00garbage" * 1000)
    third = start()
    assert "damaged" in third.log()
    assert get(third, "a") is None
    put(third, "a", 3)
    assert get(third, "a") == 3
    assert list(file.parent.glob("responses.mdb.damaged-*"))


def test_export_and_import_round_trip(start, cli, tmp_path):
    first, second = start("one"), start("two")
    cold = ask(first)
    for i in range(300):
        put(first, f"k{i}", {"n": i}, tokens=i, tags=["even" if i % 2 == 0 else "odd"], ttl_s=1000)
    out = tmp_path / "entries.jsonl"
    assert cli("cache", "export", "--url", first.url, str(out)).returncode == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 301
    done = cli("cache", "import", "--url", second.url, str(out))
    assert (done.returncode, done.stdout) == (0, "imported 301, expired 0, rejected 0\n")
    assert get(second, "k7") == {"n": 7}
    warm = ask(second)
    assert extension(warm)["cache"]["status"] == "hit" and warm.choices == cold.choices
    again = tmp_path / "again.jsonl"
    assert cli("cache", "export", "--url", second.url, str(again)).returncode == 0
    assert sorted(again.read_text().splitlines()) == sorted(out.read_text().splitlines())


def test_import_names_the_lines_that_are_wrong(server, cli, tmp_path):
    key = "ab" * 32
    now = int(time.time())
    lines = [
        json.dumps({"key": key, "meta": {"stored": now}, "value": [1]}),
        "{broken",
        json.dumps({"key": "short", "meta": {}, "value": 1}),
        json.dumps({"key": "cd" * 32, "meta": {"stored": now - 100, "ttl_s": 10}, "value": 1}),
    ]
    file = tmp_path / "lines.jsonl"
    file.write_text("\n".join(lines))
    done = cli("cache", "import", "--url", server.url, str(file))
    assert done.returncode == 1
    assert done.stdout == "imported 1, expired 1, rejected 2\n"
    assert f"{file}:2: is not JSON" in done.stderr
    assert f"{file}:3: key must be 64 hex digits" in done.stderr
    assert get(server, key) == [1]
    assert cli("cache", "import", "--url", server.url, str(tmp_path / "none")).returncode == 1
    nothing = httpx.post(f"{server.url}/v1/cache/import", content="nonsense")
    assert nothing.status_code == 400 and "Line 1" in nothing.json()["error"]["message"]
    assert httpx.post(f"{server.url}/v1/cache/flush").status_code == 404


def test_eviction_is_chosen_by_the_config(start, binary, model_file, tmp_path):
    server = start("lru", 'eviction = "lru"\nentries_max = 2')
    for name in ("a", "b"):
        put(server, name, name)
    config = tmp_path / "bad.toml"
    config.write_text(CONFIG.format(model=model_file, path="", more='eviction = "random"'))
    with pytest.raises(AssertionError, match='eviction must be one of "gdsf", "lru", "s3-fifo"'):
        RunningServer([binary, "serve", "--config", str(config)])


def test_stale_while_revalidate(client, http, fresh):
    text = fresh("Name a sea.")
    options = {"ttl_s": 1, "stale_while_revalidate_s": 60}
    ask_again = lambda: extension(chat(client, text, extra_body={"permutation": {"cache": options}}))["cache"]
    assert ask_again()["status"] == "miss"
    time.sleep(1.2)
    assert ask_again()["status"] == "stale"
    deadline = time.time() + 20
    while (status := ask_again()["status"]) == "stale" and time.time() < deadline:
        time.sleep(0.1)
    assert status == "hit"

