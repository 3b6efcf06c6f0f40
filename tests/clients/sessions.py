"""Whole sessions of an agent: what they must be at the upstream, and what they must cost the second time.

The upstream is scripted, and bills as providers do whose prompt cache reads the longest beginning that it has seen.
"""

import json

import httpx

from playing import Playing, as_forwarded

GATEWAY = """
[server]
port = 0
stop_grace_ms = 500

[embeddings]
enabled = false

[[upstream]]
name = "up"
base_url = "{url}"
models = {{ m = "own-name" }}
retries = 0
cooldown_failures = 0
"""


class Provider(Playing):
    """Counts what it says of its cache: `cached` tokens of `prompted`."""

    def __init__(self):
        super().__init__()
        self._seen = []
        self.cached = self.prompted = 0

    def usage(self, body, turn):
        prompt = [json.dumps(body.get("tools")), *map(json.dumps, body["messages"])]
        common = max((common_of(prompt, other) for other in self._seen), default=0)
        self._seen.append(prompt)
        size = [1 + len(one) // 4 for one in prompt]  # in tokens, about
        read, said = sum(size[:common]), 1 + len(json.dumps(turn)) // 4
        self.cached += read
        self.prompted += sum(size)
        return {"prompt_tokens": sum(size), "completion_tokens": said, "total_tokens": sum(size) + said,
                "prompt_tokens_details": {"cached_tokens": read}}  # fmt: skip


def common_of(one, other):
    return next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def messages_of(body):
    """The JSON of each message of a request, as it was written."""
    text, decoder, found = body.decode(), json.JSONDecoder(), []
    at = text.index("[", text.index('"messages":')) + 1
    while True:
        while text[at] in ", \n":
            at += 1
        if text[at] == "]":
            return found
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end])
        at = end


def told(message):
    """What a message says, whether as one text or in parts: (role, text, calls, whose result)"""
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "\n".join(part["text"] for part in content)
    calls = [(one["id"], one["function"]["name"], json.loads(one["function"]["arguments"])) for one in message.get("tool_calls") or []]
    return message["role"], text, calls, message.get("tool_call_id")


def check_pairs(messages):
    """Each call is followed by its result, each result has its call. All results: {id: text}"""
    open_calls, results = [], {}
    for role, text, calls, call in map(told, messages):
        if role == "tool":
            assert call == open_calls.pop(0), messages
            results[call] = text
            continue
        assert not open_calls, messages
        open_calls = [one[0] for one in calls]
    assert not open_calls, messages
    return results


def check_growth(bodies, turns, systems_change=False):
    """Each request is the one before, byte by byte, and what was said and done since. With `systems_change` the first
    message may be another one."""
    first = 1 if systems_change else 0
    for before, body, turn in zip(bodies, bodies[1:], turns):
        earlier, later = messages_of(before)[first:], messages_of(body)[first:]
        assert later[: len(earlier)] == earlier
        _, text, calls, _ = told(json.loads(later[len(earlier)]))
        _, said, called, _ = told(turn)
        assert said in text, "what was said"
        assert calls == called or all(one[0] in text for one in called), "what was called, as calls or in words"
        assert len(later) > len(earlier) + 1


def cache_of(gateway):
    return httpx.get(gateway.url + "/v1/cache", timeout=60).raise_for_status().json()


def same_told(bodies, straight):
    """Whatever API it came by, a session tells the upstream what it tells it by chat without a gateway."""
    assert len(bodies) == len(straight)
    for body, other in zip(bodies, straight):
        assert [told(json.loads(one)) for one in messages_of(body)] == [told(json.loads(one)) for one in messages_of(other)]
        assert json.loads(body).get("tools") == json.loads(other).get("tools")


def played_twice(gateway, provider, scenario, api, *turns):
    """What scenario(api, base_url, model) gives, and the bytes that reached the upstream. They tell what a session by chat
    tells without the gateway; if it is by chat, byte by byte. The second time nothing reaches it, and the session is the
    same."""
    provider.plays(*turns)
    straight = scenario("chat", provider.url, "own-name")
    sent = list(provider.bytes)

    before = cache_of(gateway)
    cached, prompted = provider.cached, provider.prompted
    provider.plays(*turns)
    assert scenario(api, gateway.url + "/v1", "up/m") == straight
    bodies = list(provider.bytes)
    assert len(bodies) == len(turns)
    same_told(bodies, sent)
    assert api != "chat" or bodies == [as_forwarded(one) for one in sent]

    after = cache_of(gateway)
    tokens = {name: after["provider"]["tokens"][name] - before["provider"]["tokens"][name] for name in ("read", "missed")}
    read, asked = provider.cached - cached, provider.prompted - prompted
    assert tokens == {"read": read, "missed": asked - read} and read > 0, "the provider's cache is counted"

    provider.plays()
    assert scenario(api, gateway.url + "/v1", "up/m") == straight
    assert provider.bytes == [], "the second time nothing is asked"
    again = cache_of(gateway)
    assert again["hits"]["exact"] - after["hits"]["exact"] == len(turns)
    assert again["provider"]["tokens"] == after["provider"]["tokens"]
    return straight, bodies
