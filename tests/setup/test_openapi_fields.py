"""The OpenAPI document and the readers of requests know the same members: what a reader takes stands in the document,
and the document promises nothing that nobody reads.

The readers' tables (Rule<T> NAME[] = {{"member", ...}, ...}, and lists of names beside them) are read from the sources;
READ says where in the document each table's members are. A table without a place, or a place without a table, fails.
Engines read their own options in their rooms' options_reader.cpp; the table "engines" holds the options' names.
"""

import json
import pathlib
import re
import unittest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
BOTH = ("ChatRequest", "CompletionRequest")
MESSAGE = ("MessageRequest", "CountRequest")

# "file: table", or "file: function" for a table inside one -> paths in the document's schemas.
READ = {
    "api/json/parse.cpp: kCommon": BOTH,
    "api/json/parse.cpp: kChat": ("ChatRequest",),
    "api/json/parse.cpp: kCompletions": ("CompletionRequest",),
    "api/json/parse.cpp: read_stream_options": tuple(one + ".stream_options" for one in BOTH),
    "api/json/parse_other_servers.cpp: kActedOn": BOTH,
    "api/json/parse_other_servers.cpp: kRefused": BOTH,  # they may ask for nothing
    "api/json/parse_other_servers.cpp: kOutputsRules": tuple(one + ".structured_outputs" for one in BOTH),
    "api/json/parse_extension.cpp: kRules": ("Extension",),
    "engines": ("Extension",),
    "api/json/parse_extension.cpp: kCacheRules": ("Extension.cache",),
    "api/json/parse_extension.cpp: read_semantic": ("Extension.cache.semantic",),
    "api/json/parse_extension.cpp: kKvRules": ("Extension.kv",),
    "api/json/parse_extension.cpp: kBudgetRules": ("Extension.budget",),
    "api/json/parse_extension.cpp: kThinkingRules": ("Extension.thinking",),
    "rlm/options_reader.cpp: kRules": ("Extension.rlm",),
    "pipeline/options_reader.cpp: kRules": ("Extension.unified",),
    "knowledge_cache/options_reader.cpp: kRules": ("Extension.documents",),
    "knowledge_cache/options_reader.cpp: kFactRules": ("Extension.facts",),
    "inference/options_reader.cpp: kRules": ("Extension.decoding",),
    "api/json/parse_messages.cpp: kMessageRules": ("Message",),
    "api/json/parse_messages.cpp: kPartRules": ("Message.content",),
    "api/json/parse_tools.cpp: kToolRules": ("Tool",),
    "api/json/parse_tools.cpp: kFunctionRules": ("Tool.function",),
    "api/json/parse_tools.cpp: kChoiceRules": ("ToolChoice",),
    "api/json/parse_tools.cpp: kAllowedRules": ("ToolChoice.allowed_tools",),
    "api/json/parse_tools.cpp: kFormatRules": ("ResponseFormat",),
    "api/json/parse_tools.cpp: kJsonSchemaRules": ("ResponseFormat.json_schema",),
    "api/json/parse_tools.cpp: kCallRules": ("ToolCall",),
    "api/json/parse_tools.cpp: kCalledRules": ("ToolCall.function", "Message.function_call"),
    "api/json/cache_entry_json.cpp: kRules": ("PutEntry",),
    "api/routes/semantic_routes.cpp: kRules": ("JudgePair",),
    "api/routes/documents.cpp: kRules": ("LearnDocument",),
    "api/completions/embedding_routes.cpp: kEmbeddingRules": ("EmbeddingRequest",),
    "api/completions/rerank_routes.cpp: kRules": ("RerankRequest",),
    "api/completions/rerank_routes.cpp: read_document": ("RerankRequest.documents",),
    "api/routes/token_routes.cpp: kTokenizeRules": ("TokenizeRequest",),
    "api/routes/token_routes.cpp: kDetokenizeRules": ("DetokenizeRequest",),
    "api/routes/upstream_routes.cpp: kDrainRules": ("DrainRequest",),
    "api/responses/response_request.cpp: kRules": ("ResponseRequest",),
    "api/responses/response_request.cpp: kPassed": ("ResponseRequest",),
    "api/responses/response_request.cpp: kReasoning": ("ResponseRequest.reasoning",),
    "api/responses/response_request.cpp: read_stream_options": ("ResponseRequest.stream_options",),
    "api/responses/response_tools.cpp: kFunction": ("ResponseTool",),
    "api/responses/response_tools.cpp: kChoice": ("ResponseRequest.tool_choice",),
    "api/responses/response_tools.cpp: kTextConfig": ("ResponseRequest.text",),
    "api/responses/response_tools.cpp: kFormat": ("ResponseRequest.text.format",),
    **{f"api/responses/response_items.cpp: {one}": ("ResponseItem",) for one in ("kMessage", "kCall", "kOutput", "kReasoning")},
    **{f"api/responses/response_parts.cpp: {one}": ("ResponsePart",) for one in ("kText", "kRefusal", "kImage", "kFile")},
    "api/messages/message_request.cpp: kRules": MESSAGE,
    "api/messages/message_request.cpp: kPassed": MESSAGE,
    "api/messages/message_request.cpp: kTool": ("MessageTool",),
    **{f"api/messages/message_request.cpp: {table}": tuple(f"{one}.{path}" for one in MESSAGE for path in paths)
       for table, paths in {"kChoice": ["tool_choice"], "kThinkingMembers": ["thinking"], "kOutputConfig": ["output_config"],
                            "kOutputFormat": ["output_config.format", "output_format"], "read_metadata": ["metadata"],
                            "read_context_management": ["context_management"]}.items()},
    **{f"api/messages/message_blocks.cpp: {one}": ("MessageBlock",)
       for one in ("kText", "kImage", "kDocument", "kToolUse", "kToolResult", "kThoughtRules", "kRedacted")},
    "api/messages/message_blocks.cpp: kSource": ("MessageBlock.source",),
    "api/messages/message_blocks.cpp: kEnvelope": ("MessageItem",),
}  # fmt: skip
# Lists of names beside the tables that promise nothing: of what is refused, and of what other tables read.
BESIDE = {
    "api/responses/response_request.cpp: kRefused",
    "api/json/parse_messages.cpp: read_role",
    "api/json/parse.cpp: leave_to_the_model",
    "api/json/parse.cpp: read_template_variables",
    "rlm/options_reader.cpp: kToolRules",  # of values that may be anything
}
# Readers that always refuse: no member of the document.
REFUSES = re.compile(r"\b(refused<|elsewhere\b)")
# Read by nobody here, and part of what an upstream gets.
SENT_ON = {"ResponseFormat.json_schema": {"description"}}
TABLE = re.compile(r"constexpr (?:Rule<[^;{]*>|std::string_view) (k\w+)\[\] = \{")
ENGINE = re.compile(r'static constexpr std::string_view kName = "(\w+)";')
FUNCTION = re.compile(r"^[\w:<>&* ]+[ &*](\w+)\([^;]*\) (?:const )?\{$", re.MULTILINE)


def braced(text, at):
    """From the brace at `at` to its match: texts and characters may hold braces."""
    depth = 0
    for match in re.compile(r'"(?:\\.|[^"\\])*"|(?<!\w)\'(?:\\.|[^\'\\])\'|[{}]').finditer(text, at):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[at + 1 : match.start()]
    raise AssertionError(f"a table without an end: {text[at : at + 60]!r}")


def entries(body):
    """(the name as written, the rest) of each rule, or of each name of a list."""
    if not body.lstrip().startswith("{"):
        yield from ((name, "") for name in re.findall(r'"[^"]*"|\bk\w+', body))
        return
    at = body.find("{")
    while at >= 0:
        inside = braced(body, at)
        name, _, rest = inside.partition(",")
        yield name.strip(), rest
        at = body.find("{", at + len(inside) + 2)


def tables(file, text):
    """{"file: table": names}"""
    text = re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', r"\1", text)  # without comments
    constants = dict(re.findall(r'constexpr (?:char|std::string_view) (k\w+)(?:\[\])? = "([^"]*)";', text))
    found = {}
    for match in TABLE.finditer(text):
        line = text.rfind("\n", 0, match.start()) + 1
        name = match[1]
        if text[line] == " ":  # inside a function: its name says more
            name = list(FUNCTION.finditer(text, 0, line))[-1][1]
        names = {one.strip('"') if one.startswith('"') else constants[one]
                 for one, rest in entries(braced(text, match.end() - 1)) if not REFUSES.search(rest)}  # fmt: skip
        found.setdefault(f"{file}: {name}", set()).update(names)
    return found


def members(document, path):
    """The names that stand at a path, of every alternative there."""
    first, *steps = path.split(".")
    schemas = document["components"]["schemas"]

    def alternatives(schema):
        if "$ref" in schema:
            yield from alternatives(schemas[schema["$ref"].rsplit("/", 1)[1]])
            return
        yield schema
        below = [one for key in ("oneOf", "anyOf", "allOf") for one in schema.get(key, [])]
        for one in below + ([schema["items"]] if "items" in schema else []):
            yield from alternatives(one)

    level = list(alternatives(schemas[first]))
    for step in steps:
        level = [one for schema in level if step in schema.get("properties", {}) for one in alternatives(schema["properties"][step])]
    return {name for schema in level for name in schema.get("properties", {})}


class OpenApiFieldsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads((SRC / "api" / "openapi.json").read_text(encoding="utf-8"))
        cls.tables = {}
        for file in sorted([*(SRC / "api").rglob("*.cpp"), *SRC.glob("*/options_reader.cpp")]):
            text = file.read_text(encoding="utf-8")
            if "Rule<" in text and not file.name.endswith("_test.cpp"):
                cls.tables.update(tables(file.relative_to(SRC).as_posix(), text))
            if file.name == "options_reader.cpp":  # an engine's, whose options have its name
                for header in file.parent.glob("*_request.h"):
                    cls.tables.setdefault("engines", set()).update(ENGINE.findall(header.read_text(encoding="utf-8")))

    def test_every_table_has_its_place_in_the_document(self):
        self.assertGreater(len(self.tables), 50)
        self.assertEqual(sorted(self.tables), sorted({*READ, *BESIDE}))

    def test_what_a_reader_takes_stands_in_the_document(self):
        for table, paths in READ.items():
            for path in paths:
                lacking = self.tables[table] - members(self.document, path)
                self.assertEqual(lacking, set(), f"{table} reads them, src/api/openapi.json lacks them at {path}")

    def test_what_the_document_has_somebody_reads(self):
        places = {path: set(SENT_ON.get(path, ())) for paths in READ.values() for path in paths}
        for table, paths in READ.items():
            for path in paths:
                places[path] |= self.tables[table]
        for path, read in places.items():
            self.assertEqual(members(self.document, path) - read, set(), f"src/api/openapi.json has them at {path}, nobody reads them")

    def test_tables_are_read_as_they_are_written(self):
        text = '''constexpr char kName[] = "c";
// A brace in a text: "{".
constexpr Rule<Draft> kRules[] = {
    {"a", [](Json v, Draft& d) { return text(v, "}{", d.a); }},  // {"not", this}
    {kName, refused<Draft>}, {"b", passed_over},
};
base::Status read_inner(Json value, Draft& d) {
  static constexpr Rule<Draft> kRules[] = {{kName, [](Json v, Draft& d) { return flag(v, d.c); }}};
  static constexpr std::string_view kNames[] = {"x", kName};
}
constexpr std::string_view kPassed[] = {"m",
                                        "n"};
'''
        self.assertEqual(tables("f", text), {"f: kRules": {"a", "b"}, "f: read_inner": {"x", "c"}, "f: kPassed": {"m", "n"}})

    def test_members_are_found_through_references_and_choices(self):
        document = {"components": {"schemas": {
            "A": {"oneOf": [{"properties": {"x": {"type": "array", "items": {"$ref": "#/components/schemas/B"}}}}, {"properties": {"y": {}}}]},
            "B": {"properties": {"z": {}}}}}}  # fmt: skip
        self.assertEqual(members(document, "A"), {"x", "y"})
        self.assertEqual(members(document, "A.x"), {"z"})
        self.assertEqual(members(document, "A.y"), set())


if __name__ == "__main__":
    unittest.main()
