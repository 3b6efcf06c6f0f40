"""What providers' prompt caches read and were written, what answers cost with that, and budgets of dollars a day."""

import hashlib
import json
import re
import signal

import anthropic
import httpx
import openai
import pytest

from scripted_upstream import ScriptedUpstream
from server import RunningServer, chat, extension, samples, streamed, until

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[cache]
path = "{folder}/store"

[[upstream]]
name = "p"
base_url = "{url}"
models = ["m"]
retries = 0
cooldown_failures = 0

[[upstream]]
name = "keyed"
base_url = "{url}"
models = ["m"]
prompt_cache_key = true

[[upstream]]
name = "marked"
base_url = "{url}"
models = ["m"]
inject_cache_control = true

[prices."p/m"]
input_per_mtok = 3.0
output_per_mtok = 15.0
cached_input_per_mtok = 0.3
cache_write_per_mtok = 3.75
reasoning_output_per_mtok = 20.0
"""
KEY = """
[[key]]
name = "{name}"
sha256 = "{sha256}"
tenant = "{tenant}"
scopes = {scopes}
budget_usd_per_day = {budget}
"""

# Each says: 1,000 tokens of prompt, 600 read from its cache, 300 written to it where it writes; 40 of answer.
SAID = {
    "openai": {"prompt_tokens": 1000, "completion_tokens": 40, "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300},
               "completion_tokens_details": {"reasoning_tokens": 10}},
    "litellm": {"prompt_tokens": 1000, "completion_tokens": 40, "cache_read_input_tokens": 600, "cache_creation_input_tokens": 300,
                "completion_tokens_details": {"reasoning_tokens": 10}},
    "deepseek": {"prompt_tokens": 1000, "completion_tokens": 40, "prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 400},
    "moonshot": {"prompt_tokens": 1000, "completion_tokens": 40, "cached_tokens": 600},
}
COST = {
    "openai": (100 * 3 + 600 * 0.3 + 300 * 3.75 + 10 * 20 + 30 * 15) / 1e6,
    "litellm": (100 * 3 + 600 * 0.3 + 300 * 3.75 + 10 * 20 + 30 * 15) / 1e6,
    "deepseek": (400 * 3 + 600 * 0.3 + 40 * 15) / 1e6,
    "moonshot": (400 * 3 + 600 * 0.3 + 40 * 15) / 1e6,
}


class Provider(ScriptedUpstream):
    def do_said(self, handler, body):
        text = json.dumps(body["messages"][-1]["content"])
        usage = SAID[re.search(r"as ([a-z]+)", text)[1]]
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "So."}}
            answer = {"object": "chat.completion", "created": 5, "model": "m", "choices": [choice], "usage": usage}
            return self.send(handler, 200, json.dumps(answer), [("content-type", "application/json")])
        self.begin_stream(handler)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": "So."}, "finish_reason": "stop"}]})
        self.event(handler, {"object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.event(handler, "[DONE]")

    def act(self, handler, body):
        self.do_said(handler, body)


@pytest.fixture(scope="module")
def provider():
    upstream = Provider()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def gateway(binary, provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("money")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(url=provider.url, folder=folder) + "[embeddings]\nenabled = false\n")
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def client(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=60)


def provider_of(server, headers=None):
    return httpx.get(server.url + "/v1/cache", headers=headers, timeout=60).raise_for_status().json()["provider"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("words", SAID)
def test_each_providers_words_are_shown_and_priced(client, gateway, fresh, words, stream):
    text = fresh(f"Say it as {words}.")
    more = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    before = provider_of(gateway)
    for status in ("miss", "hit"):
        answer = chat(client, text, model="p/m", **more)
        if stream:
            _, answer, _ = streamed(answer)
        assert extension(answer)["cache"]["status"] == status
        assert answer.usage.prompt_tokens_details.cached_tokens == 600
        for name, value in SAID[words].items():
            if isinstance(value, int):
                assert answer.usage.model_dump()[name] == value, "as it was written"
    assert extension(answer)["cache"]["usd_saved"] == pytest.approx(COST[words], rel=1e-12), "with its discount"
    after = provider_of(gateway)
    assert after["answers"] - before["answers"] == 1, "a replay costs nothing there"
    assert after["usd"] - before["usd"] == pytest.approx(COST[words])
    written = 300 if words in ("openai", "litellm") else 0
    now = {name: after["tokens"][name] - before["tokens"][name] for name in after["tokens"]}
    assert now == {"read": 600, "written": written, "missed": 400 - written}


def test_the_other_apis_have_their_own_words(client, gateway, fresh):
    text = fresh("Say it as deepseek.")
    chat(client, text, model="p/m")
    response = client.responses.create(model="p/m", input=text, temperature=0, max_output_tokens=24)
    assert response.usage.input_tokens == 1000
    assert response.usage.input_tokens_details.cached_tokens == 600
    text = fresh("Say it as openai.")
    message = anthropic.Anthropic(base_url=gateway.url, api_key="none", max_retries=0).messages.create(
        model="p/m", max_tokens=24, messages=[{"role": "user", "content": text}]
    )
    assert message.usage.input_tokens == 100
    assert message.usage.cache_creation_input_tokens == 300
    assert message.usage.cache_read_input_tokens == 600


def test_it_is_counted_in_the_audit_and_the_metrics(client, gateway, fresh):
    def row():
        caches = httpx.get(gateway.url + "/v1/audit", timeout=60).json()["caches"]
        return next(cache for cache in caches if cache["name"] == "provider prompt cache")

    before = row()["used_in"]["completions"]["count"]
    text = fresh("Say it as openai.")
    chat(client, text, model="p/m")
    chat(client, text, model="p/m")
    assert row()["used_in"]["completions"]["count"] == before + 1
    assert row()["implemented"] is True and row()["production_ready"]["value"] is True
    found = samples(gateway)
    provider = provider_of(gateway)

    def value(name, *labels):
        (only,) = [v for text, v in found[name] if 'model="p/m"' in text and all(label in text for label in labels)]
        return only

    for what in ("read", "written", "missed"):
        assert value("permutation_provider_prompt_tokens_total", f'cache="{what}"') == provider["tokens"][what]
    assert value("permutation_provider_answers_total", 'cache="hit"') == provider["answers_hit"]
    assert value("permutation_spent_usd_total") == pytest.approx(provider["usd"])
    assert value("permutation_cache_tokens_total", 'cache="provider prompt cache"') == provider["tokens"]["read"]
    assert value("permutation_cache_answers_total", 'cache="response cache"') >= 1
    assert value("permutation_completions_total", 'cache="hit"', 'tenant=""') >= 1
    assert value("permutation_completion_tokens_total", 'cache="hit"') >= 1040
    stats = httpx.get(gateway.url + "/v1/cache", timeout=60).json()
    assert 0 < stats["token_hit_rate"] < 1


def turns(text, count):
    messages = [{"role": "system", "content": "You code."}, {"role": "user", "content": text}]
    for i in range(count):
        messages += [{"role": "assistant", "content": f"Done {i}."}, {"role": "user", "content": f"Say it as openai. {i}"}]
    return messages


def test_a_conversation_has_one_key_and_the_response_cache_none(client, provider, fresh):
    text = fresh("Say it as openai.")
    for count in (0, 1, 2, 2):
        client.chat.completions.create(model="keyed/m", messages=turns(text, count), temperature=0)
    client.chat.completions.create(model="keyed/m", messages=turns(text, 3), temperature=0, prompt_cache_key="mine")
    keys = [r.get("prompt_cache_key") for r in provider.requests if r["messages"][1:2] == [{"role": "user", "content": text}]]
    assert len(keys) == 4, "the same question was a hit"
    assert len(set(keys[:3])) == 1 and keys[0].startswith("pmt-")
    assert keys[3] == "mine"
    hit = client.chat.completions.create(model="keyed/m", messages=turns(text, 3), temperature=0)
    assert extension(hit)["cache"]["status"] == "hit", "whoever names a key asks the same question"


def test_breakpoints_are_injected_where_they_are_asked_for(client, provider, fresh):
    text = fresh("Say it as openai.")
    ephemeral = {"type": "ephemeral"}
    tools = [{"type": "function", "function": {"name": n, "parameters": {"type": "object"}}} for n in ("a", "b")]
    for _ in range(2):
        answer = client.chat.completions.create(model="marked/m", messages=turns(text, 2), tools=tools, temperature=0)
    assert extension(answer)["cache"]["status"] == "hit"
    sent = provider.requests[-1]
    assert [tool.get("cache_control") for tool in sent["tools"]] == [None, ephemeral]
    marked = [i for i, m in enumerate(sent["messages"]) if "cache_control" in json.dumps(m)]
    assert marked == [0, 3, 5], "the system prompt and the last two turns"
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "You code.", "cache_control": ephemeral}]
    own = [{"role": "user", "content": [{"type": "text", "text": fresh("as openai"), "cache_control": ephemeral}]}]
    client.chat.completions.create(model="marked/m", messages=own, tools=tools, temperature=0)
    assert provider.requests[-1]["messages"] == own and provider.requests[-1]["tools"] == tools


class Budgeted:
    """A server with a key that may spend some dollars a day, and an operator's."""

    def __init__(self, binary, provider, folder, budget):
        self.binary, self.url, self.folder = binary, provider.url, folder
        self.write(budget)
        self.start()

    def write(self, budget):
        text = CONFIG.format(url=self.url, folder=self.folder) + "[embeddings]\nenabled = false\n"
        for name, scopes, usd in (("ann", ["inference", "cache"], budget), ("ops", ["admin"], 0)):
            sha256 = hashlib.sha256(name.encode()).hexdigest()
            text += KEY.format(name=name, sha256=sha256, tenant=name, scopes=json.dumps(scopes), budget=usd)
        (self.folder / "config.toml").write_text(text)

    def start(self):
        self.server = RunningServer([self.binary, "serve", "--config", str(self.folder / "config.toml")])
        self.client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="ann", max_retries=0, timeout=60)

    def stop(self):
        assert self.server.stop() == 0, self.server.log()

    def ask(self, text):
        return chat(self.client, text, model="p/m")

    def get(self, path, key="ops"):
        return httpx.get(self.server.url + path, headers={"authorization": f"Bearer {key}"}, timeout=60)


def test_a_budget_of_dollars_a_day(binary, provider, fresh, tmp_path):
    budgeted = Budgeted(binary, provider, tmp_path, budget=2.5 * COST["openai"])
    known = fresh("Say it as openai.")
    for text in (known, known, fresh("Say it as openai."), fresh("Say it as openai.")):
        budgeted.ask(text)  # the second is a hit, and the last goes over it
    with pytest.raises(openai.RateLimitError) as refused:
        budgeted.ask(fresh("Say it as openai."))
    assert refused.value.code == refused.value.type == "insufficient_quota"
    assert "'ann'" in refused.value.message and "resets at 00:00 UTC" in refused.value.message
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 86400
    budgeted.client.models.list()
    (budget,) = budgeted.get("/v1/cache", "ann").json()["provider"]["budgets"]
    assert budget["spent_usd"] == pytest.approx(3 * COST["openai"]) and budget["refused"] == 1
    found = {name: values for name, values in metrics_of(budgeted).items() if name.startswith("permutation_key_")}
    assert found['permutation_key_spent_usd{key="ann",tenant="ann"}'] == pytest.approx(3 * COST["openai"])
    assert found['permutation_key_budget_usd{key="ann",tenant="ann"}'] == pytest.approx(2.5 * COST["openai"])
    assert found['permutation_key_budget_refused_total{key="ann",tenant="ann"}'] == 1

    budgeted.stop()
    budgeted.start()
    with pytest.raises(openai.RateLimitError):
        budgeted.ask(fresh("Say it as openai."))
    budgeted.write(10 * COST["openai"])
    budgeted.server.process.send_signal(signal.SIGHUP)
    until(lambda: "read again" in budgeted.server.log())
    budgeted.ask(fresh("Say it as openai."))
    (budget,) = budgeted.get("/v1/cache").json()["provider"]["budgets"]
    assert budget["spent_usd"] == pytest.approx(4 * COST["openai"])
    budgeted.stop()


def metrics_of(budgeted):
    lines = budgeted.get("/metrics").raise_for_status().text.splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}
