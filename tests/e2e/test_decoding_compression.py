"""Compression while decoding: what is written behind a short prompt is cut to the ratio as it ages, through the API."""

import threading

import httpx
import openai
import pytest

from conftest import client_of
from server import chat, extension, until

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"
prefix_bytes = {prefixes}
kv_recent_tokens = 64
{more}

[embeddings]
enabled = false
"""
STORY = "Write a long story of a lamp, a crate and the sea."


@pytest.fixture
def start(starting, model_file):
    def begin(prefixes=0, more=""):
        return starting(CONFIG.format(model=model_file, prefixes=prefixes, more=more))

    return begin


def write(server, text, tokens, kv, compress=True, **options):
    extra = {"permutation": {"kv": kv, "decoding": {"compress": compress}, "cache": {"mode": "off"}}, "ignore_eos": True}
    return chat(client_of(server), text, max_tokens=tokens, extra_body=extra, **options)


def kv_of(answer):
    return extension(answer)["kv"]


def model_of(server):
    (model,) = httpx.get(f"{server.url}/v1/kv").json()["models"]
    return model


def test_two_thousand_written_tokens_take_their_share(start):
    server = start()
    seen = []
    done = threading.Event()

    def watch():
        while not done.wait(0.2):
            now = model_of(server)
            if now["tokens"] > 400:
                seen.append((now["tokens"], now["bytes"]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    answer = write(server, STORY, 2000, {"ratio": 4})
    done.set()
    watcher.join()
    kv = kv_of(answer)
    assert answer.usage.completion_tokens == 2000
    assert (kv["mode"], kv["ratio_target"]) == ("query_agnostic", 4)
    assert 3.4 < kv["ratio_achieved"] < 4.1
    assert kv["tokens_kept"] == kv["tokens_total"], "at 4 nothing is evicted"
    f16 = kv["bytes_f16"] / kv["tokens_total"]
    window = 5 * 32 + 64 + 128  # and what tables take more for their last pages
    assert seen and all(size < f16 * (tokens / 4 + window) for tokens, size in seen), seen
    engine = model_of(server)["engine"]
    assert engine["compressed"] == 1
    assert 2000 - 64 - 128 - 64 < engine["decoding_compressed_tokens"] < 2000
    assert "kv_decoding_compressed_tokens" in httpx.get(f"{server.url}/metrics").text
    rows = {row["name"]: row for row in httpx.get(f"{server.url}/v1/audit").json()["caches"]}
    assert "inference KV compression" in rows
    until(lambda: model_of(server)["bytes"] == 0)

    exact = kv_of(write(server, STORY, 600, {"ratio": 4}, compress=False))
    assert exact["mode"] == "exact" and exact["ratio_achieved"] == 1, "off unless it is asked for"


def test_the_answer_is_the_same_beside_others_and_without_drafts(start):
    server = start()
    text = "Write the numbers from one to fifty, again and again: one, two, three, one, two, three,"
    kv = {"ratio": 8}
    alone = write(server, text, 500, kv).choices[0].message.content
    texts = {}

    def one(i):
        answer = write(server, STORY if i == 1 else text, 500, kv if i != 2 else {"ratio": 1}, compress=i != 2)
        texts[i] = answer.choices[0].message.content

    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts[0] == texts[3] == alone
    extra = {"permutation": {"kv": kv, "decoding": {"compress": True}, "cache": {"mode": "off"}, "speculation": "off"},
             "ignore_eos": True}  # fmt: skip
    plain = chat(client_of(server), text, max_tokens=500, extra_body=extra)
    assert plain.choices[0].message.content == alone
    until(lambda: model_of(server)["bytes"] == 0)


def test_the_next_turn_goes_on_from_compressed_pages(start):
    server = start(prefixes=64 << 20, more="kv_ratio = 4\nkv_decoding = true")
    messages = [{"role": "user", "content": STORY}]
    reused, coded = [], [0]
    for _ in range(3):
        answer = client_of(server).chat.completions.create(
            model=client_of(server).models.list().data[0].id, messages=messages, max_tokens=400, temperature=0,
            extra_body={"min_tokens": 300, "permutation": {"cache": {"mode": "off"}}})  # fmt: skip
        kv = kv_of(answer)
        coded.append(model_of(server)["engine"]["decoding_compressed_tokens"])
        reused.append((kv["prefix_tokens_reused"], answer.usage.prompt_tokens))
        messages += [{"role": "assistant", "content": answer.choices[0].message.content},
                     {"role": "user", "content": "And then?"}]  # fmt: skip
    assert all(0 < after - before < 700 for before, after in zip(coded, coded[1:], strict=False)), "each turn's once"
    for tokens, prompt in reused[1:]:
        assert tokens > prompt - 60, reused


def test_it_needs_a_ratio_and_says_so(start):
    server = start()
    for kv in ({}, {"ratio": 2}, {"ratio": 8, "mode": "exact"}):
        with pytest.raises(openai.BadRequestError) as refused:
            write(server, "Hello.", 4, kv)
        assert "permutation.decoding.compress" in str(refused.value)
    assert write(server, "Hello.", 4, {"ratio": 4}).usage.completion_tokens == 4
