"""POST /v1/responses with the official client: its own types must accept every answer and every event."""

import json
import time

import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from server import MODEL, chat

EVENT = pydantic.TypeAdapter(ResponseStreamEvent)
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


@pytest.fixture
def ask(client):
    """One greedy answer of 24 tokens at most, unless `options` say otherwise, checked against the published type."""

    def create(said, **options):
        answer = client.responses.create(
            **{"model": MODEL, "input": said, "temperature": 0, "max_output_tokens": 24, **options})
        if not options.get("stream"):
            Response.model_validate(answer.model_dump(exclude_unset=True, by_alias=True))
        return answer

    return create


def events_of(stream):
    """Checked: each is of a published type, they are numbered, and the order is the one that is documented."""
    events = [EVENT.validate_python(event.model_dump(exclude_unset=True, by_alias=True)) for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert not {"response.completed", "response.incomplete", "response.created"} & set(kinds[2:-1])
    opened = None
    for event in events[2:-1]:
        if event.type == "response.output_item.added":
            assert opened is None
            opened = event.output_index
        else:
            assert event.output_index == opened
        if event.type == "response.output_item.done":
            opened = None
    assert opened is None
    return events


def test_plain(ask, fresh):
    answer = ask(fresh("What is the capital of France?"), instructions="Be brief.", metadata={"ticket": "17"})
    assert answer.object == "response" and answer.id.startswith("resp_")
    assert answer.status == ("incomplete" if answer.incomplete_details else "completed")
    assert answer.output_text and answer.output[0].type == "message"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert (answer.instructions, answer.metadata, answer.max_output_tokens) == ("Be brief.", {"ticket": "17"}, 24)
    assert answer.model_extra["permutation"]["cache"]["status"] == "miss"


def test_the_limit_makes_it_incomplete(ask, fresh):
    answer = ask(fresh("Count from one to a hundred."), max_output_tokens=3)
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.output[0].status == "incomplete" and answer.usage.output_tokens == 3


def test_the_same_question_by_another_api_is_a_hit(ask, client, http, fresh):
    said = fresh("Name a river.")
    first = chat(client, said)
    second = ask(said)
    assert second.output_text == first.choices[0].message.content
    assert second.model_extra["permutation"]["cache"]["status"] == "hit"
    message = http.post("/v1/messages", json={"model": MODEL, "max_tokens": 24, "temperature": 0,
                                              "messages": [{"role": "user", "content": said}]}).json()
    assert message["content"][0]["text"] == second.output_text
    assert message["permutation"]["cache"]["status"] == "hit"


def test_streamed(ask, client, fresh):
    said = fresh("Tell me of the sea.")
    events = events_of(ask(said, stream=True))
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    final = events[-1].response
    assert "".join(pieces) == final.output_text and len(pieces) > 1
    assert events[0].response.id == final.id and events[0].response.output == []
    assert final.usage.output_tokens > 1
    with client.responses.stream(model=MODEL, input=said, temperature=0, max_output_tokens=24) as stream:
        for _ in stream:
            pass
    assert ask(said).output_text == final.output_text


def test_the_clients_own_accumulation(client, fresh):
    word = {"type": "object", "properties": {"said": {"enum": ["hello", "hi"]}}, "required": ["said"], "additionalProperties": False}
    form = {"format": {"type": "json_schema", "name": "word", "schema": word}}  # an answer of any length may end incomplete
    with client.responses.stream(model=MODEL, input=fresh("Say hello."), temperature=0, max_output_tokens=200, text=form) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        answer = stream.get_final_response()
    assert answer.output_text == snapshots[-1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_required_call_and_its_result(ask, fresh, stream):
    said = fresh("What is the weather in Oslo?")
    options = {"tools": [TOOL], "max_output_tokens": 100}
    answer = ask(said, tool_choice="required", stream=stream, **options)
    if stream:
        events = events_of(answer)
        answer = events[-1].response
        for index, item in enumerate(answer.output):
            pieces = [event.delta for event in events
                      if event.type == "response.function_call_arguments.delta" and event.output_index == index]
            assert "".join(pieces) == getattr(item, "arguments", "")
    call = answer.output[-1]
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert set(json.loads(call.arguments)) == {"city", "unit"}
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain, 7 degrees."}
    history = [{"role": "user", "content": said}, *(item.model_dump() for item in answer.output), output]
    assert all(item["status"] == "completed" for item in history[1:-1])
    by_hand = ask(history, **options)
    assert by_hand.status in ("completed", "incomplete")
    by_id = ask([output], previous_response_id=answer.id, **options)
    assert by_id.output_text == by_hand.output_text
    assert by_id.model_extra["permutation"]["cache"]["status"] == "hit"  # the same question, said otherwise


def test_structured(client, fresh):
    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.responses.parse(model=MODEL, temperature=0, max_output_tokens=100, text_format=Person,
                                    input=fresh("Describe Bob, who is 30 years old."))
    assert isinstance(answer.output_parsed, Person)


def test_a_conversation_of_five_turns(ask, client, fresh):
    said, previous, told = [], None, []
    for number in range(5):
        said.append(fresh(f"Question {number}: name an animal."))
        answer = ask(said[-1], previous_response_id=previous)
        assert answer.previous_response_id == previous
        previous = answer.id
        told.append(answer.output_text)
    messages = [{"role": "user", "content": said[0]}]
    for text, question in zip(told, said[1:]):
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": question}]
    same = client.chat.completions.create(model=MODEL, messages=messages, temperature=0, max_tokens=24)
    assert same.model_extra["permutation"]["cache"]["status"] == "hit"
    items = list(client.responses.input_items.list(previous, order="asc", limit=4))
    assert [item.role for item in items] == ["user", "assistant"] * 4 + ["user"]
    assert [item.content[0].text for item in items] == [m["content"] for m in messages]


def test_an_item_is_named_by_its_id(ask, fresh):
    first = ask(fresh("Name a fish."))
    again = ask([{"type": "item_reference", "id": first.output[0].id}, {"role": "user", "content": "And another."}])
    by_hand = ask([{"role": "assistant", "content": first.output_text}, {"role": "user", "content": "And another."}])
    assert again.output_text == by_hand.output_text


def finished(client, response, seconds=60):
    end = time.monotonic() + seconds
    while response.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.05)
        response = client.responses.retrieve(response.id)
        Response.model_validate(response.model_dump(exclude_unset=True, by_alias=True))
    return response


def test_in_the_background(ask, client, fresh):
    said = fresh("Tell me of the moon.")
    begun = ask(said, background=True)
    assert begun.status == "queued" and begun.output == []
    done = finished(client, begun)
    assert done.status in ("completed", "incomplete") and done.output_text == ask(said).output_text
    assert client.responses.cancel(begun.id).status == done.status


def test_the_background_is_cancelled(ask, client, fresh, idle):
    begun = ask(fresh("Count from one to a million."), background=True, max_output_tokens=4_000,
                extra_body={"permutation": {"cache": {"mode": "off"}}})
    assert client.responses.cancel(begun.id).status == "cancelled"
    idle()
    assert client.responses.retrieve(begun.id).status == "cancelled"


def test_what_is_kept_and_what_is_not(ask, client, fresh):
    answer = ask(fresh())
    assert client.responses.retrieve(answer.id).output_text == answer.output_text
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(ask(fresh(), store=False).id)
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        ask(fresh(), previous_response_id=answer.id)


@pytest.mark.parametrize(
    "options, field",
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom", "name": "patch"}]}, "tools[0].type"),
        ({"truncation": "auto"}, "truncation"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"extra_body": {"tempature": 1}}, "tempature"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": "long " * 10_000}]}, "input"),
        ({"model": "gpt-9"}, "model"),
    ],
)
def test_what_cant_be_done_is_refused_by_name(ask, options, field):
    with pytest.raises(openai.APIStatusError) as refused:
        ask(**{"said": "q", **({"said": options["input"]} if "input" in options else {}),
               **{k: v for k, v in options.items() if k != "input"}})
    assert refused.value.status_code in (400, 404)
    assert refused.value.param == field


def test_logprobs(ask, fresh):
    answer = ask(fresh(), top_logprobs=2, include=["message.output_text.logprobs"])
    (part,) = answer.output[0].content
    assert b"".join(bytes(one.bytes) for one in part.logprobs).decode() == part.text
    assert all(len(one.top_logprobs) == 2 for one in part.logprobs)


@pytest.mark.parametrize("model", ["permutation", "unified"])
def test_the_engines_answer_too(ask, fresh, model):
    answer = ask(fresh(), model=model)
    assert answer.output_text and answer.status in ("completed", "incomplete")
    assert events_of(ask(fresh(), model=model, stream=True))[-1].response.output_text
