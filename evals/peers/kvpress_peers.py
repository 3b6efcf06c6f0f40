"""kvpress's methods on the questions of ./dev eval compression, same weights, same bytes.

Usage: ./dev eval peers --prompts DUMP.jsonl --record FILE [--items N] [--ratios 8,64] [--presses snapkv,...]
                        [--device cpu|cuda] [--solved-only]
       ./dev eval compression --record FILE --report --json

DUMP.jsonl is what `eval compression --dump` wrote. A method at ratio r keeps 1/r of the tokens in full precision: the
bytes of an f16 cache over r. "torch" is the same model without a press. Answers are greedy and judged as in the eval.
With --solved-only a press is asked only what "torch" solves at least a part of, which is all that "kept" counts. Every answer is kept in
FILE as it comes, in the form of the eval's own records, which counts them; the same command goes on where it was stopped.
"""

import argparse
import copy
import itertools
import json
import os
import sys
import time

os.environ["TQDM_DISABLE"] = "1"

import torch
import transformers
from kvpress import ExpectedAttentionPress, KVzipPress, SnapKVPress
from kvpress.presses import kvzip_press
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

FREE_TOKENS = 24
PRESSES = {"snapkv": SnapKVPress, "expected_attention": ExpectedAttentionPress, "kvzip": KVzipPress}
# What our prompts are rendered with; the model's own puts a system message first, which KVzip would look for.
CHAT = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def load(path):
    transformers.utils.logging.disable_progress_bar()
    folder, name = os.path.split(path)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.eval()
    return model, AutoTokenizer.from_pretrained(folder, gguf_file=name)


class Tokenizers:
    """For KVzip, which loads a tokenizer each time: a GGUF's folder has none."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def from_pretrained(self, _):
        return self.tokenizer


def words_of(text):
    kept = "".join(c.lower() if c.isalnum() else " " for c in text)
    return " " + " ".join(kept.split()) + " "


def ends_of(tokenizer):
    """The tokens that end an answer: ChatML's, and the model's own."""
    known = tokenizer.get_vocab()
    return {known[name] for name in ("<|im_end|>", "<|endoftext|>") if name in known} | {tokenizer.eos_token_id}


def share_of(scoring, wanted, text):
    found = sum(each.lower() in text.lower() for each in wanted)
    return float(found > 0) if scoring == "any_string" else found / len(wanted)


@torch.inference_mode()
def read(model, press, tokens):
    context, cache = torch.tensor([tokens], device=model.device), DynamicCache()
    if press is None:
        model.model(input_ids=context, past_key_values=cache)
    else:
        with press(model):
            model.model(input_ids=context, past_key_values=cache)
    return cache


@torch.inference_mode()
def solves(model, tokenizer, cache, question):
    """Whether the greedy answer has the wanted words, or has none of them where they are forbidden; of strings their share."""
    scoring = question.get("scoring", "words")

    def holds_any(said):
        text = words_of(tokenizer.decode(said))
        return any(words_of(wanted) in text for wanted in question["wanted"])

    ends = ends_of(tokenizer)
    at, following, said = len(question["context_tokens"]), question["question_tokens"], []
    most = len(question["gold_tokens"]) + FREE_TOKENS if scoring == "words" else question["answer_tokens"]
    for _ in range(most):
        step = torch.tensor([following], device=model.device)
        positions = torch.arange(at, at + len(following), device=model.device)[None]
        logits = model(input_ids=step, past_key_values=cache, position_ids=positions, logits_to_keep=1).logits
        at += len(following)
        following = [int(logits[0, -1].argmax())]
        # A word is whole when the next one begins.
        if following[0] in ends:
            break
        if scoring == "words" and tokenizer.decode(following).startswith(" ") and holds_any(said):
            break
        said += following
    if scoring == "words":
        return holds_any(said) != question.get("forbidden", False)
    return share_of(scoring, question["wanted"], tokenizer.decode(said))


def known(path, header):
    """The answers that the record has; a new record is begun."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        with open(path, "w", encoding="utf-8") as record:
            print(header, file=record)
    with open(path, encoding="utf-8") as record:
        lines = record.read().splitlines()
    if lines[0] != header:
        raise SystemExit(f"{path} is not a record of this seed: name another file")
    answers = [json.loads(line) for line in lines[1:]]
    return {(each["task"], each.get("tokens", 0), each["item"], each["mode"], each["ratio"]) for each in answers}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompts", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--ratios", default="8,64")
    parser.add_argument("--presses", default=",".join(PRESSES))
    parser.add_argument("--seed", type=int, default=1)  # that the questions were dumped with
    parser.add_argument("--solved-only", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load(options.model)
    model.to(options.device)
    tokenizer.chat_template = CHAT
    kvzip_press.AutoTokenizer = Tokenizers(tokenizer)
    with open(options.prompts, encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines]
    header = json.dumps({"asks": "requests", "eval": "compression", "seed": options.seed}, separators=(",", ":"))
    done = known(options.record, header)
    settings = [("torch", 1.0)] + [("kvpress_" + press, float(ratio)) for press in options.presses.split(",")
                                   for ratio in options.ratios.split(",")]
    record = open(options.record, "a", encoding="utf-8")
    for (task, tokens, item), group in itertools.groupby(asked, lambda q: (q["task"], q.get("tokens", 0), q["item"])):
        questions = [q for q in group if q["wanted"]]
        if item >= options.items or not questions:
            continue
        context, full = questions[0]["context_tokens"], []
        for mode, ratio in settings:
            if mode != "torch" and (task, tokens, item, mode, ratio) in done:
                continue
            wanted = [i for i in range(len(questions)) if mode == "torch" or not options.solved_only or full[i]]
            if not wanted:
                continue
            begin = time.time()
            press = PRESSES[mode.removeprefix("kvpress_")](compression_ratio=1 - 1 / ratio) if ratio > 1 else None
            if isinstance(press, SnapKVPress):  # whose window must be shorter than the context
                press.window_size = min(press.window_size, len(context) // 2)
            try:
                cache = read(model, press, context)
                solved = [solves(model, tokenizer, copy.deepcopy(cache), questions[i]) for i in wanted]
            except ValueError as error:  # KVzip in kvpress finds no key that masks a token from every query
                print(f"{task} {tokens} {item} {mode} {ratio}: left out: {error}", file=sys.stderr, flush=True)
                continue
            if mode == "torch":
                full = solved
                if (task, tokens, item, mode, ratio) in done:
                    continue
            achieved = len(context) / max(1, int(len(context) / ratio))
            seconds = round((time.time() - begin) / len(wanted), 3)
            for i, now in zip(wanted, solved):
                print(json.dumps({"task": task, "tokens": tokens, "item": item, "question": questions[i]["question"], "mode": mode,
                                  "ratio": ratio, "ratio_achieved": achieved, "full": full[i], "solved": now,
                                  "seconds": seconds}),
                      file=record, flush=True)


if __name__ == "__main__":
    main()
