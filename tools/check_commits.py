#!/usr/bin/env python3
"""Proves that commits read well in a list: a subject of at most 72 characters, then an empty line. Commits up to and
with SINCE are older than the rule.

Usage: check_commits.py ROOT. Exit status: 0 all do, or there is no history here; 1 one doesn't (each as hash: what).
"""

import subprocess
import sys

SINCE = "a0c3d45ecc7c7c6eacb6f68f04795f7b5ab0e7b4"
SUBJECT_MAX = 72


def faults_of(message):
    """What is wrong with a commit's whole message."""
    lines = message.rstrip("\n").split("\n")
    faults = []
    if not lines[0].strip():
        faults.append("no subject")
    if len(lines[0]) > SUBJECT_MAX:
        faults.append(f"a subject of {len(lines[0])} characters, at most {SUBJECT_MAX}: {lines[0]}")
    if len(lines) > 1 and lines[1].strip():
        faults.append("no empty line between the subject and the rest")
    return faults


def git(root, *arguments):
    return subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True)


def main():
    root = sys.argv[1]
    if git(root, "merge-base", "--is-ancestor", SINCE, "HEAD").returncode != 0:
        print("no history from before the rule here: nothing to check")
        return 0
    hashes = git(root, "rev-list", "--no-merges", f"{SINCE}..HEAD").stdout.split()
    faults = []
    for commit in hashes:
        message = git(root, "log", "-1", "--format=%B", commit).stdout
        faults += [f"{commit[:9]}: {fault}" for fault in faults_of(message)]
    print("\n".join(faults) if faults else f"{len(hashes)} commits read well")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
