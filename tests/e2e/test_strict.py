"""Schemas, patterns and other servers' forms on the local model: each answer fits (by a validator of its own), or the
request is refused by name, or what isn't followed is named in the answer."""

import json
import re

import httpx
import jsonschema
import pytest

from server import MODEL

OFF = {"cache": {"mode": "off"}}


def ask(server, content="Answer in JSON.", **fields):
    body = {"model": MODEL, "temperature": 0, "max_tokens": 160, "permutation": OFF,
            "messages": [{"role": "user", "content": content}], **fields}
    return httpx.post(server.url + "/v1/chat/completions", json=body, timeout=120)


def form(schema, **more):
    return {"type": "json_schema", "json_schema": {"name": "form", "schema": schema, **more}}


def member(schema, **more):
    return {"type": "object", "properties": {"value": schema}, "required": ["value"], **more}


def text(**more):
    return {"type": "string", **more}


SCHEMAS = {
    "letters": member(text(pattern=r"^\p{L}{2,6}$")),
    "digits": member(text(pattern=r"^\d{3}-\d{4}$")),
    "not spaces": member(text(pattern=r"^[^\s\d]{2,5}$")),
    "found anywhere": member(text(pattern="[0-9]{2}", maxLength=8)),
    "a date": member(text(format="date")),
    "a moment": member(text(format="date-time")),
    "an address": member(text(format="email")),
    "a host's number": member(text(format="ipv4")),
    "an id": member(text(format="uuid")),
    "a link": member(text(format="uri", maxLength=60)),
    "bounds": member({"type": "integer", "minimum": 18, "maximum": 99}),
    "below zero": member({"type": "integer", "exclusiveMinimum": -20, "exclusiveMaximum": -3}),
    "a share": member({"type": "number", "minimum": 0, "exclusiveMaximum": 1}),
    "a price": member({"type": "number", "minimum": 0.5, "maximum": 9.75, "multipleOf": 0.25}),
    "dozens": member({"type": "integer", "multipleOf": 12, "minimum": 30}),
    "anyOf beside properties": {"type": "object", "properties": {"name": text(maxLength=6)}, "required": ["name"],
                                "anyOf": [{"properties": {"age": {"type": "integer", "maximum": 150}}, "required": ["age"]},
                                          {"properties": {"born": text(format="date")}, "required": ["born"]}]},
    "allOf": {"allOf": [member(text(maxLength=5)), {"properties": {"more": {"type": "boolean"}}, "required": ["more"]}]},
    "told apart": {"oneOf": [{"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "maximum": 9}},
                              "required": ["kind", "lives"]},
                             {"type": "object", "properties": {"kind": {"const": "dog"}, "name": text(maxLength=5)},
                              "required": ["kind", "name"]}]},
    "not a string": member({"not": {"type": "string"}, "type": ["string", "boolean"]}),
    "no such name": {"type": "object", "properties": {"a": text(maxLength=3), "b": text(maxLength=3)},
                     "not": {"required": ["a"]}, "minProperties": 1},
    "names by pattern": {"type": "object", "patternProperties": {"^[a-c]{2}$": {"type": "integer", "maximum": 9}},
                         "additionalProperties": False, "minProperties": 1, "maxProperties": 2},
    "two of four": {"type": "object", "properties": {name: {"type": "boolean"} for name in "wxyz"},
                    "minProperties": 2, "maxProperties": 2},
    "a set": member({"type": "array", "items": {"enum": ["red", "green", "blue"]}, "uniqueItems": True, "minItems": 2}),
    "a five among them": member({"type": "array", "items": {"type": "integer", "maximum": 9, "minimum": 0},
                                 "contains": {"const": 5}, "maxItems": 3}),
    "a tree": {"$defs": {"node": {"type": "object", "properties": {
        "name": text(maxLength=4), "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 1}},
        "required": ["name", "kids"]}}, "$ref": "#/$defs/node"},
    "definitions": {"definitions": {"id": {"type": "integer", "minimum": 1, "maximum": 5}}, **member({"$ref": "#/definitions/id"})},
    "values": member({"enum": ["a", 2, None, {"b": [1]}]}),
}
TOOL_SCHEMAS = ["digits", "bounds", "a price", "anyOf beside properties", "definitions", "a set"]


def checker(schema):
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(without_patterns(schema), format_checker=formats)


def without_patterns(schema):
    """Python's `re` knows no \\p{..}: those are checked by hand."""
    if isinstance(schema, dict):
        return {key: without_patterns(value) for key, value in schema.items() if not (key == "pattern" and "\\p" in str(value))}
    return [without_patterns(one) for one in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("temperature", [0, 1.2])
def test_a_strict_answer_fits(server, name, temperature):
    answer = ask(server, response_format=form(SCHEMAS[name], strict=True), temperature=temperature, seed=5)
    assert answer.status_code == 200, answer.text[:300]
    choice = answer.json()["choices"][0]
    assert "unfollowed" not in answer.json()["permutation"]
    if choice["finish_reason"] == "stop":
        value = json.loads(choice["message"]["content"])
        checker(SCHEMAS[name]).validate(value)
        if name == "letters":
            assert value["value"].isalpha()


@pytest.mark.parametrize("name", TOOL_SCHEMAS)
def test_a_strict_call_fits(server, name):
    function = {"name": "save", "parameters": SCHEMAS[name], "strict": True}
    answer = ask(server, tools=[{"type": "function", "function": function}], tool_choice="required")
    assert answer.status_code == 200, answer.text[:300]
    choice = answer.json()["choices"][0]
    (call,) = choice["message"]["tool_calls"][:1]
    assert call["function"]["name"] == "save"
    if choice["finish_reason"] == "tool_calls":
        checker(SCHEMAS[name]).validate(json.loads(call["function"]["arguments"]))


NOT_FOLLOWED = {
    "a look ahead": (member(text(pattern="^(?!1)[0-9]{3}$")), "properties.value.pattern"),
    "a word's end": (member(text(pattern=r"\bend")), "properties.value.pattern"),
    "an unknown format": (member(text(format="colour")), "properties.value.format"),
    "a condition": (member({"if": {"const": 1}, "then": {"const": 1}}), "properties.value.if"),
    "different texts": (member({"type": "array", "items": text(), "uniqueItems": True}), "properties.value.uniqueItems"),
    "what fits twice": (member({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "properties.value.oneOf"),
    "not a multiple": (member({"type": "integer", "not": {"multipleOf": 3}}), "properties.value.not"),
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_is_not_followed_is_named(server, name):
    schema, place = NOT_FOLLOWED[name]
    strict = ask(server, response_format=form(schema, strict=True))
    assert strict.status_code == 400
    assert strict.json()["error"]["param"] == "response_format.json_schema.schema." + place
    loose = ask(server, response_format=form(schema), max_tokens=30)
    assert loose.status_code == 200, loose.text[:300]
    (told,) = loose.json()["permutation"]["unfollowed"]
    assert told.startswith("response_format.json_schema.schema." + place)


def test_a_mistake_in_a_schema_names_its_place(server):
    for schema, place in [(member({"$ref": "#/$defs/none"}), ".properties.value.$ref"), (member(text(pattern="(")), ".properties.value.pattern"),
                          (member({"type": "word"}), ".properties.value.type"), ({"type": "integer", "minimum": 3, "maximum": 2}, "")]:
        answer = ask(server, response_format=form(schema))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "response_format.json_schema.schema" + place, answer.text


FORMS = {
    "grammar": ('root ::= "a" [bc]{2}', r"a[bc]{2}"),
    "guided_grammar": ('root ::= "x" | "y"', r"x|y"),
    "guided_regex": (r"\d{2}:\d{2}", r"\d{2}:\d{2}"),
    "guided_choice": (["yes", "no"], r"yes|no"),
}


@pytest.mark.parametrize("field", FORMS)
@pytest.mark.parametrize("route", ["chat/completions", "completions"])
def test_other_servers_forms(server, field, route):
    value, pattern = FORMS[field]
    body = {"model": MODEL, "max_tokens": 20, "temperature": 0, "permutation": OFF, field: value}
    body |= {"prompt": "The answer is "} if route == "completions" else {"messages": [{"role": "user", "content": "Answer."}]}
    answer = httpx.post(f"{server.url}/v1/{route}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text[:300]
    choice = answer.json()["choices"][0]
    said = choice["text"] if route == "completions" else choice["message"]["content"]
    assert re.fullmatch(pattern, said), said


@pytest.mark.parametrize("field", ["guided_json", "json_schema"])
def test_other_servers_schemas(server, field):
    schema = member({"type": "integer", "minimum": 3, "maximum": 5})
    value = json.loads(ask(server, **{field: schema}).json()["choices"][0]["message"]["content"])
    jsonschema.validate(value, schema)


BAD = [("grammar", "root ::= (", "grammar"), ("guided_regex", "(", "guided_regex"), ("guided_choice", [1], "guided_choice[0]"),
       ("json_schema", {"type": "word"}, "json_schema.type"), ("min_tokens", -1, "min_tokens"), ("stop_token_ids", [10**6], "stop_token_ids[0]"),
       ("repetition_penalty", 0, "repetition_penalty"), ("mirostat", 2, "mirostat"), ("use_beam_search", True, "use_beam_search"),
       ("xtc_probability", 2, "xtc_probability"), ("dry_base", 0.5, "dry_base"), ("guided_json", "", "guided_json"),
       ("guided_json", '{"type": "word"}', "guided_json"), ("structured_outputs", {"regex": "("}, "structured_outputs.regex"),
       ("structured_outputs", {"grammar": "root ::= ("}, "structured_outputs.grammar"),
       ("structured_outputs", {"json": {"properties": {"name": 1}}}, "structured_outputs.json.properties.name"),
       ("response_format", {"type": "json_schema", "schema": {"type": "word"}}, "response_format.schema.type")]


@pytest.mark.parametrize("field, value, param", BAD, ids=[one[2] for one in BAD])
def test_other_servers_mistakes_name_their_field(server, field, value, param):
    answer = ask(server, **{field: value})
    assert answer.status_code == 400, answer.text[:200]
    assert answer.json()["error"]["param"] == param


def said(server, content="Repeat the word ha twenty times.", **fields):
    answer = ask(server, content, **{"max_tokens": 24, **fields})
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()


@pytest.mark.parametrize("fields", [{"repetition_penalty": 1.8}, {"repeat_penalty": 1.8, "repeat_last_n": 200}, {"dry_multiplier": 4.0},
                                    {"dry_multiplier": 4.0, "dry_allowed_length": 1, "dry_sequence_breakers": ["\n"]}])
def test_penalties_change_the_answer(server, fields):
    assert said(server)["choices"][0]["message"]["content"] != said(server, **fields)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("fields", [{"xtc_probability": 1.0, "xtc_threshold": 0.05}, {"typical_p": 0.2}, {"top_n_sigma": 0.5}])
def test_draws_are_made_otherwise(server, fields):
    drawn = {"temperature": 1.5, "seed": 11}
    first, again = (said(server, **drawn, **fields)["choices"][0]["message"]["content"] for _ in range(2))
    assert first == again
    assert first != said(server, **drawn)["choices"][0]["message"]["content"]


def test_lengths_and_ends(server):
    short = said(server, "Say only: Hi.", max_tokens=60)["usage"]["completion_tokens"]
    assert short < 60
    assert said(server, "Say only: Hi.", max_tokens=60, ignore_eos=True)["usage"]["completion_tokens"] == 60
    assert said(server, "Say only: Hi.", max_tokens=60, min_tokens=50)["usage"]["completion_tokens"] >= 50
    assert said(server, "Say only: Hi.", stop_token_ids=list(range(100, 49000)))["usage"]["completion_tokens"] <= 2


def test_members_that_no_local_model_uses_are_named(server):
    answer = said(server, metadata={"a": "b"}, store=True, service_tier="auto", prompt_cache_key="k", user="u", a_new_one=1)
    assert set(answer["permutation"]["ignored"]) == {"metadata", "store", "service_tier", "prompt_cache_key", "user", "a_new_one"}
    assert "ignored" not in said(server)["permutation"]


def test_other_options_are_part_of_the_cache_key(server):
    content = "Say a word that nobody has asked for."
    keys = set()
    for fields in ({}, {"repetition_penalty": 1.3}, {"min_tokens": 3}, {"guided_choice": ["a"]}, {"guided_choice": ["b"]}, {"user": "x"}):
        keys.add(ask(server, content, max_tokens=4, **fields | {"permutation": {}}).headers["x-permutation-cache-key"])
    assert len(keys) == 5


def test_an_answer_from_the_cache_names_them_too(server):
    schema, place = NOT_FOLLOWED["an unknown format"]
    fields = {"response_format": form(schema), "max_tokens": 30, "permutation": {}}
    first = ask(server, "A colour from the cache.", **fields, metadata={"a": "b"}).json()["permutation"]
    again = ask(server, "A colour from the cache.", **fields, store=True).json()["permutation"]
    assert first["cache"]["status"] == "miss" and again["cache"]["status"] == "hit"
    assert first["unfollowed"] == again["unfollowed"] and again["unfollowed"][0].startswith("response_format.json_schema.schema." + place)
    assert first["ignored"] == ["metadata"] and again["ignored"] == ["store"]
