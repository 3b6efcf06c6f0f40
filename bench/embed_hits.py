"""Seconds of a hit of the response cache from Python: embed_hits.py ENTRIES BYTES. ./dev bench embed runs it, by the package
and the library of this checkout. The median of rounds over all entries, each shorter than a turn on a shared processor."""

import statistics
import sys
import time

from permutation import ResponseCache

entries, size = map(int, sys.argv[1:])
cache = ResponseCache()
names = [f"entry {i}" for i in range(entries)]
for name in names:
    cache[name] = "x" * size
rounds = []
for _ in range(301):
    begun = time.perf_counter()
    for name in names:
        cache.get(name)
    rounds.append((time.perf_counter() - begun) / entries)
print(statistics.median(rounds))
