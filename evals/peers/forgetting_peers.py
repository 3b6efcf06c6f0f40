"""Full finetuning, LoRA and sparse memory finetuning on the facts of ./dev eval forgetting --peers.

Started by the eval. SET.json holds everything as tokens, prompts as our engine renders them: the facts by domain, what
is asked, and texts. The weights are the served GGUF's, dequantised to f32; products run in bf16 (autocast). Domains are
taught one after another; after each, the facts so far are asked. Prints one JSON object: answers as tokens, judged by
the eval with the rule that our own answers are judged with. The seconds are of CPU, so that a busy machine doesn't
count; with --device cuda they are wall time.

The sparse memory is the paper's (arXiv 2510.15103) put on a model that wasn't pretrained with one: product keys over
the whitened hidden states that enter one layer, from k-means over a background; values from zero, added to the residual
of every token; in each batch the t slots of the greatest c(i)/sum(c) * log((|B|+1)/(sum_b 1[c_b(i)>0]+1)) are trained.
"""

import argparse
import json
import math
import os
import random
import sys
import time

os.environ["TQDM_DISABLE"] = "1"

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoModelForCausalLM, DynamicCache

ANSWER_TOKENS, KNOWN_TOKENS, BATCH, END = 16, 8, 8, 2
# Chosen on the set of another seed (note 0013).
TUNED = {"full": {"lr": 5e-5, "epochs": 20}, "lora": {"lr": 5e-4, "epochs": 20}, "memory": {"lr": 0.1, "epochs": 20}}


def mixed(model):
    return torch.autocast(model.device.type, torch.bfloat16)


def load(path):
    transformers.utils.logging.disable_progress_bar()
    folder, name = os.path.split(path)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    model.eval()
    return model


# --- teaching ---------------------------------------------------------------------------------------------------------


def packed(prefix, examples, device):
    """Examples that share `prefix` as one sequence that reads it once: no example sees another."""
    ids, positions, owner, rows, wanted = list(prefix), list(range(len(prefix))), [0] * len(prefix), [], []
    for number, (prompt, target) in enumerate(examples, 1):
        own = prompt[len(prefix):] + target
        rows += range(len(ids) + len(own) - len(target) - 1, len(ids) + len(own) - 1)
        wanted += target
        positions += range(len(prefix), len(prefix) + len(own))
        owner += [number] * len(own)
        ids += own
    who = torch.tensor(owner)
    seen = ((who[:, None] == who[None]) | (who[None] == 0)).tril()
    mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))[None, None]
    inputs = {"input_ids": torch.tensor([ids]), "position_ids": torch.tensor([positions]), "attention_mask": mask}
    return ({name: tensor.to(device) for name, tensor in inputs.items()},
            torch.tensor(rows, device=device), torch.tensor(wanted, device=device))


def loss_of(model, trunk, prefix, examples):
    inputs, rows, wanted = packed(prefix, examples, model.device)
    with mixed(model):
        hidden = trunk(**inputs, use_cache=False).last_hidden_state[0, rows]
        return F.cross_entropy(model.lm_head(hidden).float(), wanted)


def teach(method, prefix, facts, options, shuffle):
    """One domain, until it is learnt or the epochs are over; the seconds that it took."""
    examples = [(prompt, fact["target"]) for fact in facts for prompt in fact["taught"]]
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    begin, step = clock(), method.begin_domain()
    for epoch in range(options.epochs):
        shuffle.shuffle(examples)
        losses = [step(examples[i:i + BATCH]) for i in range(0, len(examples), BATCH)]
        if sum(losses) / len(losses) < options.enough:
            break
    seconds = clock() - begin
    print(f"  {epoch + 1} epochs, loss {sum(losses) / len(losses):.3f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return seconds


class Finetuning:
    """AdamW over `parameters`; a new optimiser each domain."""

    def __init__(self, model, prefix, options, parameters):
        self.model, self.prefix, self.options, self.parameters = model, prefix, options, parameters

    def begin_domain(self):
        adam = torch.optim.AdamW(self.parameters, lr=self.options.lr, weight_decay=0.0)

        def step(examples):
            loss = loss_of(self.model, self.trunk(), self.prefix, examples)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            adam.step()
            adam.zero_grad()
            return loss.item()

        return step

    def trunk(self):
        return self.model.model

    def bytes(self):
        return 2 * sum(p.numel() for p in self.parameters)  # kept in 16 bits


def full(model, data, options):
    return Finetuning(model, data["prefix"], options, list(model.parameters()))


def lora(model, data, options):
    from peft import LoraConfig, get_peft_model

    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=names))  # puts its layers into `model`
    return Finetuning(model, data["prefix"], options, [p for p in model.parameters() if p.requires_grad])


class SparseMemory:
    def __init__(self, model, data, options):
        self.model, self.prefix, self.options = model, data["prefix"], options
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.values, self.addresses = None, None
        model.model.layers[options.layer].register_forward_pre_hook(self.read, with_kwargs=True)
        states = []
        self.seen = lambda hidden: states.append(hidden[0])
        with torch.inference_mode(), mixed(model):
            for text in data["background"]:
                model.model(input_ids=torch.tensor([text], device=model.device), use_cache=False)
        self.seen = None
        self.make_keys(torch.cat(states).float())
        n = options.codes ** 2
        counted = torch.zeros(n, device=model.device)
        for batch in states:
            counted[self.slots_of(batch.float())[0].unique()] += 1
        self.rarity = torch.log((len(states) + 1) / (counted + 1))
        self.values = torch.zeros(n, states[0].shape[-1], device=model.device)
        self.moments = torch.zeros(2, n, states[0].shape[-1], device=model.device)
        self.steps = torch.zeros(n, 1, device=model.device)
        self.trained = torch.zeros(n, dtype=torch.bool, device=model.device)
        self.scale = torch.cat(states).abs().median().item()

    def make_keys(self, states):
        """Whitening, and a codebook for each half of the whitened states."""
        random_ = torch.Generator().manual_seed(1)
        self.mean = states.mean(0)
        size, axes = torch.linalg.eigh(torch.cov((states - self.mean).T))
        kept = axes[:, -256:] / (size[-256:] + 0.1 * size.mean()).sqrt()
        self.whiten = kept @ torch.linalg.qr(torch.randn(256, 256, generator=random_))[0].to(kept.device)
        unit = F.normalize((states - self.mean) @ self.whiten, dim=-1)
        self.books = []
        for half in unit.chunk(2, dim=1):
            book = half[torch.randperm(len(half), generator=random_)[: self.options.codes].to(half.device)].clone()
            for _ in range(8):
                nearest = torch.cdist(half, book).argmin(1)
                sums = torch.zeros_like(book).index_add_(0, nearest, half)
                count = torch.bincount(nearest, minlength=len(book))[:, None]
                book = torch.where(count > 0, sums / count.clamp(min=1), book)
            self.books.append(book)

    def slots_of(self, states, k=16, temperature=0.05):
        unit = F.normalize((states - self.mean) @ self.whiten, dim=-1)
        best = [(-torch.cdist(half, book).square()).topk(k, 1) for half, book in zip(unit.chunk(2, dim=1), self.books)]
        pairs = (best[0].values[:, :, None] + best[1].values[:, None]).flatten(1).topk(k, 1)
        slots = best[0].indices.gather(1, pairs.indices // k) * self.options.codes
        slots = slots + best[1].indices.gather(1, pairs.indices % k)
        return slots, torch.softmax(pairs.values / temperature, 1)

    def read(self, _, positional, named):
        hidden = positional[0] if positional else named["hidden_states"]
        if self.seen is not None:
            self.seen(hidden.detach())
        if self.values is None:
            return None
        with torch.autocast(hidden.device.type, enabled=False), torch.no_grad():
            slots, weights = self.slots_of(hidden.float().flatten(0, 1))
            rows, at = slots.unique(return_inverse=True)
        values = self.values[rows]
        if torch.is_grad_enabled():
            values.requires_grad_(True)
            self.addresses = (slots, rows, values)
        added = (weights[:, :, None] * values[at]).sum(1).view(hidden.shape)
        hidden = hidden + added.to(hidden.dtype)
        return ((hidden, *positional[1:]), named) if positional else (positional, {**named, "hidden_states": hidden})

    def begin_domain(self):
        self.moments.zero_()
        self.steps.zero_()

        def step(examples):
            loss = loss_of(self.model, self.model.model, self.prefix, examples)
            loss.backward()
            slots, rows, values = self.addresses
            counts = torch.bincount(slots.flatten(), minlength=len(self.values)).float()
            score = (counts / counts.sum() * self.rarity)[rows]
            chosen = score.topk(min(self.options.slots, len(rows))).indices
            self.move(rows[chosen], values.grad[chosen])
            return loss.item()

        return step

    def move(self, rows, gradient):
        """Adam on these rows alone: a slot that isn't chosen stays as it is."""
        self.trained[rows] = True
        self.steps[rows] += 1
        first = self.moments[0, rows].lerp(gradient, 0.1)
        second = self.moments[1, rows].lerp(gradient.square(), 0.01)
        self.moments[0, rows], self.moments[1, rows] = first, second
        first = first / (1 - 0.9 ** self.steps[rows])
        second = second / (1 - 0.99 ** self.steps[rows])
        self.values[rows] -= self.options.lr * self.scale * first / (second.sqrt() + 1e-8)

    def bytes(self):
        return int(self.trained.sum()) * (2 * self.values.shape[1] + 4)


METHODS = {"full": full, "lora": lora, "memory": SparseMemory}


# --- asking -----------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def answers(model, prompts, tokens_max, prefix=()):
    """Greedy. Prompts of one length go together; what all begin with is read once."""
    out, by_length = [None] * len(prompts), {}
    for number, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(number)
    with mixed(model):
        shared = DynamicCache()
        if prefix:
            model.model(input_ids=torch.tensor([prefix], device=model.device), past_key_values=shared)
        for numbers in by_length.values():
            for i in range(0, len(numbers), 16):
                some = numbers[i:i + 16]
                cache = DynamicCache()
                for layer, kept in enumerate(shared.layers if prefix else []):
                    cache.update(kept.keys.repeat(len(some), 1, 1, 1), kept.values.repeat(len(some), 1, 1, 1), layer)
                step = torch.tensor([prompts[n][len(prefix):] for n in some], device=model.device)
                said = []
                for _ in range(tokens_max):
                    hidden = model.model(input_ids=step, past_key_values=cache).last_hidden_state[:, -1]
                    step = model.lm_head(hidden).argmax(-1, keepdim=True)
                    said.append(step)
                    if all(END in row for row in torch.cat(said, 1).tolist()):
                        break
                for n, row in zip(some, torch.cat(said, 1).tolist()):
                    out[n] = row[: row.index(END)] if END in row else row
    return out


@torch.inference_mode()
def perplexity(model, texts):
    total, count = 0.0, 0
    for text in texts:
        ids = torch.tensor([text], device=model.device)
        with mixed(model):
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        total += F.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        count += len(text) - 1
    return math.exp(total / count)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--method", choices=METHODS, required=True)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--enough", type=float, default=0.02)  # the mean loss at which a domain counts as learnt
    parser.add_argument("--layer", type=int, default=24)
    parser.add_argument("--codes", type=int, default=128)
    parser.add_argument("--slots", type=int, default=500)
    parser.add_argument("--domains", type=int, default=1000)  # to tune with fewer
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=1)  # as ours; and threads that wait for each other spin
    options = parser.parse_args()
    for name, value in TUNED[options.method].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with open(options.set, encoding="utf-8") as file:
        data = json.load(file)
    model = load(options.model).to(options.device)
    machine = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    known = [item["tokens"] for item in data["known"]]
    before = {"perplexity_before": perplexity(model, data["texts"]),
              "known_before": answers(model, known, KNOWN_TOKENS)}
    method = METHODS[options.method](model, data, options)
    seconds, retained, shuffle = [], [], random.Random(5)
    for domain in range(min(options.domains, data["domains"])):
        taught = [fact for fact in data["facts"] if fact["domain"] == domain]
        seconds.append(teach(method, data["prefix"], taught, options, shuffle) / len(taught))
        asked = [fact["taught"][0] for fact in data["facts"] if fact["domain"] <= domain and fact["kept"]]
        retained.append(answers(model, asked, ANSWER_TOKENS, data["prefix"]))
    questions = [q["tokens"] for q in data["questions"] if q["domain"] < options.domains]
    print(json.dumps({"set": data["set"], "method": options.method, "machine": machine,
                      "options": vars(options) | {"set": "", "model": ""},
                      "retained": retained, "answers": answers(model, questions, ANSWER_TOKENS, data["prefix"]),
                      "known": answers(model, known, KNOWN_TOKENS), "s_per_fact": seconds,
                      "bytes_per_fact": method.bytes() / sum(f["domain"] < options.domains for f in data["facts"]),
                      "perplexity": perplexity(model, data["texts"]), **before}), flush=True)


if __name__ == "__main__":
    main()
