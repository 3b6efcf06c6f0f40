"""litellm calls us by each of our three APIs: chat, /v1/responses, /v1/messages."""

import asyncio
import json

import litellm
import pytest

from playing import call, says
from tools import FORECAST, OSLO, ROME, Forecast

HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."}]
SCHEMA = {"type": "object", "properties": {"place": {"$ref": "#/$defs/Place"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
          "required": ["place", "unit"], "$defs": {"Place": Forecast.model_json_schema()["$defs"]["Place"]}}  # fmt: skip
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": SCHEMA}}]
RESPONSE_TOOLS = [{"type": "function", "name": "weather", "description": "The weather", "parameters": SCHEMA}]
MESSAGE_TOOLS = [{"name": "weather", "description": "The weather", "input_schema": SCHEMA}]
BOTH = says(None, call("weather", OSLO, 1), call("weather", ROME, 2))


def chat(base, model, messages=HELLO, **more):
    return litellm.completion(f"openai/{model}", messages, api_base=base, api_key="none", num_retries=0, **more)


def by_messages(base, model, messages=HELLO, **more):
    """The chat form, sent as Anthropic's."""
    root = base.removesuffix("/v1")
    return litellm.completion(f"anthropic/{model}", messages, api_base=root, api_key="none", num_retries=0, **{"max_tokens": 50, **more})


def responses(base, model, **more):
    return litellm.responses(model=f"openai/{model}", input="Hello.", api_base=base, api_key="none", num_retries=0, **more)


def calls_of(answer):
    return [(one.function.name, json.loads(one.function.arguments)) for one in answer.choices[0].message.tool_calls]


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_chat(through, upstream):
    said = through(lambda base, model: chat(base, model, temperature=0.7, seed=5000000000).choices[0].message.content, says("It is so."))
    assert said == "It is so." and upstream.requests[-1]["seed"] == 5_000_000_000
    assert through(lambda base, model: text_of(chat(base, model, stream=True)), says("It is so.")) == "It is so."


def test_chat_tools_and_forms(through, upstream):
    made = through(lambda base, model: calls_of(chat(base, model, tools=CHAT_TOOLS, tool_choice="required")), BOTH)
    assert made == [("weather", OSLO), ("weather", ROME)]
    assert upstream.requests[-1]["tools"] == CHAT_TOOLS

    def form(base, model):
        return json.loads(chat(base, model, response_format=Forecast).choices[0].message.content)

    assert through(form, says(json.dumps(FORECAST))) == FORECAST
    assert upstream.requests[-1]["response_format"]["type"] == "json_schema"

    def streamed(base, model):
        chunks = list(chat(base, model, tools=CHAT_TOOLS, stream=True))
        return calls_of(litellm.stream_chunk_builder(chunks, messages=HELLO))

    assert through(streamed, BOTH) == [("weather", OSLO), ("weather", ROME)]


@pytest.mark.parametrize("streamed", [False, True])
def test_responses(translated, upstream, streamed):
    def plain(base, model):
        if not streamed:
            return responses(base, model, instructions="Be brief.").output[0].content[0].text
        events = list(responses(base, model, instructions="Be brief.", stream=True))
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")

    assert translated(plain, says("It is so.")) == "It is so."
    assert [message["role"] for message in upstream.requests[-1]["messages"]] == ["system", "user"]

    def tools(base, model):
        done = responses(base, model, tools=RESPONSE_TOOLS, tool_choice="required", stream=streamed)
        if streamed:
            (done,) = (event.response for event in done if event.type == "response.completed")
        return [(one.name, json.loads(one.arguments)) for one in done.output if one.type == "function_call"]

    assert translated(tools, BOTH) == [("weather", OSLO), ("weather", ROME)]
    sent = upstream.requests[-1]
    assert sent["tools"][0]["function"]["parameters"] == SCHEMA and sent["tool_choice"] == "required"


def test_a_form_by_responses(translated, upstream):
    form = {"format": {"type": "json_schema", "name": "forecast", "strict": False, "schema": Forecast.model_json_schema()}}
    said = translated(lambda base, model: responses(base, model, text=form).output[0].content[0].text, says(json.dumps(FORECAST)))
    assert json.loads(said) == FORECAST
    assert upstream.requests[-1]["response_format"]["json_schema"]["schema"] == Forecast.model_json_schema()


@pytest.mark.parametrize("streamed", [False, True])
def test_messages(translated, upstream, streamed):
    def plain(base, model):
        said = by_messages(base, model, stream=streamed)
        return text_of(said) if streamed else said.choices[0].message.content

    assert translated(plain, says("It is so.")) == "It is so."

    def tools(base, model):
        said = by_messages(base, model, tools=CHAT_TOOLS, tool_choice="required", stream=streamed)
        return calls_of(litellm.stream_chunk_builder(list(said), messages=HELLO) if streamed else said)

    assert translated(tools, BOTH) == [("weather", OSLO), ("weather", ROME)]
    assert upstream.requests[-1]["tool_choice"] == "required"


def test_messages_in_their_own_form(translated, upstream):
    def scenario(base, model):
        made = litellm.anthropic.messages.acreate(
            model=f"anthropic/{model}", messages=HELLO[1:], max_tokens=50, tools=MESSAGE_TOOLS, tool_choice={"type": "any"},
            api_base=base.removesuffix("/v1"), api_key="none",
        )  # fmt: skip
        said = asyncio.run(made)
        return [(one["name"], one["input"]) for one in said["content"] if one["type"] == "tool_use"]

    assert translated(scenario, BOTH) == [("weather", OSLO), ("weather", ROME)]
    assert upstream.requests[-1]["tools"][0]["function"]["parameters"] == SCHEMA


def test_its_errors_are_ours(translated):
    for ask in (chat, responses, by_messages):
        with pytest.raises((litellm.PermissionDeniedError, litellm.BadRequestError, litellm.APIError)) as refused:
            translated(ask, 403)
        assert "It is refused." in str(refused.value)


@pytest.mark.real
def test_a_real_model(real):
    base, name = real
    question = [{"role": "user", "content": "What is the weather in Oslo, Norway, in celsius?"}]
    for ask in (chat, by_messages):
        said = ask(base, name, temperature=0, max_tokens=20).choices[0].message.content
        assert said and text_of(ask(base, name, temperature=0, max_tokens=20, stream=True)) == said
        ((called, arguments),) = calls_of(ask(base, name, question, tools=CHAT_TOOLS, tool_choice="required", temperature=0, max_tokens=90))
        assert called == "weather" and arguments["place"]["city"]
    form = {"format": {"type": "json_schema", "name": "place", "strict": True, "schema": SCHEMA["$defs"]["Place"]}}
    said = responses(base, name, temperature=0, max_output_tokens=60, text=form).output[0].content[0].text
    assert "city" in json.loads(said)
