"""guidellm: a small benchmark by each route, as its command line runs it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from playing import says
from server import MODEL

PROMPTS = ["Hello.", "Name a colour.", "Count to three.", "What is a boat?"]


def benchmark(base, model, folder, route):
    """What it saw of four requests, one after another."""
    data, out = folder / "prompts.jsonl", folder / "out.json"
    data.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS))
    argv = [pathlib.Path(sys.executable).parent / "guidellm", "benchmark", "run", "--target", base.removesuffix("/v1"), "--model", model,
            "--rate-type", "synchronous", "--max-requests", len(PROMPTS), "--data", data, "--data-args", '{"prompt_column": "prompt"}',
            "--backend-args", '{"max_output_tokens": 8}', "--output-path", out, "--disable-progress", "--disable-console-outputs"]  # fmt: skip
    environment = {**os.environ, "GUIDELLM__PREFERRED_ROUTE": route, "GUIDELLM__MAX_WORKER_PROCESSES": "1"}
    ended = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=250, env=environment)
    assert ended.returncode == 0, ended.stderr[-4000:] + ended.stdout[-2000:]
    (only,) = json.loads(out.read_text())["benchmarks"]
    return only


def check(seen, least, most):
    """Each answer has so many tokens; a small model may end one of them without a word."""
    requests = seen["requests"]
    assert len(requests["successful"]) == len(PROMPTS) and not requests["errored"], seen["request_totals"]
    assert sorted(one["prompt"] for one in requests["successful"]) == sorted(PROMPTS)
    for one in requests["successful"]:
        assert least <= one["output_tokens"] <= most, one
    spoken = [one for one in requests["successful"] if one["output"]]
    assert len(spoken) >= len(PROMPTS) - 1 and all(one["time_to_first_token_ms"] > 0 for one in spoken), requests


def test_a_benchmark_through_the_gateway(gateway, upstream, tmp_path):
    upstream.plays(*[says("It is so.")] * 20)
    check(benchmark(gateway.url + "/v1", "up/m", tmp_path, "chat_completions"), least=3, most=3)  # what its usage says
    assert all(sent["stream"] and sent["model"] == "own-name" for sent in upstream.requests[-len(PROMPTS) :])


def test_a_benchmark_of_a_model(local, tmp_path):
    check(benchmark(local.url + "/v1", MODEL, tmp_path, "text_completions"), least=1, most=8)


@pytest.mark.real
@pytest.mark.parametrize("route", ["text_completions", "chat_completions"])
def test_a_real_model(real, tmp_path, route):
    base, name = real
    check(benchmark(base, name, tmp_path, route), least=1, most=8)
