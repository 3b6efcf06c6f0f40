#!/usr/bin/env python3
"""The results of compression that ship with the program: data/kv_quality.json, and the table of docs/measured.md made of it.

Usage: kv_quality.py ROOT           writes the table between its markers
       kv_quality.py ROOT --check   exit status 1 and a line each where the file is wrong or the table differs
       kv_quality.py ROOT --add F   takes the rows of F (./dev eval compression --results F); one of the same model, task,
                                    length, mode and ratio is replaced, and a harness's rows of that task, mode and ratio go

A row: model (SHA-256 of its file), task, unit (questions, or texts for perplexity), prompt_tokens ([from, below] or null),
mode, ratio, by (request: as it is served; harness: the question's place was known), n (asked), exact_right (by the exact
cache), right (by the compressed one, or null), kept_right (of exact_right; of texts the sum of exact / compressed perplexity),
ratio_achieved, interval (95%, of kept_right / exact_right), commit, machine, date. Where a question asks for several things,
the counts are sums of shares. A task that is made to a length has tokens, too: what a prompt and its answer were to fill.
"""

import json
import pathlib
import sys

BEGIN, END = "<!-- kv_quality: made by tools/kv_quality.py -->", "<!-- kv_quality: end -->"
SAFE = 0.95
MODES = ["query_agnostic", "query_aware"]
NAMES = {
    "needle_1400": "a number in 1.4K tokens",
    "needle_3200": "a number in 3.2K tokens",
    "needle_4000": "a number in 4K tokens",
    "needle_7500": "a number in 7.5K tokens",
    "longeval": "topic of a long conversation (LongEval)",
    "xquad": "a question about a paragraph (XQuAD)",
    "many_questions": "many questions on one text",
    "perplexity": "perplexity after 2K tokens",
    "instructions": "a rule in a system prompt obeyed",
    "not_leaked": "a secret in a system prompt kept",
    "ruler_single_words": "RULER: a word in sentences that repeat",
    "ruler_single_number": "RULER: a number in an essay",
    "ruler_single_uuid": "RULER: a UUID in an essay",
    "ruler_multikey": "RULER: one of four numbers in an essay",
    "ruler_multikey_lines": "RULER: one number where every line has one",
    "ruler_multivalue": "RULER: all four numbers of a name",
    "ruler_multiquery": "RULER: the numbers of four names",
    "ruler_variables": "RULER: variables that hand a value on",
    "ruler_common_words": "RULER: the ten most common words",
    "ruler_frequent_words": "RULER: the three most frequent coded words",
    "ruler_qa": "RULER: a question about one of many paragraphs",
}
FIELDS = {
    "model": str, "task": str, "unit": str, "prompt_tokens": (list, type(None)), "mode": str, "ratio": (int, float), "by": str,
    "n": int, "exact_right": (int, float), "right": (int, float, type(None)), "kept_right": (int, float), "ratio_achieved": (int, float),
    "interval": list, "commit": str, "machine": str, "date": str,
}  # fmt: skip
TOKENS_MAX = 1 << 20


def key_of(row):
    return (row["model"], row["task"], tuple(row["prompt_tokens"] or ()), row["mode"], row["ratio"], row.get("tokens", 0))


def faults_of(results):
    """What is wrong with the file, a line each."""
    if results.get("schema") != 1:
        return ["schema isn't 1"]
    faults, seen = [], set()
    for number, row in enumerate(results["rows"]):
        wrong = [name for name, kind in FIELDS.items() if name not in row or not isinstance(row[name], kind)]
        wrong += sorted(set(row) - set(FIELDS) - {"tokens"})
        if wrong:
            faults.append(f"row {number}: {', '.join(wrong)}")
            continue
        checks = {
            "its model isn't listed": row["model"] in results["models"],
            "its unit": row["unit"] in ("questions", "texts"),
            "its mode": row["mode"] in MODES,
            "measured by": row["by"] in ("request", "harness"),
            "a request's row has no length": row["by"] == "harness" or len(row["prompt_tokens"] or []) == 2,
            "more kept than there were": row["kept_right"] <= row["exact_right"] <= row["n"],
            "an interval that doesn't hold its share": holds_share(row),
            "its tokens": "tokens" not in row or holds_tokens(row),
            "twice there": key_of(row) not in seen,
        }
        seen.add(key_of(row))
        faults += [f"row {number} ({row['task']}, {row['mode']}, {row['ratio']}): {what}" for what, holds in checks.items() if not holds]
    return faults


def holds_share(row):
    low, high = row["interval"]
    return row["exact_right"] == 0 or low - 1e-3 <= row["kept_right"] / row["exact_right"] <= high + 1e-3


def holds_tokens(row):
    """A prompt is a little shorter than what it fills together with its answer."""
    tokens, lengths = row["tokens"], row["prompt_tokens"] or [0, TOKENS_MAX]
    return type(tokens) is int and lengths[0] < tokens <= TOKENS_MAX


def cell_of(row):
    if row is None or row["exact_right"] == 0:
        return "-"
    kept = row["kept_right"] / row["exact_right"]
    text = f"**{kept:.2f}**" if kept >= SAFE else f"{kept:.2f}"
    return text if row["right"] is None else f"{text} ({row['right'] / row['exact_right']:.2f})"


def length_of(lengths, tokens):
    if tokens:
        return f", {tokens / 1024:g}K tokens"
    return f", {lengths[0]} to {lengths[1]} tokens" if lengths else ""


def count_of(number):
    return f"{number:.1f}".removesuffix(".0")


def table_of(results):
    """Markdown: for each model its name, then a row a task and length, a column a ratio, agnostic / aware."""
    out = []
    for model, about in results["models"].items():
        rows = {key_of(row): row for row in results["rows"] if row["model"] == model}
        ratios = sorted({key[4] for key in rows})
        if not rows:
            continue
        lines = [f"{about['name']}:", ""]
        lines += ["| task | asked | exact right | " + " | ".join(f"{ratio:g}x" for ratio in ratios) + " |"]
        lines += ["|---" * (3 + len(ratios)) + "|"]
        tasks = sorted({(key[1], key[2], key[5]) for key in rows}, key=lambda each: (list(NAMES).index(each[0]) if each[0] in NAMES else 99, each))
        for task, lengths, tokens in tasks:
            own = [row for key, row in rows.items() if (key[1], key[2], key[5]) == (task, lengths, tokens)]
            asked, right = sorted({row["n"] for row in own}), sorted({row["exact_right"] for row in own})
            cells = [" / ".join(cell_of(rows.get((model, task, lengths, mode, ratio, tokens))) for mode in MODES) for ratio in ratios]
            counts = [" to ".join(count_of(n) for n in sorted({each[0], each[-1]})) for each in (asked, right)]
            lines.append("| " + " | ".join([NAMES.get(task, task) + length_of(lengths, tokens), *counts, *cells]) + " |")
        by = sorted({row["by"] for row in rows.values()})
        commits = sorted({f"{row['commit']} ({row['date']})" for row in rows.values()})
        said = {"harness": "by a harness that knew where the question is", "request": "by requests"}
        lines += ["", f"Measured {' and '.join(said[each] for each in by)}, at {', '.join(commits)}."]
        out.append("\n".join(lines))
    return "\n\n".join(out)


def with_table(document, results):
    """`document` with the table between its markers, or None where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + begin + "\n" + table_of(results) + "\n" + end + after if begin and end else None


def added(results, rows):
    """The results with `rows` in the place of those that they supersede."""
    new = {key_of(row) for row in rows}
    replaced = {(row["model"], row["task"], row["mode"], row["ratio"]) for row in rows if row["by"] == "request"}
    kept = [
        row
        for row in results["rows"]
        if key_of(row) not in new
        and not (row["by"] == "harness" and (row["model"], row["task"], row["mode"], row["ratio"]) in replaced)
    ]
    return {**results, "rows": sorted(kept + rows, key=lambda row: (row["model"], row["task"], row["prompt_tokens"] or [], row.get("tokens", 0), row["mode"], row["ratio"]))}


def dumped(results):
    """One row a line, so that a difference shows what was measured anew."""
    models = ",\n".join(f"  {json.dumps(name)}: {json.dumps(about)}" for name, about in results["models"].items())
    rows = ",\n".join("  " + json.dumps(row) for row in results["rows"])
    return f'{{\n "schema": 1,\n "models": {{\n{models}\n }},\n "rows": [\n{rows}\n ]\n}}\n'


def main():
    root, rest = pathlib.Path(sys.argv[1]), sys.argv[2:]
    file, page = root / "data/kv_quality.json", root / "docs/measured.md"
    results = json.loads(file.read_text(encoding="utf-8"))
    if rest[:1] == ["--add"]:
        more = json.loads(pathlib.Path(rest[1]).read_text(encoding="utf-8"))
        results = added({**results, "models": {**more["models"], **results["models"]}}, more["rows"])
    faults = faults_of(results)
    document = page.read_text(encoding="utf-8")
    wanted = None if faults else with_table(document, results)
    if not faults and wanted is None:
        faults.append("docs/measured.md: the table's markers are gone")
    if not faults and rest == ["--check"] and wanted != document:
        faults.append("docs/measured.md: the table isn't that of data/kv_quality.json: run tools/kv_quality.py .")
    if faults:
        print("\n".join(faults))
        return 1
    if rest != ["--check"]:
        file.write_text(dumped(results), encoding="utf-8")
        page.write_text(wanted, encoding="utf-8")
    print("the results and their table agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
