"""tools, tool_choice and response_format on the local model: the grammar makes the form certain."""

import json

import openai
import pytest

from server import MODEL, chat, streamed

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
        },
    },
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_a_schema_is_followed(client, fresh):
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    answer = chat(client, fresh("Describe a person called Ann who is 42."), max_tokens=100, response_format=schema)
    assert answer.choices[0].finish_reason == "stop"
    person = json.loads(answer.choices[0].message.content)
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_json_object_is_json(client, fresh, temperature):
    answer = chat(client, fresh("Give me JSON with a key a."), max_tokens=200, temperature=temperature, seed=3,
                  response_format={"type": "json_object"})
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    else:
        assert answer.choices[0].message.content.lstrip().startswith("{")


def test_the_official_client_parses_it(client):
    pydantic = pytest.importorskip("pydantic")

    class Person(pydantic.BaseModel):
        name: str
        age: int

    answer = client.chat.completions.parse(
        model=MODEL, temperature=0, max_tokens=100, response_format=Person,
        messages=[{"role": "user", "content": "Describe Bob, who is 30 years old."}],
    )
    assert answer.choices[0].message.parsed.age >= 0


def in_pieces(chunks):
    """The streamed calls: [(name, arguments)]. Each begins with its id and name, and its arguments follow."""
    calls = {}
    for piece in (c for chunk in chunks if chunk.choices for c in chunk.choices[0].delta.tool_calls or []):
        if piece.index not in calls:
            assert piece.id.startswith("call_") and piece.function.name
            calls[piece.index] = [piece.function.name, ""]
        else:
            assert not piece.id and not piece.function.name
        calls[piece.index][1] += piece.function.arguments or ""
    return [tuple(calls[index]) for index in sorted(calls)]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=["required", "named"]
)
def test_a_required_call_is_a_call(client, fresh, stream, choice):
    answer = chat(client, fresh("What is the weather in Oslo?"), max_tokens=100, tools=[WEATHER],
                  tool_choice=choice, stream=stream)
    if stream:
        chunks = list(answer)
        assert not any(c.choices[0].delta.content for c in chunks if c.choices)
        name, text = in_pieces(chunks)[0]
    else:
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.choices[0].message.content is None
        call = answer.choices[0].message.tool_calls[0].function
        name, text = call.name, call.arguments
    assert name == "get_weather"
    arguments = json.loads(text)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "fahrenheit")


def test_the_choice_may_be_text(client, fresh):
    answer = chat(client, fresh("Say hello."), tools=[WEATHER], tool_choice="auto")
    message = answer.choices[0].message
    assert message.content or message.tool_calls
    none = chat(client, fresh("Say hello."), tools=[WEATHER], tool_choice="none")
    assert none.choices[0].message.content
    assert not none.choices[0].message.tool_calls


def test_a_calls_result_goes_back_to_the_model(client, fresh):
    first = chat(client, fresh("Weather in Oslo?"), tools=[WEATHER], tool_choice="required", max_tokens=100)
    call = first.choices[0].message.tool_calls[0]
    answer = client.chat.completions.create(
        model=MODEL, temperature=0, max_tokens=40, tools=[WEATHER], tool_choice="none",
        messages=[
            {"role": "user", "content": "Weather in Oslo?"},
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "It rains, 7 degrees."},
        ],
    )
    assert answer.choices[0].message.content


def test_a_tool_answer_is_cached_as_a_call(client, fresh):
    text = fresh("Weather in Bergen?")
    answers = [chat(client, text, tools=[WEATHER], tool_choice="required", max_tokens=100) for _ in range(2)]
    assert answers[1].model_extra["permutation"]["cache"]["status"] == "hit"
    assert answers[0].choices[0].message.tool_calls == answers[1].choices[0].message.tool_calls


def test_streamed_json_is_the_same(client, fresh):
    text = fresh("JSON please.")
    options = {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}},
               "max_tokens": 100, "seed": 1, "extra_body": {"permutation": {"cache": {"mode": "off"}}}}
    said, _, _ = streamed(chat(client, text, stream=True, **options))
    assert said == chat(client, text, **options).choices[0].message.content


def test_a_mistake_names_its_field(client, fresh):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, fresh(), tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "nobody"}})
    assert caught.value.param == "tool_choice.function.name"


def led(said):
    """A chat whose course leads the model to write `said` again."""
    turns = []
    for _ in range(3):
        turns += [{"role": "user", "content": "Weather in Bergen?"}, {"role": "assistant", "content": said}]
    return turns + [{"role": "user", "content": "Weather in Bergen?"}]


CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "unit": "celsius"}}\n</tool_call>'
BARE = '{"name": "get_weather", "arguments": {"city": "Oslo", "unit": "celsius"}}'
DRESSES = {
    "after text": "I will look at the sky.\n" + CALL,
    "after a line break": "\n" + CALL,
    "after thinking": "<think>\nThe user wants weather.\n</think>\n" + CALL,
    "bare": BARE,
    "in a fence": "```json\n" + BARE + "\n```",
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_is_found_in_any_dress(client, dress, stream):
    answer = client.chat.completions.create(model=MODEL, temperature=0, max_tokens=90, tools=[WEATHER], messages=led(DRESSES[dress]),
                                            stream=stream, extra_body={"permutation": {"cache": {"mode": "off"}}})
    if stream:
        chunks = list(answer)
        calls = in_pieces(chunks)
        content = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        reason = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    else:
        message = answer.choices[0].message
        calls = [(call.function.name, call.function.arguments) for call in message.tool_calls or []]
        content, reason = message.content or "", [answer.choices[0].finish_reason]
    assert calls and calls[0][0] == "get_weather", content
    assert json.loads(calls[0][1])["city"]
    assert reason == ["tool_calls"]
    assert "tool_call" not in content and "{" not in content and "`" not in content and "think" not in content
    assert ("sky" in content) == (dress == "after text")


def test_one_call_where_more_are_not_wanted(client):
    answer = client.chat.completions.create(model=MODEL, temperature=0, max_tokens=120, tools=[WEATHER], parallel_tool_calls=False,
                                            messages=led(CALL + "\n" + CALL), extra_body={"permutation": {"cache": {"mode": "off"}}})
    assert len(answer.choices[0].message.tool_calls) == 1


@pytest.mark.parametrize("limit", [3, 8, 14, 20])
def test_a_call_that_the_limit_cuts_shows_no_markup(client, fresh, limit):
    answer = chat(client, fresh("Weather in Oslo?"), tools=[WEATHER], tool_choice="required", max_tokens=limit)
    choice = answer.choices[0]
    assert choice.finish_reason == "length"
    assert not choice.message.content
    for call in choice.message.tool_calls or []:
        assert call.function.name == "get_weather"


def test_only_allowed_tools_are_called(client, fresh):
    other = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "get_time"}}]}}
    answer = chat(client, fresh("Weather in Oslo?"), tools=[WEATHER, other], tool_choice=choice, max_tokens=60)
    assert {call.function.name for call in answer.choices[0].message.tool_calls} == {"get_time"}


def test_a_long_argument_is_streamed_as_it_is_written(client, fresh):
    note = {"type": "function", "function": {"name": "note", "parameters": {
        "type": "object", "properties": {"text": {"type": "string", "minLength": 120, "maxLength": 160}}, "required": ["text"]}}}
    pieces = [call for chunk in chat(client, fresh("Write about a fox."), tools=[note], tool_choice="required", max_tokens=120, stream=True)
              if chunk.choices for call in chunk.choices[0].delta.tool_calls or []]
    assert len(pieces) > 8
    assert pieces[0].function.name == "note"
