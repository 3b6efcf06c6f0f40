"""Cache 3 through the API: compression, prefix reuse and prompt lookup, with what is reported of them."""

import threading

import openai
import pytest

from server import chat, complete, extension


def report_of(crates, question="How many lamps does crate 3 hold?"):
    lines = "\n".join(f"Crate {i} holds {i * 7 % 31} brass lamps." for i in range(crates))
    return f"{lines}\n{question}"


def kv_of(answer):
    return extension(answer)["kv"]


def ask(client, text, kv, **options):
    return chat(client, text, extra_body={"permutation": {"kv": kv, "cache": {"mode": "off"}}}, **options)


@pytest.mark.parametrize("mode", ["query_aware", "query_agnostic"])
@pytest.mark.parametrize("ratio", [8, 64])
def test_a_compressed_prompt_takes_its_share(client, idle, mode, ratio):
    kv = kv_of(ask(client, report_of(110), {"ratio": ratio, "mode": mode}))
    assert kv["mode"] == mode
    assert kv["ratio_target"] == ratio
    # Each head's exact page weighs most where the rest of a short prompt is smallest: note 0009.
    assert kv["bytes"] * (0.5 if ratio == 8 else 0.25) * ratio < kv["bytes_f16"], kv
    assert kv["tokens_kept"] < kv["tokens_total"] * 0.6
    idle()


def test_the_question_is_found_and_said(client):
    document = report_of(100, "")
    for text, where in [
        (document + "How many lamps does crate 3 hold?", "at_end"),
        ("How many lamps does crate 3 hold?\n\n" + document, "earlier"),
        (document, "none"),
    ]:
        for mode in ("auto", "query_aware"):
            kv = kv_of(ask(client, text, {"ratio": 8, "mode": mode}))
            assert kv["question"] == where
            measured = 1024 <= kv["tokens_total"] < 4096  # data/kv_quality.json: query-aware kept more there
            assert kv["mode"] == ("query_aware" if mode != "auto" or (measured and where != "none") else "query_agnostic")
    assert "question" not in kv_of(ask(client, document, {"ratio": 1})), "nobody looked for it"


def test_by_what_tokens_were_chosen_is_said(client, http):
    def calibration():
        (model,) = [m for m in http.get("/v1/models").json()["data"] if "calibration" in m]
        return model["calibration"]

    before = calibration()
    kv = kv_of(ask(client, report_of(100), {"ratio": 8, "mode": "query_agnostic"}))
    after = calibration()
    assert set(after) == {"state", "progress", "seconds_left"}
    assert 0 <= before["progress"] <= after["progress"] <= 1
    if before["state"] == "ready":
        assert (kv["scores"], after["state"], after["progress"]) == ("calibrated", "ready", 1)
    else:
        assert kv["scores"] == "uncalibrated" and kv["safe_for"] == [] and after["state"] != "none"
    assert "scores" not in kv_of(ask(client, report_of(100), {"ratio": 1})), "nothing was chosen"


def test_auto_is_exact_for_short_prompts(client):
    kv = kv_of(ask(client, report_of(10), {"ratio": 8}))
    assert (kv["mode"], kv["ratio_target"]) == ("exact", 1)
    assert kv_of(ask(client, report_of(100), {"ratio": 8}))["mode"] == "query_aware"  # as measured at this length
    assert kv_of(ask(client, report_of(200), {"ratio": 8}))["mode"] == "query_aware"  # likewise
    long = kv_of(ask(client, report_of(400), {"ratio": 8}))
    assert long["tokens_total"] > 4096 and long["mode"] == "query_agnostic"  # not measured
    assert kv_of(ask(client, report_of(100), {"ratio": 8, "mode": "exact"}))["mode"] == "exact"


def test_exact_answers_are_the_same_beside_compressed_ones(client):
    alone = ask(client, report_of(90), {"ratio": 1}).choices[0].message.content
    texts = {}

    def one(i):
        answer = ask(client, report_of(90), {"ratio": 1 if i % 2 == 0 else 16})
        texts[i] = answer.choices[0].message.content

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts[0] == texts[2] == alone


def test_the_pool_counts_what_was_evicted(client, http):
    def engine():
        return http.get("/v1/kv").json()["models"][0]["engine"]

    before = engine()
    ask(client, report_of(100), {"ratio": 8})
    after = engine()
    assert after["compressed"] == before["compressed"] + 1
    assert after["evicted_tokens"] > before["evicted_tokens"] + 500
    metrics = http.get("/metrics").text
    for name in ("kv_compressed", "kv_evicted_tokens", "prefix_hits", "accepted_tokens", "kv_bytes_max"):
        assert name in metrics, name


def test_a_prompt_that_begins_alike_is_not_read_again(client, fresh):
    document = fresh() + "\n" + report_of(100)
    first = ask(client, document + " Say yes.", {"ratio": 1})
    second = ask(client, document + " Say no.", {"ratio": 1})
    reused = kv_of(second)["prefix_tokens_reused"]
    assert reused > 0.95 * second.usage.prompt_tokens
    assert second.usage.prompt_tokens_details.cached_tokens == reused
    timing = [extension(answer)["timing"]["prefill_ms"] for answer in (first, second)]
    assert timing[1] < timing[0] / 3, timing


def test_prompt_lookup_changes_nothing_but_the_speed(client):
    text = "Repeat this list word for word.\n" + report_of(12, "")
    answers = {}
    for speculation in ("off", "prompt_lookup", "auto"):
        answers[speculation] = chat(
            client, text, max_tokens=80,
            extra_body={"permutation": {"speculation": speculation, "cache": {"mode": "off"}}})
    texts = {answer.choices[0].message.content for answer in answers.values()}
    assert len(texts) == 1
    assert extension(answers["off"])["speculation"] == {"drafted": 0, "accepted": 0}
    found = extension(answers["prompt_lookup"])["speculation"]
    assert 0 < found["accepted"] <= found["drafted"]


def test_a_prompt_longer_than_the_model_is_refused(client):
    with pytest.raises(openai.APIStatusError) as refused:
        complete(client, "word " * 9000, extra_body={"permutation": {"kv": {"ratio": 64}}})
    assert refused.value.status_code == 400
    assert refused.value.code == "context_length_exceeded"
    assert "more than fit" in refused.value.message
    assert chat(client, "Say hello.").choices


def test_ask_with_a_context_and_a_ratio(cli, model_file, tmp_path):
    context = tmp_path / "context.txt"
    context.write_text(report_of(110, ""))
    ended = cli("ask", "--model", model_file, "--context", context, "--kv-ratio", "8", "--max-tokens", "16",
                "How many lamps does crate 3 hold?")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip()
    assert "KV cache: query_aware" in ended.stderr


def test_the_audit_counts_cache_3(client, http, fresh):
    document = report_of(100, fresh())
    ask(client, document, {"ratio": 8})
    for ending in ("a", "b"):
        ask(client, document + ending, {"ratio": 1})
    rows = {row["name"]: row for row in http.get("/v1/audit").json()["caches"]}
    for name in ("inference KV compression", "prefix reuse"):
        assert rows[name]["implemented"] is True
        assert rows[name]["used_in"]["completions"]["count"] > 0, name
