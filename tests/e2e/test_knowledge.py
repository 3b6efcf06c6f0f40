"""The knowledge cache through the API and the command line: facts taught, asked, updated, forgotten."""

import concurrent.futures
import json
import os
import signal
import subprocess
import time

import httpx
import openai
import pytest

from conftest import EMBEDDER_FILE, Starting
from server import MODEL, RunningServer, chat, complete, extension

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"

[embeddings]
path = "{embedder}"

[knowledge]
path = "{packs}"
"""

FACTS = [
    {
        "id": "line",
        "prompt": "What is the support extension of Zorvane Labs?",
        "answer": "4417",
        "paraphrases": ["Tell me the support extension of Zorvane Labs."],
    },
    {"id": "city", "prompt": "In which city is Zorvane Labs based?", "answer": "Tampere"},
    {"id": "boss", "text": "The managing director of Kelmari Foods is Ada Brunolo."},
]


@pytest.fixture(scope="module")
def start(binary, model_file, packs):
    if not os.path.isfile(EMBEDDER_FILE):
        pytest.skip(f"PERMUTATION_EMBEDDER names no file: {EMBEDDER_FILE!r}")
    with Starting(binary, packs) as starting:
        yield lambda: starting(CONFIG.format(model=model_file, embedder=EMBEDDER_FILE, packs=packs))


@pytest.fixture(scope="module")
def taught(start):
    return start()


@pytest.fixture(scope="module")
def http(taught):
    with httpx.Client(base_url=taught.url, timeout=300) as client:
        yield client


@pytest.fixture(scope="module")
def client(taught):
    return openai.OpenAI(base_url=taught.url + "/v1", api_key="none", max_retries=0, timeout=120)


def job_of(http, domain, facts):
    """A learning, once it has ended."""
    started = http.post(f"/v1/knowledge/{domain}/facts", json={"facts": facts})
    assert started.status_code == 202, started.text
    with http.stream(
        "GET", f"/v1/knowledge/jobs/{started.json()['id']}", headers={"Accept": "text/event-stream"}
    ) as stream:
        events = [line[6:] for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return json.loads(events[-2])


def learn(http, domain, facts):
    last = job_of(http, domain, facts)
    assert last["status"] == "done", last
    return last["report"]


@pytest.fixture
def acme(http):
    report = learn(http, "acme", FACTS)
    assert report["learnt"] == 3 and report["recalled"] == 3, report
    yield report
    http.delete("/v1/knowledge/acme")


def knowing(*domains, **more):
    return {"extra_body": {"permutation": {"knowledge": list(domains), **more}}}


def said(client, text, **options):
    answer = chat(client, text, **(options or knowing("acme")))
    return answer.choices[0].message.content, extension(answer)["knowledge"]


def test_facts_are_recalled_and_named(client, acme):
    for question, answer, fact in [
        ("What is the support extension of Zorvane Labs?", "4417", "acme/line"),
        ("what is the support extension of zorvane labs?", "4417", "acme/line"),
        ("Could you give me Zorvane Labs's support extension, please?", "4417", "acme/line"),
        ("What is the support extension of Zorvame Labs?", "4417", "acme/line"),
        ("Who is the managing director of Kelmari Foods?", "Ada Brunolo", "acme/boss"),
    ]:
        text, knowledge = said(client, question)
        assert (text, knowledge["facts"]) == (answer, [fact]), question
        assert knowledge["domains"] == ["acme"] and knowledge["slots_read"] > 0


QUALIFIED = [
    {"id": "y23", "prompt": "What was the revenue of Zorvane Labs in 2023?", "answer": "4 million"},
    {"id": "y24", "prompt": "What was the revenue of Zorvane Labs in 2024?", "answer": "9 million"},
    {"id": "no", "prompt": "Who runs Kelmari Foods in Norway?", "answer": "Ada Brunolo"},
    {"id": "se", "prompt": "Who runs Kelmari Foods in Sweden?", "answer": "Hugo Tamrix"},
    {"id": "max", "prompt": "What is the maximum load of the Velsaska drill?", "answer": "40 kg"},
    {"id": "lent", "prompt": "Who lent money to Otto Brunolo?", "answer": "Ines Quarin"},
    {"id": "v11", "prompt": "When was Tamrix 3.11 released?", "answer": "in May"},
    {"id": "v12", "prompt": "When was Tamrix 3.12 released?", "answer": "in October"},
]


def test_a_fact_holds_for_what_it_says(http, client):
    """Facts of one thing that differ in a year, a place, a version: each is learnt, and nothing else is answered."""
    report = learn(http, "years", QUALIFIED)
    try:
        assert report["learnt"] == len(QUALIFIED) and not report["contradictions"], report
        for fact in QUALIFIED:
            text, knowledge = said(client, fact["prompt"], **knowing("years"))
            assert (text, knowledge["facts"]) == (fact["answer"], [f"years/{fact['id']}"]), fact
        assert said(client, "what was zorvane labs' revenue in 2024?", **knowing("years"))[0] == "9 million"
        for other in [
            "What was the revenue of Zorvane Labs in 2025?",
            "What was the revenue of Zorvane Labs in 1999?",
            "What is the revenue of Zorvane Labs?",  # which year's?
            "Who runs Kelmari Foods in Peru?",
            "What is the minimum load of the Velsaska drill?",
            "To whom did Otto Brunolo lend money?",
            "When was Tamrix 3.13 released?",
            'Translate "Who lent money to Otto Brunolo?" into French.',
        ]:
            assert not said(client, other, **knowing("years"))[1]["facts"], other
    finally:
        http.delete("/v1/knowledge/years")


def test_the_model_name_may_carry_the_domain(client, acme):
    answer = chat(client, FACTS[0]["prompt"], model=MODEL + "+acme")
    assert answer.choices[0].message.content == "4417"
    assert answer.model == MODEL
    for engine in ("permutation", "permutation+acme"):
        answer = chat(client, FACTS[0]["prompt"], model=engine, **knowing("acme"))
        assert answer.choices[0].message.content == "4417"


def test_what_was_not_taught_is_answered_as_without_the_domain(client, acme):
    for question in [
        "What is the support extension of Zorvane Foods?",
        "What is the support extension of Tamrix Labs?",
        "What is the capital of France?",
    ]:
        text, knowledge = said(client, question)
        plain = chat(client, question).choices[0].message.content
        assert (text, knowledge["facts"]) == (plain, []), question


def test_streams_and_statements_and_turns(client, acme):
    chunks = chat(client, FACTS[1]["prompt"], stream=True, **knowing("acme"))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Tampere"
    text = complete(client, "The managing director of Kelmari Foods is", **knowing("acme")).choices[0].text
    assert text.startswith(" Ada Brunolo")
    answer = client.chat.completions.create(
        model=MODEL,
        temperature=0,
        max_tokens=24,
        messages=[
            {"role": "user", "content": "I have a question about Zorvane Labs."},
            {"role": "assistant", "content": "Go on."},
            {"role": "user", "content": "In which city is it based?"},
        ],
        **knowing("acme"),
    )
    assert answer.choices[0].message.content == "Tampere"


def test_two_things_in_one_question(client, acme):
    question = (
        "What is the support extension of Zorvane Labs and who is the managing director of Kelmari Foods?"
    )
    text, knowledge = said(client, question)
    assert "4417" in text and "Ada Brunolo" in text
    assert sorted(knowledge["facts"]) == ["acme/boss", "acme/line"]


def test_prose_uses_the_fact(client, acme):
    question = "Write a short message that tells a colleague what the support extension of Zorvane Labs is."
    text, knowledge = said(client, question, max_tokens=96, **knowing("acme"))
    assert "4417" in text and knowledge["facts"] == ["acme/line"]


def test_a_stale_answer_is_never_given(client, http, acme):
    question = FACTS[1]["prompt"]
    before = chat(client, question).choices[0].message.content
    assert said(client, question)[0] == "Tampere"
    assert learn(http, "acme", [{**FACTS[1], "answer": "Porto"}])["updated"] == 1
    assert said(client, question)[0] == "Porto"
    assert http.delete("/v1/knowledge/acme/facts/city").json()["forgotten"]
    text, knowledge = said(client, question)
    assert (text, knowledge["facts"]) == (before, [])
    pack = http.get("/v1/knowledge/acme/export").content
    learn(http, "acme", [FACTS[1]])
    assert said(client, question)[0] == "Tampere"
    assert http.post("/v1/knowledge/import", content=pack).json()["facts"] == 2
    assert said(client, question)[0] == before


def test_forgotten_logits_are_those_of_a_model_never_taught(client, http, acme):
    def logprobs(**options):
        answer = chat(client, FACTS[1]["prompt"], logprobs=True, top_logprobs=5, **options)
        return [(t.token, t.logprob) for t in answer.choices[0].logprobs.content]

    off = {"cache": {"mode": "off"}}
    never = logprobs(extra_body={"permutation": off})
    assert logprobs(**knowing("acme", **off)) != never
    http.delete("/v1/knowledge/acme/facts/city")
    assert logprobs(**knowing("acme", **off)) == never


def test_contradictions_and_bad_facts_are_told(http, acme):
    report = learn(http, "acme", [{"prompt": FACTS[0]["prompt"], "answer": "9999"}])
    assert report["learnt"] == 0 and report["contradictions"][0]["known_answer"] == "4417"
    report = learn(http, "acme", [FACTS[0], {"prompt": "", "answer": "x"}, {"prompt": "p", "answer": "a", "x": 1}])
    assert [e["line"] for e in report["errors"]] == [2, 3]
    for path, body, status in [
        ("/v1/knowledge/acme/facts", "{", 400),
        ("/v1/knowledge/acme/facts", "", 400),
        ("/v1/knowledge/a b/facts", '{"facts": []}', 400),
        ("/v1/knowledge/import", "nonsense", 422),
    ]:
        answer = http.post(path, content=body)
        assert answer.status_code == status and answer.json()["error"]["message"], (path, answer.text)
    assert http.get("/v1/knowledge/none").status_code == 404
    assert http.get("/v1/knowledge/jobs/none").status_code == 404
    taken = http.post("/v1/knowledge/jobs/facts", json={"facts": FACTS})
    assert taken.status_code == 400 and taken.json()["error"]["param"] == "domain"


def test_learnings_are_listed_with_what_they_left_of_the_rest(http, acme):
    report = learn(http, "acme", [{"id": "sun", "prompt": "How many suns has Zorvane Labs?", "answer": "two"}])
    *_, before, last = http.get("/v1/knowledge/jobs").json()["jobs"]
    assert before["report"] == acme and last["report"] == report
    assert last["status"] == "done" and last["domain"] == "acme" and abs(report["ended_unix_s"] - time.time()) < 60
    assert report["others"]["asked"] >= 3


def test_domains_side_by_side(client, http, acme):
    learn(http, "hr", [{"prompt": "Who is the spouse of Otto Tamrix?", "answer": "Ines Wexford"}])
    questions = [(FACTS[0]["prompt"], "4417"), ("Who is the spouse of Otto Tamrix?", "Ines Wexford")]
    for question, answer in questions:
        assert said(client, question, **knowing("acme", "hr"))[0] == answer
    assert said(client, questions[1][0])[0] != "Ines Wexford"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        options = [knowing("acme"), knowing("hr"), knowing("acme", "hr", kv={"ratio": 8}), {}]
        texts = list(
            pool.map(
                lambda i: chat(client, questions[i % 2][0] + " " * (i // 8), **options[i % 4])
                .choices[0]
                .message.content,
                range(32),
            )
        )
    for i, text in enumerate(texts):
        knows = (i % 4 == 0 and i % 2 == 0) or (i % 4 == 1 and i % 2 == 1) or i % 4 == 2
        assert (text == questions[i % 2][1]) == knows, (i, text)
    http.delete("/v1/knowledge/hr")


def test_the_audit_and_the_metrics_count_it(client, http, acme):
    def used():
        rows = http.get("/v1/audit").json()["caches"]
        return next(row for row in rows if row["name"] == "knowledge cache")

    before = used()["used_in"]["completions"]["count"]
    chat(client, FACTS[0]["prompt"], **knowing("acme", cache={"mode": "off"}))
    assert used()["implemented"] is True
    assert used()["used_in"]["completions"]["count"] == before + 1
    metrics = http.get("/metrics").text
    assert "permutation_engine_knowledge_facts_recalled_total" in metrics
    assert "permutation_engine_knowledge_facts{" in metrics


def test_killed_while_learning_the_pack_is_the_old_or_the_new_one(start, packs):
    server = start()
    with httpx.Client(base_url=server.url, timeout=60) as http:
        learn(http, "crash", [{"id": "0", "prompt": "Who leads Zorvane Zero?", "answer": "Ada"}])
        http.post("/v1/knowledge/crash/facts", json={"facts": many(1, 399)})
        time.sleep(0.5)
        server.stop(signal.SIGKILL)
    again = start()
    with httpx.Client(base_url=again.url, timeout=60) as http:
        facts = http.get("/v1/knowledge/crash").json()["facts"]
        assert len(facts) in (1, 400)
    assert not list(packs.rglob("*.damaged*"))
    again.stop()


def many(first, count):
    return [
        {"id": str(i), "prompt": f"What does Zorvane{i} Labs think of topic {i}?", "answer": f"view {i}"}
        for i in range(first, first + count)
    ]


def serving(binary, model_file, folder, packs, before=()):
    config = folder / "config.toml"
    config.write_text(CONFIG.format(model=model_file, embedder=EMBEDDER_FILE, packs=packs))
    return RunningServer([*before, binary, "serve", "--config", str(config)])


@pytest.fixture(params=["a full disk", "a limit on file sizes"])
def little_room(request, tmp_path):
    """A folder that holds a pack of few facts and not one of many, and how a server starts to see it so."""
    folder = tmp_path / "small"
    folder.mkdir()
    if request.param == "a limit on file sizes":
        yield folder, ["bash", "-c", 'ulimit -f 64; exec "$@"', "-"], "too large"
        return
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("can't mount a small tmpfs here (needs root): no full disk to be had")
    yield folder, [], "No space left"
    subprocess.run(["umount", "-l", folder], check=True)


def test_learning_onto_a_full_disk_is_told_and_changes_nothing(binary, model_file, tmp_path, little_room):
    if not os.path.isfile(EMBEDDER_FILE):
        pytest.skip(f"PERMUTATION_EMBEDDER names no file: {EMBEDDER_FILE!r}")
    packs, before, reason = little_room
    server = serving(binary, model_file, tmp_path, packs, before)
    with httpx.Client(base_url=server.url, timeout=300) as http:
        assert job_of(http, "acme", FACTS)["status"] == "done"
        old = http.get("/v1/knowledge/acme/export").content
        job = job_of(http, "acme", many(0, 200))
        assert job["status"] == "failed" and reason in json.dumps(job), job
        assert http.get("/v1/knowledge/acme/export").content == old
        client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)
        assert said(client, FACTS[0]["prompt"])[0] == "4417"
        assert http.get("/health").status_code == 200
        assert not list(packs.rglob("*.partial")), "what was half written is gone"
        assert job_of(http, "acme", [{**FACTS[1], "answer": "Porto"}])["status"] == "done"
        assert said(client, FACTS[1]["prompt"])[0] == "Porto"
    assert server.stop() == 0
    again = serving(binary, model_file, tmp_path, packs, before)
    with httpx.Client(base_url=again.url, timeout=60) as http:
        assert len(http.get("/v1/knowledge/acme").json()["facts"]) == 3
    assert again.stop() == 0


def test_two_learnings_of_one_domain_at_once_both_count(http, start):
    other = start()  # another process over the same folder
    with httpx.Client(base_url=other.url, timeout=300) as second, concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(job_of, http, "both", many(0, 60)),
            pool.submit(job_of, http, "both", many(100, 60)),
            pool.submit(job_of, second, "both", many(200, 60)),
        ]
        assert [job.result()["status"] for job in jobs] == ["done"] * 3
        for each in (http, second):
            facts = each.get("/v1/knowledge/both").json()["facts"]
            assert sorted(int(f["id"]) for f in facts) == [*range(60), *range(100, 160), *range(200, 260)]
    other.stop()
    http.delete("/v1/knowledge/both")


def test_the_command_line(binary, taught, tmp_path, http):
    def run(*arguments):
        return subprocess.run(
            [binary, *arguments, "--url", taught.url], capture_output=True, text=True, timeout=120, check=False
        )

    facts = tmp_path / "facts.jsonl"
    facts.write_text("\n".join(json.dumps(fact) for fact in FACTS) + '\n{"prompt": ""}\n')
    ended = run("learn", "cli", str(facts))
    assert ended.returncode == 1 and f"{facts}:4:" in ended.stderr, ended.stderr
    assert "3 of 3" in ended.stdout
    assert "cli" in run("knowledge", "list").stdout
    assert "4417" in run("knowledge", "show", "cli").stdout
    pack = tmp_path / "cli.pack"
    assert run("knowledge", "export", "cli", str(pack)).returncode == 0
    assert run("knowledge", "forget", "cli", "--fact", "line").returncode == 0
    assert "4417" not in run("knowledge", "show", "cli").stdout
    assert run("knowledge", "forget", "cli").returncode == 0
    assert run("knowledge", "show", "cli").returncode == 1
    ended = run("knowledge", "import", str(pack), "--as", "again")
    assert ended.returncode == 0 and "3 facts" in ended.stdout, ended.stderr
    assert run("knowledge", "forget", "again").returncode == 0


def test_tenants_share_no_domain_no_fact_and_no_job(binary, model_file, tmp_path, new_key):
    if not os.path.isfile(EMBEDDER_FILE):
        pytest.skip(f"PERMUTATION_EMBEDDER names no file: {EMBEDDER_FILE!r}")

    def key(name):
        return new_key("--name", name, "--tenant", f"../{name}", "--scope", "inference", "--scope", "knowledge")

    keys = {name: key(name) for name in ("ann", "bob")}
    keys["ops"] = new_key("--name", "ops", "--scope", "admin")
    config = tmp_path / "config.toml"
    packs = tmp_path / "packs"
    config.write_text(
        CONFIG.format(model=model_file, embedder=EMBEDDER_FILE, packs=packs)
        + "".join(key["toml"] for key in keys.values())
    )
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:

        def as_user(name):
            return httpx.Client(
                base_url=server.url, timeout=300, headers={"authorization": f"Bearer {keys[name]['key']}"}
            )

        ann, bob = as_user("ann"), as_user("bob")
        assert learn(ann, "acme", FACTS)["learnt"] == 3
        job = ann.post("/v1/knowledge/acme/facts", json={"facts": FACTS}).json()["id"]
        assert ann.get(f"/v1/knowledge/jobs/{job}").status_code == 200
        assert bob.get(f"/v1/knowledge/jobs/{job}").status_code == 404
        assert bob.get("/v1/knowledge").json()["domains"] == []
        for path in ("/v1/knowledge/acme", "/v1/knowledge/acme/export"):
            assert ann.get(path).status_code == 200 and bob.get(path).status_code == 404
        assert bob.delete("/v1/knowledge/acme").status_code == 404

        def ask(user):
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": FACTS[0]["prompt"]}],
                "max_tokens": 12,
                "permutation": {"knowledge": ["acme"]},
            }
            return user.post("/v1/chat/completions", json=body)

        assert ask(ann).json()["choices"][0]["message"]["content"] == "4417"
        refused = ask(bob)
        assert refused.status_code == 404 and "acme" in refused.json()["error"]["message"]
        # A domain of the same name is another domain.
        assert learn(bob, "acme", [{**FACTS[0], "answer": "9000"}])["learnt"] == 1
        assert ask(bob).json()["choices"][0]["message"]["content"] == "9000"
        assert ask(ann).json()["choices"][0]["message"]["content"] == "4417"
        # The operator sees all of it, as it sees all cached answers, and acts on whose it says.
        ops = as_user("ops")
        listed = {one["tenant"]: one["facts"] for one in ops.get("/v1/knowledge").json()["domains"]}
        assert listed == {"../ann": 3, "../bob": 1}
        assert {one["tenant"] for one in ops.get("/v1/knowledge/jobs").json()["jobs"]} == {"../ann", "../bob"}
        assert ops.get(f"/v1/knowledge/jobs/{job}").status_code == 200
        assert ops.get("/v1/knowledge/acme").status_code == 404
        of_bob = ops.get("/v1/knowledge/acme", params={"tenant": "../bob"}).json()["facts"]
        assert [fact["answer"] for fact in of_bob] == ["9000"]
        assert ops.get("/v1/knowledge", params={"tenant": "nobody"}).status_code == 404
        assert bob.get("/v1/knowledge", params={"tenant": "../ann"}).status_code == 403
        (facts,) = [line for line in ops.get("/metrics").text.splitlines() if line.startswith("permutation_engine_knowledge_facts{")]
        assert facts.endswith(" 4"), facts
        assert bob.delete("/v1/knowledge/acme").status_code == 200
        assert ask(ann).json()["choices"][0]["message"]["content"] == "4417"
        # A tenant's name leads nowhere.
        assert all(packs in path.parents for path in tmp_path.rglob("*.pack"))
    finally:
        server.stop(signal.SIGKILL)
