"""A second model drafts (note 0048): the answers are the same, and a model that can't draft is named at the start."""

import pytest

from conftest import EMBEDDER_FILE, MODEL_FILE, client_of
from server import chat, extension, off


def config_of(model, draft):
    return (f'[server]\nport = 0\n[[model]]\npath = "{model}"\ndraft = "{draft}"\nruntime = "own"\n'
            "[embeddings]\nenabled = false\n")


@pytest.mark.parametrize("speculation", ["auto", "prompt_lookup"])
def test_answers_are_the_same(starting, model_file, speculation):
    """It drafts for itself, which never pays: nothing goes wrong where an account is always spent."""
    server = starting(config_of(model_file, model_file))
    client = client_of(server)
    for text in ("Count from 1 to 20.", "Tell me about bees."):
        plain = chat(client, text, max_tokens=60, temperature=0, extra_body=off(speculation="off"))
        drafted = chat(client, text, max_tokens=60, temperature=0, extra_body=off(speculation=speculation))
        assert drafted.choices[0].message.content == plain.choices[0].message.content
        said = extension(drafted)["speculation"]
        assert said.get("accepted_by_model", 0) <= said.get("drafted_by_model", 0) <= said["drafted"]
    assert server.stop() == 0


def test_another_vocabulary_is_refused(cli, tmp_path, model_file):
    config = tmp_path / "config.toml"
    for draft, says in ((EMBEDDER_FILE, "can't draft"), (tmp_path / "none.gguf", "none.gguf")):
        config.write_text(config_of(model_file, draft))
        ended = cli("serve", "--config", config, timeout=60)
        assert ended.returncode in (1, 2), ended.stderr
        assert says in ended.stderr and "draft" in ended.stderr, ended.stderr


def test_what_libllama_runs_has_no_drafts(starting, model_file):
    server = starting(config_of(model_file, MODEL_FILE).replace('"own"', '"libllama"'))
    assert chat(client_of(server), "hello", max_tokens=4, extra_body=off()).choices[0].message.content
    assert "draft has no effect" in server.log()
    assert server.stop() == 0
