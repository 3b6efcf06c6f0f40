"""POST /v1/embeddings with the official client, against vectors computed another way (minilm_reference.json)."""

import base64
import json
import math
import os
import pathlib
import struct

import openai
import pytest

MODEL = "all-minilm-l6-v2"
REFERENCE = json.loads((pathlib.Path(__file__).parent / "minilm_reference.json").read_text())["items"]
TEXTS = [item["text"] for item in REFERENCE]


def vector_of(item):
    raw = base64.b64decode(item["vector"])
    return struct.unpack(f"<{len(raw) // 2}e", raw)


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.fixture(autouse=True)
def installed():
    if not os.path.isfile(os.environ.get("PERMUTATION_EMBEDDER", "")):
        pytest.skip("PERMUTATION_EMBEDDER names no file; ./dev test fetches the embedding model")


def test_vectors_agree_with_the_reference(client):
    answer = client.embeddings.create(model=MODEL, input=TEXTS)
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    for item, expected in zip(answer.data, REFERENCE, strict=True):
        assert len(item.embedding) == 384
        assert math.isclose(math.fsum(x * x for x in item.embedding), 1, abs_tol=1e-4)
        assert cosine(item.embedding, vector_of(expected)) > 0.9999, expected["text"]
    assert answer.usage.prompt_tokens == sum(len(item["tokens"]) for item in REFERENCE)
    assert answer.usage.total_tokens == answer.usage.prompt_tokens


def test_floats_base64_and_tokens_are_the_same_vector(client):
    as_float = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="float").data[0].embedding
    text = client.embeddings.create(model=MODEL, input=TEXTS[0], encoding_format="base64").data[0].embedding
    as_base64 = struct.unpack("<384f", base64.b64decode(text))
    as_tokens = client.embeddings.create(model=MODEL, input=REFERENCE[0]["tokens"]).data[0].embedding
    assert cosine(as_float, as_base64) > 0.999999
    assert cosine(as_float, as_tokens) > 0.999999


def test_fewer_dimensions(client):
    answer = client.embeddings.create(model=MODEL, input=TEXTS[0], dimensions=64)
    assert len(answer.data[0].embedding) == 64
    assert math.isclose(sum(x * x for x in answer.data[0].embedding), 1, abs_tol=1e-4)


def test_is_listed(client):
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_too_long_says_by_how_much(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=MODEL, input=["short", "word " * 600])
    assert caught.value.param == "input[1]"
    assert "602 tokens" in caught.value.message and "512" in caught.value.message


def test_a_model_that_writes_makes_none(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="smollm2-135m-instruct", input="x")
    assert caught.value.param == "model" and MODEL in caught.value.message
