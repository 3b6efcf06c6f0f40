"""A root model that plays back programs: a real HTTP server, no model. A conversation that says "play:NAME" is answered
by the turns of the program NAME in order, one a turn; past its last turn that one is said again."""

import json
import re

from scripted_upstream import CONFIG, ScriptedUpstream
from server import MODEL, RunningServer

RLM = """
[rlm]
root = "t/root"
leaf = "{leaf}"
max_depth = 3
trajectory_dir = "{trajectories}"
"""


def serve_with_root(binary, model_file, root, trajectories, folder, more=""):
    """A server whose `rlm` has the scripted root and the real model as leaf. `more`: lines of [rlm]."""
    config = folder / "config.toml"
    text = CONFIG.format(model=model_file, url=root.url, models='["root"]')
    config.write_text(text + RLM.format(leaf=MODEL, trajectories=trajectories) + more)
    return RunningServer([binary, "serve", "--config", str(config)])


def block(code):
    """One turn of a root that only writes code."""
    return f"I run this.\n```repl\n{code.strip()}\n```"


class ScriptedRoot(ScriptedUpstream):
    def __init__(self, programs):
        self.programs = programs  # name -> texts, or ("status", code) instead of a text
        super().__init__()

    def asked(self, name):
        """The conversations of a program, in the order of its turns."""
        return [body["messages"] for body in self.requests if self._name(body["messages"]) == name]

    @staticmethod
    def _name(messages):
        for message in messages:
            content = message["content"]
            text = content if isinstance(content, str) else json.dumps(content)
            if found := re.search(r"play:([a-z_]+)", text):
                return found[1]
        return None

    def act(self, handler, body):
        messages = body["messages"]
        turns = self.programs.get(self._name(messages), [("status", 404)])
        turn = turns[min(sum(m["role"] == "assistant" for m in messages), len(turns) - 1)]
        if isinstance(turn, tuple):
            return self.send(handler, turn[1], json.dumps({"error": {"message": "the script says so"}}))
        usage = {"prompt_tokens": sum(len(str(m["content"])) for m in messages) // 4, "completion_tokens": len(turn) // 4}
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        if not body.get("stream"):
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": turn}}
            answer = {"id": "r", "object": "chat.completion", "created": 5, "model": "root", "choices": [choice]}
            return self.send(
                handler, 200, json.dumps({**answer, "usage": usage}), [("content-type", "application/json")]
            )
        self.begin_stream(handler)
        self.event(handler, {"choices": [{"index": 0, "delta": {"content": turn}}]})
        self.event(handler, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        self.event(handler, "[DONE]")
