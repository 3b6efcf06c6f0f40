"""Every figure of the response cache after some hundred random acts against the real server, from the acts alone: what
docs/observability.md says of each. src/app/wiring/counters_test.cpp plays ten thousand, over models that are scripted.
COUNTERS_ACTS and COUNTERS_SEED choose how many and which."""

import collections
import json
import os
import random

import httpx
import pytest

from conftest import EMBEDDER_FILE
from server import MODEL, RunningServer, samples

ACTS = int(os.environ.get("COUNTERS_ACTS", "250"))
SEED = int(os.environ.get("COUNTERS_SEED", "1"))
TAUGHT = "Who runs Quinset Harbour?"
QUESTIONS = [TAUGHT, *(f"What is {n} plus {n + 1}?" for n in range(6))]
CONFIG = """
[server]
port = 0
stop_grace_ms = 5000
[[model]]
path = "{model}"
[embeddings]
path = "{embedder}"
[knowledge]
path = "{folder}/knowledge"
[cache]
path = "{folder}/cache"
[prices."{name}"]
input_per_mtok = 1.0
output_per_mtok = 4.0
"""


class Entry:
    def __init__(self, model, tokens, usd, tag="", digest=""):
        self.model, self.tokens, self.usd, self.tag, self.digest = model, tokens, usd, tag, digest
        self.in_ram = True


class Acts:
    """Plays an act at a time, and knows what every figure must be."""

    def __init__(self, start, seed):
        self.start, self.random = start, random.Random(seed)
        self.server = start()
        self.http = httpx.Client(base_url=self.server.url, timeout=120)
        self.entries, self.digests = {}, set()
        self.counts = collections.Counter()
        self.uses = collections.Counter()
        self.facts = self.lessons = 0
        self.last = ""

    def send(self, method, path, expected=200, **more):
        answer = self.http.request(method, path, **more)
        assert answer.status_code == expected, (self.last, answer.text)
        return answer

    def act(self):
        acts = {self.ask: 40, self.look: 15, self.show: 8, self.put: 8, self.get: 8, self.flag: 6, self.delete: 5,
                self.purge: 3, self.move: 2, self.teach: 4, self.restart: 1}  # fmt: skip
        self.random.choices(list(acts), list(acts.values()))[0]()

    def found(self, key):
        entry = self.entries.get(key)
        if entry is None:
            self.counts["misses"] += 1
            return None
        self.counts["disk_hits"] += not entry.in_ram
        entry.in_ram = True
        self.counts["hits"] += 1
        self.counts["tokens_saved"] += entry.tokens
        self.counts["usd_saved"] += entry.usd
        return entry

    def keep(self, key, entry):
        self.entries[key] = entry
        self.digests.add(entry.digest)
        self.counts["stores"] += 1

    def ask(self):
        model, text = self.random.choice([MODEL, "permutation"]), self.random.choice(QUESTIONS)
        mode, tag = self.random.choice(["on"] * 6 + ["off", "refresh"]), self.random.choice(["", "", "t"])
        # Only an engine uses what was taught without being told to, and only this question is about it.
        knows = text == TAUGHT and model == "permutation" and self.facts
        key = (model, text, self.lessons if knows else 0)
        self.last = f"ask {key} {mode}"
        found = self.found(key) if mode == "on" else None
        body = {
            "model": model, "temperature": 0, "max_tokens": 12 if text == TAUGHT else 2, "messages": [{"role": "user", "content": text}],
            "permutation": {"cache": {"mode": mode, "tags": [tag] if tag else []}},
        }  # fmt: skip
        answer = self.send("POST", "/v1/chat/completions", json=body)
        status, usage = answer.headers["x-permutation-cache"], answer.json()["usage"]
        assert status == ("hit" if found else "bypass" if mode == "off" else "miss"), (self.last, answer.text)
        # How sure a fact is told: an answer from before the lesson would say something else.
        assert (answer.json()["choices"][0]["message"]["content"] == self.facts) == bool(knows), (self.last, answer.text)
        tokens = usage["prompt_tokens"] + usage["completion_tokens"]
        self.counts["of saved" if found else "of computed"] += tokens
        surface = "completions" if model == MODEL else "permutation"
        self.uses[surface] += found is not None
        if found or mode == "off":
            return
        usd = (usage["prompt_tokens"] + 4 * usage["completion_tokens"]) / 1e6
        self.keep(key, Entry(model, tokens, usd, tag, answer.headers["x-permutation-cache-key"]))

    def digest(self):
        """(one that was there once, or none ever; the key of what is there)"""
        digest = self.random.choice([*sorted(self.digests), "ab" * 32])
        return digest, next((key for key, entry in self.entries.items() if entry.digest == digest), None)

    def look(self):
        digest, key = self.digest()
        self.last = f"look at {key}"
        self.send("GET", f"/v1/cache/entries/{digest}", 200 if key else 404)

    def show(self):
        path = self.random.choice(["/v1/cache/export", "/v1/dashboard/items?kind=cache", "/metrics", "/v1/audit", "/"])
        self.last = f"show {path}"
        self.send("GET", path)

    def put(self):
        name, tokens = self.random.choice("abcd"), self.random.randrange(50)
        self.last = f"put {name}"
        value = {"value": name, "tokens": tokens, "usd": 0.25, "tags": ["t"]}
        digest = self.send("PUT", f"/v1/cache/entries/{name}", json=value).json()["key"]
        self.keep(("own", name), Entry("", tokens, 0.25, "t", digest))

    def get(self):
        name = self.random.choice("abcd")
        self.last = f"get {name}"
        self.send("GET", f"/v1/cache/entries/{name}", 200 if self.found(("own", name)) else 404)

    def flag(self):
        digest, key = self.digest()
        self.last = f"flag {key}"
        self.send("POST", f"/v1/cache/entries/{digest}/false_hit", 200 if key else 404)
        if key:
            self.counts["false_hits"] += 1
            self.gone([key])

    def delete(self):
        digest, key = self.digest()
        self.last = f"delete {key}"
        self.send("DELETE", f"/v1/cache/entries/{digest}", 200 if key else 404)
        self.gone([key] if key else [])

    def purge(self):
        self.last = "purge t"
        tagged = [key for key, entry in self.entries.items() if entry.tag == "t"]
        assert self.send("DELETE", "/v1/cache?tag=t").json()["purged"] == len(tagged), self.last
        self.gone(tagged)

    def gone(self, keys):
        for key in keys:
            del self.entries[key]
            self.counts["purged"] += 1

    def move(self):
        self.last = "export and import"
        lines = self.send("GET", "/v1/cache/export").text
        if not lines:
            return
        assert self.send("POST", "/v1/cache/import", content=lines).json()["imported"] == len(self.entries), self.last
        self.counts["stores"] += len(self.entries)
        for entry in self.entries.values():
            entry.in_ram = True

    def teach(self):
        self.last = "teach or forget"
        if self.facts and self.random.random() < 0.4:
            self.send("DELETE", "/v1/knowledge/harbour")
            self.facts = 0
            return
        self.lessons += 1
        self.facts = f"Ada {self.lessons}"
        facts = {"facts": [{"id": "boss", "prompt": TAUGHT, "answer": self.facts}]}
        job = self.send("POST", "/v1/knowledge/harbour/facts", 202, json=facts).json()["id"]
        with self.http.stream("GET", f"/v1/knowledge/jobs/{job}", headers={"accept": "text/event-stream"}) as events:
            states = [line for line in events.iter_lines() if line.startswith("data: {")]
        assert json.loads(states[-1][6:])["status"] == "done", states

    def restart(self):
        self.last = "restart"
        self.http.close()
        assert self.server.stop() == 0, self.server.log()
        self.server = self.start()
        self.http = httpx.Client(base_url=self.server.url, timeout=120)
        self.counts.clear()
        self.uses.clear()
        for entry in self.entries.values():
            entry.in_ram = False

    def compare(self):
        self.send("POST", "/v1/cache/flush")
        c, cache = self.counts, self.send("GET", "/v1/cache").json()
        lookups, told = c["hits"] + c["misses"], c["of saved"] + c["of computed"]
        wanted = {
            "lookups": lookups, "misses": c["misses"], "hit_rate": c["hits"] / lookups if lookups else 0,
            "stores": c["stores"], "purged": c["purged"], "false_hits": c["false_hits"], "refused": 0, "evictions": 0,
            "expired": 0, "tokens_saved": c["tokens_saved"], "usd_saved": c["usd_saved"], "entries": len(self.entries),
            "token_hit_rate": c["of saved"] / told if told else 0,
        }  # fmt: skip
        assert {name: cache[name] for name in wanted} == pytest.approx(wanted), self.last
        assert cache["hits"] == {"exact": c["hits"], "semantic": 0, "stale": 0, "coalesced": 0}, self.last
        assert cache["engine_calls"]["lookups"] == cache["engine_calls"]["stores"] == 0, self.last
        assert cache["ram"]["entries"] == sum(entry.in_ram for entry in self.entries.values()), self.last
        assert (cache["disk"]["entries"], cache["disk"]["hits"]) == (len(self.entries), c["disk_hits"]), self.last
        self.compare_metrics(wanted)
        self.compare_page(cache)

    def compare_metrics(self, wanted):
        found = samples(self.server)
        total = lambda name, *labels: sum(v for text, v in found.get(name, []) if all(one in text for one in labels))
        for name in ("misses", "stores", "purged", "false_hits", "tokens_saved", "usd_saved"):
            assert total(f"permutation_response_cache_{name}_total") == pytest.approx(wanted[name]), (name, self.last)
        assert total("permutation_response_cache_hits_total") == self.counts["hits"], self.last
        assert total("permutation_response_cache_entries") == len(self.entries), self.last
        row = next(r for r in self.send("GET", "/v1/audit").json()["caches"] if r["name"] == "response cache")
        for surface in ("completions", "permutation"):
            labels = ('cache="response cache"', f'surface="{surface}"')
            assert row["used_in"][surface]["count"] == self.uses[surface], (surface, self.last)
            assert total("permutation_cache_uses_total", *labels) == self.uses[surface], (surface, self.last)

    def compare_page(self, cache):
        with self.http.stream("GET", "/v1/dashboard/events") as events:
            snapshot = json.loads(next(line for line in events.iter_lines() if line.startswith("data: "))[6:])
        assert snapshot["cache"] == {name: value for name, value in cache.items() if name != "provider"}, self.last
        assert self.send("GET", "/v1/dashboard/items?kind=cache").json()["total"] == len(self.entries), self.last


def test_every_figure_is_what_the_acts_alone_say(binary, model_file, tmp_path):
    if not os.path.isfile(EMBEDDER_FILE):
        pytest.skip(f"PERMUTATION_EMBEDDER names no file: {EMBEDDER_FILE!r}")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(model=model_file, embedder=EMBEDDER_FILE, folder=tmp_path, name=MODEL))
    acts = Acts(lambda: RunningServer([binary, "serve", "--config", str(config)]), SEED)
    for i in range(ACTS):
        try:
            acts.act()
            if i % 10 == 9:
                acts.compare()
        except AssertionError as error:
            raise AssertionError(f"seed {SEED}, act {i}: {acts.last}: {error}") from error
    acts.restart()
    acts.compare()
    assert acts.server.stop() == 0, acts.server.log()
