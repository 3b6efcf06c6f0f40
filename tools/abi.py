#!/usr/bin/env python3
"""embed/abi.xml: what permutation.h promises to programs that are compiled, as libabigail sees it in the library's objects.

Usage: abi.py ROOT LIBRARY           accepts what changed: writes embed/abi.xml
       abi.py ROOT LIBRARY --check   exit status 1 where it differs

LIBRARY: build/release/embed/abi/libpermutation.so, the entry points alone, with what the compiler knows of their types. A
change that a compiled program would notice is accepted only together with another PERMUTATION_ABI, which is in the SONAME.
Functions may be added without.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# Nothing of one machine: no path, no line, no library that it was linked with.
QUIET = ["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed", "--no-parameter-names"]
QUIET += ["--type-id-style", "hash"]


def described(root, library):
    """The XML of what the public headers' types and functions are in `library`."""
    command = ["abidw", *QUIET, "--exported-interfaces-only", "--headers-dir", str(root / "embed/include"), "--drop-private-types", str(library)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r" path='[^']*/([^'/]+)'", r" path='\1'", text)


def difference(before, after, *options):
    """What abidiff says, "" for nothing; raises where it can't compare."""
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder) / name for name in ("before.abi", "after.abi")]
        for file, text in zip(files, (before, after)):
            file.write_text(text)
        done = subprocess.run(["abidiff", *options, *map(str, files)], capture_output=True, text=True)
        if done.returncode & 3:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout if done.returncode else ""


def soname(description):
    return re.search(r"soname='([^']*)'", description)[1]


def main(root, library, check):
    reference = root / "embed/abi.xml"
    after = described(root, library)
    before = reference.read_text() if reference.exists() else ""
    if before and soname(before) == soname(after):
        changed, broken = difference(before, after), difference(before, after, "--no-added-syms")
        if check and changed:
            print(f"{changed}\nOn purpose? Then: tools/abi.py . {library}", end="")
            return 1
        if broken:
            print(f"{broken}\nPrograms that are compiled would break: raise PERMUTATION_ABI, build, and accept again.")
            return 1
    elif check:
        print(f"embed/abi.xml is not of this SONAME. After a change on purpose: tools/abi.py . {library}")
        return 1
    if not check:
        reference.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "--check" in sys.argv[3:]))
