"""Runs a command that costs time or money, once: what it printed is kept on the disk, and given again.

    python cached.py curl -s https://api.example.org/dear-question

A command that fails is not kept. The folder is $CACHED_FOLDER, else ~/.cache/cached."""

import json
import os
import subprocess
import sys
import time

from permutation import ResponseCache


def main(command):
    if not command:
        sys.exit("usage: cached.py COMMAND [ARGUMENTS]")
    with ResponseCache(path=os.environ.get("CACHED_FOLDER") or os.path.expanduser("~/.cache/cached")) as cache:
        name = json.dumps(command)
        if (printed := cache.get(name)) is None:
            begun = time.monotonic()
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            if done.returncode != 0:
                return done.returncode
            printed = done.stdout
            cache.set(name, printed, seconds=time.monotonic() - begun)
        sys.stdout.write(printed)
        return 0


sys.exit(main(sys.argv[1:]))
