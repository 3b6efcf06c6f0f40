"""Documents as knowledge: learnt, found, shown to the model as text and as packs, updated, forgotten."""

import concurrent.futures
import json
import os
import shutil
import signal
import subprocess
import time

import httpx
import openai
import pytest

from conftest import Starting
from server import MODEL, RunningServer, chat, extension

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"

[knowledge]
path = "{packs}"
"""

HANDBOOK = """# Handbook of Zorvane Labs

Zorvane Labs makes tide gauges in Quellmar. This handbook tells what holds for everybody who works there.

## Leave

Employees of Zorvane Labs have twenty-seven days of paid leave a year. Whoever has children under twelve gets three more
days. Leave that isn't taken by the end of March of the following year is lost, unless the head of the department has
agreed in writing that it may be kept until June.

## Travel

Travel by train is booked by the travel desk on the second floor. Flights need the consent of the managing director.
Receipts are handed in within thirty days, and the money is paid with the salary of the month after that. Hotels may cost
at most ninety euros a night, breakfast included.

## Visitors

Visitors sign at the front desk and wear a green badge. The calibration hall is closed to them between six in the evening
and eight in the morning. Photographs are allowed in the garden only.
"""

QUESTION = "How many days of paid leave do employees of Zorvane Labs have?"
STRANGE = "Which painter was born in Genoa in the sixteenth century?"


@pytest.fixture(scope="module")
def start(binary, model_file, packs):
    with Starting(binary, packs) as starting:
        yield lambda: starting(CONFIG.format(model=model_file, packs=packs))


@pytest.fixture(scope="module")
def server(start):
    return start()


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=300) as client:
        yield client


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)


def ended(http, started):
    assert started.status_code == 202, started.text
    while True:
        job = http.get(f"/v1/knowledge/jobs/{started.json()['id']}").json()
        if job["status"] in ("done", "failed"):
            return job
        time.sleep(0.05)


def learn(http, domain, name, content, **more):
    job = ended(http, http.post(f"/v1/knowledge/{domain}/documents", json={"name": name, "content": content, **more}))
    assert job["status"] == "done", job
    return job["report"]


@pytest.fixture
def handbook(http):
    learn(http, "acme", "handbook.md", HANDBOOK)
    yield HANDBOOK.encode()
    http.delete("/v1/knowledge/acme")


def asked(client, question, attach="auto", domains=("acme",), **options):
    """An answer's log-probabilities, and what it says of documents."""
    answer = chat(
        client,
        question,
        logprobs=True,
        top_logprobs=5,
        **options,
        extra_body={
            "permutation": {
                "knowledge": list(domains),
                "documents": {"attach": attach},
                "cache": {"mode": "off"},
            }
        },
    )
    said = [(t.token, t.logprob) for t in answer.choices[0].logprobs.content]
    return said, extension(answer)


def documents_of(more):
    return (more.get("engine") or {}).get("documents")


HARBOUR = """# Notes of the harbour

## Price board

The price board of the ferry stands at the quay. The price board of the ferry shows every price of the ferry in white chalk,
and the board is wiped each night.

## Crossing

Crossing with the ferry costs nine crowns for an adult and four for a child.
"""


def test_of_two_that_fit_by_words_the_nearer_is_the_best(http, client):
    """The board has the question's words more often, the crossing its answer. The best stands last."""
    learn(http, "harbour", "notes.md", HARBOUR)
    _, more = asked(client, "What is the price of the ferry for an adult?", domains=("harbour",), max_tokens=2)
    places = [HARBOUR.encode()[one["begin"] : one["end"]] for one in documents_of(more)["sources"]]
    assert [b"chalk" in place for place in places] == [True, False] and b"nine crowns" in places[1]
    http.delete("/v1/knowledge/harbour")


def test_an_answer_names_the_passage_that_it_was_shown(client, http, handbook):
    said, more = asked(client, QUESTION, "text")
    shown = documents_of(more)
    assert shown["attached"] == "text"
    best = shown["sources"][-1]
    assert (best["domain"], best["document"]) == ("acme", "handbook.md")
    assert b"twenty-seven days" in handbook[best["begin"] : best["end"]]
    assert more["knowledge"]["facts"] == []
    never, _ = asked(client, QUESTION, "off")
    assert said != never, "the model saw it"


def test_a_small_model_gets_packs_as_far_as_they_are_exact(client, handbook):
    said, more = asked(client, QUESTION)
    shown = documents_of(more)
    assert shown["attached"] == "packs" and shown["exact"]
    assert len(shown["sources"]) == 1, "else this test tests another thing"
    assert said == asked(client, QUESTION, "text")[0]


@pytest.mark.parametrize("attach", ["text", "packs"])
def test_what_is_about_something_else_leaves_the_bits_alone(client, handbook, attach):
    never = [(t.token, t.logprob) for t in chat(
        client, STRANGE, logprobs=True, top_logprobs=5, extra_body={"permutation": {"cache": {"mode": "off"}}}
    ).choices[0].logprobs.content]
    said, more = asked(client, STRANGE, attach)
    assert said == never
    assert documents_of(more) is None


def test_one_pack_alone_is_the_text(client, handbook):
    """What was read of it behind the same beginning is what the prompt's own reading gives."""
    packed, more = asked(client, QUESTION, "packs")
    text, as_text = asked(client, QUESTION, "text")
    assert len(documents_of(as_text)["sources"]) == 1, "else this test tests another thing"
    assert documents_of(more)["attached"] == "packs"
    assert more["kv"]["prefix_source"] == "packs"
    assert packed == text


def test_several_packs_are_moved_to_where_they_stand(client, http):
    """Three passages that cover a question alike: the keys of two are turned."""
    rooms = [
        f"The {name} room of the Ostrel house has {seats} seats. It is on floor {floor}, it looks out on the garden and "
        "has a screen, a telephone and a kettle, which are all cleaned on Friday afternoon by the porter."
        for name, seats, floor in [("amber", 14, 2), ("cobalt", 22, 3), ("umber", 9, 4)]
    ]
    for i, text in enumerate(rooms):
        learn(http, "rooms", f"{i}.txt", text)
    question = "How many seats does a room of the Ostrel house have?"
    packed, more = asked(client, question, "packs", ("rooms",), max_tokens=4)
    text, as_text = asked(client, question, "text", ("rooms",), max_tokens=4)
    shown = documents_of(more)
    assert shown["attached"] == "packs" and len(shown["sources"]) == 3 and not shown["exact"]
    assert shown["sources"] == documents_of(as_text)["sources"]
    assert more["kv"]["prefix_tokens_reused"] > 3 * 40
    # They don't know of each other, so it isn't the text's answer to the bit; keys left in the wrong place are far off.
    assert abs(packed[0][1] - text[0][1]) < 1.0, (packed, text)
    # What was put together so serves nobody who asks for the exact prompt.
    assert asked(client, question, "text", ("rooms",), max_tokens=4)[0] == text

    # The best as text behind two packs; and only the first as a pack, which is what a small model gets: exact.
    _, mixed = asked(client, question, "packs_then_text", ("rooms",), max_tokens=4)
    first, small = asked(client, question, "auto", ("rooms",), max_tokens=4)
    for about, exact in ((mixed, False), (small, True)):
        shown = documents_of(about)
        assert shown["attached"] == "packs_then_text" and shown["exact"] == exact
        assert shown["sources"] == documents_of(more)["sources"]
    read = [about["kv"]["prefix_tokens_reused"] for about in (small, mixed, more)]
    assert 40 < read[0] < read[1] < read[2]
    assert first == text
    http.delete("/v1/knowledge/rooms")


def test_documents_are_listed_shown_updated_and_forgotten(client, http, handbook):
    report = learn(http, "acme", "prices.csv", "item,euros\nbuoy,40\nanchor,75\n")
    assert report["passages"] == 1 and report["revision"] == 1 and not report["known_before"]
    listed = http.get("/v1/knowledge/acme/documents").json()
    assert [one["name"] for one in listed["documents"]] == ["handbook.md", "prices.csv"]
    assert listed["documents"][1]["media_type"] == "text/csv"
    domain = next(one for one in http.get("/v1/knowledge").json()["domains"] if one["domain"] == "acme")
    assert domain["documents"] == 2 and domain["facts"] == 0 and domain["passages"] >= 4
    whole = http.get("/v1/knowledge/acme/documents/handbook.md").json()
    assert whole["text"] == HANDBOOK and len(whole["places"]) == listed["documents"][0]["passages"]
    assert learn(http, "acme", "prices.csv", "item,euros\nbuoy,40\nanchor,75\n")["known_before"]
    assert learn(http, "acme", "prices.csv", "item,euros\nbuoy,41\n")["revision"] == 2

    question = "What is paid for a buoy in euros?"
    before, more = asked(client, question, "text")
    assert documents_of(more)["sources"][-1]["document"] == "prices.csv"
    assert http.delete("/v1/knowledge/acme/documents/prices.csv").json()["forgotten"]
    after, more = asked(client, question, "text")
    assert after != before
    assert documents_of(more) is None or documents_of(more)["sources"][-1]["document"] != "prices.csv"
    assert http.delete("/v1/knowledge/acme/documents/prices.csv").status_code == 404
    assert http.get("/v1/knowledge/acme/documents/prices.csv").status_code == 404


def test_a_cached_answer_goes_with_its_document(client, http, handbook):
    def ask(**options):
        answer = chat(client, QUESTION, extra_body={"permutation": {"knowledge": ["acme"], **options}})
        return extension(answer)

    assert ask()["cache"]["status"] == "miss"
    again = ask()
    assert again["cache"]["status"] == "hit"
    assert documents_of(again)["sources"], "a hit names its sources, too"
    assert ask(documents={"attach": "off"})["cache"]["status"] == "miss"
    learn(http, "acme", "handbook.md", HANDBOOK.replace("twenty-seven", "thirty"))
    assert ask()["cache"]["status"] == "miss"
    http.delete("/v1/knowledge/acme/documents/handbook.md")
    last = ask()
    assert last["cache"]["status"] == "miss" and documents_of(last) is None


@pytest.mark.parametrize("engine", ["permutation", "unified"])
def test_an_engines_answer_names_them_too(http, handbook, engine):
    body = {
        "model": engine,
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 4,
        "permutation": {"knowledge": ["acme"]},
    }
    for status in ("miss", "hit"):
        more = http.post("/v1/chat/completions", json=body).json()["permutation"]
        assert more["cache"]["status"] == status
        assert documents_of(more)["sources"][-1]["document"] == "handbook.md"


def test_facts_and_documents_live_side_by_side(client, http, handbook):
    fact = {"id": "city", "prompt": "In which city is Kelmari Foods based?", "answer": "Tampere"}
    job = ended(http, http.post("/v1/knowledge/acme/facts", json={"facts": [fact]}))
    assert job["status"] == "done" and job["report"]["learnt"] == 1
    answer = chat(client, fact["prompt"], extra_body={"permutation": {"knowledge": ["acme"]}})
    assert answer.choices[0].message.content == "Tampere"
    assert documents_of(asked(client, QUESTION)[1])["sources"]
    http.delete("/v1/knowledge/acme/facts/city")
    assert documents_of(asked(client, QUESTION)[1])["sources"], "the document stays"
    pack = http.get("/v1/knowledge/acme/export").content
    http.delete("/v1/knowledge/acme")
    assert http.post("/v1/knowledge/import", content=pack).json()["documents"] == 1
    assert documents_of(asked(client, QUESTION)[1])["sources"]


def test_what_is_no_document_is_told(http):
    for body, status, word in [
        ({"name": "a.txt"}, 400, "content"),
        ({"name": "", "content": "x"}, 400, "name"),
        ({"name": "a/b", "content": "x"}, 400, "name"),
        ({"name": "a.pdf", "content": "x"}, 400, "poppler-utils"),
        ({"name": "a.txt", "content": "x", "media_type": "image/png"}, 400, "text/plain"),
        ({"name": "a.txt", "content_base64": "!"}, 400, "base64"),
        ({"name": "a.txt", "content_base64": "//79"}, 400, "UTF-8"),
        ({"name": "a.html", "content": "<script>x</script>"}, 400, "nothing"),
        ({"name": "a.txt", "content": "x", "text": "y"}, 400, "text"),
        ({"name": "a.txt", "content": "x" * (5 << 20)}, 413, "bytes"),
    ]:
        answer = http.post("/v1/knowledge/acme/documents", json=body)
        assert answer.status_code == status and word in answer.json()["error"]["message"], (body, answer.text)
    assert http.get("/v1/knowledge/none/documents").status_code == 404


def test_the_audit_and_the_metrics_count_it(client, http, handbook):
    def used():
        rows = http.get("/v1/audit").json()["caches"]
        return next(row for row in rows if row["name"] == "knowledge cache")["used_in"]["completions"]["count"]

    before = used()
    asked(client, QUESTION, "packs")
    assert used() > before
    metrics = http.get("/metrics").text
    for name in ("documents_shown_total", "passages_shown_total", "packs_attached_total", "documents{"):
        assert f"permutation_engine_knowledge_{name}" in metrics, name


def test_killed_while_learning_the_domain_is_the_old_or_the_new_one(start, packs):
    server = start()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        learn(http, "crash", "a.txt", "Quellmar has a harbour.")
        for i in range(20):
            http.post("/v1/knowledge/crash/documents", json={"name": f"{i}.txt", "content": f"Line {i}. " * 2000})
        time.sleep(0.3)
        server.stop(signal.SIGKILL)
    again = start()
    with httpx.Client(base_url=again.url, timeout=60) as http:
        names = [one["name"] for one in http.get("/v1/knowledge/crash/documents").json()["documents"]]
        assert names == ["a.txt", *[f"{i}.txt" for i in range(len(names) - 1)]]
        http.delete("/v1/knowledge/crash")
    assert not list(packs.rglob("*.damaged*"))
    again.stop()


def test_documents_side_by_side(client, http, handbook):
    """Readings, packs and texts at once: each answer is the one that it is alone."""
    questions = [QUESTION, "How much may a hotel cost a night?", "What do visitors wear?"]
    alone = {(q, a): asked(client, q, a, max_tokens=4)[0] for q in questions for a in ("text", "packs", "off")}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        jobs = [(key, pool.submit(asked, client, *key, max_tokens=4)) for key in [*alone] * 3]
        for key, job in jobs:
            assert job.result()[0] == alone[key], key


def test_the_command_line(binary, server, tmp_path):
    def run(*arguments, **more):
        return subprocess.run(
            [binary, *arguments, "--url", server.url], capture_output=True, text=True, timeout=120, check=False, **more
        )

    (tmp_path / "handbook.md").write_text(HANDBOOK)
    (tmp_path / "page.html").write_text("<h1>Buoys</h1><p>A buoy costs forty euros.</p>")
    both = run("learn", "cli", str(tmp_path / "handbook.md"), str(tmp_path / "page.html"))
    assert both.returncode == 0, both.stderr
    assert "handbook.md: learnt" in both.stdout and "page.html: learnt" in both.stdout
    assert "known before" in run("learn", "cli", str(tmp_path / "page.html")).stdout
    listed = json.loads(run("knowledge", "list", "--json").stdout)
    assert next(one for one in listed if one["domain"] == "cli")["documents"] == 2
    assert run("knowledge", "forget", "cli", "--document", "page.html").returncode == 0
    assert run("knowledge", "forget", "cli", "--document", "page.html").returncode == 1
    (tmp_path / "manual.pdf").write_bytes(b"%PDF-1.4")
    bare = run("learn", "cli", str(tmp_path / "manual.pdf"), env={**os.environ, "PATH": str(tmp_path)})
    assert bare.returncode == 1 and "poppler-utils" in bare.stderr, bare.stderr
    if shutil.which("pdftotext"):
        assert "can't read it" in run("learn", "cli", str(tmp_path / "manual.pdf")).stderr
    assert run("knowledge", "forget", "cli").returncode == 0


def test_tenants_share_no_document(binary, model_file, tmp_path, new_key):
    keys = {
        name: new_key("--name", name, "--tenant", name, "--scope", "inference", "--scope", "knowledge")
        for name in ("ann", "bob")
    }
    config = tmp_path / "config.toml"
    config.write_text(
        CONFIG.format(model=model_file, packs=tmp_path / "packs") + "".join(key["toml"] for key in keys.values())
    )
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        ann, bob = (
            httpx.Client(
                base_url=server.url, timeout=300, headers={"authorization": f"Bearer {keys[name]['key']}"}
            )
            for name in ("ann", "bob")
        )
        learn(ann, "acme", "handbook.md", HANDBOOK)
        for path in ("/v1/knowledge/acme/documents", "/v1/knowledge/acme/documents/handbook.md"):
            assert ann.get(path).status_code == 200 and bob.get(path).status_code == 404
        assert bob.delete("/v1/knowledge/acme/documents/handbook.md").status_code == 404

        def ask(user):
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": QUESTION}],
                "max_tokens": 4,
                "permutation": {"knowledge": ["acme"], "documents": {"attach": "packs"}, "cache": {"mode": "off"}},
            }
            return user.post("/v1/chat/completions", json=body)

        assert ask(bob).status_code == 404
        # The same text, learnt by another: nothing of what the model read for the one serves the other.
        first = ask(ann).json()["permutation"]
        assert first["engine"]["documents"]["attached"] == "packs"
        learn(bob, "acme", "other.md", HANDBOOK.replace("twenty-seven", "nineteen"))
        sources = ask(bob).json()["permutation"]["engine"]["documents"]["sources"]
        assert {one["document"] for one in sources} == {"other.md"}
    finally:
        server.stop(signal.SIGKILL)
