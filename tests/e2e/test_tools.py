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
        (call,) = [c for chunk in chunks if chunk.choices for c in chunk.choices[0].delta.tool_calls or []]
    else:
        assert answer.choices[0].finish_reason == "tool_calls"
        assert answer.choices[0].message.content is None
        (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
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
               "max_tokens": 100, "extra_body": {"permutation": {"cache": {"mode": "off"}}}}
    said, _, _ = streamed(chat(client, text, stream=True, **options))
    assert said == chat(client, text, **options).choices[0].message.content


def test_a_mistake_names_its_field(client, fresh):
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, fresh(), tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "nobody"}})
    assert caught.value.param == "tool_choice.function.name"
