"""Cache 1 as clients see it: headers, the extension object, Cache-Control, single flight, the key-value store."""

import concurrent.futures
import time
import uuid

import httpx
import openai
import pytest

from server import MODEL, assert_answered_as_alone, chat, chat_raw, complete, extension, off, streamed

SHARED = ("miss", "hit", "coalesced")


def cached(**cache):
    return {"permutation": {"cache": cache}}


def status(headers):
    return headers["x-permutation-cache"]


def test_a_miss_then_a_hit(client, fresh):
    text = fresh()
    headers, first = chat_raw(client, text)
    assert status(headers) == "miss"
    assert headers["x-request-id"]
    assert headers["x-permutation-tokens-saved"] == "0"
    key = headers["x-permutation-cache-key"]
    assert len(key) == 64

    headers, second = chat_raw(client, text)
    assert status(headers) == "hit"
    assert headers["x-permutation-cache-key"] == key
    assert int(headers["age"]) >= 0
    assert second.choices[0].message.content == first.choices[0].message.content
    assert second.usage.prompt_tokens == first.usage.prompt_tokens
    assert second.usage.completion_tokens == first.usage.completion_tokens
    report = extension(second)["cache"]
    assert report["status"] == "hit"
    assert report["key"] == key
    assert report["age_s"] >= 0
    assert report["tokens_saved"] == first.usage.total_tokens == int(headers["x-permutation-tokens-saved"])
    # The price is in the config: 1 and 4 dollars a million tokens.
    usd = (first.usage.prompt_tokens + 4 * first.usage.completion_tokens) / 1e6
    assert report["usd_saved"] == pytest.approx(usd) == float(headers["x-permutation-usd-saved"])
    assert "timing" not in extension(second)  # nothing ran for it


def test_questions_that_start_alike_are_told_apart(client, fresh):
    france = chat(client, "What is the capital city of France?")
    peru = chat(client, "What is the capital city of Peru?")
    assert extension(peru)["cache"]["key"] != extension(france)["cache"]["key"]
    assert peru.choices[0].message.content != france.choices[0].message.content


def test_everything_that_changes_the_answer_is_in_the_key(client, fresh):
    text = fresh()
    keys = {
        chat_raw(client, text, max_tokens=4, **options)[0]["x-permutation-cache-key"]
        for options in (
            {},
            {"seed": 1},
            {"temperature": 0.5, "seed": 1},
            {"stop": ["x"]},
            {"n": 2},
            {"logprobs": True},
            {"extra_body": cached(namespace="other")},
        )
    }
    assert len(keys) == 7


def test_stored_json_replays_as_a_stream_and_back(client, fresh):
    text = fresh("Tell me about rivers.")
    plain = chat(client, text)
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, temperature=0, max_tokens=24, stream=True, messages=[{"role": "user", "content": text}]
    )
    assert status(raw.headers) == "hit"
    piece, last, _ = streamed(raw.parse())
    assert piece == plain.choices[0].message.content
    assert extension(last)["cache"]["status"] == "hit"

    text = fresh("Tell me about rivers.")
    piece, last, _ = streamed(chat(client, text, stream=True))
    assert extension(last)["cache"]["status"] == "miss"
    headers, plain = chat_raw(client, text)
    assert status(headers) == "hit"
    assert plain.choices[0].message.content == piece


def test_stored_logprobs_replay(client, fresh):
    text = fresh()
    first = chat(client, text, logprobs=True, top_logprobs=2)
    second = chat(client, text, logprobs=True, top_logprobs=2)
    assert extension(second)["cache"]["status"] == "hit"
    assert second.choices[0].logprobs == first.choices[0].logprobs


@pytest.mark.parametrize(
    ("header", "expected", "afterwards"),
    [("no-cache", "miss", "hit"), ("no-store", "bypass", "hit"), ("max-age=0", "miss", "hit")],
)
def test_cache_control_passes_over_the_entry(client, fresh, header, expected, afterwards):
    text = fresh()
    chat(client, text)
    time.sleep(0.01)  # older than max-age=0
    headers, _ = chat_raw(client, text, extra_headers={"Cache-Control": header})
    assert status(headers) in (expected, "bypass")
    assert status(headers) != "hit"
    assert status(chat_raw(client, text)[0]) == afterwards


def test_a_young_entry_satisfies_max_age(client, fresh):
    text = fresh()
    chat(client, text)
    headers, _ = chat_raw(client, text, extra_headers={"Cache-Control": "max-age=600"})
    assert status(headers) == "hit"


def test_only_if_cached(client, fresh):
    text = fresh()
    header = {"Cache-Control": "only-if-cached"}
    with pytest.raises(openai.APIStatusError) as error:
        chat(client, text, extra_headers=header)
    assert error.value.status_code == 504
    chat(client, text)
    assert status(chat_raw(client, text, extra_headers=header)[0]) == "hit"


def test_mode_off_neither_reads_nor_writes(client, fresh):
    text = fresh()
    headers, answer = chat_raw(client, text, extra_body=off())
    assert status(headers) == "bypass"
    assert extension(answer)["cache"]["why"]
    assert status(chat_raw(client, text)[0]) == "miss"
    assert status(chat_raw(client, text, extra_body=off())[0]) == "bypass"


def test_read_only_and_write_only(client, fresh):
    text = fresh()
    chat(client, text, extra_body=cached(mode="read_only"))
    assert status(chat_raw(client, text, extra_body=cached(mode="write_only"))[0]) in ("miss", "bypass")
    assert status(chat_raw(client, text, extra_body=cached(mode="read_only"))[0]) == "hit"


def test_temperature_without_a_seed_is_a_bypass_that_says_why(client, fresh):
    text = fresh()
    headers, answer = chat_raw(client, text, temperature=0.7)
    assert status(headers) == "bypass"
    assert "temperature" in extension(answer)["cache"]["why"]
    assert status(chat_raw(client, text, temperature=0.7)[0]) == "bypass"
    # Opted in, or with a seed, it is reusable.
    chat(client, text, temperature=0.7, extra_body=cached(reusable=True))
    assert status(chat_raw(client, text, temperature=0.7, extra_body=cached(reusable=True))[0]) == "hit"
    chat(client, text, temperature=0.7, seed=1)
    assert status(chat_raw(client, text, temperature=0.7, seed=1)[0]) == "hit"


def test_an_entry_expires(client, fresh):
    text = fresh()
    chat(client, text, extra_body=cached(ttl_s=0.3))
    assert status(chat_raw(client, text)[0]) == "hit"
    time.sleep(0.5)
    assert status(chat_raw(client, text)[0]) == "miss"


def test_namespaces_do_not_see_each_other(client, fresh):
    text = fresh()
    chat(client, text, extra_body=cached(namespace="a"))
    assert status(chat_raw(client, text, extra_body=cached(namespace="b"))[0]) == "miss"
    assert status(chat_raw(client, text, extra_body=cached(namespace="a"))[0]) == "hit"


def test_32_at_once_compute_once(client, fresh, pool):
    text = fresh("Write a sentence about mountains.")
    before = pool()["engine"]["requests"]
    with concurrent.futures.ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda _: chat_raw(client, text), range(32)))
    assert pool()["engine"]["requests"] - before == 1
    statuses = [status(headers) for headers, _ in results]
    assert statuses.count("miss") == 1
    assert all(s in SHARED for s in statuses)
    assert len({answer.choices[0].message.content for _, answer in results}) == 1


def test_16_streams_at_once_compute_once(client, fresh, pool):
    text = fresh("Write a sentence about lakes.")
    before = pool()["engine"]["requests"]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        results = list(threads.map(lambda _: streamed(chat(client, text, stream=True)), range(16)))
    assert pool()["engine"]["requests"] - before == 1
    assert len({piece for piece, _, _ in results}) == 1
    assert all(extension(last)["cache"]["status"] in SHARED for _, last, _ in results)


def test_different_questions_at_once_are_all_answered_as_alone(client):
    assert_answered_as_alone(
        lambda prompt: complete(client, prompt, max_tokens=6, logprobs=5, extra_body=off()).choices[0],
        [f"The number after {n} is" for n in range(20, 28)],
    )


def test_statistics_count(client, http, fresh):
    before = http.get("/v1/cache").json()
    text = fresh()
    first = chat(client, text)
    chat(client, text)
    after = http.get("/v1/cache").json()
    assert after["hits"]["exact"] - before["hits"]["exact"] == 1
    assert after["misses"] > before["misses"]
    assert after["stores"] - before["stores"] == 1
    assert after["entries"] - before["entries"] == 1
    assert after["bytes"] > before["bytes"]
    assert after["tokens_saved"] - before["tokens_saved"] == first.usage.total_tokens
    assert after["usd_saved"] > before["usd_saved"]
    assert 0 < after["hit_rate"] < 1


def test_the_key_value_store(http):
    path = f"/v1/cache/entries/{uuid.uuid4().hex}"
    assert http.get(path).status_code == 404
    value = {"answer": [1, 2.5, None, "text"], "nested": {"a": True}}
    stored = http.put(path, json={"value": value, "tokens": 17, "reusable": True, "tags": ["t"]})
    assert stored.status_code == 200, stored.text
    assert stored.json()["stored"] is True

    entry = http.get(path).json()
    assert entry["value"] == value
    assert entry["tokens"] == 17
    assert entry["tags"] == ["t"]

    assert http.delete(path).status_code == 200
    assert http.get(path).status_code == 404
    assert http.delete(path).status_code == 404


def test_what_is_not_reusable_is_not_stored(http):
    path = f"/v1/cache/entries/{uuid.uuid4().hex}"
    assert http.put(path, json={"value": 1, "tokens": 1, "reusable": False}).json()["stored"] is False
    assert http.get(path).status_code == 404


def test_a_stored_value_expires(http):
    path = f"/v1/cache/entries/{uuid.uuid4().hex}"
    http.put(path, json={"value": 1, "ttl_s": 0.2})
    assert http.get(path).status_code == 200
    time.sleep(0.4)
    assert http.get(path).status_code == 404


def test_an_answer_can_be_read_and_deleted_by_its_key(client, http, fresh):
    text = fresh()
    headers, answer = chat_raw(client, text)
    path = f"/v1/cache/entries/{headers['x-permutation-cache-key']}"
    entry = http.get(path).json()
    assert entry["value"]["choices"][0]["text"] == answer.choices[0].message.content
    assert entry["tokens"] == answer.usage.total_tokens
    assert http.delete(path).status_code == 200
    assert status(chat_raw(client, text)[0]) == "miss"


def test_purge_by_tag_removes_those_and_no_others(client, http, fresh):
    tag = uuid.uuid4().hex
    tagged, other = fresh(), fresh()
    chat(client, tagged, extra_body=cached(tags=[tag, "more"]))
    chat(client, other)
    assert http.delete("/v1/cache", params={"tag": tag}).json()["purged"] == 1
    assert status(chat_raw(client, tagged)[0]) == "miss"
    assert status(chat_raw(client, other)[0]) == "hit"
    assert http.delete("/v1/cache", params={"tag": tag}).json()["purged"] == 0


def test_purge_by_namespace_and_prefix(client, http, fresh):
    space = uuid.uuid4().hex
    texts = [fresh(), fresh()]
    keys = [
        chat_raw(client, t, extra_body=cached(namespace=space))[0]["x-permutation-cache-key"] for t in texts
    ]
    assert http.delete("/v1/cache", params={"prefix": keys[0][:24]}).json()["purged"] == 1
    assert http.delete("/v1/cache", params={"namespace": space}).json()["purged"] == 1


def test_a_misspelt_filter_purges_nothing(http):
    before = http.get("/v1/cache").json()["entries"]
    answer = http.delete("/v1/cache", params={"tga": "x"})
    assert answer.status_code == 400
    assert "tag" in answer.json()["error"]["message"]
    assert http.get("/v1/cache").json()["entries"] == before


def test_headers_over_plain_http(server, fresh):
    """What scripts without a client library see."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": fresh()}], "temperature": 0, "max_tokens": 4}
    answer = httpx.post(
        server.url + "/v1/chat/completions", json=body, headers={"x-request-id": "mine-1"}, timeout=60
    )
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["content-type"].startswith("application/json")
    assert status(answer.headers) == "miss"
