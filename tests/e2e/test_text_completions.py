"""/v1/completions as evaluation harnesses and text UIs use it: scored prompts, lists, token ids, control tokens."""

import math

import openai
import pytest

from server import MODEL, chat, complete, extension, off, streamed

PARIS = "The capital of France is Paris"


def scored(client, prompt, **options):
    """Choices of an echoed prompt with its log-probabilities, nothing written after it."""
    options = {"max_tokens": 0, "echo": True, "logprobs": 1, "extra_body": off(), **options}
    return complete(client, prompt, **options).choices


def tokens_of(http, text, **options):
    return http.post("/tokenize", json={"content": text, **options}).json()["tokens"]


# ---- A prompt and its log-probabilities


@pytest.mark.parametrize("text", [PARIS, "日本語 \U0001f600 naïve café\n\n\tend ", "a", "<|im_start|>user\nhi<|im_end|>\n"])
def test_an_echoed_prompt_has_its_tokens(client, text):
    (choice,) = scored(client, text)
    found = choice.logprobs
    assert choice.text == text and choice.finish_reason == "length"
    whole = [t for t in found.tokens if not t.startswith("bytes:")]
    assert "".join(whole) == text or len(whole) < len(found.tokens)
    assert found.token_logprobs[0] is None and found.top_logprobs[0] is None
    assert all(p <= 0 for p in found.token_logprobs[1:])
    assert found.text_offset[0] == 0 and found.text_offset == sorted(found.text_offset)
    for token, offset in zip(found.tokens, found.text_offset):
        assert token.startswith("bytes:") or text[offset:].startswith(token)
    for own, top in zip(found.token_logprobs[1:], found.top_logprobs[1:]):
        assert max(top.values()) >= own - 1e-6


def test_a_prompts_logprobs_are_those_of_writing_it(client):
    prompt = "One, two, three, four,"
    written = complete(client, prompt, max_tokens=24, logprobs=2, extra_body=off()).choices[0]
    (echoed,) = scored(client, prompt + written.text, logprobs=2)
    tail = -len(written.logprobs.tokens)
    if written.finish_reason == "stop":  # the token that ended it is no part of the text
        assert written.logprobs.tokens[-1] == ""
        written.logprobs.tokens.pop(), written.logprobs.token_logprobs.pop()
        tail += 1
    assert echoed.logprobs.tokens[tail:] == written.logprobs.tokens
    for a, b in zip(echoed.logprobs.token_logprobs[tail:], written.logprobs.token_logprobs):
        assert abs(a - b) < 0.02


def test_a_harness_compares_continuations(client, http):
    """lm-eval's loglikelihood: context and continuation as token ids, one batch, max_tokens 1."""
    context = tokens_of(http, "The capital of France is")
    rows = [context + tokens_of(http, word) for word in (" Paris", " Berlin", " banana")]
    choices = scored(client, rows, max_tokens=1)
    sums = []
    for row, choice in zip(rows, sorted(choices, key=lambda c: c.index)):
        values = choice.logprobs.token_logprobs
        assert len(values) == len(row) + 1, "the written token too, also where it ends the text"
        sums.append(sum(values[len(context) : -1]) / (len(row) - len(context)))
    assert sums == sorted(sums, reverse=True) and not math.isclose(sums[0], sums[1])


def test_a_long_prompt_is_scored_whole_and_beside_others(client, http):
    text = "".join(f"Crate {i} holds {i * 7 % 31} brass lamps.\n" for i in range(120))
    alone = scored(client, text)[0]
    assert len(alone.logprobs.tokens) == len(tokens_of(http, text)) > 1000
    together = scored(client, [text, PARIS, text])
    for i in (0, 2):
        for a, b in zip(together[i].logprobs.token_logprobs[1:], alone.logprobs.token_logprobs[1:]):
            assert abs(a - b) < 0.05
    assert together[1].text == PARIS


def test_compression_changes_no_score(client):
    text = "".join(f"Crate {i} holds {i * 7 % 31} brass lamps.\n" for i in range(120))
    exact = scored(client, text, max_tokens=1)[0].logprobs.token_logprobs
    kv = {"kv": {"ratio": 8}, "speculation": "prompt_lookup"}
    compressed = scored(client, text, max_tokens=1, extra_body=off(**kv))[0].logprobs.token_logprobs
    assert all(abs(a - b) < 0.05 for a, b in zip(exact[1:], compressed[1:]))


def test_scores_are_cached_and_streamed_alike(client, fresh):
    text = fresh("The sea is")
    options = dict(max_tokens=3, echo=True, logprobs=2)
    plain = complete(client, text, **options)
    again = complete(client, text, **options)
    assert extension(again)["cache"]["status"] == "hit"
    assert again.choices == plain.choices
    whole, _, chunks = streamed(complete(client, text, stream=True, **options))
    assert whole == plain.choices[0].text
    pieces = [c.logprobs for chunk in chunks for c in chunk.choices if c.logprobs]
    for field in ("tokens", "token_logprobs", "text_offset"):
        joined = [x for piece in pieces for x in getattr(piece, field)]
        assert joined == getattr(plain.choices[0].logprobs, field), field


def test_nothing_is_written_where_nothing_is_wanted(client):
    answer = complete(client, "One, two,", max_tokens=0, extra_body=off())
    assert answer.choices[0].text == "" and answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 0 < answer.usage.prompt_tokens


# ---- What is a prompt


def test_token_ids_are_echoed_as_text(client, http):
    ids = tokens_of(http, "The capital of France is")
    answer = complete(client, ids, max_tokens=3, echo=True)
    assert answer.choices[0].text.startswith("The capital of France is")
    assert answer.choices[0].text == complete(client, "The capital of France is", max_tokens=3, echo=True).choices[0].text


def test_control_tokens_act_here_and_never_in_a_chat(client):
    names = "<|im_start|>" * 5
    assert complete(client, names, max_tokens=1).usage.prompt_tokens == 5
    grown = chat(client, "a" + names, max_tokens=1).usage.prompt_tokens - chat(client, "a", max_tokens=1).usage.prompt_tokens
    assert grown > 10


@pytest.mark.parametrize("n", [1, 3])
def test_a_list_is_one_batch_in_order(client, fresh, n):
    prompts = [fresh("One, two,"), fresh("Red, green,"), fresh("Say")]
    options = dict(max_tokens=4, n=n, seed=5, temperature=0.9 if n > 1 else 0)
    answer = complete(client, prompts, **options)
    assert [c.index for c in answer.choices] == list(range(3 * n))
    singles = [complete(client, prompt, **options) for prompt in prompts]
    assert all(extension(single)["cache"]["status"] == "hit" for single in singles), "each has its own key"
    assert [c.text for c in answer.choices] == [c.text for single in singles for c in single.choices]
    assert answer.usage.prompt_tokens == sum(s.usage.prompt_tokens for s in singles)
    assert answer.usage.completion_tokens == sum(s.usage.completion_tokens for s in singles)
    chunks = list(complete(client, prompts, stream=True, **options))
    for index, choice in enumerate(answer.choices):
        assert "".join(c.text for chunk in chunks for c in chunk.choices if c.index == index) == choice.text
    assert chunks[-1].model_extra["permutation"]["cache"]["status"] == "hit"


def test_a_long_list(client):
    prompts = [f"Number {i}:" for i in range(300)]
    answer = complete(client, prompts, max_tokens=1)
    assert len(answer.choices) == 300
    with pytest.raises(openai.BadRequestError) as refused:
        complete(client, [[1]] * 3 + [[10**6]], max_tokens=1)
    assert refused.value.param == "prompt[3]"


def test_the_best_of_many_are_given(client):
    options = dict(max_tokens=6, temperature=1.5, seed=11, logprobs=0, extra_body=off())
    mean = lambda c: sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs)
    every = complete(client, "A word:", n=6, **options).choices
    best = complete(client, "A word:", n=2, best_of=6, **options).choices
    ranked = sorted(every, key=mean, reverse=True)
    assert [c.text for c in best] == [c.text for c in ranked[:2]]
    assert complete(client, "A word:", n=1, best_of=6, **{**options, "logprobs": None}).choices[0].logprobs is None
    with pytest.raises(openai.BadRequestError) as refused:
        complete(client, "A word:", best_of=2, stream=True)
    assert refused.value.param == "best_of"


def test_many_choices(client):
    answer = complete(client, "A word:", n=128, max_tokens=1, temperature=1.0, seed=3, extra_body=off())
    assert len({c.index for c in answer.choices}) == 128
    assert len({c.text for c in answer.choices}) > 20


def test_a_suffix_needs_a_model_for_it(client):
    with pytest.raises(openai.BadRequestError) as refused:
        complete(client, "def add(a, b):\n", suffix="\nprint(add(1, 2))", max_tokens=4)
    assert refused.value.param == "suffix"


def test_engines_refuse_what_is_about_one_models_tokens(client):
    for field, options in (("suffix", {"suffix": "x"}), ("echo", {"echo": True, "logprobs": 1}), ("best_of", {"best_of": 2})):
        with pytest.raises(openai.BadRequestError) as refused:
            complete(client, "x", model="permutation", max_tokens=1, **options)
        assert refused.value.param == field


# ---- Tokens, reranking, paths


def test_tokens_there_and_back(http):
    text = "naïve 日本語 <|im_end|>"
    for body in ({"content": text}, {"model": MODEL, "prompt": text}):
        answer = http.post("/tokenize", json=body).json()
        assert answer["count"] == len(answer["tokens"]) and answer["max_model_len"] >= 2048
        assert http.post("/v1/detokenize", json={"tokens": answer["tokens"]}).json() == {"content": text, "prompt": text}
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    count = http.post("/tokenize", json=asked).json()["count"]
    usage = http.post("/v1/chat/completions", json={**asked, "max_tokens": 1}).json()["usage"]
    assert count == usage["prompt_tokens"]
    pieces = http.post("/tokenize", json={"content": "\U0001f600", "with_pieces": True}).json()["tokens"]
    data = b"".join(p["piece"].encode() if isinstance(p["piece"], str) else bytes(p["piece"]) for p in pieces)
    assert data.decode() == "\U0001f600"
    assert http.post("/tokenize", json={"model": "permutation", "prompt": "a"}).json()["error"]["param"] == "model"


def test_reranking(http):
    documents = ["A recipe for bread.", "Blue whales eat krill.", {"text": "The tax year ends in April."}]
    body = {"model": "all-minilm-l6-v2", "query": "What do whales eat?", "documents": documents}
    answer = http.post("/v1/rerank", json=body).json()
    assert [r["index"] for r in answer["results"]][0] == 1
    scores = [r["relevance_score"] for r in answer["results"]]
    assert scores == sorted(scores, reverse=True) and scores[0] > 0.4
    assert answer["results"][0]["document"] == {"text": "Blue whales eat krill."}
    assert http.post("/rerank", json={**body, "top_n": 1}).json()["results"] == answer["results"][:1]
    refused = http.post("/v1/rerank", json={**body, "model": MODEL})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "model"
    refused = http.post("/v1/rerank", json={**body, "documents": ["a", "word " * 2000]})
    assert refused.status_code == 400 and refused.json()["error"]["param"] == "documents[1]"


def test_paths_without_v1_and_head(http):
    assert http.get("/models").json() == http.get("/v1/models").json()
    assert http.get(f"/models/{MODEL}").json()["id"] == MODEL
    chat_body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    assert http.post("/chat/completions", json=chat_body).status_code == 200
    assert http.post("/completions", json={"model": MODEL, "prompt": "hi", "max_tokens": 1}).status_code == 200
    assert http.post("/embeddings", json={"model": "all-minilm-l6-v2", "input": "hi"}).status_code == 200
    assert http.get("/cache").status_code == 404, "only what applications call"
    for path in ("/health", "/v1/models", "/models", f"/v1/models/{MODEL}", "/openapi.json", "/metrics", "/v1/cache", "/"):
        got, head = http.get(path), http.head(path)
        assert head.status_code == 200 and head.content == b"", path
        assert head.headers["content-type"] == got.headers["content-type"]
    assert http.head("/v1/models/none").status_code == 404
    assert http.head("/v1/chat/completions").status_code == 405


# ---- What a chat's history may hold


def test_histories_that_clients_send(client, http):
    def tokens(*messages):
        body = {"model": MODEL, "max_tokens": 1, "messages": list(messages)}
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["usage"]["prompt_tokens"]

    user = {"role": "user", "content": "a"}
    said = lambda **turn: tokens(user, {"role": "assistant", **turn}, user)
    assert said(content=None, refusal="no") == said(content="no") == said(content=[{"type": "refusal", "refusal": "no"}])
    assert said(content=None) == said() == said(content="")
    call = {"name": "f", "arguments": "{}"}
    old = tokens(user, {"role": "assistant", "content": None, "function_call": call}, {"role": "function", "name": "f", "content": "7"})
    new = tokens(user, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": call}]},
                 {"role": "tool", "tool_call_id": "c", "content": "7"})  # fmt: skip
    assert old == new
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "the best book"}]
    assert tokens({"role": "user", "content": parts}) == tokens({"role": "user", "content": "What is\nthe best book"})


def test_top_p_of_nothing_is_greedy(client):
    greedy = chat(client, "Tell me a word.", extra_body=off()).choices[0].message.content
    for seed in (1, 2):
        assert chat(client, "Tell me a word.", top_p=0, temperature=2, seed=seed, extra_body=off()).choices[0].message.content == greedy


def test_integers_past_64_bits(http):
    body = '{"model": "%s", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1, %s}'
    ask = lambda more: http.post("/v1/chat/completions", content=body % (MODEL, more))
    big = "123456789012345678901234567890"
    assert ask(f'"metadata": {{"a": {big}}}').status_code == 200
    assert ask(f'"seed": {2**64 - 1}').status_code == 200
    assert ask(f'"user_id": [-{big}, {{"x": {big}}}]').status_code == 200
    for field in ("seed", "n", "max_tokens", "top_k"):
        for value in (big, "-" + big):
            error = ask(f'"{field}": {value}').json()["error"]
            assert error["param"] == field and "between" in error["message"], error
