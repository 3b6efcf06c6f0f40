"""LangChain's cache over the response cache:

from langchain_core.globals import set_llm_cache
set_llm_cache(PermutationCache(path="~/.cache/answers"))
"""

from __future__ import annotations

import json
import os
from typing import Any, Optional

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.load import dumps, loads

from .cache import ResponseCache


class PermutationCache(BaseCache):
    """What a model of LangChain answered, by its prompt and its settings. `cache`: one that is there already."""

    def __init__(self, *, path: Optional[str] = None, cache: Optional[ResponseCache] = None):
        self._cache = cache or ResponseCache(path=path and os.path.expanduser(path))

    def lookup(self, prompt: str, llm_string: str) -> Optional[RETURN_VAL_TYPE]:
        found = self._cache.get(self._name(prompt, llm_string))
        return None if found is None else [loads(text, allowed_objects="core") for text in json.loads(found)]

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        texts = json.dumps([dumps(generation) for generation in return_val])
        self._cache.set(self._name(prompt, llm_string), texts, tag="langchain")

    def clear(self, **kwargs: Any) -> None:
        raise NotImplementedError("Open another cache: this one may hold what is not LangChain's.")

    @staticmethod
    def _name(prompt: str, llm_string: str) -> str:
        return json.dumps([prompt, llm_string])
