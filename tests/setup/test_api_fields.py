"""tools/api_fields.py: every member becomes a row, and a member without a description is named."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import api_fields  # noqa: E402


def document(**members):
    answer = {"headers": {"x-some": {"description": "Something"}, "x-bare": {}}}
    return {
        "paths": {"/a": {"post": {"responses": {"200": answer}}}},
        "components": {"schemas": {"Extension": {"properties": members}, "Report": {"properties": {}}}},
    }


class ApiFieldsTest(unittest.TestCase):
    def test_members_within_members(self):
        text, silent = api_fields.page(document(
            kv={"description": "Of keys", "properties": {"ratio": {"type": "number", "minimum": 1, "maximum": 64, "description": "How much"}}},
            cache={"properties": {"mode": {"enum": ["on", "off"], "description": "Whether"}}}))  # fmt: skip
        self.assertIn("| `kv` |  | Of keys |\n| `kv.ratio` | number, 1 to 64 | How much |", text)
        self.assertIn("| `cache.mode` | `on`, `off` | Whether |", text)
        self.assertIn("| `x-some` | Something |", text)
        self.assertEqual(silent, ["x-bare"])

    def test_a_member_without_a_word(self):
        _, silent = api_fields.page(document(tags={"type": "array"}, name={"type": ["string", "null"], "description": "Who"}))
        self.assertEqual(silent, ["tags", "x-bare"])

    def test_kinds(self):
        text, _ = api_fields.page(document(
            context={"oneOf": [{"type": "string"}, {"type": "array"}], "description": "Text"},
            tokens={"type": "integer", "minimum": 1, "description": "Many"}, name={"type": ["string", "null"], "description": "Who"}))  # fmt: skip
        for row in ("| `context` | text or list | Text |", "| `tokens` | whole number, from 1 | Many |", "| `name` | text | Who |"):
            self.assertIn(row, text)


if __name__ == "__main__":
    unittest.main()
