"""anthropic's own client: text, streams, tools with their results, thinking, forms, counting."""

import json

import anthropic
import pytest

from playing import call, says
from tools import FORECAST, OSLO, ROME, Forecast

HELLO = [{"role": "user", "content": "Hello."}]
SCHEMA = Forecast.model_json_schema()
TOOLS = [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}]
BOTH = says("I look.", call("weather", OSLO, 1), call("weather", ROME, 2))


def client_of(base):
    return anthropic.Anthropic(base_url=base.removesuffix("/v1"), api_key="none", max_retries=0)


def options(temperature=None, **more):
    """This client has no argument for a temperature."""
    return {"max_tokens": 50, **more, **({} if temperature is None else {"extra_body": {"temperature": temperature}})}


def ask(base, model, messages=HELLO, **more):
    return client_of(base).messages.create(model=model, messages=messages, **options(**more))


def stream(base, model, messages=HELLO, **more):
    with client_of(base).messages.stream(model=model, messages=messages, **options(**more)) as events:
        return list(events.text_stream), events.get_final_message()


def calls_of(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def test_plain_and_streamed(translated, upstream):
    more = {"system": "Be brief.", "temperature": 0.7, "stop_sequences": ["END"]}
    answer = translated(lambda base, model: ask(base, model, **more), says("It is so."))
    assert answer.content[0].text == "It is so." and answer.stop_reason == "end_turn" and answer.usage.output_tokens == 3
    sent = upstream.requests[-1]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent["stop"], sent["max_tokens"]) == (0.7, ["END"], 50)
    pieces, last = translated(stream, says("It is so."))
    assert pieces == ["It ", "is ", "so."] and last.content[0].text == "It is so."


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("choice", "chat"), [({"type": "auto"}, "auto"), ({"type": "any"}, "required"),
                                              ({"type": "tool", "name": "weather"}, {"type": "function", "function": {"name": "weather"}})])  # fmt: skip
def test_parallel_nested_tools(translated, upstream, streamed, choice, chat):
    def scenario(base, model):
        more = {"tools": TOOLS, "tool_choice": choice}
        return stream(base, model, **more)[1] if streamed else ask(base, model, **more)

    message = translated(scenario, BOTH)
    assert calls_of(message) == [("weather", OSLO), ("weather", ROME)] and message.stop_reason == "tool_use"
    assert message.content[0].text == "I look."
    sent = upstream.requests[-1]
    assert sent["tool_choice"] == chat and sent["tools"][0]["function"]["parameters"] == SCHEMA


def test_results_go_back(translated, upstream):
    def scenario(base, model):
        said = ask(base, model, tools=TOOLS)
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": f"{block.input['place']['city']}: rain"}
                   for block in said.content if block.type == "tool_use"]  # fmt: skip
        history = [*HELLO, {"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        return ask(base, model, history, tools=TOOLS).content[0].text

    assert translated(scenario, BOTH, says("Rain in both.")) == "Rain in both."
    told = upstream.requests[-1]["messages"]
    assert [message["role"] for message in told] == ["user", "assistant", "tool", "tool"]
    assert [message["content"] for message in told[2:]] == ["Oslo: rain", "Rome: rain"]
    assert [json.loads(one["function"]["arguments"]) for one in told[1]["tool_calls"]] == [OSLO, ROME]


def test_a_form(translated, upstream):
    def scenario(base, model):
        said = client_of(base).messages.parse(model=model, messages=HELLO, max_tokens=100, output_format=Forecast)
        return said.parsed_output.model_dump(mode="json")

    assert translated(scenario, says(json.dumps(FORECAST))) == FORECAST
    schema = upstream.requests[-1]["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["place", "unit", "degrees"]


def test_one_call_at_a_time(translated, upstream):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    translated(lambda base, model: ask(base, model, tools=TOOLS, tool_choice=choice), says("No."))
    assert upstream.requests[-1]["parallel_tool_calls"] is False


def test_thinking_comes_back(translated, upstream):
    def scenario(base, model):
        return ask(base, model, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)

    answer = translated(scenario, says("It is so.", reasoning_content="I must look."))
    assert [block.type for block in answer.content] == ["thinking", "text"] and answer.content[0].thinking == "I must look."
    assert upstream.requests[-1]["reasoning_effort"] == "low"


def test_a_refusal_has_its_words(translated):
    with pytest.raises(anthropic.PermissionDeniedError, match="It is refused."):
        translated(ask, 403)


@pytest.mark.real
def test_a_real_model(real):
    base, name = real
    said = ask(base, name, temperature=0, max_tokens=20).content[0].text
    assert said and "".join(stream(base, name, temperature=0, max_tokens=20)[0]) == said
    tool = {"name": "weather", "description": "The weather", "input_schema": SCHEMA["$defs"]["Place"]}
    question = [{"role": "user", "content": "What is the weather in Oslo, Norway?"}]
    ((called, arguments),) = calls_of(ask(base, name, question, tools=[tool], temperature=0, max_tokens=60,
                                          tool_choice={"type": "any", "disable_parallel_tool_use": True}))  # fmt: skip
    assert called == "weather" and arguments["city"]
    assert client_of(base).messages.count_tokens(model=name, messages=HELLO).input_tokens > 5
