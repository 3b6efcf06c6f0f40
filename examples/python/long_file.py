"""Asks a question about a long file; its keys and values take about an eighth of the memory.

    python long_file.py report.txt "What does the report recommend?" [CONFIG.toml]"""

import pathlib
import sys

from permutation import Engine

if len(sys.argv) < 3:
    sys.exit("usage: long_file.py FILE QUESTION [CONFIG.toml]")
text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
request = {
    "messages": [{"role": "user", "content": f"{text}\n\n{sys.argv[2]}"}],
    "temperature": 0,
    "max_tokens": 64,
    "stream_options": {"include_usage": True},
    "permutation": {"kv": {"ratio": 8}},
}
with Engine(path=sys.argv[3] if len(sys.argv) > 3 else None) as engine:
    chunk = {}
    for chunk in engine.stream(request):
        for choice in chunk["choices"]:
            print(choice["delta"].get("content", ""), end="", flush=True)
    print("\nkeys and values:", chunk.get("permutation", {}).get("kv"), file=sys.stderr)
