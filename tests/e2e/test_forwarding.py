"""A gateway forwards: what a caller writes reaches the upstream byte for byte, but for the members that must change,
and what the upstream answers reaches the caller, whole, streamed, and out of the cache in either shape.

Requests are drawn from the server's own OpenAPI document, with members beside it that nobody knows; answers hold
every member that providers are known to send, and unknown ones. FORWARD_SEED and FORWARD_COUNT choose others.
"""

import json
import os
import random
import re

import httpx
import pytest

from scripted_upstream import ScriptedUpstream
from server import RunningServer

SEED = int(os.environ.get("FORWARD_SEED", random.SystemRandom().randrange(10**6)))
COUNT = int(os.environ.get("FORWARD_COUNT", 300))
CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[upstream]]
name = "up"
base_url = "{url}"
models = {{ m = "own-name" }}
embeddings = {{ e = "own-embedder" }}
retries = 0
cooldown_failures = 0

[permutation]
teacher = "up/m"
"""
CHAT, TEXT, EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


class Writer:
    """JSON as people and programs write it: any order, any space, any spelling of a number or a character."""

    def __init__(self, seed, document):
        self.random = random.Random(seed)
        self.document = document

    def space(self):
        return self.random.choice(["", "", "", " ", "\n  ", "\t", "\r\n"])

    def string(self, text=None):
        if text is None:
            text = "".join(self.random.choice(["a", "Zq", " ", "é", "日本", "😀", "\"", "\\", "\n", "/", "</s>", "\u2028"])
                           for _ in range(self.random.randrange(8)))  # fmt: skip
        spelled = json.dumps(text, ensure_ascii=self.random.random() < 0.5)
        return spelled.replace("/", self.random.choice(["/", "\\/"]))

    def number(self):
        return self.random.choice(["0", "1", "0.7", "0.70", "1.0", "7e-1", "-0", "1E+2", "0.1000000000000000055", "5000000000",
                                   "18446744073709551616", "-123456789012345678901234567890", "3.14159"])  # fmt: skip

    def pairs(self, pairs):
        """An object's text."""
        return "{" + ",".join(f"{self.space()}{name}{self.space()}:{self.space()}{value}" for name, value in pairs) + "}"

    def anything(self, depth=0):
        kind = self.random.randrange(6 if depth < 3 else 4)
        if kind == 0:
            return self.random.choice(["null", "true", "false"])
        if kind == 1:
            return self.number()
        if kind < 4:
            return self.string()
        if kind == 4:
            return "[" + ", ".join(self.anything(depth + 1) for _ in range(self.random.randrange(3))) + "]"
        return self.pairs((self.string(f"k{i}"), self.anything(depth + 1)) for i in range(self.random.randrange(3)))

    def unknown(self):
        """Members that no document has."""
        return [(self.string(f"x-{self.random.randrange(10**6)}"), self.anything()) for _ in range(self.random.randrange(3))]

    def of_schema(self, schema, depth=0):
        """A value that the schema allows, with members beside it where it is an object."""
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return json.dumps(self.random.choice(schema["enum"]))
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                return self.of_schema(self.random.choice(schema[choice]), depth)
        kind = schema.get("type")
        if kind == "array":
            count = self.random.randrange(schema.get("minItems", 0), max(schema.get("minItems", 0), 2) + 1)
            return "[" + ",".join(self.of_schema(schema.get("items", {}), depth + 1) for _ in range(count)) + "]"
        if kind == "object":
            required = schema.get("required", [])
            known = [(self.string(name), self.of_schema(one, depth + 1)) for name, one in schema.get("properties", {}).items()
                     if name in required or (depth < 6 and self.random.random() < 0.7)]  # fmt: skip
            both = known + self.unknown()
            self.random.shuffle(both)
            return self.pairs(both)
        if kind == "null":
            return "null"
        if kind == "boolean":
            return self.random.choice(["true", "false"])
        if kind in ("number", "integer"):
            return self.number()
        return self.string() if kind == "string" else self.anything()

    def messages(self, schema):
        """What the document knows, and parts and turns that only an upstream does."""
        url = '{"url":"data:image/png;base64,iVBORw0KGgo=", "detail":"low"}'
        parts = ['{"type":"image_url","image_url":' + url + "}", '{"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}}',
                 '{"type":"file","file":{"file_id":"f"}}', '{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}']  # fmt: skip
        turns = [self.of_schema(schema["items"]) for _ in range(self.random.randrange(3))]
        turns.append('{"role":"assistant","content":null,"reasoning_content":"so","function_call":{"name":"f","arguments":"{"}}')
        turns.append('{"role":"function" ,"name":"f","content":"1"}')
        turns.append('{"content":[' + ", ".join(self.random.sample(parts, 2)) + '],"role":"user"}')
        self.random.shuffle(turns)
        return "[" + self.space().join([",".join(turns), '\n,{"role":"user","content":"do:ok"}']) + "]"


OURS = {"model", "permutation", "stream", "stream_options"}
CHANGED = {"model": '"own-name"', "stream_options": '{"include_usage" : true, "x":1.50}'}


def embedding(writer, schema):
    """([(name, its text, the value's text)], no stream)"""
    pairs = [("model", '"up/e"'), *((name, writer.of_schema(one)) for name, one in schema["properties"].items() if name != "model")]
    pairs += [(name, writer.anything()) for name in ("user", "input_type", "truncate")]
    members = [(name, writer.string(name), value) for name, value in pairs] + [(None, *pair) for pair in writer.unknown()]
    writer.random.shuffle(members)
    return members, False


def written(writer, schema):
    """([(name, its text, the value's text)], stream)"""
    properties = schema["properties"]
    stream = writer.random.random() < 0.5
    pairs = [("model", '"up/m"')]
    for name, one in properties.items():
        if name == "messages":
            pairs.append((name, writer.messages(one)))
        elif name == "prompt":
            pairs.append((name, writer.random.choice(['"do:ok"', '["a","do:ok"]', "[1,2]"])))
        elif name not in OURS and writer.random.random() < 0.6:
            pairs.append((name, writer.of_schema(one)))
    pairs += [("seed", "5000000000"), ("top_p", "0"), ("reasoning_effort", '"low"')]
    pairs += [(name, writer.anything()) for name in ("user", "metadata", "store", "service_tier", "x_options")]
    if stream or writer.random.random() < 0.3:
        pairs.append(("stream", "true" if stream else "false"))
    if stream and writer.random.random() < 0.5:
        pairs.append(("stream_options", '{"include_usage" : false, "x":1.50}'))
    if writer.random.random() < 0.7:
        pairs.append(("permutation", '{"cache": {"mode": "off"}}'))
    writer.random.shuffle(pairs)
    return [(name, writer.string(name), value) for name, value in pairs], stream


@pytest.fixture(scope="module")
def upstream():
    running = Answering()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def gateway(binary, upstream, tmp_path_factory):
    config = tmp_path_factory.mktemp("forwarding") / "config.toml"
    config.write_text(CONFIG.format(url=upstream.url))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def http(gateway):
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def schemas(http):
    document = http.get("/openapi.json").raise_for_status().json()

    def schema(route):
        found = document["paths"][route]["post"]["requestBody"]["content"]["application/json"]["schema"]
        while "$ref" in found:
            found = document["components"]["schemas"][found["$ref"].rsplit("/", 1)[1]]
        return found

    return document, {route: schema(route) for route in (CHAT, TEXT, EMBED)}


def post(http, route, body):
    return http.post(route, content=body.encode(), headers={"content-type": "application/json"})


def test_a_request_arrives_byte_for_byte(http, upstream, schemas):
    document, by_route = schemas
    for number in range(COUNT):
        writer = Writer(SEED + number, document)
        route = writer.random.choice([CHAT, CHAT, CHAT, TEXT, TEXT, EMBED])
        members, stream = (embedding if route == EMBED else written)(writer, by_route[route])
        changed = {**CHANGED, "model": '"own-embedder"'} if route == EMBED else CHANGED
        gaps = [writer.space() for _ in members]
        colons = [writer.space() + ":" + writer.space() for _ in members]
        texts = [quoted + colon + value for (_, quoted, value), colon in zip(members, colons)]
        head, tail = "{" + gaps[0], writer.space() + "}" + writer.space()
        body = head + texts[0] + "".join("," + gap + text for gap, text in zip(gaps[1:], texts[1:])) + tail
        upstream.answer(None)
        answer = post(http, route, body)
        assert answer.status_code == 200, f"FORWARD_SEED={SEED + number}: {answer.text}\n{body}"
        wanted, first = head, True
        for (name, quoted, value), gap, colon in zip(members, gaps, colons):
            if name == "permutation":
                continue
            wanted += ("" if first else "," + gap) + quoted + colon + changed.get(name, value)
            first = False
        if stream and all(name != "stream_options" for name, *_ in members):
            wanted += ',"stream_options":{"include_usage":true}'
        assert upstream.bytes[-1].decode() == wanted + tail, f"FORWARD_SEED={SEED + number}"


def test_an_engine_forwards_to_its_teacher(http, upstream):
    """`permutation` without a student: the teacher is asked in the caller's words."""
    body = ('{"model":"permutation", "messages" : [{"role":"user","content":"do:ok","x":1.50}], "temperature":0.70,'
            '"max_completion_tokens":40,"reasoning_effort":"low","permutation":{"cache":{"mode":"off"}}}')  # fmt: skip
    upstream.answer(None)
    assert post(http, CHAT, body).status_code == 200
    assert upstream.bytes[-1].decode() == body.replace('"permutation",', '"own-name",').replace(
        ',"permutation":{"cache":{"mode":"off"}}', "")
    budget = body.replace('"cache"', '"budget":{"tokens":30},"cache"')
    assert post(http, CHAT, budget).status_code == 200
    sent = json.loads(upstream.bytes[-1])
    assert sent["max_completion_tokens"] == 30 and "max_tokens" not in sent, "the budget is the lower limit"


# ---- Answers ----------------------------------------------------------------------------------------------


class Number(str):
    """As it was written."""


def tree(text):
    return json.loads(text, parse_float=Number, parse_int=Number, object_pairs_hook=lambda pairs: pairs)


class Answering(ScriptedUpstream):
    """Says what it was told to, whole or in pieces, as it is asked."""

    def __init__(self):
        super().__init__()
        self._whole = self._chunks = None

    def answer(self, whole, chunks=None):
        self._whole, self._chunks = whole, chunks

    def do_refuse(self, handler, body):
        status, text = self.refusal
        self.send(handler, status, text, [("content-type", "application/json")])

    def act(self, handler, body):
        if handler.path.endswith("/embeddings"):
            vector = '{"object":"embedding","index":0,"embedding":[1.50,-0]}'
            answer = f'{{"object":"list", "data":[{vector}],"model":"own-embedder","usage":{{"prompt_tokens":3}},"x":1}}'
            return self.send(handler, 200, answer, [("content-type", "application/json")])
        if self._whole is None:
            if "messages" in body:
                last = body["messages"][-1]["content"]
                return self.do_refuse(handler, body) if last.startswith("do:refuse") else self.do_ok(handler, body)
            text = '{"choices":[{"index":0,"text":"It is so.","finish_reason":"stop"}]}'
            self._say(handler, body, text, [text])
        else:
            self._say(handler, body, self._whole, self._chunks)

    def _say(self, handler, body, whole, chunks):
        if not body.get("stream"):
            return self.send(handler, 200, whole, [("content-type", "application/json")])
        self.begin_stream(handler)
        for chunk in [*chunks, "[DONE]"]:
            self.event(handler, re.sub(r"\r\n|\n", "\ndata: ", chunk))


def cut(writer, text):
    """A JSON string in up to three pieces, each a JSON string: never inside an escape."""
    inner = json.loads(text)
    at = sorted(writer.random.randrange(len(inner) + 1) for _ in range(2))
    return [json.dumps(piece) for piece in (inner[: at[0]], inner[at[0] : at[1]], inner[at[1] :]) if piece]


def drawn_answer(writer):
    """(whole body, the same in chunks, {level: {name: value's text}} that must reach the caller)"""
    rand = writer.random
    strings = {name: json.dumps("".join(rand.choice("abé 日\n\"") for _ in range(9)))
               for name in ("reasoning_content", "reasoning", "refusal") if rand.random() < 0.5}  # fmt: skip
    content = rand.choice([json.dumps("It is so, 日本"), "null", '""'])
    once = {"annotations": '[{"type":"url_citation","url_citation":{"start_index":0,"title":"é"}}]',
            "audio": '{"id":"a1","data":"UklG","expires_at":1700000000,"transcript":"hm"}',
            "reasoning_details": '[{"type":"reasoning.text","text":"t","index":0,"n":1.50}]',
            "x_message": writer.anything()}  # fmt: skip
    once = {name: value for name, value in once.items() if rand.random() < 0.6}
    calls = [
        {"id": '"c1"', "type": '"function"', "function": '{"name":"f","arguments":"{\\"b\\":1,\\"a\\":2.50}"}',
         "extra_content": '{"google":{"thought_signature":"sig","n":1.0e0}}'},
        {"id": '"c2"', "type": '"custom"', "custom": '{"name":"g","input":"free text"}'},
    ][: rand.randrange(3)]  # fmt: skip
    of_choice = {"stop_reason": rand.choice(["null", "7", '"</s>"']), "content_filter_results": '{"hate":{"filtered":false}}',
                 "logprobs": '{"content":[{"token":"It","logprob":-0.3100,"bytes":[73,116],"top_logprobs":[],"id":9}],"refusal":null}'}  # fmt: skip
    of_choice = {name: value for name, value in of_choice.items() if rand.random() < 0.6}
    of_body = {"system_fingerprint": '"fp_1"', "service_tier": '"flex"', "provider": '"P"', "citations": '["https://a/é"]',
               "x_body": writer.anything()}  # fmt: skip
    of_body = {name: value for name, value in of_body.items() if rand.random() < 0.6}
    usage = '{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14,"cost":1.40e-4,"prompt_tokens_details":{"cached_tokens":4}}'
    finish = rand.choice(['"stop"', '"length"', '"tool_calls"', '"content_filter"', '"function_call"', '"end_turn"'])

    def obj(members):
        return "{" + ", ".join(f'"{name}": {value}' for name, value in members) + "}"

    def listed(items):
        return "[" + ",".join(items) + "]"

    message = [("role", '"assistant"'), ("content", content), *strings.items(), *once.items()]
    if calls:
        message.append(("tool_calls", listed(obj(call.items()) for call in calls)))
    choice = obj([("index", "0"), ("message", obj(message)), *of_choice.items(), ("finish_reason", finish)])
    named = [("id", '"r"'), ("object", '"chat.completion"'), ("created", "5"), ("model", '"s"')]
    whole = obj([*named, *of_body.items(), ("choices", listed([choice])), ("usage", usage)])

    scalars = [(name, value) for name, value in of_body.items() if value[0] not in "[{"]
    pieces = [[(name, piece)] for name, value in strings.items() for piece in cut(writer, value)]
    pieces += [[(name, value)] for name, value in once.items()]
    if content not in ("null", '""'):
        pieces += [[("content", piece)] for piece in cut(writer, content)]
    for index, call in enumerate(calls):
        pieces.append([("tool_calls", listed([obj([("index", str(index)), *call.items()])]))])
    deltas = [[("role", '"assistant"'), ("content", content if content in ("null", '""') else '""'), ("refusal", "null")], *pieces]
    chunk = lambda delta, more, end: obj([*scalars, ("choices", listed([obj([("index", "0"), ("delta", obj(delta)), *more, ("finish_reason", end)])]))])  # noqa: E731, E501
    logprobs = [(n, v) for n, v in of_choice.items() if n == "logprobs"]
    chunks = [chunk(delta, [], "null") for delta in deltas]
    if logprobs:
        chunks.append(chunk([], logprobs, "null"))
    chunks.append(chunk([], [(n, v) for n, v in of_choice.items() if n != "logprobs"], finish))
    chunks.append(obj([*of_body.items(), ("choices", "[]"), ("usage", usage)]))
    ends = {"finish_reason": '"stop"', "native_finish_reason": finish} if finish == '"end_turn"' else {"finish_reason": finish}
    wanted = {"message": {**strings, **once}, "choice": {**of_choice, **ends}, "body": of_body,
              "calls": [tree(obj(call.items())) for call in calls], "content": json.loads(content),
              "usage": tree(usage)}  # fmt: skip
    return whole, chunks, wanted


def joined(deltas):
    """What a client makes of a stream's deltas: strings appended, of all else the last; (message, calls, content)"""
    message, calls, content = {}, {}, None
    for name, value in (member for delta in deltas for member in delta):
        is_text = isinstance(value, str) and not isinstance(value, Number)
        if name == "tool_calls":
            for call in value:
                calls.setdefault(dict(call)["index"], []).extend(member for member in call if member[0] != "index")
        elif name == "content":
            content = value if content is None else content + (value or "")
        elif is_text and name != "role":
            message[name] = (message.get(name) or "") + value
        elif value is not None or name not in message:
            message[name] = value
    return message, [calls[index] for index in sorted(calls, key=int)], content


def what_came(answer):
    """{level: {name: tree}} of a plain answer or a stream."""
    if "event-stream" not in answer.headers["content-type"]:
        body = dict(tree(answer.text))
        choice = dict(body["choices"][0])
        message = dict(choice.pop("message"))
        calls = message.pop("tool_calls", [])
        return {"message": message, "choice": choice, "body": body, "calls": calls, "content": message.pop("content"),
                "usage": body["usage"], "status": dict(dict(body["permutation"])["cache"])["status"]}  # fmt: skip
    events = [event[6:] for event in answer.text.split("\n\n") if event.startswith("data: ")]
    assert events.pop() == "[DONE]"
    chunks = [dict(tree(event)) for event in events]
    body, choice, deltas = {}, {}, []
    for chunk in chunks:
        body.update(chunk)
        for one in chunk["choices"]:
            members = dict(one)
            deltas.append(members.pop("delta"))
            choice.update((n, v) for n, v in members.items() if v is not None or n not in choice)
    message, calls, content = joined(deltas)
    return {"message": message, "choice": choice, "body": body, "calls": calls, "content": content,
            "usage": body["usage"], "status": dict(dict(body["permutation"])["cache"])["status"]}  # fmt: skip


def check(came, wanted, where):
    for level in ("message", "choice", "body"):
        for name, value in wanted[level].items():
            assert name in came[level], f"{where}: {level}.{name} is lost"
            assert came[level][name] == tree(value), f"{where}: {level}.{name}"
    assert came["calls"] == wanted["calls"], where
    assert (came["content"] or "") == (wanted["content"] or ""), where
    if wanted["content"]:
        assert came["content"] == wanted["content"], where
    assert came["usage"] == wanted["usage"], where
    assert "system_fingerprint" in came["body"], f"{where}: ours where the upstream has none"


def test_an_answer_comes_back_in_every_shape(http, upstream, schemas):
    for number in range(COUNT):
        seed = SEED + number
        writer = Writer(seed, schemas[0])
        whole, chunks, wanted = drawn_answer(writer)
        upstream.answer(whole, chunks)
        first = writer.random.random() < 0.5
        for turn, stream in (("asked", first), ("from the cache", first), ("from the cache, in the other shape", not first)):
            body = {"model": "up/m", "temperature": 0, "messages": [{"role": "user", "content": f"{SEED} {number}"}]}
            if stream:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            answer = http.post(CHAT, json=body)
            where = f"FORWARD_SEED={seed} {turn}, {'streamed' if stream else 'plain'}: {answer.text[:3000]}\nof {whole}"
            assert answer.status_code == 200, where
            came = what_came(answer)
            assert came["status"] == ("miss" if turn == "asked" else "hit"), where
            check(came, wanted, where)


def drawn_texts(writer, count):
    """(whole body, the same in chunks, {"choices": a list of members, "body": members}) of a text completion"""
    rand = writer.random
    obj = lambda members: "{" + ", ".join(f'"{name}": {value}' for name, value in members) + "}"  # noqa: E731
    of_body = {"system_fingerprint": '"fp_1"', "service_tier": '"flex"', "x_body": writer.anything()}
    of_body = {name: value for name, value in of_body.items() if rand.random() < 0.6}
    usage = '{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14,"cost":1.40e-4}'
    logprobs = '{"tokens":["It"," is"],"token_logprobs":[null,-0.3100],"top_logprobs":[null,{" is":-0.3100,"\\n":-2.0}],"text_offset":[0,2]}'
    choices, pieces = [], []
    for index in range(count):
        text = "".join(rand.choice(["a", "é", " ", "日本", "\n", '"', "😀"]) for _ in range(rand.randrange(1, 9)))
        more = {"stop_reason": rand.choice(["null", "7", '"</s>"']), "logprobs": logprobs, "x_choice": writer.anything()}
        more = {name: value for name, value in more.items() if rand.random() < 0.6}
        more["finish_reason"] = rand.choice(['"stop"', '"length"', '"content_filter"'])
        choices.append({"text": json.dumps(text), **more})
        pieces += [[("index", index), ("text", piece), ("finish_reason", "null")] for piece in cut(writer, json.dumps(text))]
        pieces.append([("index", index), ("text", '""'), *more.items()])
    listed = ",".join(obj([("index", index), *choice.items()]) for index, choice in enumerate(choices))
    whole = obj([("id", '"r"'), ("object", '"text_completion"'), ("created", "5"), ("model", '"s"'), *of_body.items(),
                 ("choices", f"[{listed}]"), ("usage", usage)])  # fmt: skip
    chunks = [obj([*of_body.items(), ("choices", f"[{obj(piece)}]")]) for piece in pieces]
    chunks.append(obj([*of_body.items(), ("choices", "[]"), ("usage", usage)]))
    return whole, chunks, {"choices": choices, "body": {**of_body, "usage": usage}}


def texts_that_came(answer):
    """(members of the body, a list of the choices' members) of a plain answer or a stream."""
    if "event-stream" not in answer.headers["content-type"]:
        body = dict(tree(answer.text))
        return body, [dict(choice) for choice in body["choices"]]
    events = [event[6:] for event in answer.text.split("\n\n") if event.startswith("data: ")]
    assert events.pop() == "[DONE]"
    body, choices = {}, {}
    for chunk in (dict(tree(event)) for event in events):
        body.update(chunk)
        for one in map(dict, chunk["choices"]):
            choice = choices.setdefault(int(one["index"]), {"text": ""})
            choice["text"] += one.pop("text")
            choice.update((name, value) for name, value in one.items() if value is not None or name not in choice)
    return body, [choices[index] for index in sorted(choices)]


def test_a_text_answer_comes_back_in_every_shape(http, upstream, schemas):
    for number in range(COUNT // 3):
        seed = SEED + number
        writer = Writer(seed, schemas[0])
        count = writer.random.choice([1, 1, 2])
        whole, chunks, wanted = drawn_texts(writer, count)
        upstream.answer(whole, chunks)
        first = writer.random.random() < 0.5
        for turn, stream in (("asked", first), ("from the cache", first), ("from the cache, in the other shape", not first)):
            body = {"model": "up/m", "temperature": 0, "n": count, "prompt": f"{SEED} {number}"}
            if stream:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            answer = http.post(TEXT, json=body)
            where = f"FORWARD_SEED={seed} {turn}, {'streamed' if stream else 'plain'}: {answer.text[:3000]}\nof {whole}"
            assert answer.status_code == 200, where
            came, choices = texts_that_came(answer)
            for name, value in wanted["body"].items():
                assert came.get(name, "it is lost") == tree(value), f"{where}: {name}"
            assert len(choices) == count, where
            for choice, one in zip(choices, wanted["choices"]):
                for name, value in one.items():
                    assert choice.get(name, "it is lost") == tree(value), f"{where}: choices[].{name}"


def test_each_refusal_keeps_its_words(http, upstream):
    for status, kind, code in ((400, "invalid_request_error", "context_length_exceeded"), (403, "denied", "moderation"),
                               (402, "billing", "no_credits"), (404, "invalid_request_error", "model_not_found"),
                               (413, "invalid_request_error", "request_too_large"), (422, "validation", "bad_tool"),
                               (429, "insufficient_quota", "insufficient_quota"), (500, "api_error", "internal"),
                               (529, "overloaded_error", "overloaded")):  # fmt: skip
        error = {"error": {"message": "It is refused.", "type": kind, "param": None, "code": code}}
        upstream.answer(None)
        upstream.refusal = (status, json.dumps(error))
        answer = http.post(CHAT, json={"model": "up/m", "messages": [{"role": "user", "content": f"do:refuse {status}"}]})
        assert answer.status_code == status, answer.text
        told = answer.json()["error"]
        assert (told["type"], told["code"]) == (kind, code)
        assert "It is refused." in told["message"]


def test_an_engine_refuses_by_name_what_its_student_cant_read(http):
    part = {"type": "image_url", "image_url": {"url": "data:,"}}
    answer = http.post(CHAT, json={"model": "permutation", "messages": [{"role": "user", "content": [part]}]})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "messages[0].content[0].type"


def test_embeddings_are_forwarded(http, upstream):
    body = '{"input" : ["a",{"image":"x"}],"model": "up/e", "dimensions":3,"user":"u"}'
    answer = post(http, "/v1/embeddings", body)
    assert answer.status_code == 200, answer.text
    assert upstream.bytes[-1].decode() == body.replace("up/e", "own-embedder")
    assert answer.text == ('{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[1.50,-0]}],"model":"up/e",'
                           '"usage":{"prompt_tokens":3},"x":1}')  # fmt: skip
    assert "up/e" in [model["id"] for model in http.get("/v1/models").json()["data"]]
