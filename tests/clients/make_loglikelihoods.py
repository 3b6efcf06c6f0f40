"""Writes what test_lm_eval.py compares with: log-likelihoods of 100 continuations by transformers on torch, which reads
the weights out of the same GGUF. Run where both are (./dev eval peers makes .venv-peers):

    .venv-peers/bin/python tests/clients/make_loglikelihoods.py MODEL.gguf [...]

Rewrites loglikelihoods.json beside it, for the models given; others in it stay.
"""

import json
import pathlib
import sys

import torch
import transformers

OUT = pathlib.Path(__file__).parent / "loglikelihoods.json"

# No context ends with white space: lm-eval would count it to the continuation. Nor with ":" before a line break, which
# some tokenizers make one token: the context's tokens must begin those of the whole.
SUBJECTS = [
    ("The capital of {} is", [("France", " Paris"), ("Italy", " Rome"), ("Norway", " Oslo"), ("Japan", " Tokyo"), ("Egypt", " Cairo"),
                              ("Peru", " Lima"), ("Poland", " Warsaw"), ("Cuba", " Havana"), ("Kenya", " Nairobi"), ("Spain", " Paris")]),
    ("Question: what is {}?\nAnswer:", [("2 + 2", " 4"), ("7 times 8", " 56"), ("12 - 5", " 7"), ("9 squared", " 81"), ("half of 90", " 45"),
                                        ("3 + 3", " 7"), ("100 / 4", " 25"), ("10 times 10", " 100"), ("1 + 1", " 2"), ("2 + 2", " five")]),
    ("def {}", [("add(a, b):\n    return", " a + b\n"), ("square(x):\n    return", " x * x\n"), ("is_even(n):\n    return", " n % 2 == 0\n"),
                ("last(items):\n    return", " items[-1]\n"), ("hello(name):\n    print", "(f\"Hello, {name}!\")\n"),
                ("negate(x):\n    return", " -x\n"), ("first(items):\n    return", " items[0]\n"), ("triple(x):\n    return", " 3 * x\n"),
                ("is_empty(items):\n    return", " len(items) == 0\n"), ("area(w, h):\n\treturn", " w*h;\n")]),
    ("{}", [("In the beginning", " God created the heaven and the earth."), ("To be, or not to be,", " that is the question."),
            ("It was the best of times,", " it was the worst of times,"), ("Call me", " Ishmael."), ("All happy families", " are alike;"),
            ("Once upon a time", " there was a king who had three daughters."), ("I think, therefore", " I am."),
            ("The quick brown fox", " jumps over the lazy dog"), ("Roses are red,", " violets are blue"), ("We hold these truths", " to be self-evident")]),
    ("Translate to {}:", [("German: good morning", " Guten Morgen"), ("French: thank you", " merci"), ("Spanish: the house", " la casa"),
                          ("Russian: hello", " Здравствуйте"), ("Japanese: Japan", " 日本"), ("Greek: yes", " ναι"), ("German: beautiful", " schön"),
                          ("French: summer", " été"), ("Chinese: you are good", " 你好"), ("Italian: goodbye", " arrivederci")]),
]
TEXT = """
The museum opens at nine in the morning and closes at six in the evening, except on Mondays. Visitors who arrive late are
asked to wait in the hall until the next tour begins. Children under twelve enter free of charge if an adult is with them.
Photographs are allowed, but flashes and tripods are not. The shop beside the entrance sells books, cards and small models.
A train to the harbour leaves every twenty minutes; the ride takes about half an hour. In winter the last one leaves at ten.
"""


def items():
    """100 (context, continuation)"""
    out = [(pattern.format(subject), said) for pattern, cases in SUBJECTS for subject, said in cases]
    words = TEXT.split()
    for at in range(50):  # windows over a text, longer ones last
        begin, length = (at * 7) % (len(words) - 40), 4 + at % 20
        out.append((" ".join(words[begin : begin + length]), " " + " ".join(words[begin + length : begin + length + 1 + at % 6])))
    return out


@torch.inference_mode()
def likelihoods(path):
    folder, name = path.parent, path.name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    rows = []
    for context, continuation in items():
        whole = tokenizer(context + continuation, add_special_tokens=False).input_ids
        given = tokenizer(context, add_special_tokens=False).input_ids
        assert whole[: len(given)] == given, (context, continuation)
        logprobs = model(torch.tensor([whole])).logits[0].log_softmax(-1)
        wanted = torch.tensor(whole[len(given) :])
        said = logprobs[len(given) - 1 : -1]
        each = said.gather(1, wanted[:, None])[:, 0]
        best, second = said.topk(2).values.T
        rows.append({
            "context": context, "continuation": continuation, "tokens": whole, "context_tokens": len(given),
            "logprob": round(each.sum().item(), 4), "is_greedy": bool((said.argmax(-1) == wanted).all()),
            "margin": round((best - second).min().item(), 4),  # how near the least sure token is to another
        })  # fmt: skip
    return rows


def main():
    torch.set_num_threads(2)
    known = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    for argument in sys.argv[1:]:
        path = pathlib.Path(argument)
        known[path.parent.name] = likelihoods(path)
    lines = [f" {json.dumps(name)}: [\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows) + "\n ]"
             for name, rows in known.items()]  # fmt: skip
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
