#!/usr/bin/env python3
"""Prints reference vectors of all-MiniLM-L6-v2 as JSON: minilm_reference.py FOLDER > tests/e2e/minilm_reference.json

FOLDER as for convert_minilm.py. An independent road to the same numbers: BERT's tokenization and forward pass in f32
numpy, written out from the architecture's definition (J. Devlin and others, 2018; mean pooling over all tokens,
then length 1), straight from the safetensors. The end-to-end tests compare the server with what this printed.
Vectors are f16, base64, little-endian.
"""

import base64
import json
import math
import pathlib
import sys
import unicodedata

import numpy
import safetensors.numpy

TEXTS = [
    "How do I reset my password?",
    "I forgot my password. How can I change it?",
    "The treaty was signed in 1648, after thirty years of war.",
    "Un café crème, s'il vous plaît!",
    "x",
    "Photosynthesis turns light, water and carbon dioxide into sugar; the oxygen that we breathe is its by-product, "
    "and almost every food chain on land begins with it.",
]


def words_of(text):
    """BERT's uncased basic tokenization: lower case, no accents, punctuation by itself."""
    text = unicodedata.normalize("NFD", text.lower())
    out = ""
    for c in text:
        if unicodedata.category(c) == "Mn":
            continue
        is_ascii_symbol = 33 <= ord(c) <= 47 or 58 <= ord(c) <= 64 or 91 <= ord(c) <= 96 or 123 <= ord(c) <= 126
        out += f" {c} " if is_ascii_symbol or unicodedata.category(c).startswith("P") else c
    return out.split()


def pieces_of(word, vocabulary):
    pieces, at = [], 0
    while at < len(word):
        for end in range(len(word), at, -1):
            piece = ("##" if at else "") + word[at:end]
            if piece in vocabulary:
                pieces.append(vocabulary[piece])
                at = end
                break
        else:
            return [vocabulary["[UNK]"]]
    return pieces


def norm(x, weights, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / numpy.sqrt(variance + 1e-12) * weights[name + ".weight"] + weights[name + ".bias"]


def dense(x, weights, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + numpy.vectorize(math.erf)(x / math.sqrt(2))).astype(x.dtype)


def attention(x, weights, name, heads):
    def split(part):
        return dense(x, weights, f"{name}.self.{part}").reshape(len(x), heads, -1).transpose(1, 0, 2)

    q, k, v = split("query"), split("key"), split("value")
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
    scores = numpy.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return dense(mixed.transpose(1, 0, 2).reshape(len(x), -1), weights, f"{name}.output.dense")


def embed(ids, weights, config):
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = x + weights["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, weights, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        mixed = attention(x, weights, f"{name}.attention", config["num_attention_heads"])
        x = norm(x + mixed, weights, f"{name}.attention.output.LayerNorm")
        inner = dense(gelu(dense(x, weights, f"{name}.intermediate.dense")), weights, f"{name}.output.dense")
        x = norm(x + inner, weights, f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return mean / numpy.linalg.norm(mean)


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "config.json").read_text())
    vocabulary = {token: i for i, token in enumerate((folder / "vocab.txt").read_text().split("\n"))}
    weights = safetensors.numpy.load_file(folder / "model.safetensors")
    items = []
    for text in TEXTS:
        ids = [piece for word in words_of(text) for piece in pieces_of(word, vocabulary)]
        ids = [vocabulary["[CLS]"], *ids, vocabulary["[SEP]"]]
        vector = embed(ids, weights, config).astype("<f2").tobytes()
        items.append({"text": text, "tokens": ids, "vector": base64.b64encode(vector).decode()})
    print(json.dumps({"made_by": "tools/minilm_reference.py", "items": items}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
