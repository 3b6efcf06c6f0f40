"""An upstream that says what a test lets it say, turn by turn, and keeps every request as it came; and the same scenario
twice: straight to it, and through the gateway."""

import json

from scripted_upstream import ScriptedUpstream


def call(name, arguments, number=1):
    """A tool call; `arguments` are an object, or a text as it is."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": text}}


def says(content=None, *calls, **more):
    """What an assistant says: a text, calls, or both."""
    message = {"role": "assistant", "content": content, **more}
    return {**message, "tool_calls": list(calls)} if calls else message


class Playing(ScriptedUpstream):
    USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    HEAD = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "own-name"}

    def __init__(self):
        super().__init__()
        self._turns = []

    def plays(self, *turns):
        """From now on, in this order; asked more often, it refuses."""
        self._turns = list(turns)
        self.requests.clear()
        self.bytes.clear()
        self.headers.clear()

    def act(self, handler, body):
        if not self._turns:
            return self.send(handler, 400, json.dumps({"error": {"message": "the play is over"}}), self.JSON)
        turn = self._turns.pop(0)
        if isinstance(turn, int):  # a refusal
            error = {"message": "It is refused.", "type": "upstream_words", "param": None, "code": "a_code"}
            return self.send(handler, turn, json.dumps({"error": error}), self.JSON)
        if body.get("stream"):
            return self._streamed(handler, body, turn)
        choice = {"index": 0, "message": turn, "finish_reason": self._end(turn)}
        answer = {**self.HEAD, "object": "chat.completion", "choices": [choice], "usage": self.usage(body, turn)}
        self.send(handler, 200, json.dumps(answer), self.JSON)

    def usage(self, body, turn):
        return self.USAGE

    JSON = [("content-type", "application/json")]

    @staticmethod
    def _end(turn):
        return "tool_calls" if turn.get("tool_calls") else "stop"

    @staticmethod
    def _pieces(text, count=3):
        size = max(1, -(-len(text) // count))
        return [text[at : at + size] for at in range(0, len(text), size)]

    def _streamed(self, handler, body, turn):
        self.begin_stream(handler)
        head = {**self.HEAD, "object": "chat.completion.chunk"}

        def chunk(delta, end=None):
            self.event(handler, {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]})

        chunk({"role": "assistant", "content": ""})
        for piece in self._pieces(turn.get("content") or ""):
            chunk({"content": piece})
        for index, one in enumerate(turn.get("tool_calls", [])):
            chunk({"tool_calls": [{"index": index, **one, "function": {**one["function"], "arguments": ""}}]})
            for piece in self._pieces(one["function"]["arguments"]):
                chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        chunk({}, self._end(turn))
        if (body.get("stream_options") or {}).get("include_usage"):
            self.event(handler, {**head, "choices": [], "usage": self.usage(body, turn)})
        self.event(handler, "[DONE]")


def as_forwarded(body):
    """What must reach the upstream of a body whose model is its own name already: the same bytes, but that a stream's
    usage is always asked for."""
    asked = json.loads(body)
    if not asked.get("stream") or (asked.get("stream_options") or {}).get("include_usage"):
        return body
    assert "stream_options" not in asked, body
    return body.rstrip()[:-1] + b',"stream_options":{"include_usage":true}}'
