"""The commands as people use them: in a terminal, with Ctrl-C, in pipes and scripts."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import httpx
import pytest

from server import MODEL

LONG = "Write a very long story about a river, its fish, its fishermen and the sea."


class Terminal:
    """A command in a terminal of its own: what it shows, and what is typed."""

    def __init__(self, binary, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(binary, [binary, *map(str, args)])
        self.shown = ""

    def wait_for(self, pattern, timeout=120):
        """The text up to the pattern's end, which is not looked at again."""
        until = time.monotonic() + timeout
        while not (found := re.search(pattern, self.shown)):
            left = until - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.shown!r}"
            if not select.select([self.fd], [], [], left)[0]:
                continue
            try:
                self.shown += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:  # it has ended
                assert re.search(pattern, self.shown), f"no {pattern!r} in {self.shown!r}"
        text, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return text

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self, timeout=60):
        """Its exit status."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    os.read(self.fd, 4096)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("it doesn't end")


def test_a_conversation_in_a_terminal(binary, model_file, tmp_path):
    talk = Terminal(binary, "chat", "--model", model_file, "--max-tokens", "400", "--verbose")
    talk.wait_for("/help says what there is")
    talk.type("What is gravity?\n")
    talk.wait_for("[Gg]ravity is")
    talk.wait_for(r"time to first token .* tokens/s")
    talk.type(LONG + "\n")
    talk.wait_for(r"river[\s\S]*fisherm[\s\S]*fisherm")
    talk.type("\x03")  # Ctrl-C
    talk.wait_for("stopped; the conversation keeps what came")
    saved = tmp_path / "talk.json"
    talk.type(f"/save {saved}\n")
    talk.wait_for("4 turns in")
    turns = json.loads(saved.read_text())
    assert [turn["role"] for turn in turns] == ["user", "assistant"] * 2
    assert "ravity" in turns[1]["content"] and "fisherm" in turns[3]["content"]
    talk.type("/new\n/save\n")
    talk.wait_for("a new conversation")
    talk.wait_for("/save needs a file's name")
    talk.type("\x03")  # nothing runs: the program ends
    assert talk.end() == -signal.SIGINT


def test_a_conversation_of_a_pipe(binary, server, tmp_path):
    saved = tmp_path / "talk.json"
    lines = ["/system You know all capitals.", "What is the capital of France?", "And of \\", "Italy?", f"/save {saved}", "/exit", "never asked"]
    ended = subprocess.run([binary, "chat", "--url", server.url, "--model", MODEL, "--max-tokens", "40"],
                           input="\n".join(lines), capture_output=True, text=True, timeout=300)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "> " not in ended.stdout + ended.stderr
    turns = json.loads(saved.read_text())
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant"]
    assert turns[3]["content"] == "And of \nItaly?"
    assert turns[2]["content"].strip() in ended.stdout
    wrong = subprocess.run([binary, "chat", "--url", server.url, "--model", MODEL], input="/nonsense\n", capture_output=True,
                           text=True, timeout=60)  # fmt: skip
    assert wrong.returncode == 1 and "no command /nonsense" in wrong.stderr


def test_ctrl_c_says_what_is_kept(binary, model_file, server):
    for where in (["--model", model_file], ["--url", server.url, "--model", MODEL, "--no-cache"]):
        running = subprocess.Popen([binary, "ask", LONG, "--max-tokens", "2000", *where], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)  # fmt: skip
        assert running.stdout.read(20)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 130
        assert b"stopped: what is above is all of the answer" in said


def test_a_long_prompt_shows_how_much_is_read(binary, model_file, tmp_path):
    context = tmp_path / "long.txt"
    context.write_text("\n".join(f"Shelf {i} holds {i * 7 % 100} books." for i in range(250)))
    asked = Terminal(binary, "ask", "How many books?", "--model", model_file, "--context", context, "--max-tokens", "4")
    asked.wait_for(r"reading the prompt: [\d]+ of [\d]+ tokens")
    assert asked.end() == 0


def test_ask_as_json(cli, model_file, server):
    here = cli("ask", "What is gravity?", "--model", model_file, "--max-tokens", "12", "--json")
    there = cli("ask", "What is gravity?", "--url", server.url, "--model", MODEL, "--max-tokens", "12", "--json")
    for ended in (here, there):
        assert ended.returncode == 0, ended.stderr
        said = json.loads(ended.stdout)
        assert said["completion_tokens"] == 12 and said["finish_reason"] == "length" and said["prompt_tokens"] > 5
        assert 0 < said["first_token_s"] <= said["seconds"]
        assert said["permutation"]["kv"]["mode"] == "exact"
    assert json.loads(here.stdout)["answer"] == json.loads(there.stdout)["answer"]


@pytest.mark.parametrize(
    ("args", "status", "word"),
    [
        (["ask", "x", "--url", "http://127.0.0.1:1", "--json"], 1, "permutation serve"),
        (["ask", "x", "--model", "gpt-9", "--json"], 1, "gpt-9"),
        (["models", "pull", "gpt-9", "--json"], 2, "gpt-9"),
        (["models", "remove", "gpt-9", "--json"], 1, "gpt-9"),
        (["audit", "--json", "--url", "nonsense"], 2, "nonsense"),
        (["status", "--json", "--url", "http://127.0.0.1:1"], 1, "127.0.0.1:1"),
        (["cache", "stats", "--json", "--nonsense"], 2, "--nonsense"),
        (["cache", "export", "-", "--json"], 2, "file"),
    ],
)
def test_errors_as_json(cli, args, status, word):
    ended = cli(*args)
    assert ended.returncode == status
    assert word in json.loads(ended.stdout)["error"]["message"]


def test_status_of_a_server(cli, server):
    ended = cli("status", "--url", server.url)
    assert ended.returncode == 0, ended.stderr
    assert MODEL in ended.stdout and "KV memory" in ended.stdout and "response cache: " in ended.stdout
    told = json.loads(cli("status", "--url", server.url, "--json").stdout)
    assert {"models", "kv", "cache"} <= set(told)
    assert any(model["id"] == MODEL for model in told["models"])


SHELLS = {
    "bash": 'source "$S"; COMP_WORDS=(permutation models ch); COMP_CWORD=2; _permutation; printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": 'source "$S"; complete -C "permutation models ch"',
}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion(cli, binary, shell, tmp_path):
    script = tmp_path / "script"
    script.write_text(cli("completion", shell).stdout)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} isn't installed")
    env = {**os.environ, "S": str(script), "PATH": f"{os.path.dirname(binary)}:{os.environ['PATH']}"}
    ended = subprocess.run([shell, "-c", SHELLS[shell]], capture_output=True, text=True, env=env, timeout=60)
    assert ended.stdout.split() == ["check"], ended.stderr


def test_the_demo_can_leave_its_page_open(binary, model_file):
    terminal = Terminal(binary, "demo", "--keep", "--model", model_file)
    shown = terminal.wait_for(r"The server goes on, and \S+", timeout=600)
    url = re.findall(r"http://[\d.:]+", shown)[-1]  # the one before was ended by the step that restarts it
    requests = httpx.get(url + "/v1/history?range=1h").json()["total"]["requests"]
    assert requests["exact"] > 0 and requests["computed"] > 0
    assert "<!doctype html>" in httpx.get(url + "/").text
    terminal.type("\x03")
    assert terminal.end() == 0
