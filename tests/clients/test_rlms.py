"""The official `rlms` package with our server as its model provider: a scripted root model behind our gateway writes the
programs, the package runs them, the real local model answers their sub-calls. And its types read our trajectories."""

import json

import openai
import pytest
from rlm import RLM
from rlm.core.types import RLMChatCompletion

from scripted_root import ScriptedRoot, block, serve_with_root
from server import MODEL

FACT = "The secret password of the brewery in Trieste is walnut."

PROGRAMS = {
    "official": [
        block(
            "lines = [line for line in context.splitlines() if 'brewery' in line]\n"
            "said = llm_query('Text: ' + lines[0] + '\\n\\nWhat is the secret password of the brewery?')\n"
            "print(said)"
        ),
        block("answer['content'] = lines[0] + ' // ' + said\nanswer['ready'] = True"),
    ],
    "ours": [block("FINAL(llm_query('Say hello.') + rlm_query('play:child'))")],
    "child": [block("FINAL('from below')")],
}


@pytest.fixture(scope="module")
def root():
    upstream = ScriptedRoot(PROGRAMS)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory):
    return tmp_path_factory.mktemp("trajectories")


@pytest.fixture(scope="module")
def url(root, trajectories, tmp_path_factory, binary, model_file):
    folder = tmp_path_factory.mktemp("rlms")
    running = serve_with_root(binary, model_file, root, trajectories, folder)
    yield running.url + "/v1"
    assert running.stop() == 0, running.log()


def test_our_server_provides_the_models(url, root):
    lines = [f"On day {i} the keeper wrote {i % 7} lines." for i in range(2000)]
    lines.insert(700, FACT)
    here = {"base_url": url, "api_key": "none"}
    rlm = RLM(
        backend="openai",
        backend_kwargs={"model_name": "t/root", **here},
        other_backends=["openai"],
        other_backend_kwargs=[{"model_name": MODEL, **here}],
        environment="local",
        max_iterations=4,
        sub_sampling_args={"temperature": 0, "max_tokens": 32},
    )
    done = rlm.completion("\n".join(lines), root_prompt="play:official What is the password of the brewery?")
    # What the program found, and what our small model made of it (its reading is not what is tested here).
    found, said = done.response.split(" // ", 1)
    assert found == FACT and said
    # Both models were asked at our server, and their tokens are counted.
    usage = done.usage_summary.model_usage_summaries
    assert usage["t/root"].total_calls == 2 and usage["t/root"].total_input_tokens > 0
    assert usage[MODEL].total_calls == 1 and usage[MODEL].total_input_tokens > 10
    assert len(root.asked("official")) == 2


def test_its_types_read_our_trajectory(url, trajectories):
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)
    client.chat.completions.create(model="rlm", messages=[{"role": "user", "content": "play:ours"}])
    (path,) = trajectories.iterdir()
    metadata, iteration = map(json.loads, path.open())
    assert metadata["type"] == "metadata" and metadata["root_model"] == "t/root"
    # The keys that its logger writes, and no call that its types can't read.
    assert {"prompt", "response", "code_blocks", "final_answer", "iteration_time", "timestamp"} <= iteration.keys()
    assert {"stdout", "stderr", "locals", "execution_time"} <= iteration["code_blocks"][0]["result"].keys()
    leaf, child = map(RLMChatCompletion.from_dict, iteration["code_blocks"][0]["result"]["rlm_calls"])
    assert leaf.root_model == MODEL and leaf.usage_summary.total_output_tokens > 0
    assert child.response == "from below" and child.metadata["iterations"][0]["final_answer"] == "from below"
