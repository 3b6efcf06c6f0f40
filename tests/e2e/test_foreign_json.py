"""JSON from everybody but the request's own body: an upstream's answers, a program's frames out of the sandbox, stored
values and imported entries. Whatever its shape, depth or size: an answer, or an error that says so, and the server up."""

import copy
import json

import httpx
import pytest

from scripted_root import RLM, block
from scripted_upstream import CONFIG, ScriptedUpstream
from server import MODEL, RunningServer


def nested(levels):
    return "[" * levels + "]" * levels


WRONG = [None, True, 7, -1, 1e300, 2**64 - 1, "text", "x" * 70_000, [], {}, [[5]], {"a": {"b": 1}}, json.loads(nested(80))]

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1, "bytes": None}]}
CHOICE = {"index": 0, "finish_reason": "stop", "logprobs": {"content": [TOKEN]}}
MESSAGE = {"role": "assistant", "content": "It is so.", "tool_calls": [CALL]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "details": {"cached": 1}}
ABOUT = {"id": "r", "object": "chat.completion", "created": 5, "model": "m", "citations": ["https://a.example"]}
WHOLE = {**ABOUT, "choices": [{**CHOICE, "message": MESSAGE}], "usage": USAGE}
CHUNK = {**ABOUT, "choices": [{**CHOICE, "delta": MESSAGE}], "usage": USAGE}
FAILURE = {"error": {"message": "no", "type": "server_error", "param": "messages", "code": 400}}
DONE = {"op": "done", "id": 1, "output": "shown", "output_chars": 5, "error": "", "final": "said", "ended": False,
        "variables": [["x", "int"]]}
ASKED = {"op": "call", "block": 1, "id": 1, "function": "llm_query", "arguments": {"prompt": "p", "context": "c"}}


def paths_of(value, path=()):
    """Every path of a JSON value, the root's () first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from paths_of(item, (*path, name))


def swapped(value):
    """Copies of `value` with one path's value exchanged for each of WRONG, or left out; [(path, copy)]."""
    for path in paths_of(value):
        if not path:
            continue
        for wrong in [*WRONG, ...]:
            changed = copy.deepcopy(value)
            at = changed
            for name in path[:-1]:
                at = at[name]
            if wrong is ...:
                del at[path[-1]]
            else:
                at[path[-1]] = copy.deepcopy(wrong)
            yield path, changed


class Player(ScriptedUpstream):
    """Answers the next request with `next`: (status, payloads of a stream, or one text for a whole answer); as a root
    (model "root") with the next of `turns`."""

    def __init__(self):
        self.next = (200, "{}")
        self.turns = []
        super().__init__()

    def act(self, handler, body):
        if body["model"] == "root":
            turn = self.turns.pop(0) if self.turns else "FINAL(nothing more)"
            answer = {**WHOLE, "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": turn}}]}
            return self.send(handler, 200, json.dumps(answer), [("content-type", "application/json")])
        status, said = self.next
        if isinstance(said, str):
            return self.send(handler, status, said, [("content-type", "application/json")])
        self.begin_stream(handler)
        for payload in said:
            self.event(handler, payload)


@pytest.fixture(scope="module")
def upstream():
    player = Player()
    yield player
    player.stop()


@pytest.fixture(scope="module")
def server(binary, model_file, upstream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    config = folder / "config.toml"
    text = CONFIG.format(model=model_file, url=upstream.url, models='["root", "m"]')
    text += f'[knowledge]\npath = "{folder / "knowledge"}"\n' + RLM.format(leaf="t/m", trajectories=folder)
    config.write_text(text + "max_iterations = 2\nblock_seconds = 5.0\n")
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.process.poll() is None, running.log()
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


def ask(http, model="t/m", stream=False, **more):
    body = {"model": model, "messages": [{"role": "user", "content": "so?"}], "stream": stream,
            "permutation": {"cache": {"mode": "off"}, **more}}
    return http.post("/v1/chat/completions", json=body)


def in_stream(response):
    """(text, error messages) of a stream."""
    text, errors = "", []
    for line in response.text.splitlines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            errors.append(event["error"]["message"])
        for choice in event.get("choices", []):
            text += choice["delta"].get("content") or ""
    return text, errors


def test_an_upstreams_whole_answer_of_any_shape(http, upstream):
    statuses = set()
    for path, changed in swapped(WHOLE):
        upstream.next = (200, json.dumps(changed))
        answer = ask(http)
        assert answer.status_code in (200, 502), (path, answer.text[:300])
        statuses.add(answer.status_code)
        assert answer.json()["choices"] if answer.status_code == 200 else answer.json()["error"]["message"]
    assert statuses == {200, 502}


def test_an_upstreams_chunk_of_any_shape(http, upstream):
    ends = set()
    for path, changed in swapped(CHUNK):
        upstream.next = (200, [changed, "[DONE]"])
        answer = ask(http, stream=True)
        assert answer.status_code in (200, 502), (path, answer.text[:300])
        ends.add(answer.status_code)
        if answer.status_code == 200:
            text, errors = in_stream(answer)
            assert errors or answer.text.rstrip().endswith("data: [DONE]"), path
    assert ends == {200, 502}


def test_an_upstreams_error_of_any_shape(http, upstream):
    for status in (400, 500):
        for path, changed in swapped(FAILURE):
            upstream.next = (status, json.dumps(changed))
            answer = ask(http)
            assert answer.status_code in (status, 400, 502, 503), (path, answer.text[:300])
            assert answer.json()["error"]["message"]
    for path, changed in swapped(FAILURE):
        upstream.next = (200, [changed])
        assert ask(http, stream=True).status_code in (200, 400, 401, 429, 502, 503), path


@pytest.mark.parametrize("levels", [63, 64, 1_000, 500_000])
def test_an_upstream_that_nests(http, upstream, levels):
    chunk = json.dumps(CHUNK)[:-1] + ', "zz": ' + nested(levels) + "}"
    upstream.next = (200, [chunk, "[DONE]"])
    streamed = ask(http, stream=True)
    upstream.next = (200, json.dumps(WHOLE)[:-1] + ', "zz": ' + nested(levels) + "}")
    whole = ask(http)
    upstream.next = (500, '{"error": ' + nested(levels) + "}")
    assert ask(http).status_code == 503
    if levels < 64:
        assert streamed.status_code == 200 and whole.status_code == 200
        assert whole.json()["zz"] == json.loads(nested(levels))
        return
    assert streamed.status_code == 502 and whole.status_code == 502
    assert "deeper than 64 levels" in whole.json()["error"]["message"]


@pytest.mark.parametrize("mb", [1, 17, 30, 40, 70])
def test_an_upstreams_piece_of_any_size(http, upstream, mb):
    text = "f" * (mb * 1_000_000)
    chunks = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in ("begin ", text, " end")]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    upstream.next = (200, [*chunks, end, "[DONE]"])
    answer = ask(http, stream=True)
    said, errors = in_stream(answer)
    assert said == f"begin {text} end" or (errors and "bytes" in errors[-1]), (len(said), errors)
    if mb > 67:
        assert "67108864 bytes" in errors[-1]
    upstream.next = (200, [*chunks[1:], end, "[DONE]"])
    first = ask(http, stream=True)
    assert first.status_code == 200 or "67108864 bytes" in first.json()["error"]["message"]


def sends(*frames):
    """A block whose program writes these frames, or texts, to its channel."""
    texts = [frame if isinstance(frame, str) else json.dumps(frame) for frame in frames]
    return block(
        "import os\ndef send(data):\n    while data: data = data[os.write(3, data):]\n"
        + "".join(f"send({text.encode()!r} + b'\\n')\n" for text in texts)
        + "while True: pass"
    )


def play(http, upstream, code):
    upstream.next = (200, json.dumps(WHOLE))
    upstream.turns = [code, block("FINAL('went on')")]
    answer = ask(http, "rlm", rlm={"context": "some text"}, trace=True)
    assert answer.status_code == 200, answer.text[:500]
    if answer.json()["permutation"]["engine"]["context_strategy"]["sandbox"] != "bubblewrap":
        pytest.skip("the programs of this sandbox have no channel to write to")
    return answer.json()


def test_a_sandbox_frame_that_nests(http, upstream):
    for member, frame in [("ended", DONE), ("zz", DONE), ("arguments", ASKED), ("zz", ASKED)]:
        text = json.dumps({name: value for name, value in frame.items() if name != member})[:-1]
        code = sends("@").replace("b'@'", f"{text.encode()!r} + b', \"{member}\": ' + b'[' * 1000000 + b']' * 1000000 + b'}}'")
        answer = play(http, upstream, code)
        assert answer["choices"][0]["message"]["content"] == "went on"
        told = json.dumps(answer["permutation"]["engine"]["trace"])
        assert "deeper than 64 levels" in told, told[:1000]


def test_sandbox_frames_of_any_shape(http, upstream):
    """A wrong one ends its program, so each takes one: every fifth of them here, all of them in the room's test."""
    forged = [changed for frame in (DONE, ASKED) for _, changed in swapped(frame)]
    for changed in forged[::5]:
        play(http, upstream, sends(changed, DONE))


@pytest.mark.parametrize("wrapped", [False, True])
def test_any_stored_value_lists(http, wrapped):
    names = []
    values = [{"choices": [5]}, {"choices": []}, {"choices": {"0": 1}}, {"choices": [[]]}, {"choices": [{"text": [1]}]},
              {"choices": [{"text": "é" * 300}]}, {"choices": None}, json.loads(nested(60)), *WRONG[:-1]]
    for path, changed in swapped({"choices": [{"index": 0, "text": "t", "finish_reason": "stop"}], "usage": USAGE}):
        values.append(changed)
    for i, value in enumerate(values):
        names.append(f"any-{wrapped}-{i}")
        put = http.put(f"/v1/cache/entries/{names[-1]}", json={"value": [value] if wrapped else value, "tags": ["any"]})
        assert put.status_code in (200, 400), (value, put.text[:300])
    listed = 0
    for page in range(100):
        items = http.get("/v1/dashboard/items", params={"kind": "cache", "page": page})
        assert items.status_code == 200, items.text[:500]
        listed += len(items.json()["items"])
        if not items.json()["items"]:
            break
    stored = http.get("/v1/cache").json()["entries"]
    assert listed == stored >= 100
    assert http.get("/v1/dashboard/items", params={"kind": "cache", "q": "choices"}).status_code == 200
    assert http.delete("/v1/cache", params={"tag": "any"}).status_code == 200


EVENTS = [
    {"type": "started", "model": "m", "created": 5},
    {"type": "delta", "choice": 0, "text": "a", "logprobs": [["a", -1.5, [["b", -2.5]]]]},
    {"type": "end", "choice": 0, "reason": "stop", "tool_calls": [CALL]},
    {"type": "done", "prompt_tokens": 1, "completion_tokens": 2, "engine": {"metadata": {"degraded": False}},
     "usage_details": {"x": 1}, "extra": {"citations": ["a"]},
     "knowledge": {"domains": ["d"], "facts": ["d/1"], "slots_read": 1}},
]


def test_imported_entries_of_any_shape(http):
    """What is taken can be read, listed and exported; what isn't is told with its line."""
    meta = {"tokens": 3, "stored": 4_000_000_000, "ttl_s": 100.0, "tenant": "t", "namespace": "n", "model": "m",
            "tags": ["imported"], "usd": 0.5, "compute_s": 0.1, "semantic": {"scope": "s", "question": "q"}}
    lines, keys = [], []
    for _, changed in swapped({"meta": meta, "events": EVENTS}):
        keys.append(f"{len(keys):064x}")
        lines.append(json.dumps({"key": keys[-1], **changed}))
    lines.append('{"key": "' + "f" * 64 + '", "meta": {}, "value": ' + nested(500_000) + "}")
    lines.append('{"key": "' + "e" * 64 + '", "meta": {}, "value": ' + nested(60) + "}")
    done = http.post("/v1/cache/import", content="\n".join(lines))
    assert done.status_code == 200, done.text[:500]
    assert 0 < done.json()["rejected"] < len(lines)
    for key in [*keys, "e" * 64, "f" * 64]:
        assert http.get(f"/v1/cache/entries/{key}").status_code in (200, 404)
    assert http.get("/v1/dashboard/items", params={"kind": "cache"}).status_code == 200
    exported = http.get("/v1/cache/export")
    assert exported.status_code == 200
    again = http.post("/v1/cache/import", content=exported.content)
    assert again.json()["rejected"] == 0, again.text[:500]
    assert http.delete("/v1/cache").status_code == 200


def test_facts_that_nest(http):
    lines = [json.dumps({"prompt": "Where is Zorvane Labs?", "answer": "Porto"}), '{"prompt": ' + nested(500_000) + "}"]
    answer = http.post("/v1/knowledge/deep/facts", content="\n".join(lines))
    assert answer.status_code in (202, 404), answer.text[:300]
    only = http.post("/v1/knowledge/deep/facts", content=nested(500_000))
    assert only.status_code in (400, 404)
    if only.status_code == 400:
        assert "deeper than 64 levels" in only.json()["error"]["message"]
    assert http.get(f"/v1/models/{MODEL}").status_code == 200
