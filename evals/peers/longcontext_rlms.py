"""One question over one text by the official `rlms` package, with a server of ours as its provider: prints its answer,
seconds, calls and tokens as one JSON object. It has its own defaults, but for temperature 0 and the time it may take."""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import sys
import time

from rlm import RLM
from rlm.clients.openai import OpenAIClient


class OutOfTime(BaseException):
    """So that no program of the model's catches it."""


def counted(total: dict) -> None:
    """Every call of the package is added to `total`, also those of answers that are never finished."""
    track = OpenAIClient._track_cost

    def track_too(self, response, model):
        total["calls"] += 1
        total["prompt_tokens"] += response.usage.prompt_tokens
        total["written_tokens"] += response.usage.completion_tokens
        return track(self, response, model)

    OpenAIClient._track_cost = track_too


def out_of_time(*_):
    raise OutOfTime


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "model", "text", "question"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--seconds", type=int, required=True)
    args = parser.parse_args()
    total = {"calls": 0, "prompt_tokens": 0, "written_tokens": 0}
    counted(total)
    asked = RLM(
        backend="openai",
        backend_kwargs={"model_name": args.model, "base_url": args.url, "api_key": "none"},
        environment="local",
        max_timeout=args.seconds,
        sampling_args={"temperature": 0},
    )
    text = pathlib.Path(args.text).read_text(encoding="utf-8")
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(args.seconds)
    began = time.monotonic()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            answer = str(asked.completion(text, root_prompt=args.question).response)
    except OutOfTime:
        answer = "(no answer in time)"
    except Exception as error:  # what it raises is its answer
        answer = f"(error: {type(error).__name__}: {error})"
    signal.alarm(0)
    print(json.dumps({"answer": answer, "seconds": time.monotonic() - began, **total}), flush=True)
    os._exit(0)  # a call that it still waits for keeps its threads


main()
