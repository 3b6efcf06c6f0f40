#!/usr/bin/env python3
"""Runs clang-tidy over src/**/*.cpp save the tests (googletest's headers would double the time), on all cores,
skipping what was clean before.

A file is clean before if nothing that its verdict depends on has changed: itself, our headers that it includes
(as ninja recorded them when it was built), the names and sizes of the others, its compile command, .clang-tidy and
clang-tidy itself. Clean verdicts are empty files named by that hash, which every checkout of a user shares, as
ccache's objects: under $XDG_CACHE_HOME (~/.cache) in permutation/tidy. One that nobody asked for in 30 days goes.

Sources that are compiled together are looked at together, since reading headers is most of the work (24.7 s of a
processor for five sources alone, 7.1 s together). Where that finds something each of them is looked at again by itself,
and what is said then counts.

Usage: tidy.py ROOT BUILD [--ahead]. Exit status: 0 clean, 1 findings (printed).

--ahead is for a run beside other work, that finds what is clean so that the real run has less to do: it only takes
cores that nobody else wants, says nothing, and ends when the real run begins.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

TIDY = "clang-tidy-14"
# clang 14 has C++20's coroutines, but doesn't say so in the way that libstdc++ 12 and Boost.Asio ask.
MACROS = ["__cpp_impl_coroutine=201902L", "BOOST_ASIO_HAS_CO_AWAIT=1", "BOOST_ASIO_HAS_STD_COROUTINE=1"]
# It also refuses __builtin_cpu_supports("f16c"), which g++ knows.
MACROS += ["__builtin_cpu_supports(feature)=(feature[0] != 0)"]
KEPT_S = 30 * 24 * 3600
AHEAD = "tidy-ahead.pid"
FOLDER = "tidy"
EXTRA = ["--extra-arg=-Wno-unknown-warning-option", *(f"--extra-arg=-D{macro}" for macro in MACROS)]


def recorded_headers(build):
    """{object file: what it was made from}, from ninja's log of dependencies."""
    text = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], check=True, capture_output=True, text=True).stdout
    headers, current = {}, None
    for line in text.splitlines():
        if line.startswith("    "):
            headers[current].append(line.strip())
        elif ": #deps" in line:
            current = line.split(": #deps")[0]
            headers[current] = []
    return headers


def sources_of(entry):
    """The sources that are compiled together by this entry, or its one."""
    unit = pathlib.Path(entry["file"])
    if not re.fullmatch(r"unity_\d+_cxx\.cxx", unit.name):
        return [entry["file"]]
    return re.findall(r'^#include "(.+)"$', unit.read_text(), re.MULTILINE)


def each_source(entry):
    """An entry for each source of those that are compiled together."""
    for source in sources_of(entry):
        yield {**entry, "file": source, "command": entry["command"].replace(entry["file"], source)}


def units(root, build):
    """Our compiled sources, as entries of compile_commands.json. Those of all sources, alone and together, are written to the
    folder FOLDER, for clang-tidy."""
    entries = json.loads((build / "compile_commands.json").read_text())
    known = {}
    for entry in entries:  # a source that several targets have is looked at once
        for each in (entry, *each_source(entry)):
            known.setdefault(each["file"], each)
    (build / FOLDER).mkdir(exist_ok=True)
    written = build / FOLDER / f"{os.getpid()}.json"
    written.write_text(json.dumps(list(known.values())))
    written.rename(build / FOLDER / "compile_commands.json")
    folder = str(root / "src") + os.sep

    def is_asked_for(entry):
        sources = sources_of(entry)
        ours = all(source.startswith(folder) for source in sources)
        return known[entry["file"]] is entry and ours and not all(s.endswith("_test.cpp") for s in sources)

    return [entry for entry in entries if is_asked_for(entry)]


def key_of(entry, headers, root, build, version):
    """The hash of all that the verdict on `entry` depends on; None when it was never built."""
    output = entry["output"] if "output" in entry else entry["command"].split(" -o ")[1].split()[0]
    made_from = headers.get(output)
    if made_from is None:
        return None

    def placed(text):
        return text.replace(str(build), "BUILD").replace(str(root), "ROOT").encode()

    digest = hashlib.sha256(version)
    digest.update(placed(entry["command"]))
    paths = {(build / name).resolve() for name in (*sources_of(entry), *made_from)}
    paths.discard(pathlib.Path(entry["file"]) if len(sources_of(entry)) > 1 else None)
    for name, path in sorted((placed(str(path)), path) for path in paths if path.is_file()):
        ours = path.is_relative_to(root / "src") or path.is_relative_to(build / "generated")
        digest.update(name)
        digest.update(path.read_bytes() if ours else str(path.stat().st_size).encode())
    return digest.hexdigest()


def cache_folder():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "permutation" / "tidy"


def run_one(file, build):
    command = [TIDY, "-p", str(build / FOLDER), "--quiet", *EXTRA, file]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def may_have_unused(source):
    """Whether the source has a using-declaration whose name stands nowhere else in it. clang-tidy looks for those in a main
    file alone."""
    text = re.sub(r'//.*|"(?:\\.|[^"\\\n])*"', "", pathlib.Path(source).read_text())
    names = re.findall(r"^ *using (?:\w+::)+(\w+);", text, re.MULTILINE)
    return any(not re.search(rf"(?<![\w:.>]){name}\b", text) for name in names)


def findings_of(entry, build):
    """What clang-tidy says of the entry's sources: a text for each that isn't clean."""
    status, said = run_one(entry["file"], build)
    sources = sources_of(entry)
    if sources == [entry["file"]]:
        return [said] if status != 0 else []
    again = [source for source in sources if status != 0 or may_have_unused(source)]
    return [said for status, said in (run_one(source, build) for source in again) if status != 0]


def step_back(build):
    """Makes this process one that yields to every other, and leaves its number for the real run."""
    with contextlib.suppress(OSError):  # it leads one already
        os.setsid()  # so that all that it starts can be ended with it
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):  # kernels that share the cores among sessions first
        pathlib.Path("/proc/self/autogroup").write_text("19")
    (build / AHEAD).write_text(str(os.getpid()))


def end_ahead(build):
    """Ends the run ahead, if there is one: what it has begun is done again."""
    with contextlib.suppress(OSError, ValueError):
        file = build / AHEAD
        ahead = int(file.read_text())
        file.unlink()
        if str(pathlib.Path(__file__).name).encode() in pathlib.Path(f"/proc/{ahead}/cmdline").read_bytes():
            os.killpg(ahead, signal.SIGTERM)


def main():
    root, build = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    end_ahead(build)
    if sys.argv[3:] == ["--ahead"]:
        step_back(build)
    version = subprocess.run([TIDY, "--version"], check=True, capture_output=True).stdout
    version += (root / ".clang-tidy").read_bytes() + pathlib.Path(__file__).read_bytes()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    headers = recorded_headers(build)
    keys = [(entry, key_of(entry, headers, root, build, version)) for entry in units(root, build)]
    due = [(entry, key) for entry, key in keys if not (key and (cache / key).exists())]
    count = sum(len(sources_of(entry)) for entry, _ in keys)
    print(f"{count} files, {count - sum(len(sources_of(entry)) for entry, _ in due)} clean before", flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for (_, key), findings in zip(due, pool.map(lambda d: findings_of(d[0], build), due)):
            if not findings and key:
                (cache / key).touch()
            failed += len(findings)
            for said in findings:
                print(said, flush=True)
    for _, key in keys:
        if key and (cache / key).exists():
            (cache / key).touch()
    for old in cache.iterdir():
        if time.time() - old.stat().st_mtime > KEPT_S:
            old.unlink(missing_ok=True)
    print(f"{failed} of {count} files have findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
