"""tools/documents_table.py: the table that it makes of results, and where it stands."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import documents_table  # noqa: E402


def row(arm, group="all", **more):
    return {
        "model": "m", "load": 3.2, "set": "articles", "questions": group, "arm": arm, "n": 40.0, "right": 30.0, "share": 0.75,
        "ci95": "0.6-0.9", "minus text": -0.025, "minus text, ci95": "-0.074 to +0.024", "won": 0.0, "lost": 1.0, "first token s": 1.5,
        "sooner than text": 9.04, "tokens read": 250.0, "packs were gone": 0.0, **more,
    }  # fmt: skip


def result(commit="abc", **more):
    arms = ("auto", "none", "packs", "packs_then_text", "text")
    rows = [row(arm, **more) for arm in arms] + [row(arm, "others shown", n=3.0) for arm in arms]
    return {"commit": commit, "machine": "two cores", "rows": rows}


class DocumentsTableTest(unittest.TestCase):
    def test_the_table(self):
        table = documents_table.table_of({"2026-12-01-documents-m.json": result()})
        self.assertIn("| m | XQuAD's articles | 40 | 0.750 | 0.750 | 0.750 | -0.025 (-0.074 to +0.024) | 0.750 | 0.750 | 1.50 / 1.50 | 9.0 | 250 / 250 |", table)
        self.assertIn("of 40 questions 0 were shown nothing and 3 only passages that don't tell.", table)
        self.assertTrue(table.endswith("Measured on two cores: m at abc, load average 3.2."))

    def test_the_newest_of_a_model_counts(self):
        files = {"2026-12-02-documents-m.json": result("new"), "2026-12-01-documents-m.json": result("old")}
        self.assertIn("m at new", documents_table.table_of(files))
        self.assertNotIn("old", documents_table.table_of(files))

    def test_it_stands_between_its_markers(self):
        page = f"before\n{documents_table.BEGIN}\nold\n{documents_table.END}\nafter\n"
        files = {"1-documents-m.json": result()}
        made = documents_table.with_table(page, files)
        self.assertTrue(made.startswith("before\n") and made.endswith("after\n") and "old" not in made)
        self.assertEqual(documents_table.with_table(made, files), made)
        self.assertIsNone(documents_table.with_table("no markers", files))


if __name__ == "__main__":
    unittest.main()
