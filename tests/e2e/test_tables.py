"""Records as a context of `rlm`: recognised, asked by SQL, refused without a model call where no value and no column is
named so; and a root that writes hostile SQL."""

import json
import pathlib

import httpx
import pytest

from scripted_root import ScriptedRoot, serve_with_root
from server import extension, streamed

REPS, CITIES = ("Boris", "Chen", "Elena"), ("Lisbon", "Porto", "New York", "Graz")
ROWS = [(12000 + i, REPS[i % 3], CITIES[i % 4], ("sale", "refund")[i % 5 == 0], 1000 + i, f"{2024 + i % 2}-{1 + i % 12:02}-15") for i in range(240)]
CSV = "order_id,rep,city,kind,amount,placed\n" + "".join(f'{n},{rep},{city},{kind},"${amount:,}.00",{day}\n' for n, rep, city, kind, amount, day in ROWS)
OFF = {"cache": {"mode": "off"}}


def ask(http, question, context=CSV, model="rlm", **more):
    body = {
        "model": model, "temperature": 0, "messages": [{"role": "user", "content": question}],
        "permutation": {**OFF, "trace": True, "rlm": {"context": context}, **more},
    }
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def said(answer):
    return answer["choices"][0]["message"]["content"]


def test_what_every_word_explains_is_computed_by_sql(http):
    answer = ask(http, "What is the total amount of Boris's refunds in 2024?")
    wanted = sum(amount for _, rep, _, kind, amount, day in ROWS if rep == "Boris" and kind == "refund" and day.startswith("2024"))
    assert said(answer).startswith(f"{wanted} (SUM(amount) where ")
    engine = answer["permutation"]["engine"]
    strategy = engine["context_strategy"]
    assert strategy["program"] == "tables" and strategy["why"] == "the context is CSV: 240 rows in 1 table"
    assert strategy["rows_matched"] == 8 and "rep = 'Boris'" in strategy["query"]
    assert engine["performance"]["total_calls"] == 0 and answer["usage"]["prompt_tokens"] == 0
    [iteration] = engine["trace"]["iterations"]
    assert iteration["code_blocks"][0]["code"] == strategy["query"]
    assert iteration["code_blocks"][0]["result"]["stdout"] == str(wanted)


TOTAL = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"], "additionalProperties": False}


@pytest.mark.parametrize("model", ["rlm", "unified"])
@pytest.mark.parametrize("streams", [False, True])
def test_an_answer_comes_in_the_form_that_is_asked_for(http, model, streams):
    body = {
        "model": model, "temperature": 0, "stream": streams,
        "messages": [{"role": "user", "content": "What is the total amount of Boris's refunds in 2024?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "total", "schema": TOTAL}},
        "permutation": {**OFF, "rlm": {"context": CSV}},
    }
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for event in events for choice in event["choices"]]
    text = "".join(pieces) if streams else said(answer.json())
    assert set(json.loads(text)) == {"total"} and isinstance(json.loads(text)["total"], int)
    if not streams:
        wanted = sum(amount for _, rep, _, kind, amount, day in ROWS if rep == "Boris" and kind == "refund" and day.startswith("2024"))
        strategy = answer.json()["permutation"]["engine"]["context_strategy"]
        assert strategy["found"].startswith(f"{wanted} (SUM(amount) where ")


def test_a_form_that_cant_be_followed_is_refused_before_anything_is_read(http):
    body = {
        "model": "rlm", "messages": [{"role": "user", "content": "How many orders are there?"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object", "properties": {"a": {"$ref": "#/$defs/nowhere"}}}}},
        "permutation": {**OFF, "rlm": {"context": CSV}},
    }
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].startswith("response_format.json_schema.schema"), answer.text


def test_what_rlm_has_no_use_for_is_named(http):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = {
        "model": "rlm", "temperature": 0.5, "stop": ["x"], "tools": [tool],
        "messages": [{"role": "user", "content": "What is the total amount of Boris's refunds in 2024?"}], "permutation": {"rlm": {"context": CSV}},
    }
    for _ in range(2):  # the second time out of the response cache
        answer = http.post("/v1/chat/completions", json=body).json()
        assert answer["permutation"]["ignored"] == ["tools", "stop", "temperature"]


@pytest.mark.parametrize(
    "question,name",
    [
        ("How many orders did Zorba place?", '"Zorba"'),
        ("What is the amount of order 99999?", '"order 99999"'),
        ("How many orders have the kind \"gift card\"?", '"gift card"'),
    ],
)
def test_what_no_value_is_is_refused_without_a_model(http, question, name):
    answer = ask(http, question)
    assert said(answer) == f"Not in the table: no value and no column is {name}."
    assert answer["permutation"]["engine"]["performance"]["total_calls"] == 0


def test_each_shape_is_recognised(http):
    lines = "".join(json.dumps({"id": n, "where": {"city": city}, "amount": amount}) + "\n" for n, _, city, _, amount, _ in ROWS)
    document = json.dumps({"about": "orders", "orders": [{"id": n, "rep": rep, "amount": amount} for n, rep, _, _, amount, _ in ROWS]})
    markdown = "# Orders\n\n| id | rep | amount |\n|---|---|---|\n" + "".join(f"| {n} | {rep} | {amount:,} |\n" for n, rep, _, _, amount, _ in ROWS)
    log = "".join(f"2026-01-02 10:00:{i % 60:02} INFO api GET /v1/x 200 {i}ms user={rep}\n" for i, (_, rep, *_) in enumerate(ROWS))
    for context, shape, question, wanted in (
        (lines, "JSON lines", "How many records have the city Porto?", 60),
        (document, "JSON", "How many orders does Chen have?", 80),
        (markdown, "Markdown tables", "How many orders does Chen have?", 80),
        (log, "log", "How many lines have the user Elena?", 80),
    ):
        answer = ask(http, question, context)
        assert answer["permutation"]["engine"]["context_strategy"]["why"].startswith(f"the context is {shape}: 240 rows"), said(answer)
        assert said(answer).startswith(f"{wanted} ("), shape


def test_a_model_that_is_too_small_is_not_asked_for_a_query(http):
    answer = ask(http, "Which rep was best at refunds?")
    assert said(answer).startswith("Not computed: ")
    assert answer["permutation"]["engine"]["performance"]["total_calls"] == 0


def test_it_streams(client):
    chunks = client.chat.completions.create(
        model="rlm", stream=True, temperature=0, messages=[{"role": "user", "content": "How many orders are from Graz?"}],
        extra_body={"permutation": {**OFF, "rlm": {"context": CSV}}},
    )
    text, last, _ = streamed(chunks)
    assert text.startswith("60 (COUNT(*) where city = 'Graz'; 60 of 240 rows")
    assert extension(last)["engine"]["context_strategy"]["program"] == "tables"


def test_unified_routes_records_by_their_shape(http):
    def unified(content):
        body = {"model": "unified", "temperature": 0, "max_tokens": 8, "permutation": OFF, "messages": [{"role": "user", "content": content}]}
        return http.post("/v1/chat/completions", json=body).json()

    short = "".join(CSV.splitlines(keepends=True)[:61])
    answer = unified(short + "\n\nHow many orders are from Graz?")
    pipeline = answer["permutation"]["engine"]["pipeline"]
    assert pipeline["route"] == "rlm" and pipeline["why"] == "records are asked about"
    assert said(answer).startswith("15 (")
    prose = "The ferry left, and nobody was there. " * 20
    assert unified(prose + "\n\nWho was there?")["permutation"]["engine"]["pipeline"]["route"] == "permutation"


HOSTILE = {
    "attach": "ATTACH DATABASE 'x.db' AS x",
    "pragma": "PRAGMA table_info(records)",
    "drop": "DROP TABLE records",
    "update": "UPDATE records SET amount = 0",
    "two": "SELECT 1; DELETE FROM records",
    "schema": "SELECT sql FROM sqlite_master",
    "extension": "SELECT load_extension('/lib/x.so')",
    "file": "SELECT readfile('/etc/passwd')",
    "recursive": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n",
    "cross": "SELECT COUNT(*) FROM records a, records b, records c, records d, records e",
    "long": "SELECT replace(hex(zeroblob(100000000)), '0', 'aaaaaaaaaa')",
}


FORGETFUL = {
    "forgets": [
        "SELECT rep FROM records ORDER BY amount LIMIT 1",
        "SELECT rep FROM records WHERE city = 'Graz' ORDER BY amount DESC LIMIT 1",
    ]
}


@pytest.fixture(scope="module")
def root():
    scripted = ScriptedRoot({**{name: [f"```sql\n{sql};\n```"] for name, sql in HOSTILE.items()}, **FORGETFUL})
    yield scripted
    scripted.stop()


@pytest.fixture(scope="module")
def rooted(binary, model_file, root, tmp_path_factory):
    """A server whose `rlm` has the scripted root."""
    running = serve_with_root(binary, model_file, root, tmp_path_factory.mktemp("trajectories"), tmp_path_factory.mktemp("rooted"))
    with httpx.Client(base_url=running.url, timeout=600) as client:
        yield client
    assert running.stop() == 0, running.log()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_sql_is_refused_or_cut_off(rooted, root, name):
    answer = ask(rooted, f"play:{name} Which rep sold more than the others, by amount?")
    assert said(answer).startswith("Not answered: the queries that t/root wrote")
    assert len(root.asked(name)) == 2, "it is told once"
    iterations = answer["permutation"]["engine"]["trace"]["iterations"]
    assert all(i["code_blocks"][0]["result"]["stderr"] for i in iterations)
    assert said(ask(rooted, "How many orders are from Graz?")).startswith("60 ("), "the server is up"


def test_a_larger_root_is_told_once_what_is_missing(rooted, root):
    answer = ask(rooted, "play:forgets Which rep has the largest amount in Graz?")
    assert said(answer).startswith("Elena (rep where city = 'Graz'; 60 of 240 rows")
    assert "It must use city = 'Graz'." in root.asked("forgets")[1][-1]["content"]


def test_files_that_nobody_made_for_this(http):
    """Results of our own measurements, which are JSON, and a list of Debian's releases where there is one."""
    root = pathlib.Path(__file__).resolve().parents[2]
    results = (root / "bench/results/2026-11-27-routing.json").read_text(encoding="utf-8")
    assert said(ask(http, "What is the accuracy of the policy never?", results)).startswith("0.1777 (accuracy where policy = 'never'; 1 of ")
    releases = pathlib.Path("/usr/share/distro-info/debian.csv")
    if releases.exists():
        answer = ask(http, "What is the version of the series bookworm?", releases.read_text(encoding="utf-8"))
        assert said(answer).startswith("12 (version where series = 'bookworm'; 1 of ")
