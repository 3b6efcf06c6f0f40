"""Seconds of a hit of the response cache from Python, the best of five rounds: embed_hits.py ENTRIES BYTES. ./dev bench embed
runs it, by the package and the library of this checkout."""

import sys
import time

from permutation import ResponseCache

entries, size = map(int, sys.argv[1:])
cache = ResponseCache()
names = [f"entry {i}" for i in range(entries)]
for name in names:
    cache[name] = "x" * size
best = float("inf")
for _ in range(5):
    begun = time.perf_counter()
    for name in names * 200:
        cache.get(name)
    best = min(best, (time.perf_counter() - begun) / (200 * entries))
print(best)
