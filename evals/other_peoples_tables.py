#!/usr/bin/env python3
"""Questions over records that nobody made for this: files of Debian packages (distro-info-data, iso-codes, tzdata, dpkg) and
this machine's own, with --data public datasets, too. Asked of a running server's `rlm` as any client would ask; the keys are
computed here from the same files.

Usage: other_peoples_tables.py --url http://127.0.0.1:8080 [--data DIR] [--set first|second|third] [--verbose]

The first set's misses are what the recognised forms of tables were mended by, the second's in part (note 0042); the third was asked
once, after that. A file that isn't there leaves its questions out, and stderr says so. Prints a results file: right, refused and wrong
of each set, with Wilson's intervals at 95%. A refusal says that the records don't tell ("Not in the table ..."); where they
can't tell, it is what is right. "Not in the table as asked ... Read instead: X" is right where X is, since it says what was read.
"""

import argparse
import collections
import csv
import io
import json
import math
import pathlib
import platform
import re
import subprocess
import sys
import time
import urllib.request

REFUSED = None  # the key of a question that the records can't answer
DIGITS = 4
PATIENCE_S = 600


def rows_between(text, sign):
    return [line.split(sign) for line in text.splitlines() if line and not line.startswith("#")]


def documents(data):
    """Texts by name, and what the questions' keys are made of."""
    places = {
        "ubuntu": "/usr/share/distro-info/ubuntu.csv",
        "debian": "/usr/share/distro-info/debian.csv",
        "countries": "/usr/share/iso-codes/json/iso_3166-1.json",
        "parts": "/usr/share/iso-codes/json/iso_3166-2.json",
        "withdrawn": "/usr/share/iso-codes/json/iso_3166-3.json",
        "languages": "/usr/share/iso-codes/json/iso_639-3.json",
        "tongues": "/usr/share/iso-codes/json/iso_639-2.json",
        "currencies": "/usr/share/iso-codes/json/iso_4217.json",
        "scripts": "/usr/share/iso-codes/json/iso_15924.json",
        "families": "/usr/share/iso-codes/json/iso_639-5.json",
        "zones": "/usr/share/zoneinfo/zone1970.tab",
        "codes": "/usr/share/zoneinfo/iso3166.tab",
        "cpus": "/usr/share/dpkg/cputable",
        "accounts": "/etc/passwd",
        "groups": "/etc/group",
        "packages": "/var/log/dpkg.log",
    }
    if data:
        places |= {
            "requests": data / "azure_llm_2023/AzureLLMInferenceTrace_code.csv",
            "chats": data / "azure_llm_2023/AzureLLMInferenceTrace_conv.csv",
            "banking": data / "banking77/train.csv",
            "tasks": data / "mt_bench/question.jsonl",
        }
    texts = {}
    for name, path in places.items():
        try:
            texts[name] = pathlib.Path(path).read_text(errors="replace")
        except OSError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return texts


def parsed(name, text):
    if name in ("zones", "codes"):
        return rows_between(text, "\t")
    if name in ("accounts", "groups"):
        return rows_between(text, ":")
    if name in ("packages", "cpus"):
        return [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    if name == "tasks":
        return [json.loads(line) for line in text.splitlines()]
    if text.lstrip().startswith("{"):
        return next(iter(json.loads(text).values()))
    return list(csv.DictReader(io.StringIO(text)))


def count(rows, test):
    return sum(1 for row in rows if test(row))


def one(rows, key, value, wanted):
    return next(row[wanted] for row in rows if row[key] == value)


def most(rows, key):
    return collections.Counter(row[key] for row in rows).most_common(1)[0][0]


def mean(values):
    return round(sum(values) / len(values), DIGITS)


def numbers(rows, key):
    return [int(row[key]) for row in rows]


# set, text, question, and the key from the text's rows.
QUESTIONS = [
    ("first", "ubuntu", "How many releases are in the list?", len),
    ("first", "ubuntu", "When was Jammy Jellyfish released?", lambda r: one(r, "codename", "Jammy Jellyfish", "release")),
    ("first", "ubuntu", "How many releases were created in 2012?", lambda r: count(r, lambda x: x["created"][:4] == "2012")),
    ("first", "ubuntu", "How many versions are LTS?", lambda r: count(r, lambda x: "LTS" in x["version"])),
    ("first", "ubuntu", "Which codename has the latest release date?", lambda r: max(r, key=lambda x: x["release"])["codename"]),
    ("first", "debian", "How many releases have no release date yet?", lambda r: count(r, lambda x: not x["release"])),
    ("first", "countries", "What is the alpha 3 code of Norway?", lambda r: one(r, "name", "Norway", "alpha_3")),
    ("first", "countries", "How many countries have an official name?", lambda r: count(r, lambda x: "official_name" in x)),
    ("first", "countries", "Which country has the numeric code 250?", lambda r: one(r, "numeric", "250", "name")),
    ("first", "countries", "How many countries are there?", len),
    ("first", "countries", "What is the population of Norway?", REFUSED),
    ("first", "parts", "How many subdivisions are of type Parish?", lambda r: count(r, lambda x: x["type"] == "Parish")),
    ("first", "parts", "Which type is the most frequent?", lambda r: most(r, "type")),
    ("first", "parts", "How many entries have a parent?", lambda r: count(r, lambda x: "parent" in x)),
    ("first", "languages", "How many languages have scope M?", lambda r: count(r, lambda x: x["scope"] == "M")),
    ("first", "languages", "What is the name of the language with the code deu?", lambda r: one(r, "alpha_3", "deu", "name")),
    ("first", "currencies", "Which currency has the alphabetic code SEK?", lambda r: one(r, "alpha_3", "SEK", "name")),
    ("first", "zones", "What are the comments of America/Sao_Paulo?", lambda r: one(r, 2, "America/Sao_Paulo", 3)),
    ("first", "codes", "Which country has the code ZM?", lambda r: one(r, 0, "ZM", 1)),
    ("first", "codes", "How many countries are in the table?", len),
    ("first", "packages", "How many upgrade lines are there?", lambda r: count(r, lambda x: x[2] == "upgrade")),
    ("first", "requests", "How many generated tokens are there in total?", lambda r: sum(numbers(r, "GeneratedTokens"))),
    ("first", "requests", "What is the average of the generated tokens?", lambda r: mean(numbers(r, "GeneratedTokens"))),
    ("first", "requests", "How many requests came between 18:20 and 18:30?", lambda r: count(r, lambda x: "18:20" <= x["TIMESTAMP"][11:] < "18:30")),
    ("first", "requests", "Which user sent the most requests?", REFUSED),
    ("first", "banking", "How many texts are of the category card_arrival?", lambda r: count(r, lambda x: x["category"] == "card_arrival")),
    ("first", "banking", "How many texts contain the word refund?", lambda r: count(r, lambda x: "refund" in x["text"].lower())),
    ("first", "tasks", "How many questions have a reference?", lambda r: count(r, lambda x: "reference" in x)),
    ("second", "scripts", "How many scripts are there?", len),
    ("second", "scripts", "What is the numeric code of Arabic?", lambda r: one(r, "name", "Arabic", "numeric")),
    ("second", "scripts", "Which script has the numeric code 215?", lambda r: one(r, "numeric", "215", "name")),
    ("second", "withdrawn", "When was the Netherlands Antilles withdrawn?", lambda r: one(r, "name", "Netherlands Antilles", "withdrawal_date")),
    ("second", "withdrawn", "How many entries have no comment?", lambda r: count(r, lambda x: "comment" not in x)),
    ("second", "tongues", "How many languages have a bibliographic code?", lambda r: count(r, lambda x: "bibliographic" in x)),
    ("second", "tongues", "What is the alpha 2 code of Basque?", lambda r: one(r, "name", "Basque", "alpha_2")),
    ("second", "accounts", "How many users have the shell /usr/sbin/nologin?", lambda r: count(r, lambda x: x[6] == "/usr/sbin/nologin")),
    ("second", "accounts", "What is the home directory of www-data?", lambda r: one(r, 0, "www-data", 5)),
    ("second", "chats", "What is the sum of the context tokens?", lambda r: sum(numbers(r, "ContextTokens"))),
    ("second", "chats", "How many requests generated fewer than 10 tokens?", lambda r: count(r, lambda x: int(x["GeneratedTokens"]) < 10)),
    ("second", "chats", "How many requests were there before 18:20?", lambda r: count(r, lambda x: x["TIMESTAMP"][11:] < "18:20")),
    ("second", "chats", "How many requests came from Germany?", REFUSED),
    ("second", "debian", "When was bullseye released?", lambda r: one(r, "series", "bullseye", "release")),
    ("second", "zones", "How many zones have no comments?", lambda r: count(r, lambda x: len(x) < 4)),
    ("second", "zones", "What are the coordinates of Europe/Lisbon?", lambda r: one(r, 2, "Europe/Lisbon", 1)),
    ("third", "families", "How many language families are listed?", len),
    ("third", "families", "What is the name of the family afa?", lambda r: one(r, "alpha_3", "afa", "name")),
    ("third", "families", "Who discovered the family afa?", REFUSED),
    ("third", "groups", "How many groups are there?", len),
    ("third", "groups", "What is the group id of audio?", lambda r: one(r, 0, "audio", 2)),
    ("third", "cpus", "How many CPUs have 32 bits?", lambda r: count(r, lambda x: x[3] == "32")),
    ("third", "cpus", "Is mips64el big or little endian?", lambda r: one(r, 0, "mips64el", 4)),
    ("third", "cpus", "How many entries are big?", lambda r: count(r, lambda x: x[4] == "big")),
    ("third", "currencies", "How many currencies have a numeric code?", lambda r: count(r, lambda x: "numeric" in x)),
    ("third", "currencies", "What is the code of the Norwegian Krone?", lambda r: one(r, "name", "Norwegian Krone", "alpha_3")),
    ("third", "ubuntu", "What series is 20.04 LTS?", lambda r: one(r, "version", "20.04 LTS", "series")),
    ("third", "ubuntu", "How many releases reached their end of life before 2010?", lambda r: count(r, lambda x: x["eol"] < "2010")),
    ("third", "parts", "How many different types of subdivision are there?", lambda r: len({x["type"] for x in r})),
    ("third", "parts", "What type of subdivision is Bremen?", lambda r: one(r, "name", "Bremen", "type")),
    ("third", "languages", "How many living languages are there, of type L?", lambda r: count(r, lambda x: x["type"] == "L")),
    ("third", "countries", "How many countries have an alpha 2 code that begins with Z?", lambda r: count(r, lambda x: x["alpha_2"][0] == "Z")),
    ("third", "requests", "What is the highest number of generated tokens?", lambda r: max(numbers(r, "GeneratedTokens"))),
    ("third", "requests", "How many requests came after 18:40?", lambda r: count(r, lambda x: x["TIMESTAMP"][11:] >= "18:40")),
    ("third", "chats", "What is the average number of generated tokens?", lambda r: mean(numbers(r, "GeneratedTokens"))),
    ("third", "banking", "Which category has the fewest texts?", lambda r: collections.Counter(x["category"] for x in r).most_common()[-1][0]),
    ("third", "banking", "How many texts mention ATM?", lambda r: count(r, lambda x: re.search(r"\batm\b", x["text"].lower()))),
    ("third", "tasks", "Which category has question 91?", lambda r: one(r, "question_id", 91, "category")),
]  # fmt: skip


def ask(url, question, text):
    body = {
        "model": "rlm",
        "messages": [{"role": "user", "content": question}],
        "permutation": {"rlm": {"context": text}, "cache": {"mode": "off"}},
    }
    sent = urllib.request.Request(
        url + "/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    begin = time.monotonic()
    with urllib.request.urlopen(sent, timeout=PATIENCE_S) as reply:
        said = json.load(reply)["choices"][0]["message"]["content"]
    return said, time.monotonic() - begin


def judged(said, key):
    """right, refused or wrong."""
    refused = said.startswith(("Not in the", "Not computed", "Not answered"))
    if key is REFUSED:
        return "right" if refused else "wrong"
    key = str(key)
    text = said.replace(",", "") if key.isdigit() else said
    if re.search(r"(?<![\w.-])" + re.escape(key) + r"(?![\w-])", text):
        return "right"
    return "refused" if refused else "wrong"


def wilson(right, n):
    z = 1.96
    share, half = right / n, z * math.sqrt(right * (n - right) / n**3 + z * z / (4 * n * n))
    center = share + z * z / (2 * n)
    return [round((center - half) / (1 + z * z / n), 3), round((center + half) / (1 + z * z / n), 3)]


def commit():
    run = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    dirty = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    return (run.stdout.strip() or "unknown") + ("-dirty" if dirty else "")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--url", required=True)
    options.add_argument("--data", type=pathlib.Path)
    options.add_argument("--set", choices=["first", "second", "third"])
    options.add_argument("--verbose", action="store_true")
    chosen = options.parse_args()
    with urllib.request.urlopen(chosen.url + "/v1/models", timeout=PATIENCE_S) as reply:
        models = [model["id"] for model in json.load(reply)["data"]]
    texts = documents(chosen.data)
    outcomes = collections.defaultdict(list)
    for group, name, question, key_of in QUESTIONS:
        if name not in texts or (chosen.set and group != chosen.set):
            continue
        key = REFUSED if key_of is REFUSED else key_of(parsed(name, texts[name]))
        said, seconds = ask(chosen.url, question, texts[name])
        outcome = judged(said, key)
        outcomes[group].append((outcome, seconds))
        if chosen.verbose or outcome == "wrong":
            wanted = "a refusal" if key is REFUSED else key
            print(f"{outcome}: {name}: {question} wanted {wanted}, said {said[:200]!r} ({seconds:.1f} s)", file=sys.stderr)
    rows = []
    for group, results in outcomes.items():
        right = count(results, lambda x: x[0] == "right")
        rows.append(
            {
                "set": group,
                "n": len(results),
                "right": right,
                "share": round(right / len(results), 3),
                "ci95": wilson(right, len(results)),
                "refused": count(results, lambda x: x[0] == "refused"),
                "wrong": count(results, lambda x: x[0] == "wrong"),
                "s_median": round(sorted(x[1] for x in results)[len(results) // 2], 2),
            }
        )
    machine = f"{platform.machine()}, {platform.system()}"
    print(json.dumps({"name": "eval other people's tables", "commit": commit(), "machine": machine,
                      "flags": f"served: {', '.join(models)}", "seed": 0, "rows": rows, "targets": []}))  # fmt: skip


if __name__ == "__main__":
    main()
