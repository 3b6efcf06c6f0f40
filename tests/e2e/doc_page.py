"""The code blocks of a page of the documentation, and a newcomer who runs them as printed.

A block of `sh`, `python`, `toml` or `json` is run: in the page's order, in a folder of its own with the examples, one
shell for the page. ```` ```sh norun: why ```` is left out. ```` ```cpp examples/FILE ```` shows lines of that file, in any
language, and isn't run: what builds or runs the file is. ```` ```text output ```` after a block says what it prints: each
line in this order, whatever stands between. Ports are exchanged for free ones.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.S | re.M)
PATIENCE_S = 240

PERMUTATION = """#!/bin/sh
# What is served or asked without a port gets the page's.
case "$*" in
  *--port* | *--url* | *--check*) ;;
  "serve "*)
    if ! grep -qs '^port' "$3" /dev/null; then
      exec {binary} "$@" --port {port}
    fi ;;
  serve) exec {binary} serve --port {port} ;;
  status* | audit* | "cache stats"*) exec {binary} "$@" --url http://127.0.0.1:{port} ;;
esac
exec {binary} "$@"
"""
DEV = """#!/bin/sh
[ "$1" = run ] || exit 2
shift
exec permutation "$@"
"""


def blocks(page):
    """[(language, why it isn't run or None, text)]; the language of lines that are shown is the file's name."""
    found = []
    for info, text in BLOCK.findall((ROOT / page).read_text()):
        language, _, more = info.partition(" ")
        _, _, why = more.partition("norun:")
        if more.startswith("examples/"):
            language = more
        found.append((f"{language} {more}" if more == "output" else language, why.strip() or None, text))
    return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def with_library(build, folder):
    """The environment of somebody who installed the library and its Python package."""
    for component in ("libpermutation", "libpermutation-dev"):
        command = ["cmake", "--install", build, "--prefix", folder, "--component", component]
        subprocess.run(command, check=True, capture_output=True)
    return {
        "CMAKE_PREFIX_PATH": str(folder),
        "PKG_CONFIG_PATH": str(folder / "lib/pkgconfig"),
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "PYTHONPATH": str(ROOT / "python"),
        "PERMUTATION_LIBRARY": str(folder / "lib/libpermutation.so"),
        "PATH": f"{ROOT}/.venv-embed/bin:{os.environ['PATH']}",
    }


class Newcomer:
    """Somebody with a shell in an empty folder. Use it in a `with`. `more`: variables of the environment."""

    def __init__(self, folder, binary, models, more=()):
        self.folder = folder
        self.ports = {port: str(free_port()) for port in ("8080", "8081", "8082", "6379")}
        self.serves = False
        self.printed = ""
        self.interpreter = "python" if "PYTHONPATH" in dict(more) else sys.executable
        tools = folder / "bin"
        tools.mkdir()
        (folder / "examples").symlink_to(ROOT / "examples")
        home = folder / ".local/share/permutation"
        home.mkdir(parents=True)
        (home / "models").symlink_to(models)
        for path, text in (
            (tools / "permutation", PERMUTATION.format(binary=binary, port=self.ports["8080"])),
            (folder / "dev", DEV),
        ):
            path.write_text(text)
            path.chmod(0o755)
        environment = {**os.environ, "HOME": str(folder)} | dict(more)
        environment["PATH"] = f"{tools}:{environment['PATH']}"
        environment.pop("PERMUTATION_HOME", None)
        environment |= {"PERPLEXITY_API_KEY": "unused", "ANTHROPIC_API_KEY": "unused"}
        self.shell = subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, cwd=folder, env=environment, text=True, start_new_session=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.shell.pid, signal.SIGTERM)
        self.shell.wait(timeout=30)

    def run(self, language, text):
        for printed, free in self.ports.items():
            text = re.sub(rf"\b{printed}\b", free, text)
        {"sh": self.sh, "python": self.python, "toml": self.toml, "json": self.json}[language](text)

    def check_output(self, wanted):
        at = 0
        for line in filter(None, map(str.strip, wanted.splitlines())):
            found = self.printed.find(line, at)
            assert found >= 0, f"{line!r} isn't in what it printed:\n{self.printed}"
            at = found + len(line)

    def sh(self, text):
        last = re.sub(r"\s+#.*$", "", text.strip().splitlines()[-1])
        if re.match(r"(\./dev run|permutation) serve\b(?!.*(--check|&$))", last):
            self.bash("\n".join([*text.strip().splitlines()[:-1], last + " &"]))
            self.serves = True
            return self.wait_for_server()
        self.need_server(text)
        return self.bash(text)

    def python(self, text):
        self.need_server(text)
        (self.folder / "block.py").write_text(text)
        self.bash(f"{self.interpreter} block.py")

    def toml(self, text):
        named = re.match(r"# (\S+\.toml)\b", text)
        path = self.folder / (named[1] if named else "block.toml")
        path.write_text(text)
        self.bash(f"permutation serve --config {path} --check")

    def json(self, text):
        text = text.strip()
        try:
            json.loads(text if text.startswith(("{", "[")) else f"{{{text}}}")
        except ValueError:
            for line in text.splitlines():
                json.loads(line)

    def need_server(self, text):
        own = re.search(rf"serve\b.*--port {self.ports['8080']}\b.*&$", text, re.MULTILINE)
        self.serves = self.serves or bool(own)
        if self.serves or f"127.0.0.1:{self.ports['8080']}" not in text:
            return
        self.serves = True
        self.bash("permutation serve &")
        self.wait_for_server()

    def wait_for_server(self):
        url = f"http://127.0.0.1:{self.ports['8080']}/health"
        for _ in range(PATIENCE_S):
            try:
                if httpx.get(url).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(1)
        raise AssertionError(f"no server came up:\n{self.printed}")

    def bash(self, text):
        script, out, done = (self.folder / name for name in ("block.sh", "block.out", "block.done"))
        script.write_text(text)
        done.unlink(missing_ok=True)
        self.shell.stdin.write(f"set -e; source {script} > {out} 2>&1 < /dev/null; set +e; touch {done}\n")
        self.shell.stdin.flush()
        end = time.monotonic() + PATIENCE_S
        while not done.exists() and self.shell.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        self.printed = out.read_text(errors="replace") if out.exists() else ""
        assert done.exists(), f"this failed, or took more than {PATIENCE_S} s:\n{text}\n--- printed:\n{self.printed}"
