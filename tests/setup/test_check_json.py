"""tools/check_json.py: names each parser beside the doors, and passes what only looks like one."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_json  # noqa: E402


class CheckJsonTest(unittest.TestCase):
    def test_parsers(self):
        for line in [
            "  const auto a = nlohmann::json::parse(text, nullptr, false);",
            "auto a = json::parse (text);",
            "if (json::accept(text)) return;",
            "json::sax_parse(bytes, &reader, json::input_format_t::cbor);",
            "const json all = json::from_cbor(body);",
            "nlohmann::ordered_json::from_msgpack(body);",
            'const json a = R"({"b": 1})"_json;',
            "thread_local simdjson::dom::parser parser;",
        ]:
            faults = check_json.faults_of("upstream/answer_reader.cpp", f"int a;\n{line}\n")
            self.assertEqual(len(faults), 1, line)
            self.assertTrue(faults[0].startswith("src/upstream/answer_reader.cpp:2: "), faults[0])

    def test_what_may(self):
        line = "json::parse(text);\n"
        for name in ["base/json.cpp", "api/json/json_reader.cpp", "net/sse_test.cpp", "api/test_server.h", "model/testing/a.cpp"]:
            self.assertEqual(check_json.faults_of(name, line), [], name)
        self.assertEqual(len(check_json.faults_of("base/json_more.cpp", line)), 1)

    def test_what_only_looks_like_one(self):
        text = "// as json::parse(text) does\nbase::parse_json(text);\njson::to_cbor(tree);\nsimdjson::dom::element e;\n"
        self.assertEqual(check_json.faults_of("api/a.cpp", text), [])


if __name__ == "__main__":
    unittest.main()
