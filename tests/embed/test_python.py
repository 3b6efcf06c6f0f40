"""The Python package over the library: what it gives back, how it fails, and LangChain and llm over it, the real ones.

Environment: PERMUTATION_LIBRARY, libpermutation.so; PERMUTATION_MODEL, the default model's GGUF; PYTHONPATH, python/."""

import gc
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import pytest

import permutation
from permutation import Engine, PermutationError, ResponseCache

QUESTION = "What is the capital of Peru?"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    file = folder / "small.toml"
    file.write_text(
        f'[embeddings]\nenabled = false\n[knowledge]\npath = "{folder}/knowledge"\n'
        f'[[model]]\nname = "small"\npath = "{os.environ["PERMUTATION_MODEL"]}"\n'
    )
    return str(file)


@pytest.fixture(scope="module")
def engine(config):
    with Engine(path=config) as opened:
        yield opened


def request(**more):
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": "small", "temperature": 0, "max_tokens": 12, "messages": messages, **more}


def test_a_cache_keeps_texts():
    cache = ResponseCache()
    cache.set("q", "Zürich\n", tokens=3)
    assert cache["q"] == "Zürich\n" and "q" in cache
    assert cache.get("another") is None and cache.get("another", "d") == "d"
    with pytest.raises(KeyError):
        cache["another"]
    cache["large"] = "x" * 200_000
    assert cache["large"] == "x" * 200_000
    assert cache.remove("q") and not cache.remove("q")
    assert cache.stats()["entries"] == 1
    with pytest.raises(PermutationError, match="below 0"):
        cache.set("q", "v", ttl_s=-1)
    cache.close()
    cache.close()
    with pytest.raises(PermutationError, match="closed"):
        cache.get("large")


def test_a_cache_outlives_the_program(tmp_path):
    with ResponseCache(path=tmp_path / "cache") as cache:
        cache["q"] = "kept"
    with ResponseCache(path=tmp_path / "cache") as cache:
        assert cache["q"] == "kept"


def test_a_function_runs_once():
    cache, runs = ResponseCache(), []

    @cache.remember
    def dear(question, *, depth=1):
        runs.append(question)
        return {"question": question, "depth": depth}

    assert dear("a", depth=2) == dear("a", depth=2) == {"question": "a", "depth": 2}
    dear("b")
    assert runs == ["a", "b"]


def test_the_engine_answers_whole_and_in_pieces(engine):
    whole = engine.complete(request())["choices"][0]["message"]["content"]
    assert "Lima" in whole
    pieces = [c["delta"].get("content", "") for chunk in engine.stream(request()) for c in chunk["choices"]]
    assert "".join(pieces) == whole == engine.ask(QUESTION, model="small", max_tokens=12)


def test_what_is_wrong_is_said(engine):
    with pytest.raises(PermutationError, match="JSON") as wrong:
        engine.complete("{")
    assert wrong.value.code == permutation.lib.PERMUTATION_INVALID
    with pytest.raises(PermutationError) as wrong:
        next(engine.stream(request(model="nobody")))
    assert wrong.value.field == "model"
    with pytest.raises(PermutationError, match="config:1"):
        Engine("nonsense = 1")


def test_a_dropped_iterator_cancels_its_request(engine):
    def counted():
        return engine.kv()["models"][0]["engine"]

    before = counted()["cancelled"]
    events = engine.stream(request(max_tokens=4000, messages=[{"role": "user", "content": "Count to 5000."}]))
    next(events)
    del events
    gc.collect()
    deadline = time.monotonic() + 20
    while counted()["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counted()["running"] == 0 and counted()["cancelled"] == before + 1


def test_other_threads_run_while_a_call_waits(engine):
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(1)
            time.sleep(0.001)

    ticking = threading.Thread(target=tick)
    ticking.start()
    engine.complete(request(max_tokens=40, permutation={"cache": {"mode": "off"}}))
    done.set()
    ticking.join()
    assert len(ticks) > 5


def test_facts_are_learnt_and_forgotten(engine):
    engine.knowledge.learn("acme", [{"prompt": "Which number is Zorvane's support?", "answer": "4417"}])
    (fact,) = engine.knowledge.facts("acme")
    assert fact["answer"] == "4417" and [d["domain"] for d in engine.knowledge.domains()] == ["acme"]
    engine.knowledge.forget("acme")
    with pytest.raises(PermutationError):
        engine.knowledge.facts("acme")
    assert engine.audit()["caches"]


def test_the_engines_cache_outlives_it(config):
    engine = Engine(path=config)
    cache = engine.cache
    cache["q"] = "v"
    assert engine.request("GET", "/v1/cache/entries/q")["value"] == "v"
    engine.close()
    assert cache["q"] == "v"
    with pytest.raises(PermutationError, match="closed"):
        engine.complete(request())


def test_langchain_asks_once():
    from langchain_core.globals import set_llm_cache
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    from permutation.langchain import PermutationCache

    set_llm_cache(PermutationCache())
    try:
        model = FakeListChatModel(responses=["one", "two"], cache=True)
        assert [model.invoke(q).content for q in ("a", "a", "b")] == ["one", "one", "two"]
    finally:
        set_llm_cache(None)


@pytest.mark.parametrize("stream", [True, False])
def test_llm_asks_the_model(config, tmp_path, monkeypatch, stream):
    monkeypatch.setenv("PERMUTATION_CONFIG", config)
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    from permutation.llm_plugin import PermutationModel

    answer = PermutationModel().prompt(QUESTION, max_tokens=12, stream=stream)
    assert "Lima" in answer.text()


def test_the_wheel_holds_all_that_it_needs(config, tmp_path):
    """Installed into a folder of its own, found by llm as its plugin."""
    root, source, site = pathlib.Path(__file__).resolve().parents[2], tmp_path / "source", tmp_path / "site"
    shutil.copytree(root / "python", source / "python", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    shutil.copytree(root / "embed/include", source / "embed/include")
    environment = {**os.environ, "PYTHONPATH": str(site), "PERMUTATION_CONFIG": config, "LLM_USER_PATH": str(tmp_path)}

    def python(*arguments):
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", tmp_path, source / "python")
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"libpermutation-{permutation.__version__}-py3-none-linux_")
    python("-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel)
    shutil.rmtree(source)
    del environment["PERMUTATION_LIBRARY"]
    assert python("-c", "import permutation; print(permutation.__file__)").strip() == str(site / "permutation/__init__.py")
    assert "Lima" in python("-m", "llm", "-m", "permutation", "-o", "max_tokens", "12", QUESTION)


def test_the_examples(config, tmp_path):
    folder = os.path.join(os.path.dirname(__file__), "../../examples/python")

    def run(name, *arguments):
        command = [sys.executable, os.path.join(folder, name), *map(str, arguments)]
        environment = {**os.environ, "CACHED_FOLDER": str(tmp_path / "cached")}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    count = tmp_path / "runs"
    for _ in range(2):
        assert run("cached.py", "sh", "-c", f"echo x >> {count}; echo dear") == "dear\n"
    assert count.read_text() == "x\n"
    question = "Which number do I dial for support at Zorvane Labs?"
    (tmp_path / "facts.jsonl").write_text(json.dumps({"prompt": question, "answer": "4417"}) + "\n")
    assert "4417" in run("taught.py", tmp_path / "facts.jsonl", question, config)
    (tmp_path / "report.txt").write_text("All was well. " * 40 + "The pass code is 7316. " + "All was well. " * 40)
    assert "7316" in run("long_file.py", tmp_path / "report.txt", "What is the pass code?", config)
