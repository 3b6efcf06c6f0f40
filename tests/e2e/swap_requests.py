"""Requests for every route of the OpenAPI document, each right but for one place: of its body, query, path or headers.

Case number i of a seed is always the same request: `SwapRequests(document, names, seed).case(i)`.
"""

import base64
import dataclasses
import random
import shlex
import urllib.parse

from json_text import Members, Raw, bytes_of, tree_of, walk
from type_swap import Swapped, random_swap, unchanged

TEXTS = [
    "", "0", "-1", "1e308", "99999999999999999999", "null", "true", "[]", "{}", "x" * 3_000, "%00", "%ff", "%zz", "%",
    "%ed%a0%80", "%2e%2e%2f", "..", "a/b", "a%20b", "%22%27%3c%3e", "%d0%b0", "+", "a,b", "a;b", "*", "%0d%0aX-A:%201",
]  # fmt: skip
HEADERS = {
    "x-request-id": ["", "a b", "\xe9", "x" * 4_000, "a\tb", "[1]", "null", "ok-1"],
    "cache-control": ["", "no-store", "no-cache", "max-age=x", "max-age=-1", "max-age=99999999999999999999", "max-age",
                      "only-if-cached", "max-age=\"5\", no-transform", ",,,=,", "=" * 2_000, "\xff"],
    "authorization": ["", "Bearer", "Bearer ", "bearer x", "Basic eDp5", "Bearer a b", "Bearer " + "x" * 4_000, "\xff"],
    "content-type": ["", "text/plain", "application/json; charset=utf-16", "application/xml", "multipart/form-data",
                     "application/x-www-form-urlencoded", "a" * 4_000, "/", "application/json;;;=", "\xff"],
    "accept": ["", "text/event-stream", "application/xml", "*/*;q=0", "x" * 4_000, "\xff"],
    "x-api-key": ["", "x", "\xff", "x" * 4_000],
    "anthropic-version": ["", "2023-06-01", "1999-01-01", "x" * 4_000, "\xff"],
    "traceparent": ["", "00-0-0-00", "00-" + "f" * 32 + "-" + "f" * 16 + "-01", "x" * 4_000],
}  # fmt: skip
LINES = [  # of the cache's import: each line its own JSON
    "", "\n\n", "{}", "[]", "null", "5", '"x"', "{", "[" * 100_000, "[" * 100 + "]" * 100, '{"key": 5}', "\0", "\udcff",
    '{"key": "00", "value": {}}', '{"key": "' + "0" * 64 + '", "value": 5, "tokens": -1}', "{}\n" * 1_000, '{"a": 1e400}',
]  # fmt: skip
BYTES = ["", "PMTK", "\0" * 2_000, "\udcff" * 2_000, "{}", "[" * 100_000, "\udc9f" * 5_000, "\udcbf" * 5_000]
COMPLETIONS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages")


@dataclasses.dataclass
class Case:
    number: int
    method: str
    route: str
    target: str
    headers: dict
    body: bytes | None
    swapped: Swapped
    where: str  # "body", "query", "path", "header", "lines"

    def __str__(self):
        text = f"case {self.number}: {self.method} {self.target[:200]}, {self.where}: {self.swapped.what[:300]}"
        return text.encode("ascii", "backslashreplace").decode()

    def curl(self, url):
        """The same request for a shell."""
        words = ["curl", "-sS", "-m", "60", "-X", self.method]
        for name, value in self.headers.items():
            words += ["-H", f"{name}: {value}" if value else f"{name};"]
        line = shlex.join([*words, "--path-as-is", url + self.target])
        if self.body is None:
            return line
        packed = base64.b64encode(self.body).decode()
        if self.body.isascii() and self.body.decode().isprintable() and len(self.body) < 4_000:
            return f"{line} --data-binary {shlex.quote(self.body.decode())}"
        return f"echo {packed} | base64 -d | {line} --data-binary @-"


@dataclasses.dataclass
class Place:
    """Where something will be changed."""

    method: str
    route: str
    operation: dict
    where: str
    example: object = None  # of the body
    at: object = None  # a path in it, or the parameter's or header's name


def media_of(operation):
    return next(iter(operation.get("requestBody", {}).get("content", {}).items()), (None, {}))


def examples_of(operation):
    return {name: one["value"] for name, one in media_of(operation)[1].get("examples", {}).items()}


def operations(document):
    for route, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), route, operation


def places_of(method, route, operation):
    kind, _ = media_of(operation)
    make = lambda where, **more: Place(method, route, operation, where, **more)
    for example in examples_of(operation).values():
        for path, _ in walk(tree_of(example)):
            yield make("body", example=example, at=path)
    if kind and kind != "application/json":
        yield from (make("lines", at=kind) for _ in range(8))
    for parameter in operation.get("parameters", []):
        yield from (make(parameter["in"], at=parameter["name"]) for _ in range(4))
    yield from (make("header", at=name) for name in HEADERS)
    yield make("query", at="nobody-knows-this")


class SwapRequests:
    """`models`: name -> weight, for the routes that complete. `values`: of parameters, by name, the right ones."""

    def __init__(self, document, models, values, seed):
        self.models, self.values, self.seed = models, values, seed
        self.places = [place for one in operations(document) for place in places_of(*one)]
        random.Random(seed).shuffle(self.places)

    def case(self, number):
        """Every place has its turn, each time with another change."""
        return self.at(self.places[number % len(self.places)], number)

    def at(self, place, number):
        dice = random.Random(f"{self.seed}/{number}")
        swapped = self.body_of(place, dice)
        headers = {"host": "127.0.0.1"}
        body = bytes_of(swapped.tree) if media_of(place.operation)[0] else None
        if body is not None:
            headers["content-type"] = media_of(place.operation)[0]
        if place.where == "header":
            headers[place.at] = dice.choice(HEADERS[place.at])
            swapped.what, swapped.touched = f"{place.at}: {headers[place.at]!r}", [place.at]
        return Case(number, place.method, place.route, self.target_of(place, dice, swapped), headers, body, swapped,
                    place.where)  # fmt: skip

    def body_of(self, place, dice):
        if place.where == "lines":
            text = dice.choice(LINES if "json" in place.at else BYTES)
            return Swapped(Raw(text), repr(text[:40]), {""}, [""], False)
        example = place.example or next(iter(examples_of(place.operation).values()), None)
        if example is None:
            return Swapped(Raw(""), "as it is", set(), [], True)
        if place.route in COMPLETIONS and (example["model"] == "permutation" or dice.random() < 0.5):
            example = {**example, "model": dice.choices(list(self.models), list(self.models.values()))[0]}
        if place.where != "body":
            return unchanged(example)
        swapped = random_swap(tree_of(example), place.at, dice)
        return brief(swapped, place.route) if place.route in COMPLETIONS else swapped

    def target_of(self, place, dice, swapped):
        target, query = place.route, []
        for parameter in place.operation.get("parameters", []):
            name, given = parameter["name"], self.values.get(parameter["name"])
            if place.where == parameter["in"] and place.at == name:
                given = dice.choice(TEXTS)
                swapped.what, swapped.touched = f"{name}={given!r}", [name]
                if place.where == "query" and dice.random() < 0.2:
                    query.append((name, dice.choice(TEXTS)))
            if parameter["in"] == "path":
                target = target.replace("{" + name + "}", urllib.parse.quote(given, safe="/%.*+,;"))
            elif given is not None:
                query.append((name, given))
        if place.at == "nobody-knows-this":
            query.append((place.at, dice.choice(TEXTS)))
            swapped.what, swapped.touched = f"{place.at}={query[-1][1]!r}", [place.at]
        return target + ("?" + "&".join(f"{name}={text}" for name, text in query) if query else "")


def brief(swapped, route):
    """With another limit where its own was changed: without any, thousands of tokens would be a right answer."""
    others = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens", "max_output_tokens": None}
    for one, other in others.items():
        if one not in swapped.touched or not isinstance(swapped.tree, Members):
            continue
        if route != "/v1/chat/completions":
            swapped.tree.append(("permutation", Members([("budget", Members([("tokens", 1)]))])))
        elif other not in (name for name, _ in swapped.tree):
            swapped.tree.append((other, 1))
    return swapped
