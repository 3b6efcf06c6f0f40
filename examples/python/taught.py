"""Teaches the model facts of a file, asks one question, forgets them, and says which cache was used where.

    python taught.py facts.jsonl "Which number do I dial for support at Zorvane Labs?" [CONFIG.toml]

facts.jsonl: {"prompt": "...", "answer": "...", "paraphrases": ["..."]}, one a line."""

import json
import pathlib
import sys

from permutation import Engine

if len(sys.argv) < 3:
    sys.exit("usage: taught.py FACTS.jsonl QUESTION [CONFIG.toml]")
lines = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
with Engine(path=sys.argv[3] if len(sys.argv) > 3 else None) as engine:
    engine.knowledge.learn("taught", [json.loads(line) for line in lines if line.strip()])
    model = engine.request("GET", "/v1/knowledge")["model"]
    print(engine.ask(sys.argv[2], model=model, max_tokens=48, permutation={"knowledge": ["taught"]}))
    engine.knowledge.forget("taught")
    print(json.dumps(engine.audit()), file=sys.stderr)
