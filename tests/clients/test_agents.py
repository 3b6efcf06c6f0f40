"""Agents' frameworks by their own defaults: openai-agents asks by /v1/responses, pydantic-ai by /v1/messages and
/v1/responses. The real model answers; what only a larger one can do (choose to hand over) is scripted in an upstream."""

import asyncio
import json

import openai
import pytest
from agents import Agent, ModelSettings, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIResponsesModel as PydanticResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from scripted_upstream import ScriptedUpstream
from server import MODEL, RunningServer

BRIEF = ModelSettings(temperature=0, max_tokens=32)


@pytest.fixture(autouse=True)
def untraced():
    set_tracing_disabled(True)


@pytest.fixture
def model(server, key):
    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key=key["key"], max_retries=0)
    return lambda name=MODEL: OpenAIResponsesModel(model=name, openai_client=client)


def test_openai_agents(model):
    agent = Agent(name="one", instructions="Be brief.", model=model(), model_settings=BRIEF)
    first = Runner.run_sync(agent, "Name a colour.")
    assert first.final_output and first.raw_responses[0].response_id.startswith("resp_")
    then = Runner.run_sync(agent, first.to_input_list() + [{"role": "user", "content": "Another."}])
    by_id = Runner.run_sync(agent, "Another.", previous_response_id=first.last_response_id)
    assert by_id.final_output == then.final_output


def test_openai_agents_streamed(model):
    async def run():
        agent = Agent(name="one", instructions="Be brief.", model=model(), model_settings=BRIEF)
        result = Runner.run_streamed(agent, "Name a colour.")
        pieces = [event.data.delta async for event in result.stream_events()
                  if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"]
        return "".join(pieces), result.final_output

    said, final = asyncio.run(run())
    assert said == final != ""


def test_openai_agents_call_a_tool(model):
    called = []

    @function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "rain"

    agent = Agent(name="one", instructions="Be brief.", model=model(), tools=[get_weather],
                  model_settings=ModelSettings(temperature=0, max_tokens=100, tool_choice="required"))
    result = Runner.run_sync(agent, "What is the weather in Oslo?", max_turns=3)
    assert called and result.final_output is not None


class Handing(ScriptedUpstream):
    """A model that hands over to the other agent, which answers."""

    def act(self, handler, body):
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        call = {"id": "c1", "type": "function", "function": {"name": names[0] if names else "", "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]} if names else {"role": "assistant", "content": "Oslo."}
        answer = {"id": "r", "created": 5, "model": "m", "usage": self.USAGE,
                  "choices": [{"index": 0, "finish_reason": "tool_calls" if names else "stop", "message": message}]}
        self.send(handler, 200, json.dumps(answer), [("content-type", "application/json")])


def test_openai_agents_hand_over(binary, tmp_path):
    upstream = Handing()
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\n[[upstream]]\nname = "t"\nbase_url = "{upstream.url}"\nmodels = ["m"]\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    model = OpenAIResponsesModel(model="t/m", openai_client=client)
    second = Agent(name="second", instructions="Answer.", model=model)
    first = Agent(name="first", instructions="Hand over.", model=model, handoffs=[second])
    result = Runner.run_sync(first, "What is the capital of Norway?")
    assert result.last_agent.name == "second" and result.final_output == "Oslo."
    roles = [message["role"] for message in upstream.requests[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert server.stop() == 0
    upstream.stop()


def pydantic_models(server, key):
    yield AnthropicModel(MODEL, provider=AnthropicProvider(base_url=server.url, api_key=key["key"]))
    yield PydanticResponsesModel(MODEL, provider=OpenAIProvider(base_url=server.url + "/v1", api_key=key["key"]))


def test_pydantic_ai(server, key):
    async def run(model):
        agent = PydanticAgent(model, instructions="Be brief.", model_settings={"max_tokens": 32})
        answer = await agent.run("Name a colour.")
        async with agent.run_stream("Name a fruit.") as stream:
            said = [piece async for piece in stream.stream_text(delta=True)]
        return answer.output, "".join(said), answer.usage()

    for model in pydantic_models(server, key):
        output, said, usage = asyncio.run(run(model))
        assert output and said and usage.output_tokens > 0
