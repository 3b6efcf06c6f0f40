#!/usr/bin/env python3
"""Proves that no file of ours points outside of the repository: to a package registry's host or a path of one
particular machine (packages are fetched by name through whatever index is configured, and everything else lies under
PERMUTATION_HOME), or to papers that only we have: a reader can open notes and papers by number, nothing else.

Usage: check_texts.py ROOT. Exit status: 0 none does, 1 one does (each as file:line: what).
"""

import pathlib
import re
import subprocess
import sys

# In pieces, so that this file holds none of them itself.
HOSTS = [("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"), ("ubuntu", "com"), ("crates", "io")]
HOSTS += [("golang", "org"), ("huggingface", "co")]
FOLDERS = ["work", "root", "tmp", "home"]

HOST = re.compile("|".join(rf"\b{name}\.{domain}\b" for name, domain in HOSTS))
PATH = re.compile(r"(?<![\w.~})$/-])/(?:" + "|".join(FOLDERS) + r")/\w")
# The drafts that the project was planned by, and its tracker's numbers (owner/project#12 is somebody else's, and public).
PAPERS = [("DESIGN", "md"), ("INTERFACE", "md"), ("STYLE", "md"), ("WORLD", "md")]
BARE = ["INTER" + r"FACE:", "INTER" + r"FACE's"]
OURS_ONLY = re.compile("|".join([rf"\b{name}\.{end}\b" for name, end in PAPERS] + BARE + [r"\.\./" + "shared", r"\b[Ii]ssues? \d+"]))


def faults_of(name, text):
    """Each line of `text` that names a host or a path, as file:line: what."""
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in [("a registry's host", HOST), ("a path of one machine", PATH), ("not in the repository", OURS_ONLY)]:
            if match := pattern.search(line):
                faults.append(f"{name}:{number}: {what}: {match.group(0)}")
    return faults


def our_files(root):
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [name for name in names.split("\0") if name and (root / name).is_file()]


def main():
    root = pathlib.Path(sys.argv[1])
    faults = []
    for name in our_files(root):
        try:
            faults += faults_of(name, (root / name).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # not a text
    print("\n".join(faults) if faults else "nothing points outside of the repository")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
