"""A model that libllama runs, forced here for one that our graph knows: it answers as any other, and says what is off."""

import json

import openai
import pytest

from conftest import EMBEDDER_FILE, client_of
from server import MODEL, assert_answered_as_alone, chat, complete, extension, off, scored, streamed, tokens_compared, until
from test_tools import PERSON, WEATHER, in_pieces

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"
runtime = "libllama"

[embeddings]
path = "{embedder}"

[knowledge]
path = "{knowledge}"
"""
OFF = "off: architecture llama runs through libllama"


@pytest.fixture(scope="module")
def server(binary, model_file, tmp_path_factory):
    from server import RunningServer

    folder = tmp_path_factory.mktemp("libllama")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(model=model_file, embedder=EMBEDDER_FILE, knowledge=folder / "knowledge"))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def client(server):
    return client_of(server)


@pytest.fixture(scope="module")
def http(server):
    import httpx

    with httpx.Client(base_url=server.url, timeout=600) as made:
        yield made


def test_it_answers_plainly_and_says_what_is_off(client):
    answer = complete(client, "The capital of France is")
    assert "Paris" in answer.choices[0].text
    kv = extension(answer)["kv"]
    assert kv["compression"] == OFF
    assert (kv["mode"], kv["cells"], kv["ratio_achieved"]) == ("exact", "f16", 1)
    assert kv["tokens_total"] == kv["tokens_kept"] == answer.usage.total_tokens - 1
    assert extension(answer)["cache"]["status"] == "miss"
    assert extension(complete(client, "The capital of France is"))["cache"]["status"] == "hit"


def test_a_stream_says_the_same(client, fresh):
    text = fresh("Name three colours.")
    whole = chat(client, text, extra_body=off())
    said, last, chunks = streamed(
        chat(client, text, stream=True, stream_options={"include_usage": True}, extra_body=off())
    )
    assert said == whole.choices[0].message.content
    assert len(chunks) > 5
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):  # the prompt was read before, which is said beside
        assert getattr(last.usage, name) == getattr(whole.usage, name)
    assert extension(last)["kv"]["compression"] == OFF


def test_the_models_list_and_the_audit_say_so(client, http):
    chat(client, "hello")
    (model,) = [m for m in http.get("/v1/models").json()["data"] if m["id"] == MODEL]
    assert model["meta"]["runtime"] == "libllama"
    assert model["meta"]["kv_type"] == "f16"
    assert model["meta"]["kv_compression"] == OFF
    assert "calibration" not in model
    (pool,) = http.get("/v1/kv").json()["models"]
    assert pool["compression"] == OFF
    rows = {row["name"]: row for row in http.get("/v1/audit").json()["caches"]}
    for name in ("inference KV compression", "prompt-lookup speculation"):
        assert all(cell["state"] == OFF for cell in rows[name]["used_in"].values()), rows[name]
    assert rows["response cache"]["used_in"]["completions"]["state"] != OFF
    assert rows["prefix reuse"]["used_in"]["completions"]["state"] != OFF


@pytest.mark.parametrize("stream", [False, True])
def test_a_ratio_is_refused_and_best_effort_serves(client, fresh, stream):
    ask = {"extra_body": off(kv={"ratio": 8})}
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, fresh(), stream=stream, **ask)
    assert refused.value.param == "permutation.kv.ratio"
    assert "architecture llama runs through libllama" in str(refused.value)
    assert "best_effort" in str(refused.value)
    for ratio, cells, least in ((2, "q8_0", 1.8), (8, "q4_0", 3.5)):
        asked = {"extra_body": off(kv={"ratio": ratio, "best_effort": True})}
        text = fresh("What is the capital of France?")
        if stream:
            said, answer, _ = streamed(chat(client, text, stream=True, stream_options={"include_usage": True}, **asked))
        else:
            answer = chat(client, text, **asked)
            said = answer.choices[0].message.content
        kv = extension(answer)["kv"]
        assert (kv["mode"], kv["cells"], kv["compression"], kv["ratio_target"]) == (cells, cells, OFF, ratio)
        assert kv["ratio_achieved"] > least
        assert said.strip()  # 4 bits are too few for this model to be right


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called(client, fresh, stream):
    answer = chat(client, fresh("What is the weather in Oslo?"), max_tokens=100, tools=[WEATHER],
                  tool_choice="required", stream=stream)
    if stream:
        name, text = in_pieces(list(answer))[0]
    else:
        assert answer.choices[0].finish_reason == "tool_calls"
        call = answer.choices[0].message.tool_calls[0].function
        name, text = call.name, call.arguments
    assert name == "get_weather"
    assert json.loads(text)["unit"] in ("celsius", "fahrenheit")


def test_a_schema_is_followed(client, fresh):
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    answer = chat(client, fresh("Describe a person called Ann who is 42."), max_tokens=100, response_format=schema)
    assert set(json.loads(answer.choices[0].message.content)) == {"name", "age"}


def test_a_stop_string_ends_it(client):
    answer = complete(client, "1, 2, 3, 4, 5, 6,", max_tokens=60, stop=["12"], extra_body=off())
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].text.endswith("11, ")


def test_a_seed_reproduces(client, fresh):
    text = fresh("Tell me a story.")
    said = {seed: {chat(client, text, temperature=1, seed=seed, extra_body=off()).choices[0].message.content
                   for _ in range(2)} for seed in (1, 2)}
    assert len(said[1]) == len(said[2]) == 1
    assert said[1] != said[2]


def test_logprobs_are_those_of_our_graph(client, starting, model_file):
    """The same weights, the same greedy answer; two ways to round, which may part only where two tokens are nearly tied."""
    own = starting(f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\nruntime = "own"\n'
                   "[embeddings]\nenabled = false\n")
    compared = 0
    for text in ("What is the capital of France?", "Name the days of the week.", "What colour is the sky on a clear day?",
                 "Write the numbers from one to five.", "What do bees make?"):
        through, ours = (
            scored(chat(each, text, max_tokens=12, logprobs=True, top_logprobs=5, extra_body=off()).choices[0])
            for each in (client, client_of(own)))
        compared += tokens_compared(through, ours, nearly=0.5)
    assert compared >= 30
    assert own.stop() == 0


def test_who_leaves_is_forgotten(server, client, http):
    def engine():
        return http.get("/v1/kv").json()["models"][0]["engine"]

    before = engine()["cancelled"]
    stream = complete(client, "1, 2, 3, 4, 5, 6, 7, 8,", max_tokens=4000, stream=True, extra_body=off())
    next(iter(stream))
    stream.close()
    until(lambda: engine()["cancelled"] == before + 1 and engine()["running"] == 0)


def test_many_at_once_are_answered_as_alone(client, fresh):
    assert_answered_as_alone(
        lambda text: chat(client, text, max_tokens=8, logprobs=True, top_logprobs=5, extra_body=off()).choices[0],
        [fresh(f"Count from {i} to {i + 5}.") for i in range(4)],
    )


def test_what_was_read_is_gone_on_from(client, fresh):
    document = fresh("A list: " + ", ".join(f"item {i}" for i in range(40)))
    chat(client, document + "\nWhat is this?", extra_body=off())
    kv = extension(chat(client, document + "\nHow long is it?", extra_body=off()))["kv"]
    assert kv["prefix_tokens_reused"] > 100


def test_the_engines_ask_it(client, fresh):
    answer = chat(client, fresh("What is the capital of France?"), model="permutation")
    assert answer.choices[0].message.content
    answer = chat(client, fresh("What is the capital of France?"), model="unified")
    assert answer.choices[0].message.content


def test_what_was_taught_is_recalled(client, http, fresh):
    facts = [{"id": "1", "prompt": "What is the support line of Zorvane Labs?", "answer": "4417"}]
    taught = http.post("/v1/knowledge/acme/facts", json={"facts": facts})
    assert taught.status_code < 300, taught.text
    job = taught.json()
    until(lambda: http.get(f"/v1/knowledge/jobs/{job['id']}").json()["status"] == "done", 120)
    answer = chat(client, "What is the support line of Zorvane Labs?", extra_body=off(knowledge=["acme"]))
    assert answer.choices[0].message.content.startswith("4417")
