"""The local model for `llm` (llm.datasette.io): llm -m permutation "What is the capital of Peru?"

PERMUTATION_CONFIG names a configuration file; without it the default model answers."""

from __future__ import annotations

import functools
import os
from typing import Any, Iterator, Optional

import llm
from pydantic import Field

from .engine import Engine


@functools.lru_cache(maxsize=1)
def _engine() -> Engine:
    return Engine(path=os.environ.get("PERMUTATION_CONFIG"))


@llm.hookimpl
def register_models(register):
    register(PermutationModel())


class PermutationModel(llm.Model):
    model_id = "permutation"
    can_stream = True

    class Options(llm.Options):
        temperature: Optional[float] = Field(description="0: the most likely words", default=0)
        max_tokens: Optional[int] = Field(description="At most so many", default=None)
        kv_ratio: Optional[float] = Field(description="So much less memory for a long prompt, 1 to 64", default=None)

    def execute(self, prompt, stream, response, conversation=None) -> Iterator[str]:
        request: dict[str, Any] = {"messages": self._messages(prompt, conversation)}
        if prompt.options.temperature is not None:
            request["temperature"] = prompt.options.temperature
        if prompt.options.max_tokens is not None:
            request["max_tokens"] = prompt.options.max_tokens
        if prompt.options.kv_ratio is not None:
            request["permutation"] = {"kv": {"ratio": prompt.options.kv_ratio}}
        if not stream:
            answer = _engine().complete(request)
            response.response_json = {key: answer.get(key) for key in ("id", "usage", "permutation")}
            yield answer["choices"][0]["message"]["content"]
            return
        for chunk in _engine().stream(request):
            for choice in chunk["choices"]:
                if text := choice["delta"].get("content"):
                    yield text

    @staticmethod
    def _messages(prompt, conversation) -> list:
        turns: list = []
        for before in conversation.responses if conversation else []:
            turns += [("user", before.prompt.prompt), ("assistant", before.text_or_raise())]
        system = [("system", prompt.system)] if prompt.system else []
        return [{"role": role, "content": text} for role, text in [*system, *turns, ("user", prompt.prompt)]]
