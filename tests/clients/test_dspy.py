"""dspy: signatures by its adapters, streamed, and a loop of tools."""

import asyncio
import json

import dspy
import litellm
import pytest

from playing import call, says
from tools import FORECAST, Forecast, Place


def lm(base, model, **more):
    return dspy.LM(f"openai/{model}", api_base=base, api_key="none", cache=False, num_retries=0, **more)


class Answer(dspy.Signature):
    """Answer briefly."""

    question: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Weather(dspy.Signature):
    """Tell the weather."""

    question: str = dspy.InputField()
    forecast: Forecast = dspy.OutputField()


SAID = "[[ ## answer ## ]]\nIt is so.\n\n[[ ## completed ## ]]"


@pytest.mark.parametrize("engine", [{}, {"engine": "litellm"}], ids=["its own", "litellm"])
def test_plain(through, upstream, engine):
    def scenario(base, model):
        with dspy.context(lm=lm(base, model, temperature=0.7, max_tokens=50, **engine)):
            return dspy.Predict(Answer)(question="Is it?").answer

    assert through(scenario, says(SAID)) == "It is so."
    assert upstream.requests[-1]["temperature"] == 0.7


def test_streamed(through):
    async def ask(base, model):
        listener = dspy.streaming.StreamListener(signature_field_name="answer")
        with dspy.context(lm=lm(base, model)):
            program = dspy.streamify(dspy.Predict(Answer), stream_listeners=[listener])
            seen = [one async for one in program(question="Is it?")]
        return "".join(one.chunk for one in seen if isinstance(one, dspy.streaming.StreamResponse)), seen[-1].answer

    text, answer = through(lambda base, model: asyncio.run(ask(base, model)), says(SAID))
    assert answer == "It is so." and text.strip() == "It is so."


@pytest.mark.parametrize("adapter", [dspy.ChatAdapter, dspy.JSONAdapter])
def test_a_form(through, adapter):
    def scenario(base, model):
        with dspy.context(lm=lm(base, model), adapter=adapter()):
            return dspy.Predict(Weather)(question="Oslo?").forecast.model_dump(mode="json")

    text = json.dumps(FORECAST)
    chat = f"[[ ## forecast ## ]]\n{text}\n\n[[ ## completed ## ]]"
    assert through(scenario, says(chat if adapter is dspy.ChatAdapter else json.dumps({"forecast": FORECAST}))) == FORECAST


def test_native_tools(through, upstream):
    class Ask(dspy.Signature):
        question: str = dspy.InputField()
        tools: list[dspy.Tool] = dspy.InputField()
        calls: dspy.ToolCalls = dspy.OutputField()

    def weather(place: Place) -> str:
        """The weather of a place."""
        return f"{place.city}: rain"

    def scenario(base, model):
        # It asks litellm's table whether a model has tools: one that isn't in it is told of them in words.
        litellm.register_model({f"openai/{model}": {"litellm_provider": "openai", "mode": "chat", "supports_function_calling": True}})
        with dspy.context(lm=lm(base, model, engine="litellm"), adapter=dspy.ChatAdapter(use_native_function_calling=True)):
            made = dspy.Predict(Ask)(question="Oslo and Rome?", tools=[dspy.Tool(weather)]).calls.tool_calls
            return [(one.name, one.args) for one in made]

    places = [{"place": {"city": "Oslo", "country": "Norway"}}, {"place": {"city": "Rome", "country": "Italy"}}]
    turn = says(None, call("weather", places[0], 1), call("weather", places[1], 2))
    assert through(scenario, turn) == [("weather", places[0]), ("weather", places[1])]
    assert upstream.requests[-1]["tools"][0]["function"]["name"] == "weather"


def test_a_loop_of_tools(through, upstream):
    def scenario(base, model):
        def weather(city: str) -> str:
            """The weather of a city."""
            return f"{city}: rain"

        with dspy.context(lm=lm(base, model)):
            return dspy.ReAct(Answer, tools=[weather], max_iters=3)(question="Weather of Oslo?").answer

    def step(tool, arguments):
        fields = {"next_thought": "I look.", "next_tool_name": tool, "next_tool_args": json.dumps(arguments)}
        return says("\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in fields.items()) + "\n\n[[ ## completed ## ]]")

    last = says("[[ ## reasoning ## ]]\nIt was told.\n\n[[ ## answer ## ]]\nRain.\n\n[[ ## completed ## ]]")
    assert through(scenario, step("weather", {"city": "Oslo"}), step("finish", {}), last) == "Rain."
    assert any("Oslo: rain" in json.dumps(message) for message in upstream.requests[-1]["messages"])


@pytest.mark.real
def test_a_real_model(real):
    base, name = real
    # Without this it asks for any JSON object, and a small model gives any.
    litellm.register_model({f"openai/{name}": {"litellm_provider": "openai", "mode": "chat", "supports_response_schema": True}})
    with dspy.context(lm=lm(base, name, engine="litellm", temperature=0, max_tokens=200), adapter=dspy.JSONAdapter()):
        assert dspy.Predict(Answer)(question="What is the capital of France?").answer

        class Where(dspy.Signature):
            text: str = dspy.InputField()
            place: Place = dspy.OutputField()

        assert dspy.Predict(Where)(text="The Eiffel Tower stands in Paris, France.").place.city
