"""The models `rlm` and `unified` over HTTP with the real model, and `permutation rlm`: what the small model's
program reads, computes and says about itself."""

import json
import pathlib

import pytest

from conftest import calibrations
from server import MODEL, RunningServer, extension, streamed

FACT = "The secret password of the brewery in Trieste is walnut."
QUESTION = "What is the secret password of the brewery in Trieste?"


def book(paragraphs=900):
    """Text of our own, some 40 tokens a paragraph, with one fact in it."""
    lines = [
        f"On day {i} the harbour was quiet. The keeper of the pier wrote {i % 7} lines into the log and went home "
        f"by the road along the river, as on every other day of that long season."
        for i in range(paragraphs)
    ]
    lines.insert(paragraphs * 2 // 3, FACT)
    return "\n\n".join(lines)


def records(n=600):
    return "\n".join(
        f"order={i}; city={('Lisbon', 'Porto', 'Faro')[i % 3]}; status={('paid', 'open')[i % 2]}; amount={i % 10}"
        for i in range(n)
    )


def ask(client, model, question, context=None, **more):
    options = {"cache": {"mode": "off"}, **more}
    if context is not None:
        options["rlm"] = {**options.get("rlm", {}), "context": context}
    return client.chat.completions.create(
        model=model, temperature=0, max_tokens=32, messages=[{"role": "user", "content": question}],
        extra_body={"permutation": options},
    )


def test_a_fact_in_a_context_that_the_window_does_not_hold(client):
    answer = ask(client, "rlm", QUESTION, book())
    assert "walnut" in answer.choices[0].message.content.lower()
    assert answer.model == "rlm"
    engine = extension(answer)["engine"]
    strategy = engine["context_strategy"]
    assert strategy["program"] == "prose" and "wrote 0 of 4 trial programs right" in strategy["why"]
    [quote] = strategy["quotes"]
    assert quote["text"] == FACT == book().encode()[quote["begin"]:quote["end"]].decode()
    assert 0 < strategy["chunks_read"] < strategy["chunks_total"] / 10
    performance = engine["performance"]
    assert performance["context_tokens"] > 30_000
    assert performance["context_tokens_processed"] < 2_000
    assert performance["context_tokens_processed"] == answer.usage.prompt_tokens
    assert engine["kv_cache_compression"]["enabled"] is True
    assert engine["final_answer"] == answer.choices[0].message.content


def test_the_long_message_itself_is_a_context_and_streams(client):
    chunks = client.chat.completions.create(
        model="rlm", temperature=0, max_tokens=32, stream=True,
        messages=[{"role": "user", "content": book(300) + "\n\n" + QUESTION}],
        extra_body={"permutation": {"cache": {"mode": "off"}}},
    )
    text, last, _ = streamed(chunks)
    assert "walnut" in text.lower()
    assert extension(last)["engine"]["context_strategy"]["chunks_total"] > 10


def test_records_are_counted_without_reading(client):
    answer = ask(client, "rlm", "How many orders of city Lisbon have the status open?", records())
    assert answer.choices[0].message.content.startswith("100 (")
    assert answer.usage.prompt_tokens == 0
    assert "by program" in extension(answer)["engine"]["context_strategy"]["kind"]
    answer = ask(client, "rlm", "What is the total amount of city Porto?", records())
    assert answer.choices[0].message.content.startswith(f"{sum(i % 10 for i in range(600) if i % 3 == 1)} (")


def test_the_same_question_again_is_a_hit(client, fresh):
    body = {"permutation": {"rlm": {"context": records() + fresh("\n\nThe end")}}}
    texts, status = [], []
    for _ in range(2):
        raw = client.chat.completions.with_raw_response.create(
            model="rlm", temperature=0, extra_body=body,
            messages=[{"role": "user", "content": "How many orders of city Faro are there?"}],
        )
        status.append(raw.headers["x-permutation-cache"])
        texts.append(raw.parse().choices[0].message.content)
    assert status == ["miss", "hit"] and texts[0] == texts[1]


def test_the_budget_holds(http):
    body = {
        "model": "rlm", "temperature": 0, "messages": [{"role": "user", "content": QUESTION}],
        "permutation": {"rlm": {"context": book(200)}, "budget": {"tokens": 10}, "cache": {"mode": "off"}},
    }
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 429
    assert "budget of 10 tokens" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "rlm,field",
    [
        ({"context": 5}, "permutation.rlm.context"),
        ({"context": ["a", 5]}, "permutation.rlm.context[1]"),
        ({"max_depth": 0}, "permutation.rlm.max_depth"),
        ({"max_iterations": "many"}, "permutation.rlm.max_iterations"),
        ({"depth": 1}, "permutation.rlm.depth"),
    ],
)
def test_bad_input_names_its_field(http, rlm, field):
    body = {"model": "rlm", "messages": [{"role": "user", "content": "x"}], "permutation": {"rlm": rlm}}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


def test_unified_goes_by_length(client):
    short = ask(client, "unified", "What is gravity?")
    assert short.model == "unified"
    pipeline = extension(short)["engine"]["pipeline"]
    assert pipeline["route"] == "permutation" and pipeline["ratio"] == 8
    long = client.chat.completions.create(
        model="unified", temperature=0, max_tokens=32,
        messages=[{"role": "user", "content": book(400) + "\n\n" + QUESTION}],
        extra_body={"permutation": {"cache": {"mode": "off"}}},
    )
    pipeline = extension(long)["engine"]["pipeline"]
    assert pipeline["route"] == "rlm" and pipeline["why"] == "longer than the threshold"
    assert "walnut" in long.choices[0].message.content.lower()


def test_unified_flags(client, http):
    off = {"enable_basic_kv": False, "enable_inference_kv": False, "enable_continual_kv": False}
    answer = client.chat.completions.create(
        model="unified", temperature=0, max_tokens=8, messages=[{"role": "user", "content": "What is gravity?"}],
        extra_body={"permutation": {"unified": off}},
    )
    report = extension(answer)
    assert report["cache"]["status"] == "bypass"
    assert report["kv"]["ratio_target"] == 1
    bad = {"model": "unified", "messages": [{"role": "user", "content": "x"}], "permutation": {"unified": {"ratio": 7}}}
    answer = http.post("/v1/chat/completions", json=bad)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "permutation.unified.ratio"


def test_the_audit_counts_both_surfaces(client, http, fresh):
    for model in ("rlm", "unified"):
        body = {"permutation": {"rlm": {"context": records(50) + fresh("\n\nThe end")}}}
        for _ in range(2):
            client.chat.completions.create(
                model=model, temperature=0, extra_body=body,
                messages=[{"role": "user", "content": "How many orders of city Faro are there?"}],
            )
    (cache,) = [row for row in http.get("/v1/audit").json()["caches"] if row["name"] == "response cache"]
    for surface in ("rlm", "unified"):
        assert cache["used_in"][surface]["state"].startswith("used") and cache["used_in"][surface]["count"] >= 1


def test_the_command(cli, model_file, tmp_path):
    (tmp_path / "book.txt").write_text(book(400))
    done = cli("rlm", "--model", model_file, "--context", tmp_path / "book.txt", QUESTION)
    assert done.returncode == 0, done.stderr
    assert "walnut" in done.stdout.lower()
    assert "passages" in done.stderr and "trial programs right" in done.stderr
    (tmp_path / "orders.txt").write_text(records())
    done = cli(
        "rlm", "--model", model_file, "--json", "--context", tmp_path / "orders.txt", "How many orders are there?"
    )
    assert json.loads(done.stdout)["answer"].startswith("600 (")
    assert cli("rlm", "--context", tmp_path / "absent", "x").returncode == 1


def test_the_command_goes_on_with_a_session(cli, server, tmp_path, fresh):
    table = tmp_path / "sales.csv"
    table.write_text("seller,city,price\n" + "".join(f"{('Ada', 'Ben')[i % 2]},{('Oslo', 'Lima', 'Cork')[i % 3]},{i}\n" for i in range(60)))
    name = f"sales-{abs(hash(fresh)) % 10**9}"
    first = cli("rlm", "--url", server.url, "--session", name, "--context", table, "How many rows are of Ada?")
    assert first.returncode == 0 and first.stdout.startswith("30 ("), first.stderr
    assert f"(session {name}: question 1)" in first.stderr
    second = cli("rlm", "--url", server.url, "--session", name, "What is the total price of Ben in Lima?")
    assert second.returncode == 0 and second.stdout.startswith(f"{sum(i for i in range(60) if i % 2 == 1 and i % 3 == 1)} ("), second.stderr
    assert f"(session {name}: question 2)" in second.stderr
    unknown = cli("rlm", "--url", server.url, "--session", name + "-not", "How many?")
    assert unknown.returncode != 0 and "session" in unknown.stderr
    for args, named in ((["--session", "x", "--context", table], "--url"), ([], "--context")):
        refused = cli("rlm", *args, "How many?")
        assert refused.returncode == 2 and named in refused.stderr, refused.stderr


def test_switched_off_it_is_no_model(binary, model_file, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\n[rlm]\nenabled = false\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        import httpx

        names = [m["id"] for m in httpx.get(server.url + "/v1/models").json()["data"]]
        assert MODEL in names and "rlm" not in names and "unified" not in names
        (cache,) = [r for r in httpx.get(server.url + "/v1/audit").json()["caches"] if r["name"] == "response cache"]
        assert cache["used_in"]["rlm"]["state"].startswith("off")
    finally:
        server.stop()


def test_whether_a_model_writes_programs_is_measured_once(cli, model_file, tmp_path):
    home = tmp_path / "apart"
    home.mkdir()
    (home / "sandbox").symlink_to(calibrations().parent / "sandbox")
    env = {"PERMUTATION_HOME": str(home)}
    tried = cli("calibrate", model_file, "--programs", "--again", "--json", env=env)
    assert tried.returncode == 0, tried.stderr
    assert "question 4 of 10" in tried.stderr
    told = json.loads(tried.stdout)
    record = pathlib.Path(told["path"])
    assert (told["programs"], told["writes_programs"]) == ({"asked": 4, "right": 0}, False)
    assert (told["queries"], told["writes_queries"]) == ({"asked": 4, "right": 0}, False)
    assert record.is_relative_to(home) and json.loads(record.read_text())["programs"]["right"] == 0
    known = cli("calibrate", model_file, "--programs", "--json", env=env)
    assert json.loads(known.stdout) == told and "was tried already" in known.stderr
    # What the record says decides.
    record.write_text(json.dumps({**json.loads(record.read_text()), "programs": {"asked": 7, "right": 7}}))
    (tmp_path / "book.txt").write_text(book(100))
    asked = cli("rlm", "--model", model_file, "--json", "--context", tmp_path / "book.txt", QUESTION, env=env)
    assert "written by " in json.loads(asked.stdout)["engine"]["context_strategy"]["program"]
