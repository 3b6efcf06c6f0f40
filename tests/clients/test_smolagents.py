"""smolagents: its model alone, an agent that calls tools, an agent that writes code."""

import json

import pytest
from smolagents import ChatMessage, CodeAgent, OpenAIServerModel, ToolCallingAgent, tool

from playing import call, says
from tools import FORECAST, OSLO, Forecast, Place

HELLO = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello.")]


@tool
def weather(place: dict, unit: str) -> str:
    """The weather of a place.

    Args:
        place: its city and country
        unit: celsius or fahrenheit
    """
    return f"{place['city']}: rain"


def model_of(base, model, **more):
    return OpenAIServerModel(model_id=model, api_base=base, api_key="none", client_kwargs={"max_retries": 0}, **more)


def test_plain_and_streamed(through, upstream):
    assert through(lambda base, model: model_of(base, model, temperature=0.7)(HELLO).content, says("It is so.")) == "It is so."
    assert upstream.requests[-1]["temperature"] == 0.7

    def stream(base, model):
        return [piece.content for piece in model_of(base, model).generate_stream(HELLO) if piece.content]

    assert through(stream, says("It is so.")) == ["It ", "is ", "so."]


def test_a_form(through, upstream):
    schema = {"type": "json_schema", "json_schema": {"name": "forecast", "schema": Forecast.model_json_schema()}}

    def scenario(base, model):
        return json.loads(model_of(base, model).generate(HELLO, response_format=schema).content)

    assert through(scenario, says(json.dumps(FORECAST))) == FORECAST
    assert upstream.requests[-1]["response_format"] == schema


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_calls(through, upstream, choice):
    def scenario(base, model):
        said = model_of(base, model, tool_choice=choice).generate(HELLO, tools_to_call_from=[weather])
        return [(one.function.name, one.function.arguments) for one in said.tool_calls]

    ((name, arguments),) = through(scenario, says(None, call("weather", OSLO)))
    assert name == "weather" and (arguments if isinstance(arguments, dict) else json.loads(arguments)) == OSLO
    assert upstream.requests[-1]["tool_choice"] == choice


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_of_tools(through, upstream, streamed):
    def scenario(base, model):
        agent = ToolCallingAgent(tools=[weather], model=model_of(base, model), verbosity_level=0, max_steps=3, stream_outputs=streamed)
        return agent.run("Weather of Oslo?")

    turns = says(None, call("weather", OSLO, 1)), says(None, call("final_answer", {"answer": "Rain."}, 2))
    assert through(scenario, *turns) == "Rain."
    first, second = upstream.requests
    assert first["tool_choice"] == "required" and "weather" in [one["function"]["name"] for one in first["tools"]]
    assert "Oslo: rain" in json.dumps(second["messages"])


def test_parallel_calls(through, upstream):
    def scenario(base, model):
        agent = ToolCallingAgent(tools=[weather], model=model_of(base, model), verbosity_level=0, max_steps=3)
        return agent.run("Weather of Oslo and Rome?")

    rome = {"place": {"city": "Rome", "country": "Italy"}, "unit": "celsius"}
    both = says("I look.", call("weather", OSLO, 1), call("weather", rome, 2))
    assert through(scenario, both, says(None, call("final_answer", {"answer": "Rain."}, 3))) == "Rain."
    told = json.dumps(upstream.requests[-1]["messages"])
    assert "Oslo: rain" in told and "Rome: rain" in told


def test_an_agent_of_code(through, upstream):
    def scenario(base, model):
        return CodeAgent(tools=[], model=model_of(base, model), verbosity_level=0, max_steps=2).run("What is 6 times 7?")

    assert through(scenario, says("Thought: I compute.\n<code>\nfinal_answer(6 * 7)\n</code>")) == 42
    assert upstream.requests[-1]["stop"]


@pytest.mark.real
def test_a_real_model(real):
    base, name = real
    model = model_of(base, name, temperature=0, max_tokens=60)
    said = model(HELLO).content
    assert said and "".join(piece.content or "" for piece in model.generate_stream(HELLO)) == said
    schema = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": Place.model_json_schema()}}
    question = [ChatMessage(role="user", content="Where is the Eiffel Tower?")]
    assert Place.model_validate_json(model.generate(question, response_format=schema).content).city
    called = model.generate(question, tools_to_call_from=[weather]).tool_calls
    assert called and called[0].function.name == "weather"
