"""Starting and stopping `permutation serve`, and reading what it answers."""

import concurrent.futures
import atexit
import os
import queue
import re
import signal
import subprocess
import threading
import time

import httpx

MODEL = "smollm2-135m-instruct"
PATIENCE = int(os.environ.get("PATIENCE", "1"))  # times: sanitizers slow a server down


class RunningServer:
    """A server process. `argv` must ask for port 0: the port is read from its log."""

    running = []  # all that were not seen to end, oldest first: conftest.py ends what a failed test left

    def __init__(self, argv, env=None):
        environment = {**os.environ, **(env or {})}
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=environment)
        RunningServer.running.append(self)
        self._lines = []
        self._ready = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self._ready.get(timeout=60 * PATIENCE)
        except queue.Empty:
            self.process.kill()
            raise AssertionError(f"the server did not come up:\n{self.log()}") from None
        if self.url is None:
            raise AssertionError(f"the server ended with {self.process.wait()}:\n{self.log()}")

    def _read(self):
        for line in self.process.stderr:
            self._lines.append(line)
            if found := re.search(r"listening on (https?://[^\s\"]+)", line):
                self._ready.put(found[1])
        self._ready.put(None)

    def log(self):
        return "".join(self._lines)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(timeout=30 * PATIENCE)
        self._reader.join(timeout=5)
        self._forget()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30 * PATIENCE)
        self._forget()

    def _forget(self):
        if self in RunningServer.running:
            RunningServer.running.remove(self)


@atexit.register
def kill_all():
    for server in list(RunningServer.running):
        server.kill()


def extension(answer):
    """The `permutation` object of an answer or of a stream's last chunk."""
    return answer.model_extra["permutation"]


def chat(client, text, **options):
    """One greedy chat answer of 24 tokens at most, unless `options` say otherwise."""
    options = {"model": MODEL, "temperature": 0, "max_tokens": 24, **options}
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], **options)


def complete(client, text, **options):
    options = {"model": MODEL, "temperature": 0, "max_tokens": 24, **options}
    return client.completions.create(prompt=text, **options)


def chat_raw(client, text, **options):
    """(headers, answer)"""
    options = {"model": MODEL, "temperature": 0, "max_tokens": 24, **options}
    raw = client.chat.completions.with_raw_response.create(
        messages=[{"role": "user", "content": text}], **options
    )
    return raw.headers, raw.parse()


def streamed(chunks):
    """(text, the last chunk, all chunks) of a chat or text stream."""
    chunks = list(chunks)
    text = ""
    for chunk in chunks:
        for choice in chunk.choices:
            piece = choice.delta.content if hasattr(choice, "delta") else choice.text
            text += piece or ""
    return text, chunks[-1], chunks


def scored(choice):
    """Each token of a choice, chat's or a completion's, its log probability, and those of its five alternatives. The end
    is a token without text, and has its name among the alternatives: that name is given."""
    logprobs = choice.logprobs
    if hasattr(logprobs, "tokens"):
        tokens = list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True))
    else:
        tokens = [(t.token, t.logprob, {u.token: u.logprob for u in t.top_logprobs}) for t in logprobs.content]
    assert all(len(alternatives) == 5 for _, _, alternatives in tokens)
    return [(token or next(name for name, of_it in alternatives.items() if of_it == logprob), logprob, alternatives)
            for token, logprob, alternatives in tokens]


def tokens_compared(one, other, nearly):
    """How many tokens of two answers were compared: all up to where they part. There and before, both say the same of
    both tokens, within `nearly` nats; what follows answers two texts."""
    for place, ((a, logprob_a, of_a), (b, logprob_b, of_b)) in enumerate(zip(one, other)):
        assert abs(of_a[b] - logprob_b) < nearly, (of_a, of_b)
        assert abs(of_b[a] - logprob_a) < nearly, (of_a, of_b)
        if a != b:
            return place + 1
    assert len(one) == len(other), (one, other)
    return len(one)


def assert_answered_as_alone(ask, prompts):
    """`ask` gives the choice for a prompt. A batch rounds otherwise than a token alone, and may part from it at a tie."""
    alone = [scored(ask(prompt)) for prompt in prompts]
    with concurrent.futures.ThreadPoolExecutor(len(prompts)) as threads:
        together = list(threads.map(lambda prompt: scored(ask(prompt)), prompts))
    for prompt, one, other in zip(prompts, alone, together, strict=True):
        assert tokens_compared(one, other, nearly=0.5) > 0, prompt


def off(**more):
    """extra_body that keeps the response cache out."""
    return {"permutation": {"cache": {"mode": "off"}, **more}}


def samples(server, headers=None):
    """What /metrics says: {name: [(labels, value)]}."""
    found = {}
    for line in httpx.get(server.url + "/metrics", headers=headers, timeout=60).raise_for_status().text.splitlines():
        if match := re.fullmatch(r"([\w:]+)(\{.*\})? (\S+)", line):
            found.setdefault(match[1], []).append((match[2] or "", float(match[3])))
    return found


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")
