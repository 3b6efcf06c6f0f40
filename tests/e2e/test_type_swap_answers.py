"""What others say to the server, with one thing wrong somewhere: an upstream's answers, the frames of a program in
the sandbox, values that callers store. The swaps are those of the requests (type_swap.py)."""

import base64
import concurrent.futures
import json
import os
import random
import re
import zlib

import httpx
import pytest

from json_text import Members, bytes_of, replaced, text_of, tree_of, walk
from scripted_root import ScriptedRoot, block
from scripted_upstream import CONFIG, ScriptedUpstream
from server import RunningServer
from type_swap import UNREADABLE, VALUES, changes_at, random_swap

SEED = int(os.environ.get("SWAP_SEED", "1"))
ANSWERS = int(os.environ.get("SWAP_ANSWERS", "600"))
FRAMES = int(os.environ.get("SWAP_FRAMES", "48"))
ANSWER_S = 30

# --- upstreams ----------------------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14,
         "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 1}}  # fmt: skip
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
TOKEN = {"token": "So", "logprob": -0.1, "bytes": [83, 111], "top_logprobs": [{"token": "So", "logprob": -0.1, "bytes": None}]}


def whole(finish, message, **more):
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}, **more}
    return {"id": "r", "object": "chat.completion", "created": 5, "model": "m", "choices": [choice], "usage": USAGE,
            "citations": ["https://a.example/1"]}  # fmt: skip


def piece(delta, finish=None, **more):
    return {"id": "r", "created": 5, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def call_piece(**function):
    return {"index": 0, **CALL, "function": {**CALL["function"], **function}}


# kind -> (status, answer); a list is a stream.
SAID = {
    "plain": (200, whole("stop", {"content": "So it is.", "refusal": None, "annotations": []})),
    "calls": (200, whole("tool_calls", {"content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]})),
    "logprobs": (200, whole("length", {"content": "So"}, logprobs={"content": [TOKEN]})),
    "stream": (200, [piece({"role": "assistant", "content": "So "}), piece({"content": "it is."}), piece({}, "stop"),
                     {"id": "r", "choices": [], "usage": USAGE}]),
    "stream of calls": (200, [piece({"tool_calls": [call_piece(arguments="")]}),
                              piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": "Oslo"}'}}]}),
                              {**piece({}, "tool_calls"), "usage": USAGE}]),
    "stream of logprobs": (200, [piece({"content": "So"}, "stop", logprobs={"content": [TOKEN]})]),
    "an error in a stream": (200, [piece({"content": "So"}), {"error": {"message": "no", "type": "x", "param": None, "code": "y"}}]),
    **{f"an error {status}": (status, {"error": {"message": "no", "type": "x", "param": "model", "code": code}})
       for status, code in [(400, "context_length_exceeded"), (401, "invalid_api_key"), (404, "model_not_found"),
                            (429, "insufficient_quota"), (500, None)]},
}  # fmt: skip


class Swapping(ScriptedUpstream):
    """Answers the question that has been planned with what was planned, and everything else well."""

    def __init__(self):
        self.plans = {}  # question -> (status, content type, bytes)
        super().__init__()

    def act(self, handler, body):
        plan = self.plans.get(body["messages"][-1]["content"])
        if plan is None:
            return self.do_ok(handler, body)
        status, kind, data = plan
        handler.send_response(status)
        handler.send_header("content-type", kind)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def plan(self, question, status, tree):
        if type(tree) is list:
            data = b"".join(b"data: " + bytes_of(chunk) + b"\n\n" for chunk in tree) + b"data: [DONE]\n\n"
            self.plans[question] = (status, "text/event-stream", data)
        else:
            self.plans[question] = (status, "application/json", bytes_of(tree))


@pytest.fixture(scope="module")
def upstream():
    scripted = Swapping()
    yield scripted
    scripted.stop()


@pytest.fixture(scope="module")
def gateway(binary, model_file, upstream, tmp_path_factory):
    config = tmp_path_factory.mktemp("answers") / "config.toml"
    config.write_text(CONFIG.format(model=model_file, url=upstream.url, models='["m"]'))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0, running.log()[-2_000:]


@pytest.fixture(scope="module")
def http(gateway):
    with httpx.Client(base_url=gateway.url, timeout=ANSWER_S) as client:
        yield client


def failure_of(answer, is_stream):
    """The error's object of an answer or of a stream, None where there is none. Its shape is checked."""
    if answer.status_code != 200:
        error = answer.json()["error"]
    elif not is_stream:
        return None
    else:
        payloads = [json.loads(p) for p in re.findall(r"^data: (.*)$", answer.text, re.MULTILINE) if p != "[DONE]"]
        error = next((p["error"] for p in payloads if "error" in p), None)
        if error is None:
            assert answer.text.rstrip().endswith("data: [DONE]"), answer.text[-300:]
            return None
    assert set(error) == {"message", "type", "param", "code"} and error["message"], error
    return error


def check_types(answer):
    """What the client reads by type has its type, whatever the upstream has said."""
    body = answer.json()
    (choice,) = body["choices"]
    message = choice["message"]
    assert message["content"] is None or isinstance(message["content"], str), message
    assert choice["finish_reason"] in ("stop", "length", "tool_calls", "content_filter"), choice
    for call in message.get("tool_calls") or []:
        assert isinstance(call["type"], str) and isinstance(call["id"], str), call
        if "function" not in call:
            continue  # a provider's own type
        function = call["function"]
        assert isinstance(function["name"], str) and isinstance(function["arguments"], str), call
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert type(body["usage"][name]) is int and body["usage"][name] >= 0, body["usage"]


def ask(http, question, is_stream):
    sent = {"model": "t/m", "messages": [{"role": "user", "content": question}], "temperature": 0, "logprobs": True,
            "top_logprobs": 1, "stream": is_stream}  # fmt: skip
    return http.post("/v1/chat/completions", json=sent)


def one_answer(http, upstream, kind, number):
    """None, or what is wrong."""
    dice = random.Random(f"{SEED}/{kind}/{number}")
    status, said = SAID[kind]
    tree = tree_of(said)
    path, _ = dice.choice([one for one in walk(tree) if one[0] or type(tree) is not list])
    swapped = random_swap(tree, path, dice)
    question = f"{kind} {number}"
    upstream.plan(question, status, swapped.tree)
    is_stream = type(said) is list
    try:
        first = ask(http, question, is_stream)
        error = failure_of(first, is_stream)
        if status != 200:
            assert first.status_code >= 400, first.text
        elif first.status_code != 200:
            said_so = kind == "an error in a stream"
            assert first.status_code in ((502, 503) if said_so else (502,)), (first.status_code, first.text)
        if error is None and not is_stream:
            check_types(first)
        del upstream.plans[question]
        second = ask(http, question, is_stream)
        assert failure_of(second, is_stream) is None, second.text
        if error is not None:
            assert second.headers["x-permutation-cache"] == "miss", "a failure was kept"
    except (AssertionError, httpx.HTTPError, KeyError, TypeError, ValueError) as wrong:
        text = f"{kind}, {swapped.what[:200]}: {type(wrong).__name__} {str(wrong)[:300]}"
        return text.encode("ascii", "backslashreplace").decode()
    return None


def test_whatever_an_upstream_says_is_an_answer_or_its_failure(http, upstream, gateway):
    kinds = list(SAID)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        wrong = list(pool.map(lambda i: one_answer(http, upstream, kinds[i % len(kinds)], i // len(kinds)), range(ANSWERS)))
    assert gateway.process.poll() is None, gateway.log()[-2_000:]
    found = [one for one in wrong if one]
    assert not found, f"{len(found)} at SWAP_SEED={SEED}:\n" + "\n".join(found[:40])


# --- the sandbox --------------------------------------------------------------------------------------------

DONE = {"op": "done", "id": "NUMBER", "output": "so", "output_chars": 2, "error": "", "variables": [["x", "int"]],
        "final": None, "ended": False}  # fmt: skip
ASK = {"op": "call", "id": 1, "block": "NUMBER", "function": "llm_query", "arguments": {"prompt": "Say so.", "model": None}}
ASK_MANY = {**ASK, "function": "llm_query_batched", "arguments": {"prompts": ["Say so."], "model": None}}
SEARCH = {**ASK, "function": "context_search", "arguments": {"query": "so", "k": 2}}

PROGRAM = """
import base64, os, sys, zlib
number = sys._getframe().f_code.co_filename.split()[1].strip('<>').encode()
frame = zlib.decompress(base64.b64decode('{packed}')).replace(b'"NUMBER"', number) + b'\\n'
while frame:
    frame = frame[os.write(3, frame):]
"""


class Root(ScriptedRoot):
    """Its leaf says the same to everything."""

    def act(self, handler, body):
        super().act(handler, body) if body["model"] == "root" else self.do_ok(handler, body)


def programs():
    """Turns of a root, each a program that writes one swapped frame to its channel."""
    dice = random.Random(SEED)
    frames = [tree_of(one) for one in (DONE, ASK, ASK_MANY, SEARCH)]
    turns = []
    for i in range(FRAMES):
        frame = frames[i % len(frames)]
        path, _ = dice.choice(list(walk(frame)))
        swapped = random_swap(frame, path, dice)
        turns.append(block(PROGRAM.format(packed=base64.b64encode(zlib.compress(bytes_of(swapped.tree))).decode())))
    return turns


def test_whatever_a_program_writes_to_its_channel_ends_nobody_else(binary, model_file, tmp_path):
    at_once = 8
    turns = programs()
    plays = {f"swap_{'abcdefghijklmnopqrstuvwxyz'[i]}": [*turns[i * at_once : (i + 1) * at_once], "FINAL(after)"]
             for i in range((len(turns) + at_once - 1) // at_once)}  # fmt: skip
    plays["plain"] = [block("FINAL(len(context))")]
    root = Root(plays)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(model=model_file, url=root.url, models='["root", "leaf"]')
                      + '[rlm]\nroot = "t/root"\nleaf = "t/leaf"\nmax_iterations = 20\nblock_seconds = 5.0\n')  # fmt: skip
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        with httpx.Client(base_url=server.url, timeout=120) as http:

            def play(name):
                sent = {"model": "rlm", "messages": [{"role": "user", "content": f"play:{name}"}],
                        "permutation": {"cache": {"mode": "off"}, "rlm": {"context": "so it is"}}}  # fmt: skip
                return http.post("/v1/chat/completions", json=sent)

            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = dict(zip(plays, pool.map(play, plays), strict=True))
            assert server.process.poll() is None, server.log()[-2_000:]
            for name, answer in answers.items():
                assert answer.status_code in (200, 429, 502), (name, answer.text[:500])
            assert play("plain").json()["choices"][0]["message"]["content"] == "8"
    finally:
        assert server.stop() == 0, server.log()[-2_000:]
        root.stop()


# --- stored values ------------------------------------------------------------------------------------------

STORED = {"choices": [{"index": 0, "text": "Oslo", "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}


def stored_values():
    """name -> JSON's text: each swap's value itself, and in every place of what the server itself would keep."""
    tree = tree_of(STORED)
    for name in VALUES:
        for path, old in [((), tree), *walk(tree)]:
            value = VALUES[name](old) if callable(VALUES[name]) else VALUES[name]
            yield f"{len(path)} {name}", replaced(tree, path, value)


def test_whatever_is_stored_is_listed_read_and_moved(http, gateway):
    dice = random.Random(SEED)
    values = dice.sample(list(stored_values()), 120)
    kept = {}
    for number, (name, value) in enumerate(values):
        key = f"swap-{number}"
        body = Members([("value", value), ("tags", ["swapped"])])
        answer = http.put(f"/v1/cache/entries/{key}", content=bytes_of(body), headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 413), (name, answer.text)
        if answer.status_code == 200 and answer.json()["stored"]:
            kept[key] = http.get(f"/v1/cache/entries/{key}").json()["value"]
            assert kept[key] == json.loads(text_of(value)), name
        else:
            assert any(one in name for one in [*UNREADABLE, "1e400", "2^64", "10^30", "below -2^63"]), (name, answer.text)
    assert len(kept) > 60
    for query in ("", "&q=Oslo", "&q=%00", "&page=3", "&page=1000000"):
        listed = http.get("/v1/dashboard/items?kind=cache" + query)
        assert listed.status_code == 200, (query, listed.text)
    assert http.get("/v1/dashboard/items?kind=cache").json()["total"] >= len(kept)
    moved = http.get("/v1/cache/export?tag=swapped")
    assert len(moved.text.splitlines()) == len(kept)
    assert http.delete("/v1/cache?tag=swapped").json()["purged"] == len(kept)
    again = http.post("/v1/cache/import", content=moved.content, headers={"content-type": "application/x-ndjson"})
    assert again.json()["imported"] == len(kept) and again.json()["rejected"] == 0, again.text
    for key, value in kept.items():
        assert http.get(f"/v1/cache/entries/{key}").json()["value"] == value, key
        assert http.delete(f"/v1/cache/entries/{key}").json()["deleted"], key


def test_a_line_to_import_may_be_anything(http, gateway):
    """Each line of an export with one thing wrong, many in one body: what is wrong is told with its line."""
    http.put("/v1/cache/entries/line", json={"value": STORED, "tags": ["line"]})
    own = {"model": "t/m", "messages": [{"role": "user", "content": "Is it so?"}], "temperature": 0, "logprobs": True,
           "permutation": {"cache": {"tags": ["line"]}}}  # fmt: skip
    http.post("/v1/chat/completions", json=own).raise_for_status()  # it is kept as events, not as one value
    dice = random.Random(SEED)
    exported = http.get("/v1/cache/export?tag=line").text.splitlines()
    assert len(exported) == 2
    for line in exported:
        tree = tree_of(json.loads(line))
        lines = []
        for path, _ in walk(tree):
            lines += [bytes_of(random_swap(tree, path, dice).tree) for _ in changes_at(path)[::8]]
        answer = http.post("/v1/cache/import", content=b"\n".join(lines), headers={"content-type": "application/x-ndjson"})
        assert answer.status_code in (200, 400, 413), answer.text
        assert gateway.process.poll() is None, gateway.log()[-2_000:]
    assert http.get("/v1/dashboard/items?kind=cache").status_code == 200
    assert http.get("/v1/cache/export").status_code == 200
    assert http.delete("/v1/cache").status_code == 200
