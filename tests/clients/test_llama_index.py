"""llama-index's OpenAILike: chat, text completions, tools, forms."""

import asyncio
import json

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

from playing import call, says
from tools import FORECAST, OSLO, ROME, Forecast, Place, Unit

HELLO = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello.")]


def llm(base, model, **more):
    options = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 4096, "max_retries": 0, **more}
    return OpenAILike(model=model, api_base=base, api_key="none", **options)


def weather(place: Place, unit: Unit) -> str:
    """The weather of a place."""
    return f"{place['city'] if isinstance(place, dict) else place.city}: rain"


WEATHER = FunctionTool.from_defaults(fn=weather)


def test_plain_and_streamed(through, upstream):
    def scenario(base, model):
        return llm(base, model, temperature=0.7, max_tokens=50).chat(HELLO).message.content

    assert through(scenario, says("It is so.")) == "It is so."
    assert b'"temperature":0.7' in upstream.bytes[-1] and upstream.requests[-1]["max_tokens"] == 50
    pieces = through(lambda base, model: [one.delta for one in llm(base, model).stream_chat(HELLO) if one.delta], says("It is so."))
    assert pieces == ["It ", "is ", "so."]


def test_asynchronously(through):
    async def ask(base, model):
        return [one.delta async for one in await llm(base, model).astream_chat(HELLO) if one.delta]

    pieces = through(lambda base, model: asyncio.run(ask(base, model)), says("It is so."))
    assert pieces == ["It ", "is ", "so."]


@pytest.mark.parametrize("required", [False, True])
def test_parallel_nested_tools(through, upstream, required):
    def scenario(base, model):
        one = llm(base, model)
        answer = one.chat_with_tools([WEATHER], "Oslo and Rome?", allow_parallel_tool_calls=True, tool_required=required)
        return [(made.tool_name, made.tool_kwargs) for made in one.get_tool_calls_from_response(answer)]

    made = through(scenario, says(None, call("weather", OSLO, 1), call("weather", ROME, 2)))
    assert made == [("weather", OSLO), ("weather", ROME)]
    sent = upstream.requests[-1]
    assert sent["tool_choice"] == ("required" if required else "auto") and sent["parallel_tool_calls"] is True
    assert list(sent["tools"][0]["function"]["parameters"]["$defs"]["Place"]["properties"]) == ["city", "country"]


def test_predict_and_call(through, upstream):
    def scenario(base, model):
        return str(llm(base, model).predict_and_call([WEATHER], "Oslo?"))

    assert through(scenario, says(None, call("weather", OSLO))) == "Oslo: rain"


@pytest.mark.parametrize("by_schema", [False, True])
def test_a_form(through, upstream, by_schema):
    def scenario(base, model):
        one = llm(base, model, should_use_structured_outputs=by_schema)
        return one.structured_predict(Forecast, PromptTemplate("Weather of {city}?"), city="Oslo").model_dump(mode="json")

    turn = says(json.dumps(FORECAST)) if by_schema else says(None, call("Forecast", FORECAST))
    assert through(scenario, turn) == FORECAST
    assert by_schema == ("response_format" in upstream.requests[-1])


@pytest.mark.real
def test_a_real_model(real):
    base, name = real
    one = llm(base, name, temperature=0, max_tokens=80)
    said = one.chat(HELLO).message.content
    assert said and "".join(piece.delta or "" for piece in one.stream_chat(HELLO)) == said
    answer = one.chat_with_tools([WEATHER], "What is the weather in Oslo, Norway, in celsius?", tool_required=True)
    (made,) = one.get_tool_calls_from_response(answer)
    assert made.tool_name == "weather" and made.tool_kwargs["place"]["city"]
    place = one.structured_predict(Place, PromptTemplate("Where is the {thing}?"), thing="Eiffel Tower")
    assert place.city


@pytest.mark.real
def test_a_real_model_goes_on_from_a_text(real):
    base, name = real
    one = llm(base, name, is_chat_model=False, is_function_calling_model=False, temperature=0, max_tokens=12)
    said = one.complete("def add(a, b):\n    return").text
    assert said and "".join(piece.delta or "" for piece in one.stream_complete("def add(a, b):\n    return")) == said
