"""A server with the real model for clients that other people wrote. The server's own helpers are in tests/e2e."""

import os
import pathlib
import subprocess

import json

import pytest

from server import RunningServer

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
