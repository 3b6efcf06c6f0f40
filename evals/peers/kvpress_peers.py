"""kvpress's methods on the questions of ./dev eval compression, same weights, same bytes.

Usage: ./dev eval peers --prompts DUMP.jsonl [--items N] [--ratios 8,64] [--presses snapkv,...]

DUMP.jsonl is what `eval compression --dump` wrote. A method at ratio r keeps 1/r of the tokens in full precision: the
bytes of an f16 cache over r. "full" is the same model without a press. Answers are greedy and judged as in the eval: the
wanted words must be in them. Prints one JSON object a method, ratio and task.
"""

import argparse
import json
import math
import os
import time

import torch
from kvpress import ExpectedAttentionPress, KVzipPress, SnapKVPress
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

FREE_TOKENS = 24
PRESSES = {"snapkv": SnapKVPress, "expected_attention": ExpectedAttentionPress, "kvzip": KVzipPress}


def words_of(text):
    kept = "".join(c.lower() if c.isalnum() else " " for c in text)
    return " " + " ".join(kept.split()) + " "


def wilson(successes, n):
    if n == 0:
        return [0.0, 1.0]
    z, p = 1.959964, successes / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [(middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)]


@torch.inference_mode()
def answers(model, tokenizer, press, item):
    """Whether the greedy answer to `item` has the wanted words, its context read under `press`."""
    context = torch.tensor([item["context_tokens"]])
    cache = DynamicCache()
    if press is None:
        model.model(input_ids=context, past_key_values=cache)
    else:
        with press(model):
            model.model(input_ids=context, past_key_values=cache)
    at, following, said = context.shape[1], item["question_tokens"], []
    for _ in range(len(item["gold_tokens"]) + FREE_TOKENS):
        step = torch.tensor([following])
        positions = torch.arange(at, at + step.shape[1])[None]
        logits = model(input_ids=step, past_key_values=cache, position_ids=positions, logits_to_keep=1).logits
        at += step.shape[1]
        following = [int(logits[0, -1].argmax())]
        if following[0] in (0, 2):
            break
        said += following
    text = words_of(tokenizer.decode(said))
    return any(words_of(wanted) in text for wanted in item["wanted"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--ratios", default="8,64")
    parser.add_argument("--presses", default=",".join(PRESSES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder, name = os.path.split(options.model)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    model.config.name_or_path = folder
    model.eval()
    with open(options.prompts, encoding="utf-8") as lines:
        items = [json.loads(line) for line in lines]
    for task in dict.fromkeys(item["task"] for item in items):
        chosen = [item for item in items if item["task"] == task][: options.items]
        solved = [item for item in chosen if answers(model, tokenizer, None, item)]
        for press_name in options.presses.split(","):
            for ratio in map(float, options.ratios.split(",")):
                press, begin = PRESSES[press_name](compression_ratio=1 - 1 / ratio), time.time()
                kept = sum(answers(model, tokenizer, press, item) for item in solved)
                row = {"task": task, "mode": "kvpress_" + press_name, "ratio": ratio, "n": len(solved),
                       "asked": len(chosen), "full": len(solved) / max(1, len(chosen)),
                       "kept": kept / max(1, len(solved)), "ci95": wilson(kept, len(solved)),
                       "seconds": round(time.time() - begin, 1)}
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
