"""The response cache: texts by name, in memory and perhaps on the disk."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from typing import Any, Callable, Optional, TypeVar

from ._library import check, ffi, lib, text_of

F = TypeVar("F", bound=Callable[..., Any])
# The beginning of all names, as permutation_cache_key has it: so a hit takes one call.
_PREFIX = b"entry\n"
_local = threading.local()


def _key(name: str) -> bytes:
    return hashlib.sha256(_PREFIX + name.encode()).digest()


def _buffer():
    """This thread's own, for values as they are read."""
    _local.buffer, _local.size = ffi.new("char[]", 1 << 16), ffi.new("size_t*")
    return _local.buffer


class ResponseCache:
    """A cache of its own. `config`: the text of a configuration, of which [cache] counts; `path`: the folder in which
    entries outlive the program. From any thread."""

    def __init__(self, config: str = "", *, path: Optional[str] = None, _handle=None):
        if path is not None:
            config += f"\n[cache]\npath = {json.dumps(str(path))}\n"
        self._handle = _handle
        if _handle is None:
            handle, error, text = ffi.new("permutation_cache**"), ffi.new("permutation_error*"), config.encode()
            check(lib.permutation_cache_open(text, len(text), handle, error), error)
            self._handle = handle[0]

    def get(self, name: str, default: Optional[str] = None) -> Optional[str]:
        try:
            buffer, size = _local.buffer, _local.size
        except AttributeError:
            buffer, size = _buffer(), _local.size
        code = lib.permutation_cache_read(
            self._handle, hashlib.sha256(_PREFIX + name.encode()).digest(), buffer, len(buffer), size
        )
        if code == 0:
            return ffi.unpack(buffer, size[0]).decode()
        if code == lib.PERMUTATION_NOT_FOUND:
            return default
        if code == lib.PERMUTATION_TOO_LARGE:
            _local.buffer = ffi.new("char[]", 2 * size[0])
            return self.get(name, default)
        return check(code)  # raises

    def set(self, name: str, value: str, *, tokens: int = 0, usd: float = 0, seconds: float = 0, ttl_s: float = 0,
            model: str = "", tag: str = "") -> None:  # fmt: skip
        """`tokens`, `usd` and `seconds` are what keeping it saves; `ttl_s` 0: until it is evicted."""
        names = [ffi.new("char[]", text.encode()) if text else ffi.NULL for text in (model, tag)]
        options = ffi.new("permutation_store_options*")
        options.size = ffi.sizeof("permutation_store_options")
        options.tokens, options.usd, options.seconds, options.ttl_s = tokens, usd, seconds, ttl_s
        options.model, options.tag = names
        error, text = ffi.new("permutation_error*"), value.encode()
        check(lib.permutation_cache_store(self._handle, _key(name), text, len(text), options, error), error)

    def remove(self, name: str) -> bool:
        code = lib.permutation_cache_remove(self._handle, _key(name))
        if code == lib.PERMUTATION_NOT_FOUND:
            return False
        check(code)
        return True

    def remember(self, function: F) -> F:
        """A decorator: the function runs once for the same arguments, which and whose result JSON must be able to say."""

        @functools.wraps(function)
        def remembered(*args, **kwargs):
            name = json.dumps([function.__module__, function.__qualname__, args, kwargs], sort_keys=True)
            if (found := self.get(name)) is not None:
                return json.loads(found)
            begun = time.monotonic()
            result = function(*args, **kwargs)
            self.set(name, json.dumps(result), seconds=time.monotonic() - begun)
            return result

        return remembered  # type: ignore[return-value]

    def stats(self) -> dict:
        return json.loads(text_of(lib.permutation_cache_stats, self._handle))

    def close(self) -> None:
        """Twice does no harm."""
        lib.permutation_cache_close(self._handle)

    def __getitem__(self, name: str) -> str:
        if (value := self.get(name)) is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __enter__(self) -> ResponseCache:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None) is not None:
            lib.permutation_cache_close(self._handle)

    def __repr__(self) -> str:
        figures = self.stats()
        return f"<ResponseCache of {figures['entries']} entries, {figures['lookups']} lookups>"
