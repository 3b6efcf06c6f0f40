"""What the request says about how to choose the next token."""

import pytest

from server import chat, complete, off, streamed

STORY = "Once upon a time, in a small village by the sea,"


def text_of(answer):
    choice = answer.choices[0]
    return choice.text if hasattr(choice, "text") else choice.message.content


def story(client, **options):
    options.setdefault("extra_body", off())
    return complete(client, STORY, **{"max_tokens": 40, **options})


def test_temperature_zero_is_deterministic(client):
    assert text_of(story(client)) == text_of(story(client))


def test_a_seed_reproduces(client):
    hot = {"temperature": 1.0, "max_tokens": 24}
    first = text_of(story(client, seed=7, **hot))
    assert text_of(story(client, seed=7, **hot)) == first
    assert {text_of(story(client, seed=seed, **hot)) for seed in (8, 9, 10)} != {first}


def test_without_a_seed_answers_vary(client):
    assert len({text_of(story(client, temperature=1.0, max_tokens=24)) for _ in range(4)}) > 1


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_sampling_from_only_the_best_token_is_greedy(client, narrow):
    greedy = text_of(story(client, max_tokens=24))
    sampled = story(client, temperature=1.0, seed=3, max_tokens=24, extra_body={**off(), **narrow})
    assert text_of(sampled) == greedy


def test_max_tokens_ends_with_length(client):
    for limit in (1, 7):
        answer = story(client, max_tokens=limit)
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == limit


def test_stop_string_cuts_before_itself(client):
    text = text_of(story(client))
    stop = text[17:25]  # in the middle of words: it spans tokens
    answer = story(client, stop=stop)
    assert text_of(answer) == text[: text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


def test_the_first_of_several_stop_strings_counts(client):
    text = text_of(story(client))
    late, early = text[40:46], text[12:20]
    answer = story(client, stop=[late, "no such text", early])
    assert text_of(answer) == text[: min(text.index(late), text.index(early))]


def test_a_stop_string_never_leaks_into_a_stream(client):
    text = text_of(story(client))
    stop = text[17:25]
    piece, _, _ = streamed(story(client, stop=[stop], stream=True))
    assert piece == text[: text.index(stop)]


def test_one_character_as_stop(client):
    text = text_of(story(client))
    assert text_of(story(client, stop=",")) == text.split(",")[0]


def test_logit_bias_forces_a_token(client):
    answer = story(client, max_tokens=3, logit_bias={"1000": 100})
    one = story(client, max_tokens=1, logit_bias={"1000": 100})
    assert text_of(answer) == 3 * text_of(one)  # a bias of 100 makes any token certain


def test_chat_logprobs(client, fresh):
    answer = chat(client, fresh("Count to five."), logprobs=True, top_logprobs=3)
    tokens = answer.choices[0].logprobs.content
    assert "".join(t.token for t in tokens) == answer.choices[0].message.content
    for token in tokens:
        assert token.logprob <= 0
        assert bytes(token.bytes).decode() == token.token
        assert len(token.top_logprobs) == 3
        best = token.top_logprobs[0]
        assert (best.token, best.logprob) == (token.token, token.logprob)  # greedy took the best
        assert [t.logprob for t in token.top_logprobs] == sorted(
            (t.logprob for t in token.top_logprobs), reverse=True
        )


def test_chat_logprobs_stream_the_same(client, fresh):
    text = fresh("Count to five.")
    options = {"logprobs": True, "top_logprobs": 2, "extra_body": off()}
    plain = chat(client, text, **options).choices[0].logprobs.content
    chunks = list(chat(client, text, stream=True, **options))
    tokens = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content
    ]
    assert [t.token for t in tokens] == [t.token for t in plain]
    for token, wanted in zip(tokens, plain, strict=True):
        assert token.logprob == pytest.approx(wanted.logprob, abs=1e-2)


def test_text_logprobs(client):
    answer = story(client, max_tokens=8, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert "".join(logprobs.tokens) == text_of(answer)
    assert len(logprobs.token_logprobs) == len(logprobs.tokens) == len(logprobs.text_offset) == 8
    for token, logprob, top in zip(
        logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True
    ):
        assert len(top) == 2
        assert top[token] == logprob == max(top.values())


def test_n_choices(client):
    answer = story(client, n=3, temperature=1.0, seed=5, max_tokens=16)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.text for choice in answer.choices}) > 1
    assert answer.usage.completion_tokens <= 48

    same = story(client, n=3, max_tokens=16)
    assert len({choice.text for choice in same.choices}) == 1


def test_n_choices_in_one_stream(client):
    chunks = list(story(client, n=3, temperature=1.0, seed=5, max_tokens=16, stream=True))
    texts = ["", "", ""]
    ends = []
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.text or ""
            if choice.finish_reason:
                ends.append(choice.index)
    plain = story(client, n=3, temperature=1.0, seed=5, max_tokens=16)
    assert texts == [choice.text for choice in plain.choices]
    assert sorted(ends) == [0, 1, 2]
