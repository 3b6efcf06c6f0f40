"""The engine: models and caches, asked as the server is."""

from __future__ import annotations

import json
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from ._library import check, ffi, lib, take, text_of
from .cache import ResponseCache

Request = Union[str, Mapping[str, Any]]
MODEL = "permutation"


def _body(request: Request, **more) -> bytes:
    if isinstance(request, str):
        return request.encode()
    return json.dumps({"model": MODEL, **request, **more}).encode()


class Knowledge:
    """What the engine's first model is taught."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def learn(self, domain: str, facts: Iterable[Mapping[str, Any]]) -> dict:
        """Each fact: {"prompt", "answer"} and perhaps "paraphrases", or {"text"}. Waits; the report is returned."""
        body = json.dumps({"facts": list(facts)}).encode()
        return json.loads(text_of(lib.permutation_learn, self._engine._handle, domain.encode(), body, len(body)))

    def forget(self, domain: str, fact_id: Optional[str] = None) -> None:
        error, fact = ffi.new("permutation_error*"), ffi.NULL if fact_id is None else fact_id.encode()
        check(lib.permutation_forget(self._engine._handle, domain.encode(), fact, error), error)

    def domains(self) -> list:
        return json.loads(text_of(lib.permutation_knowledge, self._engine._handle, ffi.NULL))["domains"]

    def facts(self, domain: str) -> list:
        return json.loads(text_of(lib.permutation_knowledge, self._engine._handle, domain.encode()))["facts"]


class Engine:
    """Opens models and caches: `config` is the text of a configuration as the server takes it, `path` a file of one;
    without either the default model. From any thread; calls that wait let other Python threads run."""

    def __init__(self, config: str = "", *, path: Optional[str] = None):
        self._handle = None
        handle, error, text = ffi.new("permutation_engine**"), ffi.new("permutation_error*"), config.encode()
        if path is not None:
            check(lib.permutation_engine_open_file(str(path).encode(), handle, error), error)
        else:
            check(lib.permutation_engine_open(text, len(text), handle, error), error)
        self._handle = handle[0]
        self.knowledge = Knowledge(self)

    def complete(self, request: Request) -> dict:
        """Answers a request of OpenAI's chat API; "model" may be left out."""
        body = _body(request)
        return json.loads(text_of(lib.permutation_complete, self._handle, body, len(body)))

    def ask(self, question: str, **members) -> str:
        """The answer's text; `members` are the request's, such as max_tokens or permutation={"kv": {"ratio": 8}}."""
        request = {"temperature": 0, **members, "messages": [{"role": "user", "content": question}]}
        return self.complete(request)["choices"][0]["message"]["content"]

    def stream(self, request: Request) -> Iterator[dict]:
        """The chunks of the answer as they come. An iterator that is dropped cancels its request."""
        body, error = _body(request, stream=True), ffi.new("permutation_error*")
        call, text = ffi.new("permutation_call*"), ffi.new("permutation_text*")
        check(lib.permutation_start(self._handle, ffi.NULL, body, len(body), call, error), error)
        try:
            while (code := lib.permutation_next(self._handle, call[0], -1, text, error)) == lib.PERMUTATION_OK:
                yield json.loads(take(text))
            if code != lib.PERMUTATION_END:
                check(code, error)
        finally:
            lib.permutation_end(self._handle, call[0])

    def request(self, method: str, target: str, body: Optional[Any] = None) -> Any:
        """Any other endpoint: engine.request("POST", "/v1/embeddings", {"model": ..., "input": ...})."""
        sent = b"" if body is None else json.dumps(body).encode()
        return json.loads(
            text_of(lib.permutation_request, self._handle, method.encode(), target.encode(), sent, len(sent))
        )

    def audit(self) -> dict:
        """Which cache is used where."""
        return json.loads(text_of(lib.permutation_audit, self._handle))

    def kv(self) -> dict:
        """What the models' keys and values take."""
        return json.loads(text_of(lib.permutation_kv, self._handle))

    @property
    def cache(self) -> ResponseCache:
        """The engine's own; it may outlive the engine."""
        handle, error = ffi.new("permutation_cache**"), ffi.new("permutation_error*")
        check(lib.permutation_engine_cache(self._handle, handle, error), error)
        return ResponseCache(_handle=handle[0])

    def close(self) -> None:
        """Ends what runs and frees the models. Twice does no harm."""
        if self._handle is not None:
            lib.permutation_engine_close(self._handle)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        self.close()
