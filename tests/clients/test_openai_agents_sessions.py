"""Sessions of openai-agents by chat and by /v1/responses: two agents hand a conversation to each other. By Responses also
with the server keeping what was said (previous_response_id)."""

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
    handoff,
    set_tracing_disabled,
)

from playing import call, says
from sessions import check_growth, check_pairs, messages_of
from tools import OSLO, ROME, Place, Unit

set_tracing_disabled(True)


@function_tool
def weather(place: Place, unit: Unit) -> str:
    """The weather of a place."""
    return f"{place.city}: rain"


@function_tool
def umbrella() -> str:
    """Whether there is an umbrella."""
    return "There is one."


def agents(api, base, model):
    """The first of two, each of whom can hand over to the other."""
    client = openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0)
    kind = OpenAIChatCompletionsModel if api == "chat" else OpenAIResponsesModel
    same = {"model": kind(model=model, openai_client=client), "model_settings": ModelSettings(temperature=0, max_tokens=200)}
    front = Agent(name="Front", instructions="Send each to who knows.", tools=[umbrella], **same)
    expert = Agent(name="Expert", instructions="You know the weather.", tools=[weather], handoffs=[handoff(front)], **same)
    front.handoffs = [handoff(expert)]
    return front


QUESTIONS = ["Weather of Oslo?", "And of Rome, in both units?", "Is there an umbrella?", "Thanks."]
TURNS = [
    says(None, call("transfer_to_expert", {}, "a1")), says("I look.", call("weather", OSLO, "a2")), says("Rain in Oslo."),
    says(None, call("weather", ROME, "a3"), call("weather", {**ROME, "unit": "fahrenheit"}, "a4")), says("Rain in Rome."),
    says(None, call("transfer_to_front", {}, "a5")), says(None, call("umbrella", {}, "a6")), says("There is."),
    says("You're welcome."),
]  # fmt: skip
ANSWERS = [("Rain in Oslo.", "Expert"), ("Rain in Rome.", "Expert"), ("There is.", "Front"), ("You're welcome.", "Front")]


async def conversation(api, base, model, streamed, kept):
    """(what was said, by whom) of each turn. `kept`: by the server, so that only what is new is sent."""
    kept = kept and api != "chat"
    one, history, last, out = agents(api, base, model), [], None, []
    for question in QUESTIONS:
        given = question if kept else [*history, {"role": "user", "content": question}]
        more = {"previous_response_id": last, "auto_previous_response_id": True} if kept else {}
        if streamed:
            done = Runner.run_streamed(one, given, **more)
            async for _ in done.stream_events():
                pass
        else:
            done = await Runner.run(one, given, **more)
        out.append((done.final_output, done.last_agent.name))
        one, history, last = done.last_agent, done.to_input_list(), done.last_response_id
    return out


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(("api", "kept"), [("chat", False), ("responses", False), ("responses", True)], ids=["chat", "responses", "kept"])
def test_handoffs(session, api, kept, streamed):
    def scenario(api, base, model):
        return asyncio.run(conversation(api, base, model, streamed, kept))

    answers, bodies = session(scenario, api, *TURNS)
    assert answers == ANSWERS
    check_growth(bodies, TURNS, systems_change=True)
    messages = [json.loads(one) for one in messages_of(bodies[-1])]
    results = check_pairs(messages)
    assert list(results) == ["call_a1", "call_a2", "call_a3", "call_a4", "call_a5", "call_a6"]
    assert results["call_a2"] == "Oslo: rain" and results["call_a6"] == "There is one."
    assert [one["content"] for one in messages if one["role"] == "user"] == QUESTIONS
    systems = [json.loads(messages_of(body)[0])["content"] for body in bodies]
    assert systems == ["Send each to who knows."] + ["You know the weather."] * 5 + ["Send each to who knows."] * 3
