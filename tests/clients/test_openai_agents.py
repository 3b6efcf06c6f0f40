"""openai-agents, as it is by default (/v1/responses) and over chat: tools, forms, handoffs."""

import asyncio
import json

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

from playing import call, says
from tools import FORECAST, OSLO, ROME, Forecast, Place, Unit

set_tracing_disabled(True)
MODELS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


@pytest.fixture(params=MODELS)
def mode(request):
    return request.param


@pytest.fixture
def play(mode, through, translated):
    return through if mode == "chat" else translated


def agent(mode, base, model, **more):
    client = openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0)
    return Agent(name="Ann", instructions="Be brief.", model=MODELS[mode](model=model, openai_client=client), **more)


def asked(one, text="Hello.", streamed=False):
    """(final output, pieces of text, the last agent's name)"""

    async def run():
        if not streamed:
            done = await Runner.run(one, text)
            return done.final_output, [], done.last_agent.name
        done = Runner.run_streamed(one, text)
        pieces = []
        async for event in done.stream_events():
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                pieces.append(event.data.delta)
        return done.final_output, pieces, done.last_agent.name

    return asyncio.run(run())


def weather_tool(calls):
    @function_tool
    def weather(place: Place, unit: Unit) -> str:
        """The weather of a place."""
        calls.append((place.city, unit.value))
        return f"{place.city}: rain"

    return weather


def test_plain_and_streamed(play, mode, upstream):
    said = play(lambda base, model: asked(agent(mode, base, model)), says("It is so."))
    assert said == ("It is so.", [], "Ann")
    assert [message["role"] for message in upstream.requests[-1]["messages"]] == ["system", "user"]
    final, pieces, _ = play(lambda base, model: asked(agent(mode, base, model), streamed=True), says("It is so."))
    assert final == "".join(pieces) == "It is so." and len(pieces) > 1
    assert upstream.requests[-1]["stream"] is True


@pytest.mark.parametrize("streamed", [False, True])
def test_parallel_nested_tools(play, mode, upstream, streamed):
    def scenario(base, model):
        calls = []
        final, _, _ = asked(agent(mode, base, model, tools=[weather_tool(calls)]), "Oslo and Rome?", streamed)
        return final, sorted(calls)

    turns = says(None, call("weather", OSLO, 1), call("weather", ROME, 2)), says("Rain in both.")
    assert play(scenario, *turns) == ("Rain in both.", [("Oslo", "celsius"), ("Rome", "celsius")])
    first, second = upstream.requests[-2:]
    assert first["tools"][0]["function"]["name"] == "weather"
    place = first["tools"][0]["function"]["parameters"]["$defs"]["Place"]
    assert list(place["properties"]) == ["city", "country"]
    results = {message["tool_call_id"]: message["content"] for message in second["messages"] if message["role"] == "tool"}
    assert results == {"call_1": "Oslo: rain", "call_2": "Rome: rain"}
    (spoken,) = (message for message in second["messages"] if message.get("tool_calls"))
    assert [json.loads(one["function"]["arguments"]) for one in spoken["tool_calls"]] == [OSLO, ROME]


def test_a_required_tool_one_at_a_time(play, mode, upstream):
    def scenario(base, model):
        settings = ModelSettings(tool_choice="required", parallel_tool_calls=False, temperature=0.7, max_tokens=50)
        calls = []
        return asked(agent(mode, base, model, tools=[weather_tool(calls)], model_settings=settings))[0], calls

    assert play(scenario, says(None, call("weather", OSLO)), says("Rain.")) == ("Rain.", [("Oslo", "celsius")])
    first = upstream.requests[-2]
    assert (first["tool_choice"], first["parallel_tool_calls"], first["temperature"]) == ("required", False, 0.7)
    assert 50 in (first.get("max_tokens"), first.get("max_completion_tokens"))


def test_a_form(play, mode, upstream):
    def scenario(base, model):
        return asked(agent(mode, base, model, output_type=Forecast))[0].model_dump(mode="json")

    assert play(scenario, says(json.dumps(FORECAST))) == FORECAST
    form = upstream.requests[-1]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True
    assert list(form["json_schema"]["schema"]["properties"]) == ["place", "unit", "degrees"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_handoff(play, mode, upstream, streamed):
    def scenario(base, model):
        spanish = agent(mode, base, model).clone(name="Spanish", instructions="Answer in Spanish.")
        final, _, last = asked(agent(mode, base, model, handoffs=[spanish]), "¿Qué tal?", streamed)
        return final, last

    assert play(scenario, says(None, call("transfer_to_spanish", {})), says("Bien.")) == ("Bien.", "Spanish")
    first, second = upstream.requests[-2:]
    assert "transfer_to_spanish" in [tool["function"]["name"] for tool in first["tools"]]
    assert second["messages"][0]["content"] == "Answer in Spanish."


def test_by_default(translated):
    """As its first page says it: a client, an agent with a model's name, no mode."""
    from agents import RunConfig, set_default_openai_client

    def scenario(base, model):
        set_default_openai_client(openai.AsyncOpenAI(base_url=base, api_key="none"), use_for_tracing=False)
        one = Agent(name="Ann", instructions="Be brief.", model=f"openai/{model}")
        return asyncio.run(Runner.run(one, "Hello.", run_config=RunConfig(tracing_disabled=True))).final_output

    assert translated(scenario, says("It is so.")) == "It is so."


def test_a_refusal_has_its_words(play, mode):
    def scenario(base, model):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            asked(agent(mode, base, model))
        return refused.value.code

    assert play(scenario, 403) == "a_code"


@pytest.mark.real
def test_a_real_model(mode, real):
    base, name = real
    settings = ModelSettings(temperature=0, max_tokens=400)  # an answer that is cut is an error of its Responses stream
    final, _, _ = asked(agent(mode, base, name, model_settings=settings), "Say hello.")
    streamed, pieces, _ = asked(agent(mode, base, name, model_settings=settings), "Say hello.", streamed=True)
    assert final and streamed == "".join(pieces) == final
    form = agent(mode, base, name, model_settings=settings, output_type=Place)
    place = asked(form, "Where is the Eiffel Tower?")[0]
    assert isinstance(place, Place) and place.city
    calls = []
    required = ModelSettings(temperature=0, max_tokens=80, tool_choice="required", parallel_tool_calls=False)
    with_tool = agent(mode, base, name, tools=[weather_tool(calls)], model_settings=required, tool_use_behavior="stop_on_first_tool")
    said = asked(with_tool, "What is the weather in Oslo, Norway, in celsius?")[0]
    assert len(calls) == 1 and said == f"{calls[0][0]}: rain", (said, calls)
