"""Upstreams: a second server of our own, and a scripted one that fails in every way."""

import json
import time

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
name = "own"
base_url = "{own}/v1"
models = ["{model}"]

[[upstream]]
name = "s"
base_url = "{scripted}"
api_key_env = "SCRIPTED_KEY"
models = {{ sonar = "sonar-pro" }}
backoff_s = 0.02
stall_timeout_s = 1
cooldown_failures = 0

[[upstream]]
name = "spare"
base_url = "{scripted}"
models = ["first"]
retries = 0
cooldown_failures = 2
cooldown_s = 600
fallbacks = ["own/{model}"]

[prices."s/sonar"]
input_per_mtok = 1000.0
output_per_mtok = 1000.0
"""


@pytest.fixture(scope="module")
def scripted():
    upstream = ScriptedUpstream()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def gateway(binary, server, scripted, tmp_path_factory):
    """A server without a model of its own."""
    config = tmp_path_factory.mktemp("gateway") / "config.toml"
    config.write_text(CONFIG.format(own=server.url, scripted=scripted.url, model=MODEL))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCRIPTED_KEY", "sk-very-secret")
        running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()
    assert "sk-very-secret" not in running.log()


@pytest.fixture(scope="module")
def remote(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=120)


def ask(remote, text, model="s/sonar", **options):
    return chat(remote, text, model=model, **options)


def test_only_upstreams_and_no_model(remote):
    names = {model.id for model in remote.models.list()}
    assert names >= {f"own/{MODEL}", "s/sonar", "spare/first"}
    assert MODEL not in names and "permutation" not in names


def test_a_second_server_of_our_own_is_an_upstream(client, remote, fresh):
    text = fresh("What is the capital of France?")
    here = chat(client, text, extra_body=off())
    there = ask(remote, text, f"own/{MODEL}")
    assert there.choices[0].message.content == here.choices[0].message.content
    assert there.usage.completion_tokens == here.usage.completion_tokens
    assert there.model == f"own/{MODEL}"
    assert extension(there)["cache"]["status"] == "miss"
    assert extension(there)["upstream"]["attempts"] == 1
    again = ask(remote, text, f"own/{MODEL}")
    assert extension(again)["cache"]["status"] == "hit"
    assert "upstream" not in extension(again), "nobody was asked this time"


def test_it_streams_with_logprobs(client, remote, fresh):
    text = fresh("Name a colour.")
    options = {"logprobs": True, "top_logprobs": 2, "extra_body": off(), "max_tokens": 8}
    here = chat(client, text, **options)
    stream = ask(remote, text, f"own/{MODEL}", stream=True, stream_options={"include_usage": True}, **options)
    said, last, chunks = streamed(stream)
    assert said == here.choices[0].message.content
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) > 2, "piece by piece"
    tokens = [t.token for c in chunks if c.choices and c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert tokens == [t.token for t in here.choices[0].logprobs.content]
    assert last.usage == here.usage or last.usage.completion_tokens == here.usage.completion_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_citations_are_passed_on_and_cached(remote, scripted, fresh, stream):
    text = fresh("Is it so? do:ok")
    for status in ("miss", "hit"):
        answer = ask(remote, text, stream=stream)
        if stream:
            said, answer, _ = streamed(answer)
        else:
            said = answer.choices[0].message.content
        assert said == "It is so."
        assert answer.model_extra["citations"] == ["https://a.example/1"]
        assert answer.model_extra["search_results"][0]["title"] == "A"
        assert extension(answer)["cache"]["status"] == status
    assert extension(answer)["cache"]["usd_saved"] == pytest.approx(0.014)
    assert sum(request["messages"][0]["content"] == text for request in scripted.requests) == 1
    assert scripted.requests[-1]["model"] == "sonar-pro"
    key = {name.lower(): value for name, value in scripted.headers[-1].items()}["authorization"]
    assert key == "Bearer sk-very-secret"


def test_fields_of_the_upstream_are_passed_on(remote, scripted, fresh):
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    ask(remote, fresh(), response_format=schema, extra_body={"search_recency_filter": "week"})
    sent = scripted.requests[-1]
    assert sent["response_format"] == schema
    assert sent["search_recency_filter"] == "week"
    assert "permutation" not in sent


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_come_through(remote, fresh, stream):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = ask(remote, fresh("do:tools"), stream=stream, tools=[tool], tool_choice="auto")
    if stream:
        pieces = [c for chunk in answer if chunk.choices for c in chunk.choices[0].delta.tool_calls or []]
        call, *more = pieces
        assert more and all(piece.index == 0 and piece.function.name is None for piece in more), "as they come"
        call.function.arguments = "".join(piece.function.arguments for piece in pieces)
    else:
        (call,) = answer.choices[0].message.tool_calls
        assert answer.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


def test_what_may_go_better_is_tried_again(remote, fresh):
    answer = ask(remote, fresh("do:500,429,ok"))
    assert answer.choices[0].message.content == "It is so."
    assert extension(answer)["upstream"]["attempts"] == 3


@pytest.mark.parametrize(
    ("what", "error", "status"),
    [
        ("401", openai.AuthenticationError, 401),
        ("404", openai.NotFoundError, 404),
        ("429", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 503),
        ("garbage", openai.InternalServerError, 502),
    ],
)
def test_each_failure_has_its_status(remote, fresh, what, error, status):
    with pytest.raises(error) as caught:
        ask(remote, fresh(f"do:{what}"))
    assert caught.value.status_code == status
    assert "upstream s" in caught.value.message
    assert "sk-very-secret" not in caught.value.message


def test_retry_after_reaches_the_caller(remote, fresh):
    with pytest.raises(openai.RateLimitError) as caught:
        ask(remote, fresh("do:429long"))
    assert caught.value.response.headers["retry-after"] == "40"


def test_a_fallback_answers_in_its_own_name(remote, scripted, fresh):
    answer = ask(remote, fresh("do:500"), model="spare/first")
    assert answer.model == f"own/{MODEL}"
    (failed,) = extension(answer)["upstream"]["fallbacks"]
    assert failed["model"] == "spare/first"
    before = len(scripted.requests)
    ask(remote, fresh("do:500"), model="spare/first")
    assert len(scripted.requests) == before + 1
    ask(remote, fresh("do:500"), model="spare/first")
    assert len(scripted.requests) == before + 1, "it failed twice in a row: it is left alone"


def test_a_broken_stream_ends_with_an_error(remote, fresh):
    stream = ask(remote, fresh("do:break"), stream=True)
    said = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in stream:
            said += chunk.choices[0].delta.content or ""
    assert said == "half an "
    assert "broke" in str(caught.value) or "closed" in str(caught.value)


def test_a_stalled_stream_ends_with_an_error(remote, fresh):
    began = time.monotonic()
    with pytest.raises(openai.APIError) as caught:
        list(ask(remote, fresh("do:stall"), stream=True))
    assert "did not go on" in str(caught.value)
    assert time.monotonic() - began < 15


def test_a_client_that_leaves_ends_the_request_upstream(gateway, scripted, fresh):
    scripted.left.clear()
    body = {"model": "s/sonar", "stream": True, "messages": [{"role": "user", "content": fresh("do:stall")}]}
    with httpx.stream("POST", gateway.url + "/v1/chat/completions", json=body, timeout=30) as response:
        next(response.iter_lines())
    assert scripted.left.wait(10)


def test_what_only_a_local_model_can_do_is_refused(remote, fresh):
    for extra in ({"kv": {"ratio": 8}}, {"knowledge": ["acme"]}):
        with pytest.raises(openai.BadRequestError, match="local models only"):
            ask(remote, fresh(), extra_body={"permutation": extra})


def test_a_budget_of_seconds_ends_it(remote, fresh):
    budget = {"permutation": {"budget": {"seconds": 0.4}}}
    with pytest.raises(openai.APIError, match="did not finish its answer"):
        list(ask(remote, fresh("do:stall"), stream=True, extra_body=budget))


def test_metrics_count_the_upstream(gateway):
    text = httpx.get(gateway.url + "/metrics").text
    assert 'permutation_engine_upstream_retries_total{model="s/sonar"}' in text


EMBEDDINGS_ALONE = """
[server]
port = 0

[embeddings]
enabled = false

[[upstream]]
name = "e"
base_url = "{url}"
embeddings = {{ small = "its-own" }}
"""


def test_an_upstream_may_have_embeddings_alone(starting, scripted):
    running = starting(EMBEDDINGS_ALONE.format(url=scripted.url))
    remote = openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=60)
    answer = remote.embeddings.create(model="e/small", input="hi", encoding_format="float")
    assert answer.data[0].embedding == scripted.VECTOR
    assert answer.model == "e/small"
    assert scripted.requests[-1]["model"] == "its-own"
    assert [model.id for model in remote.models.list()] == ["e/small"]
    with pytest.raises(openai.NotFoundError):
        ask(remote, "hi", "e/small")
    assert running.stop() == 0, running.log()
