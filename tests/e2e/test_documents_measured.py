"""What packs cost in answers and save in time, through the served door: passages of documents as packs against the same
passages as text. Measured where DOCUMENTS_DATA names a folder with XQuAD (xquad.en.json) and DOCUMENTS_MODEL a GGUF:

    DOCUMENTS_DATA=DIR DOCUMENTS_MODEL=FILE DOCUMENTS_ARTICLES=6 DOCUMENTS_N=60 pytest -s tests/e2e/test_documents_measured.py

An article's paragraphs joined are a document. Right: one of the question's answers stands in the model's, without
case, articles and punctuation. Questions whose paragraph wasn't shown are retrieval's misses, told apart.
"""

import json
import os
import pathlib
import random
import string
import time

import httpx
import pytest

from server import RunningServer

CONFIG = """
[server]
port = 0

[[model]]
path = "{model}"
kv_bytes = 2147483648
prefix_bytes = 1073741824

[knowledge]
path = "{packs}"
"""
ARTICLES = int(os.environ.get("DOCUMENTS_ARTICLES", "6"))
N = int(os.environ.get("DOCUMENTS_N", "200"))


def plain(text):
    words = "".join(c if c not in string.punctuation else " " for c in text.lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def articles_and_questions(path):
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    chosen = random.Random(35).sample(range(len(articles)), ARTICLES)
    documents, questions = {}, []
    for number in chosen:
        text = ""
        for paragraph in articles[number]["paragraphs"]:
            text += "\n\n" if text else ""
            begin = len(text.encode())
            text += paragraph["context"]
            place = (f"{number}.txt", begin, len(text.encode()))
            questions += [(place, one["question"], [a["text"] for a in one["answers"]]) for one in paragraph["qas"]]
        documents[f"{number}.txt"] = text
    random.Random(35).shuffle(questions)
    return documents, questions[:N]


def learn(http, name, text):
    job = http.post("/v1/knowledge/measured/documents", json={"name": name, "content": text}).json()
    while job["status"] in ("queued", "running"):
        time.sleep(0.1)
        job = http.get(f"/v1/knowledge/jobs/{job['id']}").json()
    assert job["status"] == "done", job
    return job["report"]


def ask(http, model, question, attach):
    """(the answer, seconds to its first word, what it says of documents, tokens that were read for it)"""
    body = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 24,
        "messages": [{"role": "user", "content": question}],
        "permutation": {
            "knowledge": ["measured"],
            "documents": {"attach": attach},
            "cache": {"mode": "off"},
        },
    }
    begun, first, text, more, prompt = time.perf_counter(), None, "", {}, 0
    with http.stream("POST", "/v1/chat/completions", json=body) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            for choice in chunk.get("choices", []):
                said = choice["delta"].get("content") or ""
                if said and first is None:
                    first = time.perf_counter() - begun
                text += said
            more = chunk.get("permutation") or more
            prompt = (chunk.get("usage") or {}).get("prompt_tokens", prompt)
    shown = (more.get("engine") or {}).get("documents") or {"attached": "", "sources": []}
    return text, first, shown, prompt - more["kv"]["prefix_tokens_reused"]


def median(values):
    return sorted(values)[len(values) // 2]


def test_packs_against_text_on_xquad(binary, tmp_path):
    data, model = os.environ.get("DOCUMENTS_DATA"), os.environ.get("DOCUMENTS_MODEL")
    if not data or not model:
        pytest.skip("DOCUMENTS_DATA and DOCUMENTS_MODEL name no data and no model")
    documents, questions = articles_and_questions(pathlib.Path(data) / "xquad.en.json")
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(model=model, packs=tmp_path / "packs"))
    server = RunningServer([binary, "serve", "--config", str(config)])
    rows = []
    with httpx.Client(base_url=server.url, timeout=900) as http:
        name = http.get("/v1/models").json()["data"][0]["id"]
        reports = [learn(http, *document) for document in documents.items()]
        passages, seconds = (sum(report[of] for report in reports) for of in ("passages", "read_seconds"))
        print(f"\nlearnt: {len(reports)} documents, {passages} passages, read in {seconds:.1f} s")
        for i, ((document, begin, end), question, answers) in enumerate(questions):
            row = {}
            for attach in (["packs", "text"] if i % 2 else ["text", "packs"]) + (["off"] if i % 4 == 0 else []):
                text, first, shown, read = ask(http, name, question, attach)
                right = any(plain(answer) in plain(text) for answer in answers)
                row[attach] = {"right": right, "first": first, "shown": shown, "read": read}
            row["found"] = any(
                source["document"] == document and source["begin"] < end and begin < source["end"]
                for source in row["text"]["shown"]["sources"]
            )
            rows.append(row)
            if i % 10 == 9 or i + 1 == len(questions):
                show(rows)
    server.stop()
    shown = [row for row in rows if row["text"]["shown"]["sources"]]
    assert all(row["packs"]["shown"]["attached"] == "packs" for row in shown)


def show(rows):
    def right(attach, of):
        asked = [row[attach]["right"] for row in of if attach in row]
        return f"{sum(asked)} of {len(asked)}"

    shown = [row for row in rows if row["text"]["shown"]["sources"]]
    found = [row for row in rows if row["found"]]
    print(f"questions {len(rows)}, something shown {len(shown)}, the right paragraph among it {len(found)}")
    for what, of in (("all", rows), ("right paragraph shown", found)):
        print(f"  right, {what}: text {right('text', of)}, packs {right('packs', of)}, none {right('off', of)}")
    # A text whose beginning was read for an earlier question is no cold one.
    cold = [row for row in shown if row["text"]["read"] > 100]
    if cold:
        text, packs = ([row[attach]["first"] for row in cold] for attach in ("text", "packs"))
        ratio = median([a / b for a, b in zip(text, packs)])
        read = [median([row[attach]["read"] for row in cold]) for attach in ("text", "packs")]
        print(f"  first token, {len(cold)} cold texts: text {median(text):.2f} s ({read[0]} tokens read), packs "
              f"{median(packs):.2f} s ({read[1]}), median ratio {ratio:.1f}")
