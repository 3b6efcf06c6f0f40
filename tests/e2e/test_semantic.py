"""Semantic hits with the real embedder and the real model."""

import contextlib
import os

import httpx
import pytest

from conftest import client_of, serving
from server import chat, extension, until


@pytest.fixture(autouse=True)
def installed():
    if not os.path.isfile(os.environ.get("PERMUTATION_EMBEDDER", "")):
        pytest.skip("PERMUTATION_EMBEDDER names no file; ./dev test fetches the embedding model")


@pytest.fixture
def server(binary, model_file, tmp_path):
    """One of its own for each test: what a pair must reach is learnt, so another test's questions move it."""
    yield from serving(binary, model_file, tmp_path)


@pytest.fixture
def client(server):
    return client_of(server)


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url, timeout=120) as client:
        yield client


def indexed(http):
    return lambda: http.get("/v1/cache").json()["semantic"]["entries"] >= 1


def asked(client, text, namespace, **semantic):
    cache = {"namespace": namespace, "semantic": {"error_max": 0.1, **semantic}}
    return chat(client, text, extra_body={"permutation": {"cache": cache}})


def explored(cache):
    """One in fifty is computed all the same, to learn. No other miss is right here."""
    if cache["status"] == "miss":
        assert "explored" in cache["why"], cache
    return cache["status"] == "miss"


def test_another_wording_is_served(client, http, fresh):
    space = fresh("semantic")[:60]
    first = asked(client, "What is the capital city of Peru?", space)
    assert extension(first)["cache"]["status"] == "miss"
    until(indexed(http))
    second = asked(client, "What's the capital city of Peru?", space)
    cache = extension(second)["cache"]
    if explored(cache):
        return
    assert cache["status"] == "semantic_hit"
    assert 0.9 < cache["similarity"] <= 1
    assert second.choices[0].message.content == first.choices[0].message.content
    assert http.get("/v1/cache").json()["hits"]["semantic"] >= 1
    assert 'permutation_semantic_cache_hits_total{model="smollm2-135m-instruct",tenant=""}' in http.get("/metrics").text


def test_another_country_is_not(client, http, fresh):
    space = fresh("semantic")[:60]
    asked(client, "What is the capital city of Peru?", space)
    until(indexed(http))
    cache = extension(asked(client, "What is the capital city of Chile?", space))["cache"]
    assert cache["status"] == "miss"
    assert "names" in cache["why"]
    assert cache["similarity"] is None or cache["similarity"] > 0.5


@pytest.mark.parametrize("first, second, why", [
    ("How do I convert miles to kilometres?", "How do I convert kilometres to miles?", "roles"),
    ("Which train goes from Oslo to Bergen?", "Which train goes from Bergen to Oslo?", "roles"),
    ("Who lent money to Ann?", "To whom did Ann lend money?", "roles"),
    ("Convert 5 miles to kilometres.", "Convert 5 kilometres to miles.", "units"),
    ("Is it legal to park here?", "Is it illegal to park here?", "opposite words"),
    ("how do I reset my password", "Translate into French: how do I reset my password", "names"),
    ("how do I reset my password", 'Is it polite to say "how do I reset my password"?', "the task"),
    ("is the shop open on monday", "is the shop open on sunday", "times"),
])
def test_a_question_turned_round_is_another(client, http, fresh, first, second, why):
    space = fresh("semantic")[:60]
    asked(client, first, space)
    until(indexed(http))
    cache = extension(asked(client, second, space))["cache"]
    assert cache["status"] == "miss" and f"differs in: {why}" in cache["why"], cache


def test_shadow_mode_serves_nothing(client, http, fresh):
    space = fresh("semantic")[:60]
    asked(client, "What is the capital city of Peru?", space)
    until(indexed(http))
    cache = extension(asked(client, "What's the capital city of Peru?", space, shadow=True))["cache"]
    assert cache["status"] == "miss" and "shadow mode" in cache["why"]
    assert http.get("/v1/cache").json()["semantic"]["shadow"]["hits"] == 1


def test_questions_are_taken_up_again_after_a_restart(binary, model_file, tmp_path, fresh):
    space = fresh("semantic")[:60]
    on_disk = f'\n[cache]\npath = "{tmp_path / "cache"}"\n'
    started = contextlib.contextmanager(lambda: serving(binary, model_file, tmp_path, on_disk))
    with started() as first:
        before = asked(client_of(first), "What is the capital city of Peru?", space)
        assert httpx.post(f"{first.url}/v1/cache/flush").json()["durable"] is True
    with started() as second, httpx.Client(base_url=second.url, timeout=120) as http:
        asked(client_of(second), "How do bees make honey?", space)  # the first look-up has the old ones embedded again
        until(lambda: http.get("/v1/cache").json()["semantic"]["entries"] == 2)
        after = asked(client_of(second), "What's the capital city of Peru?", space)
        cache = extension(after)["cache"]
        if explored(cache):
            return
        assert cache["status"] == "semantic_hit"
        assert after.choices[0].message.content == before.choices[0].message.content
