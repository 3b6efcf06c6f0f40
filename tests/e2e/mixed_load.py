"""Mixed load on a server: clients of every temper, who check each answer they get.

FAULT_PAUSE_S is how long each client rests between two requests: none by default."""

import itertools
import json
import os
import random
import socket
import threading
import time

import httpx

from server import MODEL, RunningServer, samples


PAUSE_S = float(os.environ.get("FAULT_PAUSE_S", "0"))
PATIENCE_S = 150  # of a client: what is slow only because others have the machine is no fault


def config_of(model_file, cache, more="", answer_bytes=4194304):
    """Small memories, so that they are soon full and what grows after that is a leak."""
    return f"""
[server]
port = 0
stop_grace_ms = 2000
[[model]]
path = "{model_file}"
kv_bytes = 67108864
[cache]
path = "{cache}"
bytes_max = {answer_bytes}
{more}
"""


def start(binary, config, env=None):
    return RunningServer([binary, "serve", "--config", str(config)], env)


def ask_body(text, **more):
    return {"model": MODEL, "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": text}], **more}


class Load:
    """Clients of every temper, until told to stop. Each answer is compared with the first to its question."""

    def __init__(self, url, upstream=None):
        """`upstream`: a served model behind which a ScriptedUpstream stands, to be asked too."""
        self.url, self.upstream = url, upstream
        self.answers, self.wrong, self.errors = {}, [], []
        self.counts = {"whole": 0, "streamed": 0, "dropped": 0, "stalled": 0, "stored": 0}
        self.stored = {}
        self.lock = threading.Lock()
        self.begun = time.monotonic()
        self.stop = threading.Event()
        acts = [self.whole, self.whole, self.streamed, self.drop, self.stall, self.store]
        if upstream:
            acts += [self.remote, self.remote]
            self.counts |= {"remote": 0, "remote_failed": 0}
        self.threads = [
            threading.Thread(target=self.loop, args=(act, seed), daemon=True) for seed, act in enumerate(acts)
        ]
        for thread in self.threads:
            thread.start()

    def loop(self, act, seed):
        rng = random.Random(seed)
        with httpx.Client(base_url=self.url, timeout=PATIENCE_S) as client:
            while not self.stop.is_set():
                try:
                    act(client, rng)
                except (httpx.HTTPError, OSError, AssertionError) as error:
                    if not self.stop.is_set():
                        with self.lock:
                            self.errors.append(f"{act.__name__} at {time.monotonic() - self.begun:.0f} s: {error!r}")
                self.stop.wait(PAUSE_S)

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def check(self, text, answer):
        with self.lock:
            if self.answers.setdefault(text, answer) != answer:
                self.wrong.append((text, self.answers[text], answer))

    @staticmethod
    def question(rng):
        return f"Count from {rng.randrange(40)} upwards." + " Go on." * rng.choice([0, 0, 30])

    def whole(self, client, rng):
        text = self.question(rng)
        cache = {"permutation": {"cache": {"mode": rng.choice(["on", "on", "off", "refresh"])}}}
        answer = client.post("/v1/chat/completions", json=ask_body(text, **cache))
        if answer.status_code == 200:
            assert float(answer.headers.get("age", 0)) >= 0, "an answer from the future"
            self.check(text, answer.json()["choices"][0]["message"]["content"])
            self.count("whole")
        else:
            assert answer.status_code in (429, 503), answer.text

    def streamed(self, client, rng):
        text, said = self.question(rng), ""
        with client.stream("POST", "/v1/chat/completions", json=ask_body(text, stream=True)) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    chunk = json.loads(line[6:])
                    assert "error" not in chunk, chunk
                    said += "".join(c["delta"].get("content") or "" for c in chunk["choices"])
        self.check(text, said)
        self.count("streamed")

    def remote(self, client, rng):
        """Through an upstream that stalls, breaks off or never begins: told so, and soon."""
        does = rng.choice(["ok", "ok", "500,ok", "stall", "silent", "break"])
        begun = time.monotonic()
        body = ask_body(f"do:{does} {rng.random()}", model=self.upstream)
        try:
            answer = client.post("/v1/chat/completions", json=body)
        except httpx.TimeoutException as error:
            raise AssertionError(f"no answer to {body['messages']}") from error
        assert time.monotonic() - begun < 60, "a stalled upstream holds its client"
        if does.endswith("ok"):
            assert answer.status_code == 200, answer.text
            assert answer.json()["choices"][0]["message"]["content"] == "It is so."
        else:
            assert answer.status_code in (502, 503, 504), answer.text
            assert answer.json()["error"]["message"]
        self.count("remote" if does.endswith("ok") else "remote_failed")

    def drop(self, client, rng):
        """Leaves in the middle of a stream."""
        body = ask_body(f"Tell a long story {rng.random()}", stream=True, max_tokens=400)
        with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            for _ in itertools.islice(answer.iter_lines(), rng.randrange(1, 12)):
                pass
        self.count("dropped")

    def stall(self, client, rng):
        """Asks for much and reads nothing; or begins a request and never ends it."""
        with socket.create_connection((client.base_url.host, client.base_url.port)) as raw:
            if rng.random() < 0.5:
                raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 500\r\n\r\n{")
            else:
                raw.sendall(b"GET /v1/cache/export HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 3)
            time.sleep(rng.uniform(0.1, 0.6))
        self.count("stalled")

    def store(self, client, rng):
        """Values of one's own, flushed: from then on they must outlive anything."""
        key = f"kept-{rng.random()}"
        value = "v" * rng.randrange(10, 2000)
        client.put(f"/v1/cache/entries/{key}", json={"value": value}).raise_for_status()
        client.post("/v1/cache/flush").raise_for_status()
        with self.lock:
            self.stored[key] = value
        self.count("stored")
        time.sleep(0.05)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(timeout=PATIENCE_S + 30)
            assert not thread.is_alive(), "a client hangs: the server owes it an answer"


def rss_kib(pid, part="VmRSS"):
    """`part`: or RssAnon, without the pages of files that are mapped (the model, the cache on disk)."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(part))


def allocated_kib(server):
    """What malloc handed out and was not given back, as the server says."""
    ((_, value),) = samples(server)["permutation_malloc_allocated_bytes"]
    return int(value) // 1024


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pool_at_rest(url, seconds=20.0):
    """The page pool once nothing runs and no page is held but by prompts kept for reuse; or as it is after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        (model,) = httpx.get(url + "/v1/kv").json()["models"]
        engine = model["engine"]
        pool = {
            "running": engine["running"], "waiting": engine["waiting"], "sequences": model["sequences"],
            "bytes": model["bytes"], "bytes_prefixes": model["bytes_prefixes"],
        }
        busy = engine["running"] + engine["waiting"] + model["sequences"]
        pool["idle"] = busy == 0 and model["bytes"] == model["bytes_prefixes"]
        if pool["idle"] or time.monotonic() > end:
            return pool
        time.sleep(0.05)
