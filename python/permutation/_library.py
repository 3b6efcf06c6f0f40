"""libpermutation.so, by its own header: what permutation.h declares is `lib`, and `ffi` is cffi's.

Every call gives up the interpreter's lock while it runs."""

import os
import pathlib
import re

from cffi import FFI

HERE = pathlib.Path(__file__).resolve().parent
IN_TREE = HERE.parent.parent
ABI = 1


def _first(*paths):
    return next((path for path in paths if path.exists()), None)


def _declarations():
    header = _first(HERE / "permutation.h", IN_TREE / "embed/include/permutation/permutation.h")
    text = header.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE).replace("PERMUTATION_API ", "")
    text = re.sub(r'extern "C" \{|^\}\s*$(?![^{]*;)', "", text, flags=re.MULTILINE)
    # bytes go in as they are where a char* is wanted, and the key is 32 of them.
    return text.replace("const permutation_key* key", "const char* key")


def _path():
    named = os.environ.get("PERMUTATION_LIBRARY")
    found = _first(HERE / "libpermutation.so", IN_TREE / "build/release/embed/libpermutation.so")
    return named or (str(found) if found else f"libpermutation.so.{ABI}")


ffi = FFI()
ffi.cdef(_declarations())
lib = ffi.dlopen(_path())
if lib.permutation_abi() != ABI:
    raise ImportError(f"{_path()} has ABI {lib.permutation_abi()}; this package needs {ABI}: install the two of one version")


class PermutationError(Exception):
    """`code`: one of the PERMUTATION_... numbers; `field`: the member of the request at fault, "" if none."""

    def __init__(self, code: int, message: str, field: str = ""):
        super().__init__(message or f"error {code}")
        self.code, self.field = code, field


def check(code, error=None):
    if code == lib.PERMUTATION_OK:
        return
    if error is None or error.code != code:
        raise PermutationError(code, "the handle is closed" if code == lib.PERMUTATION_CLOSED else "")
    text = ffi.string(error.message).decode("utf-8", "replace")
    raise PermutationError(code, text, ffi.string(error.field).decode("utf-8", "replace"))


def take(text) -> str:
    """The text, which is freed."""
    try:
        return ffi.unpack(text.data, text.size).decode("utf-8") if text.data else ""
    finally:
        lib.permutation_text_free(ffi.addressof(text) if ffi.typeof(text).kind == "struct" else text)


def text_of(function, *arguments) -> str:
    """function(*arguments, text, error)"""
    text, error = ffi.new("permutation_text*"), ffi.new("permutation_error*")
    check(function(*arguments, text, error), error)
    return take(text)
