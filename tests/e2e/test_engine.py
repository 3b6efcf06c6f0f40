"""The engine `permutation`, and what the server tells about itself."""

import re

from server import MODEL, chat, extension, streamed

SURFACES = {"permutation", "rlm", "unified", "completions"}
CACHES = [
    "response cache",
    "knowledge cache",
    "inference KV compression",
    "prompt-lookup speculation",
    "prefix reuse",
    "prefixes on disk",
    "provider prompt cache",
]


def ask(client, text, **options):
    return chat(client, text, model="permutation", extra_body={"permutation": {"trace": True}}, **options)


def steps_of(answer):
    return extension(answer)["engine"]["trace"]["steps"]


def by_status(answer, wanted):
    return {step["component"] for step in steps_of(answer) if step["status"] == wanted}


def test_the_engine_computes_with_the_student_then_reuses(client, fresh, pool):
    text = fresh("What is the capital of Italy?")
    before = pool()["engine"]["requests"]
    first = ask(client, text)
    assert first.model == "permutation"
    assert extension(first)["cache"]["status"] == "miss"
    metadata = extension(first)["engine"]["metadata"]
    assert metadata["student_model"] == MODEL
    assert metadata["student_calls"] == 1
    assert metadata["teacher_calls"] == 0

    second = ask(client, text)
    assert extension(second)["cache"]["status"] == "hit"
    assert extension(second)["engine"]["metadata"]["student_calls"] == 0
    assert second.choices[0].message.content == first.choices[0].message.content
    assert pool()["engine"]["requests"] - before == 1


def test_the_trace_holds_true_durations(client, fresh):
    answer = ask(client, fresh())
    trace = extension(answer)["engine"]["trace"]
    assert trace["errors"] == []
    for step in trace["steps"]:
        assert step["status"] in ("success", "failed", "skipped")
        assert step["duration_ms"] >= 0
        assert step["description"]
    assert 0 < sum(step["duration_ms"] for step in trace["steps"]) <= trace["total_duration_ms"] + 1
    assert any("student" in component for component in by_status(answer, "success"))
    assert any("teacher" in component for component in by_status(answer, "skipped"))


def test_no_trace_unless_asked_for(client, fresh):
    answer = chat(client, fresh(), model="permutation")
    assert "trace" not in extension(answer)["engine"]


def test_the_engine_streams(client, fresh):
    text, last, chunks = streamed(ask(client, fresh(), stream=True))
    assert text
    assert len(chunks) > 5
    assert extension(last)["engine"]["trace"]["steps"]


def test_engine_and_model_keep_separate_entries(client, fresh):
    text = fresh()
    chat(client, text)
    assert extension(ask(client, text))["cache"]["status"] == "miss"


def test_health(http):
    body = http.get("/health").json()
    assert body["status"] == "ok"
    assert re.fullmatch(r"\d+\.\d+\.\d+", body["version"])
    assert MODEL in body["models"]


def test_metrics(client, http, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    answer = http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = dict(
        line.rsplit(" ", 1) for line in answer.text.splitlines() if line and not line.startswith("#")
    )
    hits = f'permutation_response_cache_hits_total{{model="{MODEL}",tenant=""}}'
    assert float(samples[hits]) > 0
    assert float(samples[f'permutation_engine_completion_tokens_total{{model="{MODEL}"}}']) > 0
    assert float(samples[f'permutation_engine_running{{model="{MODEL}"}}']) == 0


def test_kv_shows_the_page_pool(pool, idle):
    idle()
    now = pool()
    assert now["model"] == MODEL
    assert now["bytes_max"] > 0
    heads = now["bytes_by_layer_head"]
    assert len(heads) == 30  # layers
    assert {len(layer) for layer in heads} == {3}  # KV heads


def test_audit(client, http, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    ask(client, text)
    ask(client, text)
    audit = http.get("/v1/audit").json()
    assert audit["verdict"]
    assert [cache["name"] for cache in audit["caches"]] == CACHES
    for cache in audit["caches"]:
        assert set(cache["used_in"]) == SURFACES
        for cell in cache["used_in"].values():
            assert cell["state"].startswith(("used", "enabled, unused", "off: "))
        assert isinstance(cache["production_ready"]["value"], bool)
        assert cache["production_ready"]["value"] or cache["production_ready"]["missing"]

    response, *others = audit["caches"]
    assert response["implemented"] is True
    for surface in ("completions", "permutation"):
        assert response["used_in"][surface]["count"] > 0
        assert response["used_in"][surface]["last_used"] > 0
    for surface in ("rlm", "unified"):  # test_rlm.py makes them count
        assert not response["used_in"][surface]["state"].startswith("off")
    compression = next(c for c in others if c["name"] == "inference KV compression")
    assert compression["implemented"] is True
    for cache in others:
        if cache["implemented"]:
            continue
        assert {cell["state"] for cell in cache["used_in"].values()} == {"off: not built yet"}


def test_the_audit_counts_each_hit(client, http, fresh):
    def count():
        return http.get("/v1/audit").json()["caches"][0]["used_in"]["completions"]["count"]

    text = fresh()
    chat(client, text)
    before = count()
    for _ in range(3):
        chat(client, text)
    assert count() - before == 3
