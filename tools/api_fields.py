#!/usr/bin/env python3
"""docs/fields.md: the members of a request's and of an answer's `permutation`, and the headers, made of src/api/openapi.json.

Usage: api_fields.py ROOT           writes the page
       api_fields.py ROOT --check   exit status 1 where the page differs, or a member has no description
"""

import json
import pathlib
import sys

INTRO = """# The `permutation` object, and the headers

<!-- Made by tools/api_fields.py of src/api/openapi.json: change that, and run it. -->

A request may have a member `permutation`, and its answer has one, in the three APIs alike. Official clients send it as `extra_body={"permutation": {...}}`. In a stream the last chunk has the answer's. `GET /openapi.json` has the same for programs.
"""


class Fields:
    """Rows of members, and the members that nothing is said of."""

    def __init__(self, schemas):
        self._schemas = schemas
        self.silent = []

    def rows(self, schema, path=""):
        schema = self._resolved(schema)
        for name, member in schema.get("properties", {}).items():
            member, at = self._resolved(member), f"{path}{name}"
            inner = member.get("properties")
            text = member.get("description", "")
            if not text and not inner:
                self.silent.append(at)
            if text:
                yield f"| `{at}` | {'' if inner else self._values(member)} | {text} |"
            if inner:
                yield from self.rows(member, at + ".")

    def _resolved(self, schema):
        while "$ref" in schema:
            schema = {**self._schemas[schema["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in schema.items() if k != "$ref"}}
        return schema

    def _values(self, member):
        if "enum" in member:
            return ", ".join(f"`{value}`" for value in member["enum"])
        kinds = member.get("type") or [one.get("type") for one in member.get("oneOf", [])]
        kinds = [kinds] if isinstance(kinds, str) else [kind for kind in kinds if kind != "null"]
        words = {"array": "list", "boolean": "true or false", "integer": "whole number", "string": "text"}
        out = " or ".join(words.get(kind, kind) for kind in kinds)
        least, most = member.get("minimum", member.get("exclusiveMinimum")), member.get("maximum")
        if least is not None and most is not None and most < 1e6:
            return f"{out}, {least} to {most}"
        return out if least is None else f"{out}, from {least}"


def headers(document):
    found = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation.get("responses", {}).values():
                for name, header in answer.get("headers", {}).items():
                    found[name] = header.get("description", "")
    return found


def page(document):
    """The page, and what has no description."""
    schemas = document["components"]["schemas"]
    fields = Fields(schemas)
    head = "| member | value | means |\n| --- | --- | --- |\n"
    parts = [INTRO]
    parts.append("## In a request\n\n" + head + "\n".join(fields.rows(schemas["Extension"])) + "\n")
    parts.append("## In an answer\n\nA member is absent where nothing of the kind happened. Each figure is from a counter.\n\n" + head + "\n".join(fields.rows(schemas["Report"])) + "\n")  # fmt: skip
    found = headers(document)
    rows = [f"| `{name}` | {text} |" for name, text in sorted(found.items())]
    parts.append("## Headers of an answer\n\n| header | means |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts), fields.silent + [name for name, text in found.items() if not text]


def main(root, check):
    text, silent = page(json.loads((root / "src/api/openapi.json").read_text()))
    out = root / "docs/fields.md"
    if not check:
        out.write_text(text)
        return 0
    for name in silent:
        print(f"src/api/openapi.json: {name} has no description")
    differs = not out.exists() or out.read_text() != text
    if differs:
        print("docs/fields.md isn't what src/api/openapi.json says: run tools/api_fields.py .")
    return 1 if silent or differs else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--check" in sys.argv))
