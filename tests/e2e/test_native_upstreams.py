"""Upstreams that speak the Messages or the Responses API: a scripted one after their published schemas, asked by all
three clients; and a second server of our own behind each, whose answers are known."""

import json

import anthropic
import httpx
import openai
import pytest

from scripted_upstream import ScriptedUpstream
from server import MODEL, RunningServer, chat, extension, off, streamed

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[upstream]]
name = "ms"
base_url = "{scripted}/v1"
api = "messages"
api_key_env = "NATIVE_KEY"
models = {{ m = "claude-x" }}
retries = 0
cooldown_failures = 0

[[upstream]]
name = "rs"
base_url = "{scripted}/v1"
api = "responses"
api_key_env = "NATIVE_KEY"
models = {{ m = "gpt-x" }}
retries = 0
cooldown_failures = 0

[[upstream]]
name = "messages"
base_url = "{own}/v1"
api = "messages"
models = ["{model}"]

[[upstream]]
name = "responses"
base_url = "{own}/v1"
api = "responses"
models = ["{model}"]
"""
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
THINKING = {"type": "thinking", "thinking": "Which city?", "signature": "EqQBCgIYAhIM=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}
TOOL_USE = {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"unit": "celsius", "city": "Oslo"}}
MESSAGE = {
    "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "tool_use",
    "stop_sequence": None, "content": [THINKING, REDACTED, {"type": "text", "text": "I look."}, TOOL_USE],
    "usage": {"input_tokens": 20, "cache_creation_input_tokens": 100, "cache_read_input_tokens": 900,
              "output_tokens": 30, "output_tokens_details": {"thinking_tokens": 12}},
}  # fmt: skip
MESSAGE_EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None,
                                          "usage": {**MESSAGE["usage"], "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Which "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "city?"}},
    {"type": "content_block_delta", "index": 0,
     "delta": {"type": "signature_delta", "signature": THINKING["signature"]}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": REDACTED},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "I "}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "look."}},
    {"type": "content_block_stop", "index": 2},
    {"type": "content_block_start", "index": 3, "content_block": {**TOOL_USE, "input": {}}},
    {"type": "content_block_delta", "index": 3,
     "delta": {"type": "input_json_delta", "partial_json": '{"unit":"celsius",'}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '"city":"Oslo"}'}},
    {"type": "content_block_stop", "index": 3},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
     "usage": {"output_tokens": 30, "output_tokens_details": {"thinking_tokens": 12}}},
    {"type": "message_stop"},
]  # fmt: skip
REASONING = {"id": "rs_01", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Which city?"}],
             "encrypted_content": "gAAAAABo"}
SAID = {"id": "msg_02", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "I look.", "annotations": []}]}
CALL = {"id": "fc_01", "type": "function_call", "call_id": "call_01", "name": "get_weather", "status": "completed",
        "arguments": '{"unit":"celsius","city":"Oslo"}'}
RESPONSE = {
    "id": "resp_01", "object": "response", "created_at": 1741476777, "status": "completed", "error": None,
    "incomplete_details": None, "model": "gpt-x", "output": [REASONING, SAID, CALL],
    "usage": {"input_tokens": 1020, "input_tokens_details": {"cached_tokens": 900, "cache_write_tokens": 100},
              "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 12}, "total_tokens": 1050},
}  # fmt: skip
RESPONSE_EVENTS = [
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_item.added", "output_index": 0, "item": {**REASONING, "summary": [], "encrypted_content": ""}},
    {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Which "},
    {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "city?"},
    {"type": "response.output_item.done", "output_index": 0, "item": REASONING},
    {"type": "response.output_item.added", "output_index": 1, "item": {**SAID, "content": []}},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "I ", "logprobs": []},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "look.", "logprobs": []},
    {"type": "response.output_item.done", "output_index": 1, "item": SAID},
    {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"unit":"celsius",'},
    {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '"city":"Oslo"}'},
    {"type": "response.output_item.done", "output_index": 2, "item": CALL},
    {"type": "response.completed", "response": RESPONSE},
]  # fmt: skip
ANSWERS = {"ms/m": (MESSAGE, MESSAGE_EVENTS), "rs/m": (RESPONSE, RESPONSE_EVENTS)}
KEPT = {"ms/m": ("thinking_blocks", [THINKING, REDACTED]), "rs/m": ("reasoning_items", [REASONING])}


class Native(ScriptedUpstream):
    """Gives what stands in `answers`, in turn: (status, an object) or (status, a stream's events)."""

    def __init__(self):
        self.answers = []
        self.paths = []
        super().__init__()

    def act(self, handler, body):
        self.paths.append(handler.path)
        status, answer = self.answers.pop(0)
        if not isinstance(answer, list):
            return self.send(handler, status, json.dumps(answer), [("content-type", "application/json")])
        self.begin_stream(handler)
        for event in answer:
            handler.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            handler.wfile.flush()

    def header(self, name):
        return {key.lower(): value for key, value in self.headers[-1].items()}.get(name)


@pytest.fixture(scope="module")
def scripted():
    upstream = Native()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def gateway(binary, server, scripted, tmp_path_factory):
    config = tmp_path_factory.mktemp("native") / "config.toml"
    config.write_text(CONFIG.format(own=server.url, scripted=scripted.url, model=MODEL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NATIVE_KEY", "sk-very-secret")
        running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()
    assert "sk-very-secret" not in running.log()


@pytest.fixture(scope="module")
def remote(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def claude(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0, timeout=120)


def whole_of(chunks):
    """A stream's one message, as OpenAI's clients put it together."""
    message = {"content": "", "reasoning_content": "", "tool_calls": {}, "more": {}}
    for chunk in chunks:
        for choice in chunk.choices:
            delta = choice.delta
            message["content"] += delta.content or ""
            more = delta.model_extra or {}
            message["reasoning_content"] += more.get("reasoning_content") or ""
            for name in ("thinking_blocks", "reasoning_items"):
                message["more"].setdefault(name, []).extend(more.get(name) or [])
            for piece in delta.tool_calls or []:
                call = message["tool_calls"].setdefault(piece.index, {"id": piece.id, "name": piece.function.name, "arguments": ""})
                call["arguments"] += piece.function.arguments or ""
            message["finish_reason"] = choice.finish_reason
        message["usage"] = chunk.usage
    return message


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("model", ["ms/m", "rs/m"])
def test_chat_is_translated_there_and_back(remote, scripted, fresh, model, stream):
    text = fresh("What is the weather?")
    scripted.answers = [(200, ANSWERS[model][stream])]
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = chat(remote, text, model=model, max_tokens=50, tools=[WEATHER], tool_choice="required", stream=stream,
                  seed=3, **options)  # fmt: skip
    sent = scripted.requests[-1]
    if model == "ms/m":
        assert scripted.paths[-1] == "/v1/messages" and scripted.header("anthropic-version") == "2023-06-01"
        assert scripted.header("x-api-key") == "sk-very-secret" and scripted.header("authorization") is None
        assert sent["model"] == "claude-x" and sent["max_tokens"] == 50 and sent["tool_choice"] == {"type": "any"}
        assert sent["messages"] == [{"role": "user", "content": text}]
        assert sent["tools"][0]["input_schema"] == WEATHER["function"]["parameters"]
    else:
        assert scripted.paths[-1] == "/v1/responses" and scripted.header("authorization") == "Bearer sk-very-secret"
        assert sent["model"] == "gpt-x" and sent["max_output_tokens"] == 50 and sent["tool_choice"] == "required"
        assert sent["input"] == [{"role": "user", "content": text}] and sent["store"] is False
        assert sent["tools"][0]["parameters"] == WEATHER["function"]["parameters"]
    assert sent["temperature"] == 0 and "seed" not in sent and sent.get("stream", False) == stream
    name, kept = KEPT[model]
    if stream:
        chunks = list(answer)
        message = whole_of(chunks)
        usage, thought, more = message["usage"], message["reasoning_content"], message["more"][name]
        calls, said, last = list(message["tool_calls"].values()), message["content"], chunks[-1]
    else:
        message = answer.choices[0].message
        usage, thought, more = answer.usage, message.reasoning_content, message.model_extra[name]
        calls = [{"id": c.id, "name": c.function.name, "arguments": c.function.arguments} for c in message.tool_calls]
        said, last = message.content, answer
        assert answer.choices[0].finish_reason == "tool_calls"
    assert (said, thought, more) == ("I look.", "Which city?", kept)
    (call,) = calls
    assert call["id"] in ("toolu_01", "call_01") and call["name"] == "get_weather"
    assert list(json.loads(call["arguments"]).items()) == [("unit", "celsius"), ("city", "Oslo")]
    assert (usage.prompt_tokens, usage.completion_tokens) == (1020, 30)
    assert usage.prompt_tokens_details.cached_tokens == 900
    assert usage.completion_tokens_details.reasoning_tokens == 12
    assert extension(last)["ignored"] == ["seed"]


@pytest.mark.parametrize("model", ["ms/m", "rs/m"])
def test_a_conversation_goes_on_with_what_was_signed(remote, scripted, fresh, model):
    text = fresh("What is the weather?")
    scripted.answers = [(200, ANSWERS[model][0]), (200, ANSWERS[model][0])]
    message = chat(remote, text, model=model, tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Rain."}
    remote.chat.completions.create(model=model, tools=[WEATHER], messages=[
        {"role": "user", "content": text}, message.model_dump(exclude_none=True), result])  # fmt: skip
    sent = scripted.requests[-1]
    if model == "ms/m":
        assert sent["messages"][1] == {"role": "assistant", "content": MESSAGE["content"]}
        assert sent["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "Rain."}]
    else:
        assert sent["input"][1] == REASONING and sent["input"][2] == {"role": "assistant", "content": "I look."}
        assert {key: CALL[key] for key in ("type", "call_id", "name", "arguments")} == sent["input"][3]
        assert sent["input"][4] == {"type": "function_call_output", "call_id": "call_01", "output": "Rain."}
        assert sent["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_messages_api_goes_through_as_it_was_written(gateway, claude, scripted, fresh, stream):
    scripted.answers = [(200, ANSWERS["ms/m"][stream])] * 2
    text = fresh("What is the weather?")
    body = ('{ "model":"ms/m", "max_tokens":50,"thinking":{"type":"enabled","budget_tokens":1024}, "stream": %s,'
            '"messages":[{"role":"user","content":[{"text":%s,"type":"text","cache_control":{"type":"ephemeral"}}]}]}')
    body %= (json.dumps(stream), json.dumps(text))
    httpx.post(gateway.url + "/v1/messages", content=body, headers={"content-type": "application/json"}, timeout=60)
    assert scripted.bytes[-1].decode() == body.replace('"ms/m"', '"claude-x"')
    options = {"model": "ms/m", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    if stream:
        with claude.messages.stream(**options) as events:
            answer = events.get_final_message()
    else:
        answer = claude.messages.create(**options)
    content = [block.model_dump(exclude_unset=True, exclude_none=True) for block in answer.content]
    assert [{key: block[key] for key in known} for block, known in zip(content, MESSAGE["content"], strict=True)] \
        == MESSAGE["content"]
    assert answer.stop_reason == "tool_use" and answer.usage.cache_read_input_tokens == 900


def test_the_responses_api_goes_through_and_goes_on(remote, scripted, fresh):
    scripted.answers = [(200, RESPONSE), (200, RESPONSE)]
    text = fresh("What is the weather?")
    first = remote.responses.create(model="rs/m", input=text, truncation="disabled", top_p=0.5)
    assert scripted.requests[-1] == {"model": "gpt-x", "input": text, "truncation": "disabled", "top_p": 0.5}
    assert first.output[0].encrypted_content == REASONING["encrypted_content"] and first.output[0].id == "rs_01"
    assert first.output_text == "I look." and first.output[2].call_id == "call_01"
    remote.responses.create(model="rs/m", previous_response_id=first.id, input=[
        {"type": "function_call_output", "call_id": "call_01", "output": "Rain."}])  # fmt: skip
    sent = scripted.requests[-1]
    assert "previous_response_id" not in sent, "it is known here only"
    asked, thought, said, call, result = sent["input"]
    assert (asked["role"], asked["content"][0]["text"]) == ("user", text)
    assert thought == REASONING
    assert said["content"][0]["text"] == "I look." and "id" not in said
    assert call["call_id"] == "call_01" and call["arguments"] == CALL["arguments"]
    assert result["output"] == "Rain."


def test_other_words_of_one_question_are_another_where_they_may_matter(claude, remote, scripted, fresh):
    text = fresh("Is it so?")
    scripted.answers = [(200, MESSAGE)] * 3
    options = {"model": "ms/m", "max_tokens": 50, "messages": [{"role": "user", "content": text}],
               "extra_body": {"temperature": 0}}  # fmt: skip
    thinking = {"type": "enabled", "budget_tokens": 1024}
    statuses = []
    for budget in (1024, 2048, 1024):  # chat has one word for both
        answer = claude.messages.create(**options, thinking={**thinking, "budget_tokens": budget})
        statuses.append(answer.model_extra["permutation"]["cache"]["status"])
    assert statuses == ["miss", "miss", "hit"]


@pytest.mark.parametrize(
    ("model", "status", "answer", "error"),
    [
        ("ms/m", 400, {"type": "error", "error": {"type": "invalid_request_error", "message": "too long"}}, 400),
        ("ms/m", 401, {"type": "error", "error": {"type": "authentication_error", "message": "bad key"}}, 401),
        ("ms/m", 429, {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}, 429),
        ("ms/m", 529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529),
        ("ms/m", 200, {"type": "message"}, 502),
        ("rs/m", 200, {**RESPONSE, "status": "failed", "error": {"code": "server_error", "message": "oops"}}, 503),
        ("rs/m", 200, {"output": 7}, 502),
    ],
)
def test_each_failure_has_its_status(remote, scripted, fresh, model, status, answer, error):
    scripted.answers = [(status, answer)]
    with pytest.raises(openai.APIStatusError) as caught:
        chat(remote, fresh(), model=model)
    assert caught.value.status_code == error
    assert f"upstream {model[:2]}" in caught.value.message and "sk-very-secret" not in caught.value.message


def test_what_they_cannot_say_is_refused(remote, scripted, fresh):
    before = len(scripted.requests)
    for model, api in (("ms/m", "Messages"), ("rs/m", "Responses")):
        with pytest.raises(openai.BadRequestError, match=f"'n'.*{api}"):
            chat(remote, fresh(), model=model, n=2)
        with pytest.raises(openai.BadRequestError, match="text completions"):
            remote.completions.create(model=model, prompt=fresh())
    assert len(scripted.requests) == before


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_a_server_of_our_own_behind_each_api(client, remote, fresh, api):
    model = f"{api}/{MODEL}"
    text = fresh("What is the capital of France?")
    here = chat(client, text, extra_body=off())
    there = chat(remote, text, model=model)
    assert there.choices[0].message.content == here.choices[0].message.content
    assert there.choices[0].finish_reason == here.choices[0].finish_reason
    assert (there.usage.prompt_tokens, there.usage.completion_tokens) \
        == (here.usage.prompt_tokens, here.usage.completion_tokens)
    assert there.model == model and extension(there)["cache"]["status"] == "miss"
    assert extension(chat(remote, text, model=model))["cache"]["status"] == "hit"
    said, _, chunks = streamed(chat(remote, fresh("Tell me of the sea."), model=model, stream=True))
    assert said and len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 2, "piece by piece"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("api", ["messages", "responses"])
def test_tools_of_a_server_of_our_own(remote, fresh, api, stream):
    model = f"{api}/{MODEL}"
    text = fresh("What is the weather in Oslo?")
    answer = chat(remote, text, model=model, max_tokens=150, tools=[WEATHER], tool_choice="required", stream=stream)
    if stream:
        message = whole_of(answer)
        assert message["finish_reason"] == "tool_calls"
        calls = list(message["tool_calls"].values())
    else:
        assert answer.choices[0].finish_reason == "tool_calls"
        calls = [{"id": c.id, "name": c.function.name, "arguments": c.function.arguments}
                 for c in answer.choices[0].message.tool_calls]  # fmt: skip
    assert all(call["name"] == "get_weather" and set(json.loads(call["arguments"])) == {"city", "unit"} for call in calls)
    turn = [{"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}} for c in calls]
    results = [{"role": "tool", "tool_call_id": c["id"], "content": "Rain."} for c in calls]
    then = remote.chat.completions.create(
        model=model, temperature=0, max_tokens=8, tools=[WEATHER], tool_choice="none",
        messages=[{"role": "user", "content": text}, {"role": "assistant", "content": None, "tool_calls": turn}, *results],
    )
    assert then.choices[0].message.content


@pytest.mark.parametrize("api", ["messages", "responses"])
def test_a_form_is_followed_through_each_api(remote, fresh, api):
    schema = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 10}}, "required": ["name"],
              "additionalProperties": False}  # fmt: skip
    answer = chat(remote, fresh("Describe Bob."), model=f"{api}/{MODEL}", max_tokens=100,
                  response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": schema}})  # fmt: skip
    assert set(json.loads(answer.choices[0].message.content)) == {"name"}
