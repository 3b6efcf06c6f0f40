"""A language model with its response cache, knowledge cache and KV cache inside of this process."""

from ._library import PermutationError, ffi, lib
from .cache import ResponseCache
from .engine import Engine, Knowledge

__version__ = ffi.string(lib.permutation_version()).decode()
__all__ = ["Engine", "Knowledge", "PermutationError", "ResponseCache"]
