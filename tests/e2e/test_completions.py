"""The official client's ordinary calls: both endpoints, streamed and not."""

import openai
import pytest

from server import MODEL, chat, complete, extension, streamed


def test_models_are_listed_with_the_engine(client):
    names = [model.id for model in client.models.list()]
    assert MODEL in names
    assert "permutation" in names
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


def test_chat(client):
    answer = chat(client, "What is gravity?")
    assert answer.object == "chat.completion"
    assert answer.model == MODEL
    assert answer.id.startswith("chatcmpl-")
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert "ravity" in choice.message.content
    assert choice.finish_reason in ("stop", "length")


def test_chat_reads_the_whole_conversation(client):
    answer = client.chat.completions.create(
        model=MODEL,
        temperature=0,
        max_tokens=24,
        messages=[
            {"role": "user", "content": "The access code of the Marlow vault is 9531."},
            {"role": "assistant", "content": "Noted: the access code of the Marlow vault is 9531."},
            {"role": "user", "content": "What is the access code of the Marlow vault?"},
        ],
    )
    assert "9531" in answer.choices[0].message.content


def test_chat_stream_says_the_same_as_json(client, fresh):
    text = fresh("Name three colours.")
    plain = chat(client, text, extra_body={"permutation": {"cache": {"mode": "off"}}})
    piece, last, chunks = streamed(
        chat(client, text, stream=True, extra_body={"permutation": {"cache": {"mode": "off"}}})
    )
    assert piece == plain.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len(chunks) > 5  # pieces as they come, not one lump
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    reasons = [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert reasons == [plain.choices[0].finish_reason]
    assert extension(last)["cache"]["status"] == "bypass"


def test_text_completion(client, fresh):
    answer = complete(client, "The capital of France is", max_tokens=8)
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert "Paris" in answer.choices[0].text


def test_text_completion_stream(client):
    prompt = "One, two, three, four,"
    plain = complete(client, prompt, extra_body={"permutation": {"cache": {"mode": "off"}}})
    text, _, chunks = streamed(
        complete(client, prompt, stream=True, extra_body={"permutation": {"cache": {"mode": "off"}}})
    )
    assert text == plain.choices[0].text
    assert len(chunks) > 5


def test_text_completion_echo(client):
    answer = complete(client, "One, two, three,", max_tokens=4, echo=True)
    assert answer.choices[0].text.startswith("One, two, three,")


def test_usage(client, fresh):
    answer = chat(client, fresh())
    usage = answer.usage
    assert usage.prompt_tokens > 10
    assert 0 < usage.completion_tokens <= 24
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_usage_in_a_stream_only_when_asked(client, fresh):
    text = fresh()
    _, _, without = streamed(chat(client, text, stream=True))
    assert all(chunk.usage is None for chunk in without)
    _, last, _ = streamed(chat(client, text, stream=True, stream_options={"include_usage": True}))
    assert last.choices == []
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0
    assert extension(last)["cache"]["status"] == "hit"


def test_the_answer_reports_what_happened(client, fresh):
    report = extension(chat(client, fresh()))
    assert report["kv"]["mode"] == "exact"
    assert report["kv"]["bytes"] > 0
    assert report["kv"]["tokens_total"] > 10
    assert report["timing"]["prefill_ms"] > 0
    assert report["timing"]["decode_ms"] > 0
    assert report["timing"]["queue_ms"] >= 0
