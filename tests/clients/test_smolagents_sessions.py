"""Sessions of smolagents' agents by each API: chat by its own model, /v1/messages and /v1/responses by litellm."""

import json

import pytest
from smolagents import CodeAgent, LiteLLMModel, OpenAIServerModel, ToolCallingAgent, tool

from playing import call, says
from sessions import check_growth, messages_of, told
from tools import OSLO, ROME

APIS = ["chat", "messages", "responses"]


@tool
def weather(place: dict, unit: str) -> str:
    """The weather of a place.

    Args:
        place: its city and country
        unit: celsius or fahrenheit
    """
    return f"{place['city']}: rain"


def model_of(api, base, model, **more):
    more = {"api_key": "none", "temperature": 0, "max_tokens": 200, **more}
    if api == "chat":
        return OpenAIServerModel(model_id=model, api_base=base, client_kwargs={"max_retries": 0}, **more)
    if api == "messages":
        return LiteLLMModel(model_id=f"anthropic/{model}", api_base=base.removesuffix("/v1"), num_retries=0, **more)
    return LiteLLMModel(model_id=f"openai/responses/{model}", api_base=base, num_retries=0, **more)


def answer(text, number):
    return says(None, call("final_answer", {"answer": text}, number))


# Their ids are not numbers alone: litellm would take the item's id for such a one.
TOOL_TURNS = [
    says("I look.", call("weather", OSLO, "a1")), answer("Rain.", "a2"),
    says(None, call("weather", ROME, "a3"), call("weather", {**OSLO, "unit": "fahrenheit"}, "a4")), answer("Rain in both.", "a5"),
    answer("Nowhere else.", "a6"),
]  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("api", APIS)
def test_tools(session, api, streamed):
    def scenario(api, base, model):
        agent = ToolCallingAgent(tools=[weather], model=model_of(api, base, model), verbosity_level=0, max_steps=4,
                                 stream_outputs=streamed, max_tool_threads=1)  # fmt: skip
        return [agent.run("Weather of Oslo?"), agent.run("And of Rome?", reset=False), agent.run("And anywhere?", reset=False)]

    answers, bodies = session(scenario, api, *TOOL_TURNS)
    assert answers == ["Rain.", "Rain in both.", "Nowhere else."]
    check_growth(bodies, TOOL_TURNS)
    whole = "\n".join(told(json.loads(one))[1] for one in messages_of(bodies[-1]))
    at = [whole.index(one) for one in ("Weather of Oslo?", "call_a1", "Oslo: rain", "And of Rome?", "call_a3", "call_a4", "Rome: rain", "And anywhere?")]
    assert at == sorted(at)
    asked = json.loads(bodies[-1])
    if api != "responses":  # which litellm streams, or asks for whole and cuts into pieces, as it knows the model's name
        assert asked.get("stream", False) == streamed
    assert {one["function"]["name"] for one in asked["tools"]} == {"weather", "final_answer"} and asked["tool_choice"] == "required"


CODE_TURNS = [
    says("Thought: I compute.\n<code>\nx = 6 * 7\nprint('so far', x)\n</code>"),
    says("Thought: I go on.\n<code>\nprint(y)\n</code>"),
    says("Thought: y is unknown.\n<code>\nfinal_answer(x + 1)\n</code>"),
    says("Thought: I remember x.\n<code>\nfinal_answer(x)\n</code>"),
]


@pytest.mark.parametrize("api", APIS)
def test_code(session, api):
    def scenario(api, base, model):
        agent = CodeAgent(tools=[], model=model_of(api, base, model), verbosity_level=0, max_steps=4)
        return [agent.run("What is 6 times 7, and one more?"), agent.run("And x?", reset=False)]

    answers, bodies = session(scenario, api, *CODE_TURNS)
    assert answers == [43, 42]
    check_growth(bodies, [says(turn["content"].partition("</code>")[0]) for turn in CODE_TURNS])
    whole = "\n".join(told(json.loads(one))[1] for one in messages_of(bodies[-1]))
    assert "so far 42" in whole and "`y` is not defined" in whole
