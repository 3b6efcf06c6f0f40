"""tools/kv_quality.py: what it refuses, the table that it makes, and which rows new ones replace."""

import copy
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import kv_quality  # noqa: E402

ROW = {
    "model": "aa", "task": "xquad", "unit": "questions", "prompt_tokens": [1024, 2048], "mode": "query_aware", "ratio": 8,
    "by": "request", "n": 30, "exact_right": 20, "right": 21, "kept_right": 19, "ratio_achieved": 7.0, "interval": [0.7, 0.99],
    "commit": "abc", "machine": "two cores", "date": "2026-11-30",
}  # fmt: skip


def results(*rows):
    return {"schema": 1, "models": {"aa": {"name": "A model", "file_bytes": 10}}, "rows": [copy.deepcopy(row) for row in rows]}


class KvQualityTest(unittest.TestCase):
    def test_what_is_right(self):
        self.assertEqual(kv_quality.faults_of(results(ROW, {**ROW, "mode": "query_agnostic"})), [])
        self.assertEqual(kv_quality.faults_of(results({**ROW, "by": "harness", "prompt_tokens": None})), [])

    def test_what_is_wrong(self):
        for change in [
            {"model": "bb"}, {"mode": "aware"}, {"by": "hand"}, {"prompt_tokens": None}, {"kept_right": 21}, {"exact_right": 31},
            {"interval": [0.1, 0.2]}, {"n": "30"}, {"more": 1}, {"unit": "words"},
        ]:  # fmt: skip
            self.assertTrue(kv_quality.faults_of(results({**ROW, **change})), change)
        self.assertEqual(len(kv_quality.faults_of(results(ROW, ROW))), 1)
        self.assertEqual(len(kv_quality.faults_of({"schema": 2, "rows": []})), 1)

    def test_the_table(self):
        table = kv_quality.table_of(results(ROW, {**ROW, "mode": "query_agnostic", "kept_right": 10, "right": 12}))
        self.assertIn("| a question about a paragraph (XQuAD), 1024 to 2048 tokens | 30 | 20 | 0.50 (0.60) / **0.95** (1.05) |", table)
        self.assertIn("Measured by requests, at abc (2026-11-30).", table)

    def test_a_task_made_to_a_length(self):
        ruler = {**ROW, "task": "ruler_multivalue", "prompt_tokens": [2048, 4096], "tokens": 4096, "exact_right": 20.25, "right": 19.5}
        rows = [ruler, {**ruler, "prompt_tokens": [4096, 8192], "tokens": 8192}, {**ruler, "prompt_tokens": [8192, 16384], "tokens": 16384}]
        self.assertEqual(kv_quality.faults_of(results(*rows)), [])
        table = kv_quality.table_of(results(*rows))
        for length in ("4K", "8K", "16K"):
            self.assertIn(f"| RULER: all four numbers of a name, {length} tokens | 30 | 20.2 | - / 0.94 (0.96) |", table)
        for change in [{"tokens": 1024}, {"tokens": 4096.5}, {"tokens": None}, {"tokens": "4K"}, {"kept_right": 20.5}]:
            self.assertTrue(kv_quality.faults_of(results({**ruler, **change})), change)
        other = {**ruler, "prompt_tokens": [2048, 4096], "tokens": 3000}
        kept = kv_quality.added(results(ruler), [other])["rows"]
        self.assertEqual(len(kept), 2, "lengths in one band don't replace each other")

    def test_it_stands_between_its_markers(self):
        page = f"before\n{kv_quality.BEGIN}\nold\n{kv_quality.END}\nafter\n"
        made = kv_quality.with_table(page, results(ROW))
        self.assertTrue(made.startswith("before\n") and made.endswith("after\n") and "old" not in made)
        self.assertEqual(kv_quality.with_table(made, results(ROW)), made)
        self.assertIsNone(kv_quality.with_table("no markers", results(ROW)))

    def test_new_rows_replace_their_like_and_a_harnesss(self):
        harness = {**ROW, "by": "harness", "prompt_tokens": None}
        other = {**harness, "ratio": 64}
        longer = {**ROW, "prompt_tokens": [2048, 4096]}
        again = {**ROW, "kept_right": 18}
        rows = kv_quality.added(results(harness, other, ROW, longer), [again])["rows"]
        self.assertEqual(len(rows), 3)
        for row in (other, longer, again):
            self.assertIn(row, rows)


if __name__ == "__main__":
    unittest.main()
