#!/usr/bin/env python3
"""The table of docs/measured.md about documents as knowledge, made of the results of `./dev eval documents --json`.

Usage: documents_table.py ROOT           writes the table between its markers
       documents_table.py ROOT --check   exit status 1 and a line where it differs from bench/results/*-documents-*.json

Of several results of one model the newest file counts.
"""

import json
import pathlib
import sys

BEGIN, END = "<!-- documents: made by tools/documents_table.py -->", "<!-- documents: end -->"
SETS = {"articles": "XQuAD's articles", "manuals": "manuals of invented firms"}
GROUPS = ["all", "one passage shown", "two or three shown"]
ASKED_MIN = 5  # fewer have no line
HEAD = (
    "| model | questions about | asked | nothing shown | text | packs | packs - text (95%) | packs, the best as text | as served "
    "| first token, s: text / packs | times sooner | tokens read: text / packs |"
)


def newest(files):
    """By model, the last of its results by file name."""
    found = {}
    for name, result in sorted(files.items()):
        if result.get("rows"):
            found[result["rows"][0]["model"]] = result
    return found


def line_of(model, what, arms):
    text, packs = arms["text"], arms["packs"]
    return (
        f"| {model} | {what} | {text['n']:.0f} | {arms['none']['share']:.3f} | {text['share']:.3f} | {packs['share']:.3f} "
        f"| {packs['minus text']:+.3f} ({packs['minus text, ci95']}) | {arms['packs_then_text']['share']:.3f} | {arms['auto']['share']:.3f} "
        f"| {text['first token s']:.2f} / {packs['first token s']:.2f} | {packs['sooner than text']:.1f} "
        f"| {text['tokens read']:.0f} / {packs['tokens read']:.0f} |"
    )


def missed_of(model, name, groups):
    """What retrieval missed, in words."""
    every = groups["all"]["text"]["n"]
    nothing, others = (groups[which]["text"]["n"] if which in groups else 0 for which in ("nothing shown", "others shown"))
    return f"{model}, {SETS[name]}: of {every:.0f} questions {nothing:.0f} were shown nothing and {others:.0f} only passages that don't tell."


def table_of(files):
    lines, missed, measured = [HEAD, "|" + "---|" * 12], [], []
    for model, result in newest(files).items():
        sets = {}
        for row in result["rows"]:
            sets.setdefault(row["set"], {}).setdefault(row["questions"], {})[row["arm"]] = row
        for name in SETS:
            groups = sets.get(name, {})
            lines += [line_of(model, SETS[name] + ("" if group == "all" else f", {group}"), groups[group]) for group in GROUPS if group in groups and groups[group]["text"]["n"] >= ASKED_MIN]
            if groups:
                missed.append(missed_of(model, name, groups))
        measured.append(f"{model} at {result['commit']}, load average {result['rows'][0]['load']:.1f}")
    return "\n".join([*lines, "", " ".join(missed), "", f"Measured on {machine_of(files)}: {'; '.join(measured)}."])


def machine_of(files):
    return ", ".join(sorted({result["machine"] for result in newest(files).values()}))


def with_table(document, files):
    """`document` with the table between its markers, or None where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    return before + begin + "\n" + table_of(files) + "\n" + end + after if begin and end else None


def main():
    root, check = pathlib.Path(sys.argv[1]), sys.argv[2:] == ["--check"]
    page = root / "docs/measured.md"
    files = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in (root / "bench/results").glob("*-documents-*.json")}
    document = page.read_text(encoding="utf-8")
    wanted = with_table(document, files)
    if wanted is None:
        print("docs/measured.md: the markers of the table about documents are gone")
        return 1
    if check and wanted != document:
        print("docs/measured.md: the table about documents isn't that of bench/results: run tools/documents_table.py .")
        return 1
    if not check:
        page.write_text(wanted, encoding="utf-8")
    print("the results and their table agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
