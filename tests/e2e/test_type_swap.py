"""Requests for every route, each with one thing wrong somewhere: no failure of ours, no death, no silence, and each
refusal names a place of the request. SWAP_REQUESTS and SWAP_SEED choose how many and which."""

import os

import httpx
import pytest

from conftest import EMBEDDER_FILE
from scripted_upstream import ScriptedUpstream
from server import MODEL, RunningServer, until
from swap_oracle import wrong_answer
from swap_requests import Case, SwapRequests, examples_of, media_of, operations
from swap_runner import Runner
from type_swap import unchanged

COUNT = int(os.environ.get("SWAP_REQUESTS", "3000"))
SEED = int(os.environ.get("SWAP_SEED", "1"))
FIRST = int(os.environ.get("SWAP_FIRST", "0"))  # SWAP_FIRST=17 SWAP_REQUESTS=1: case 17 alone

CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[[model]]
path = "{model}"

[embeddings]
path = "{embedder}"

[knowledge]
path = "{folder}/knowledge"

[cache]
path = "{folder}/cache"

[[upstream]]
name = "t"
base_url = "{url}"
models = ["m", "root"]
retries = 0
cooldown_failures = 0

[[upstream]]
name = "vllm"
base_urls = ["http://10.0.0.1:8000/v1", "http://10.0.0.2:8000/v1"]
models = ["never-asked"]

[permutation]
teacher = "t/m"

[rlm]
root = "t/root"
leaf = "t/m"
max_iterations = 2
"""
# How often each is asked. A question to `rlm` starts a process.
MODELS = {MODEL: 10, "t/m": 6, "permutation": 4, "unified": 2, "rlm": 1}
# Of a kind that each route takes: an id is a text in some and a number in others, and nothing has this one.
PARAMETERS = {"key": "swap", "name": MODEL, "id": "1", "domain": "swaps", "kind": "cache"}


class Agreeable(ScriptedUpstream):
    """Answers whatever it is asked, on both endpoints."""

    def act(self, handler, body):
        said = "FINAL(so)" if body.get("model") == "root" else "It is so."
        chat = handler.path.endswith("/chat/completions")
        whole = {"message": {"role": "assistant", "content": said}} if chat else {"text": said}
        piece = {"delta": {"role": "assistant", "content": said}} if chat else {"text": said}
        answer = {"id": "r", "created": 5, "model": "m", "usage": self.USAGE}
        n = body.get("n")  # what a caller wrote comes as it was written
        count = n if isinstance(n, int) and 0 < n <= 128 else 1
        choices = lambda one: [{"index": i, "finish_reason": "stop", **one} for i in range(count)]
        if not body.get("stream"):
            return self.send(handler, 200, httpx.Response(200, json={**answer, "choices": choices(whole)}).text,
                             [("content-type", "application/json")])
        self.begin_stream(handler)
        self.event(handler, {**answer, "choices": choices(piece)})
        self.event(handler, "[DONE]")


@pytest.fixture(scope="module")
def start(binary, model_file, tmp_path_factory):
    if not os.path.isfile(EMBEDDER_FILE):
        pytest.skip(f"PERMUTATION_EMBEDDER names no file: {EMBEDDER_FILE!r}")
    upstream = Agreeable()

    def begin():
        folder = tmp_path_factory.mktemp("swap")
        config = folder / "config.toml"
        names = {"model": model_file, "embedder": EMBEDDER_FILE, "folder": folder, "url": upstream.url}
        config.write_text(CONFIG.format(**names))
        return RunningServer([binary, "serve", "--config", str(config)])

    yield begin
    upstream.stop()


@pytest.fixture(scope="module")
def server(start):
    running = start()
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0, running.log()[-2_000:]


@pytest.fixture(scope="module")
def document(server):
    return httpx.get(server.url + "/openapi.json", timeout=60).raise_for_status().json()


@pytest.fixture(scope="module")
def learnt(server):
    """A first lesson makes the model's calibration, where there is none yet: minutes of work, kept for the next time."""
    facts = {"facts": [{"prompt": "In which city is Zorvane Labs based?", "answer": "Tampere"}]}
    with httpx.Client(base_url=server.url, timeout=60) as http:
        job = http.post("/v1/knowledge/first/facts", json=facts).json()["id"]
        until(lambda: http.get(f"/v1/knowledge/jobs/{job}").json()["status"] in ("done", "failed"), 1_500)


def test_every_example_of_the_document_is_answered(server, document):
    """They are what the swaps begin with, and what people copy."""
    tried = 0
    with httpx.Client(base_url=server.url, timeout=120) as http:
        for method, route, operation in operations(document):
            for name, example in examples_of(operation).items():
                answer = http.request(method, route.format(**PARAMETERS), json=example)
                assert answer.status_code in (200, 202), (route, name, answer.text)
                tried += 1
    assert tried >= 15


def test_every_member_that_the_document_knows_is_in_an_example(document):
    """What stands in no example is never swapped."""

    def members(schema, path=""):
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        for name, below in schema.get("properties", {}).items():
            yield f"{path}.{name}"
            yield from members(below, f"{path}.{name}")
        for below in [schema["items"]] if "items" in schema else schema.get("oneOf", []):
            yield from members(below, path)

    def used(value, path=""):
        if isinstance(value, list):
            return {path}.union(*(used(one, path) for one in value))
        if not isinstance(value, dict):
            return {path}
        return {path}.union(*(used(one, f"{path}.{name}") for name, one in value.items()))

    # An example is answered by the default model, which has no use for these; an answer kept before, or a pair that was
    # compared, has no lasting id.
    refused = {".suffix", ".previous_response_id", ".verdict", ".messages.content.source.url", ".messages.content.transformations",
               *(f".input.content.{name}" for name in ("image_url", "detail", "file_data", "filename"))}  # fmt: skip
    known, shown = set(), set(refused)
    for _, _, operation in operations(document):
        known.update(members(media_of(operation)[1].get("schema", {})))
        shown.update(*map(used, examples_of(operation).values()))
    assert len(known) > 80
    assert known <= shown, f"no example has {sorted(known - shown)}"


def culprit(start, cases):
    """Which of the requests that were under way ends a server, each tried on its own."""
    for case in cases:
        server = start()
        Runner(server, lambda _, one=case: one, 1).run(threads=1)
        try:
            server.process.wait(timeout=2)
        except Exception:
            server.kill()
        else:
            return f"{case}\n  {case.curl('http://127.0.0.1:8080')}"
    return "none of them alone: " + "; ".join(map(str, cases))


def test_no_swapped_request_is_the_servers_failure(start, server, document, learnt):
    requests = SwapRequests(document, MODELS, PARAMETERS, SEED)
    print(f"SWAP_SEED={SEED} SWAP_FIRST={FIRST} SWAP_REQUESTS={COUNT}")
    run = Runner(server, requests.case, COUNT, FIRST).run()
    took, number = run.slowest
    print(f"{sum(run.statuses.values())} answers: {dict(run.statuses)}; the slowest {took:.1f} s, case {number}")
    if run.is_dead():
        raise AssertionError(f"the server ended with {server.process.wait()} at seed {SEED}:\n"
                             + culprit(start, run.under_way.values()) + "\n" + server.log()[-2_000:])
    assert not run.failures, f"{len(run.failures)} failures at seed {SEED}:\n{run.told()}"
    assert httpx.get(server.url + "/health", timeout=60).json()["status"] == "ok"
    if COUNT >= 1_000:  # it reached both: what is refused, and what is answered
        assert run.statuses[200] > COUNT / 5 and run.statuses[400] > COUNT / 5, run.statuses


def test_the_judge_condemns_what_is_wrong():
    """What it would let pass, the test above could never find."""
    case = Case(0, "POST", "/v1/chat/completions", "/v1/chat/completions", {}, b"", unchanged({"model": "x"}), "body")
    case.swapped.touched = ["temperature"]

    def judged(status, message="'temperature' must be", param="temperature", kind="invalid_request_error", **more):
        error = {"message": message, "type": kind, "param": param, "code": None, **more}
        return wrong_answer(case, status, {"content-type": "application/json"}, httpx.Response(0, json={"error": error}).content)

    case.swapped.paths = {"", "model", "temperature"}
    assert judged(400) is None and judged(404, param=None) is None
    for wrong in (judged(500), judged(502), judged(400, param=None), judged(400, param="top_p"), judged(400, message=""),
                  judged(400, "'model' must be", "model"), judged(400, "Wrong."), judged(400, more=1), judged(400, param=5),
                  wrong_answer(case, 200, {"content-type": "application/json"}, b"{"),
                  wrong_answer(case, 200, {"content-type": "text/html"}, b"{}"),
                  wrong_answer(case, 200, {"content-type": "text/event-stream"}, b"data: {}\n\n"),
                  wrong_answer(case, 200, {"content-type": "text/event-stream"}, b"data: {\n\ndata: [DONE]\n\n"),
                  wrong_answer(case, 400, {"content-type": "text/html"}, b"<p>")):  # fmt: skip
        assert wrong
