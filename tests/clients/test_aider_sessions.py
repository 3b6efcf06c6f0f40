"""Sessions of aider, from its command line, by each API: it edits a file, is told that an edit did not fit, and goes on."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from playing import says
from server import samples
from sessions import cache_of, messages_of, told

MODELS = {"chat": "openai/{}", "messages": "anthropic/{}", "responses": "openai/responses/{}"}
FILE = 'print("hello")\n'


def aider(api, base, model, folder, lines, form="diff"):
    """What it is told, line by line, in a folder with one file. (that file, what aider wrote)"""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / ".aider/caches").mkdir(parents=True)
    # It would fetch a list of models and prices.
    (folder / ".aider/caches/model_prices_and_context_window.json").write_text('{"none": {}}')
    (folder / "hello.py").write_text(FILE)
    (folder / ".aider.model.settings.yml").write_text(json.dumps([
        {"name": MODELS[api].format(model), "edit_format": form, "extra_params": {"max_tokens": 200}}]))  # fmt: skip
    options = [f"--edit-format={form}", "--yes-always", "--no-git", "--map-tokens=0", "--no-auto-lint", "--no-pretty", "--no-fancy-input",
               "--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-show-release-notes", "--no-gitignore",
               "--no-detect-urls", "--no-suggest-shell-commands", "--max-chat-history-tokens=100000", "--no-restore-chat-history"]  # fmt: skip
    root = base.removesuffix("/v1")
    # Its order of the files in a prompt is that of a set, so another in each process unless Python's hashes are fixed.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "HOME": str(folder), "OPENAI_API_KEY": "none", "OPENAI_API_BASE": base, "ANTHROPIC_API_KEY": "none",
                   "ANTHROPIC_API_BASE": root, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "TERM": "dumb"}  # fmt: skip
    argv = [sys.executable, "-m", "aider", "--model", MODELS[api].format(model), *options, "hello.py"]
    ended = subprocess.run(argv, cwd=folder, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=250, env=environment)
    assert ended.returncode == 0 and "Max retries" not in ended.stdout, ended.stdout + ended.stderr
    return (folder / "hello.py").read_text(), ended.stdout + ended.stderr


def edit(text, old, new):
    return says(f"{text}\n\nhello.py\n```python\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n")


GOODBYE = FILE + 'print("goodbye")\n'
LOUD = GOODBYE.replace("hello", "HELLO")
LINES = ["Let it say goodbye, too.", "Let it shout hello.", "What does it print now?"]
TURNS = [
    edit("I add a line.", FILE, GOODBYE),
    edit("I change a line.", "print('hi')\n", "print('HI')\n"),  # there is no such line
    edit("I see.", FILE, FILE.replace("hello", "HELLO")),
    says("HELLO and goodbye."),
]


@pytest.mark.parametrize("api", MODELS)
def test_edits(session, api, tmp_path):
    def scenario(api, base, model):
        file, shown = aider(api, base, model, tmp_path / "work", LINES)
        assert "HELLO and goodbye." in shown
        return file

    file, bodies = session(scenario, api, *TURNS)
    assert file == LOUD
    whole = "\n".join(told(json.loads(one))[1] for one in messages_of(bodies[-1]))
    wanted = [LINES[0], TURNS[0], LINES[1], TURNS[1], "The SEARCH section must exactly match", TURNS[2], LOUD, LINES[2]]
    at = [whole.index(one if isinstance(one, str) else one["content"].strip()) for one in wanted]
    assert at == sorted(at)
    assert json.loads(bodies[-1])["temperature"] == 0


@pytest.mark.real
@pytest.mark.parametrize("api", MODELS)
def test_a_real_model(real_server, real, api, tmp_path):
    """Whatever it says: the session ends, its last prompt begins as the first one did and is read from there, and again it
    costs nothing."""
    base, name = real
    lines = [f"/ask What does this file print? Not {api}?", f"Let it print {api}, too.", "/ask And now?"]

    def counted(what):
        return sum(value for _, value in samples(real_server)[f"permutation_engine_{what}_total"])

    def played():
        return aider(api, base, name, tmp_path / "work", lines, form="whole")

    reused, requests = counted("prefix_tokens_reused"), counted("requests")
    file, shown = played()
    asked = counted("requests") - requests
    assert asked >= len(lines), shown
    assert counted("prefix_tokens_reused") - reused > 100
    hits = cache_of(real_server)["hits"]["exact"]
    assert played()[0] == file
    assert counted("requests") - requests == asked and cache_of(real_server)["hits"]["exact"] - hits == asked
