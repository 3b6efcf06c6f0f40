#!/usr/bin/env python3
"""Proves that JSON from outside enters by one door: no source under src/ calls a parser of its own, which would
take a text of any depth. Doors are base/json.cpp, and api/json/json_reader.cpp for a request's own body. Tests may parse
what they like.

Usage: check_json.py ROOT. Exit status: 0 all is well, 1 not (each as file:line: what).
"""

import pathlib
import re
import sys

DOORS = {"base/json.cpp", "api/json/json_reader.cpp", "api/json/json_reader.h"}
TEST = re.compile(r"(_test\.cpp|_benchmark\.cpp|(^|/)test_\w+\.h|(^|/)testing/.*)$")
PARSERS = [
    re.compile(r"\b(?:basic_)?json(?:<[^;]*>)?::(?:parse|accept|sax_parse)\s*\("),
    re.compile(r"::from_(?:cbor|msgpack|ubjson|bjdata|bson)\s*\("),
    re.compile(r'"_json\b'),
    re.compile(r"\bsimdjson::(?:dom|ondemand)::parser\b"),
]


def faults_of(name, text):
    """Each line of the source `name` (a path below src/) that parses by itself, as name:line: what."""
    if name in DOORS or TEST.search(name):
        return []
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        code = line.split("//")[0]
        for match in filter(None, (parser.search(code) for parser in PARSERS)):
            faults.append(f"src/{name}:{number}: {match.group(0)} takes a text of any depth: use base::parse_json")
    return faults


def main():
    src = pathlib.Path(sys.argv[1]) / "src"
    faults = []
    for file in sorted(src.rglob("*")):
        if file.suffix in {".h", ".cpp", ".in"}:
            faults += faults_of(file.relative_to(src).as_posix(), file.read_text(encoding="utf-8"))
    print("\n".join(faults) if faults else "JSON from outside has its doors")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
