"""POST /v1/messages with Anthropic's official client: its own types must accept every answer and every event."""

import json

import anthropic
import httpx
import pydantic
import pytest
from anthropic.types import Message, RawMessageStreamEvent

from scripted_upstream import CONFIG, ScriptedUpstream
from server import MODEL, RunningServer

EVENT = pydantic.TypeAdapter(RawMessageStreamEvent)
TOOL = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


def claude_of(server, key="none"):
    return anthropic.Anthropic(base_url=server.url, api_key=key, max_retries=0, timeout=600)


@pytest.fixture(scope="session")
def claude(server):
    return claude_of(server)


@pytest.fixture
def ask(claude):
    """One greedy answer of 24 tokens at most, unless `options` say otherwise, checked against the published type."""

    def create(said, **options):
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        more = {"temperature": 0, **options.pop("extra_body", {})}
        answer = claude.messages.create(
            **{"model": MODEL, "max_tokens": 24, "messages": messages, "extra_body": more, **options})
        if not options.get("stream"):
            Message.model_validate(answer.model_dump(exclude_unset=True))
        return answer

    return create


def events_of(stream):
    """Checked: each is of a published type, in the order that is documented."""
    events = [EVENT.validate_python(event.model_dump(exclude_unset=True)) for event in stream]
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    index = -1
    opened = False
    for event in events[1:-2]:
        if event.type == "content_block_start":
            assert not opened and event.index == index + 1
            index, opened = event.index, True
        else:
            assert opened and event.index == index
            opened = event.type != "content_block_stop"
    assert not opened and index >= 0
    return events


def test_plain(ask, fresh):
    answer = ask(fresh("What is the capital of France?"), system="Be brief.")
    assert answer.id.startswith("msg_") and answer._request_id
    assert [block.type for block in answer.content] == ["text"] and answer.content[0].text
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert answer.usage.input_tokens + answer.usage.cache_read_input_tokens > 5 < answer.usage.output_tokens + 5
    assert answer.model_extra["permutation"]["cache"]["status"] == "miss"


def test_the_limit_is_why_it_stopped(ask, fresh):
    answer = ask(fresh("Count from one to a hundred."), max_tokens=3)
    assert (answer.stop_reason, answer.usage.output_tokens) == ("max_tokens", 3)


def test_streamed(ask, claude, fresh):
    said = fresh("Tell me of the sea.")
    events = events_of(ask(said, stream=True))
    text = "".join(e.delta.text for e in events if e.type == "content_block_delta")
    again = ask(said)
    assert again.content[0].text == text and again.model_extra["permutation"]["cache"]["status"] == "hit"
    delta = events[-2]
    assert delta.delta.stop_reason == again.stop_reason and delta.usage.output_tokens == again.usage.output_tokens
    with claude.messages.stream(model=MODEL, max_tokens=24, messages=[{"role": "user", "content": said}],
                                extra_body={"temperature": 0}) as stream:
        assert "".join(stream.text_stream) == text
        final = stream.get_final_message()
    assert final.content[0].text == text and final.usage.output_tokens == again.usage.output_tokens


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}], ids=["any", "tool"])
def test_a_required_call_and_its_result(ask, fresh, stream, choice):
    said = fresh("What is the weather in Oslo?")
    answer = ask(said, tools=[TOOL], tool_choice=choice, max_tokens=100, stream=stream)
    if stream:
        events = events_of(answer)
        last = [e for e in events if e.type == "content_block_start"][-1]  # there may be several calls
        written = "".join(e.delta.partial_json for e in events if e.type == "content_block_delta"
                          and e.index == last.index and e.delta.type == "input_json_delta")
        call, given, why = last.content_block, json.loads(written), events[-2].delta.stop_reason
    else:
        call, why = answer.content[-1], answer.stop_reason
        given = call.input
    assert (call.type, call.name, why) == ("tool_use", "get_weather", "tool_use")
    assert set(given) == {"city", "unit"}
    turn = {"type": "tool_use", "id": call.id, "name": call.name, "input": given}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Rain."}]}
    then = ask([{"role": "user", "content": said}, {"role": "assistant", "content": [turn]},
                {"role": "user", "content": [result]}], tools=[TOOL], tool_choice={"type": "none"})
    assert then.content


def test_structured(ask, fresh):
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 10}}, "required": ["name"],
              "additionalProperties": False}
    answer = ask(fresh("Describe Bob."), max_tokens=100,
                 output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(answer.content[0].text)) == {"name"}


def test_tokens_are_counted_as_they_are_read(ask, claude, fresh):
    options = {"messages": [{"role": "user", "content": fresh("How long is this?")}], "system": "Be brief.", "tools": [TOOL]}
    counted = claude.messages.count_tokens(model=MODEL, **options).input_tokens
    answer = ask(options.pop("messages"), tool_choice={"type": "auto"}, **options)
    assert counted == answer.usage.input_tokens + answer.usage.cache_read_input_tokens
    shorter = claude.messages.count_tokens(model="permutation", messages=[{"role": "user", "content": "hi"}])
    assert 0 < shorter.input_tokens < counted


@pytest.mark.parametrize(
    "options, error, word",
    [
        ({"model": "gpt-9"}, anthropic.NotFoundError, "gpt-9"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "'max_tokens'"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, anthropic.BadRequestError, "'tools[0].type'"),
        ({"extra_body": {"tempature": 1}}, anthropic.BadRequestError, "'temperature'"),
        ({"extra_body": {"container": "c"}}, anthropic.BadRequestError, "'container'"),
        ({"said": [{"role": "user", "content": [{"type": "audio"}]}]}, anthropic.BadRequestError,
         "'messages[0].content[0].type'"),
        ({"said": "long " * 10_000}, anthropic.BadRequestError, "tokens"),
        ({"said": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
         anthropic.BadRequestError, "'messages'"),
    ],
)  # fmt: skip
def test_errors_have_this_apis_shape(ask, options, error, word):
    with pytest.raises(error) as refused:
        ask(**{"said": "q", **options})
    assert refused.value.body["type"] == "error"
    assert refused.value.body["error"]["type"] == refused.value.type
    assert word in refused.value.body["error"]["message"]
    assert refused.value.request_id == refused.value.body["request_id"]


def test_other_methods_and_paths_too(http):
    for answer in (http.get("/v1/messages"), http.post("/v1/messages/nowhere", json={}), http.post("/v1/messages", content="{")):
        assert answer.status_code in (400, 404, 405) and answer.json()["type"] == "error"


def test_a_key_comes_as_x_api_key(binary, model_file, tmp_path, fresh, new_key):
    key = new_key("--scope", "inference", "--tenant", "a")
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n' + key["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    answer = claude_of(server, key["key"]).messages.create(
        model=MODEL, max_tokens=2, messages=[{"role": "user", "content": fresh()}])
    assert answer.content
    with pytest.raises(anthropic.AuthenticationError) as refused:
        claude_of(server, "pmt-wrong").messages.create(model=MODEL, max_tokens=2, messages=[{"role": "user", "content": "q"}])
    assert refused.value.body["error"]["type"] == "authentication_error"
    plain = httpx.post(server.url + "/v1/messages", json={}, timeout=60)
    assert plain.status_code == 401 and plain.json()["type"] == "error"
    assert server.stop() == 0


class Agreeable(ScriptedUpstream):
    """Answers whatever it is asked."""

    def act(self, handler, body):
        self.do_ok(handler, body)


def test_an_upstream_gets_it_as_chat(binary, model_file, tmp_path, fresh):
    upstream = Agreeable()
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(model=model_file, url=upstream.url, models='["m"]'))
    server = RunningServer([binary, "serve", "--config", str(config)])
    claude = claude_of(server)
    said = fresh()
    answer = claude.messages.create(
        model="t/m", max_tokens=9, system="Be brief.", stop_sequences=["END"], metadata={"user_id": "ann"},
        messages=[{"role": "user", "content": [{"type": "text", "text": said, "cache_control": {"type": "ephemeral"}}]}])
    assert answer.content[0].text
    (sent,) = upstream.requests
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["stop"] == ["END"] and sent["model"] == "m" and 9 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert said in json.dumps(sent["messages"][1])
    events_of(claude.messages.create(model="t/m", max_tokens=9, stream=True, messages=[{"role": "user", "content": fresh()}]))
    assert server.stop() == 0
    upstream.stop()
