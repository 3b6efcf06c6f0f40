"""instructor: forms by each of its modes, streamed in parts, several calls at once."""

import json
from collections.abc import Iterable

import instructor
import openai
import pytest
from pydantic import BaseModel

from playing import call, says
from tools import FORECAST, Forecast, Place

MODES = {
    instructor.Mode.TOOLS: "call",
    instructor.Mode.TOOLS_STRICT: "call",
    instructor.Mode.JSON: "text",
    instructor.Mode.JSON_SCHEMA: "text",
    instructor.Mode.MD_JSON: "fenced",
}


def client_of(base, mode=instructor.Mode.TOOLS):
    return instructor.from_openai(openai.OpenAI(base_url=base, api_key="none", max_retries=0), mode=mode)


def create(base, model, mode=instructor.Mode.TOOLS, method="create", response_model=Forecast, text="Oslo?", **more):
    messages = [{"role": "user", "content": text}]
    ask = getattr(client_of(base, mode), method)
    return ask(model=model, messages=messages, response_model=response_model, max_retries=0, **more)


class Route(BaseModel):
    begin: Place
    end: Place


ROUTE = {"begin": {"city": "Oslo", "country": "Norway"}, "end": {"city": "Rome", "country": "Italy"}}


def turn_of(kind, value, name):
    text = json.dumps(value)
    return says(None, call(name, value)) if kind == "call" else says(f"```json\n{text}\n```" if kind == "fenced" else text)


def test_plain_and_streamed(through):
    def plain(base, model):
        return create(base, model, response_model=None).choices[0].message.content

    assert through(plain, says("It is so.")) == "It is so."

    def streamed(base, model):
        return [chunk.choices[0].delta.content for chunk in create(base, model, response_model=None, stream=True)
                if chunk.choices and chunk.choices[0].delta.content]  # fmt: skip

    assert through(streamed, says("It is so.")) == ["It ", "is ", "so."]


@pytest.mark.parametrize("mode", MODES)
def test_a_form(through, upstream, mode):
    def scenario(base, model):
        return create(base, model, mode, temperature=0.7).model_dump(mode="json")

    assert through(scenario, turn_of(MODES[mode], FORECAST, "Forecast")) == FORECAST
    sent = upstream.requests[-1]
    if MODES[mode] == "call":
        assert sent["tool_choice"] == {"type": "function", "function": {"name": "Forecast"}}
        assert "Place" in sent["tools"][0]["function"]["parameters"]["$defs"]
    else:
        form = {instructor.Mode.JSON: "json_object", instructor.Mode.JSON_SCHEMA: "json_schema"}.get(mode)
        assert sent.get("response_format", {}).get("type") == form


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON])
def test_parts_while_they_are_written(through, mode):
    def scenario(base, model):
        parts = [part.model_dump() for part in create(base, model, mode, "create_partial", response_model=Route)]
        return len(parts) > 2, parts[-1]

    assert through(scenario, turn_of(MODES[mode], ROUTE, "Route")) == (True, ROUTE)


def test_several_one_by_one(through):
    """create_iterable: a list that is given item by item while it is written."""

    def scenario(base, model):
        return [place.city for place in create(base, model, method="create_iterable", response_model=Place)]

    tasks = {"tasks": [{"city": "Oslo", "country": "Norway"}, {"city": "Rome", "country": "Italy"}]}
    assert through(scenario, says(None, call("IterablePlace", tasks))) == ["Oslo", "Rome"]


def test_parallel_calls(through, upstream):
    def scenario(base, model):
        both = create(base, model, instructor.Mode.PARALLEL_TOOLS, response_model=Iterable[Forecast | Place])
        return [one.model_dump(mode="json") for one in both]

    place = {"city": "Rome", "country": "Italy"}
    assert through(scenario, says(None, call("Forecast", FORECAST, 1), call("Place", place, 2))) == [FORECAST, place]
    assert [tool["function"]["name"] for tool in upstream.requests[-1]["tools"]] == ["Forecast", "Place"]


def test_a_wrong_answer_is_asked_again(through, upstream):
    def scenario(base, model):
        messages = [{"role": "user", "content": "Oslo?"}]
        return client_of(base).create(model=model, messages=messages, response_model=Place, max_retries=1).city

    wrong, right = call("Place", {"city": "Oslo"}, 1), call("Place", {"city": "Oslo", "country": "Norway"}, 2)
    assert through(scenario, says(None, wrong), says(None, right)) == "Oslo"
    assert len(upstream.requests) == 2 and len(upstream.requests[1]["messages"]) > 2


@pytest.mark.real
@pytest.mark.parametrize("mode", MODES)
def test_a_real_model(real, mode):
    base, name = real
    asked = dict(text="The Eiffel Tower stands in Paris, France. Which place is it?", response_model=Place, temperature=0, max_tokens=120)
    place = create(base, name, mode, **asked)
    assert isinstance(place, Place) and "Paris" in place.city
    if mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA):
        *_, last = create(base, name, mode, "create_partial", **asked)
        assert "Paris" in last.city
