"""What `rlm` may take: a long text ends with its client and with the server, a batch counts as its prompts, and no tenant
holds every answer or sandbox. Real server, real leaf, a scripted root."""

import json
import re
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest

from scripted_root import ScriptedRoot, block, serve_with_root
from server import RunningServer, until

TRY = "try:\n  {}\nexcept RuntimeError as e:\n  FINAL('refused: ' + str(e))"
PROGRAMS = {
    "flood": [block(TRY.format("FINAL(llm_query_batched(['Say x.'] * 300000))"))],
    "flood_of_children": [block(TRY.format("FINAL(rlm_query_batched(['play:quick'] * 300000))"))],
    "many_batches": [
        block(TRY.format("said = 0\n  while True:\n    said += len(llm_query_batched(['Say x.'] * 3))").replace(
            "FINAL('refused: ' + str(e))", "FINAL(str(said) + ' said; refused: ' + str(e))"
        ))
    ],
    "busy": [block("import time\ntime.sleep(6)\nFINAL('awake')")],
    "quick": [block("FINAL(len(context))")],
    "search": [block("FINAL(len(context_search('x y heron', 3)))")],
}


def cpu_seconds(server):
    fields = open(f"/proc/{server.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def send_and_leave(url, body, seconds):
    """Posts and closes the connection after `seconds`, without reading an answer."""
    host, port = re.match(r"http://(.+):(\d+)", url).groups()
    text = json.dumps(body).encode()
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text)
        time.sleep(seconds)


def request(name, context="nothing much"):
    return {
        "model": "rlm", "max_tokens": 4, "messages": [{"role": "user", "content": f"play:{name}"}],
        "permutation": {"cache": {"mode": "off"}, "kv": {"ratio": 1}, "rlm": {"context": context}},
    }


def ask(url, name, key=None, **more):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.post(url + "/v1/chat/completions", json=request(name, **more), headers=headers, timeout=60)


def text_of(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


@pytest.fixture(scope="module")
def root():
    upstream = ScriptedRoot(PROGRAMS)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def limited(binary, model_file, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits")
    running = serve_with_root(binary, model_file, root, folder, folder, "budget_calls = 7\n")
    yield running
    assert running.stop() == 0, running.log()


@pytest.mark.parametrize("name", ["flood", "flood_of_children"])
def test_a_batch_counts_as_its_prompts_and_none_is_sent(limited, root, name):
    before = len(root.requests)
    begin = time.monotonic()
    said = text_of(ask(limited.url, name))
    assert "refused: the budget of 7 model calls does not reach" in said and "300000" in said
    assert len(root.requests) == before + 1
    assert time.monotonic() - begin < 20


def test_batches_draw_on_one_budget(limited):
    assert text_of(ask(limited.url, "many_batches")).startswith("6 said; refused: the budget of 7 model calls")


@pytest.mark.parametrize("text", ["x y z\n", "word ", "\n", "a=1 b=2\n", "日本"])
def test_a_long_text_of_any_shape_is_searched(limited, text):
    begin = time.monotonic()
    assert text_of(ask(limited.url, "search", context=text * (10_000_000 // len(text.encode())))) in "0123"
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize("question", ["How is it?", "How many records have city Lisbon?"])
def test_the_work_ends_with_its_client_and_with_the_server(binary, model_file, tmp_path, question):
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    body = request("none", "x y z, a=1\n" * 2_000_000)
    body["messages"][0]["content"] = question
    send_and_leave(server.url, body, 0.3)
    until(lambda: idle(server), seconds=20)
    threading.Thread(target=send_and_leave, args=(server.url, body, 0.5)).start()
    time.sleep(0.4)
    server.process.send_signal(signal.SIGTERM)
    try:
        assert server.process.wait(timeout=15) == 0
    except subprocess.TimeoutExpired:
        server.kill()
        raise


def idle(server):
    before = cpu_seconds(server)
    time.sleep(0.5)
    return cpu_seconds(server) - before < 0.1


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ("running_max = 4\n", "2 rlm answers are being made for this tenant"),
        ("sandboxes_max = 4\n", "this tenant holds 2 of 4 sandboxes"),
        ("sandboxes_max = 9\nsandboxes_tenant_max = 1\n", "this tenant holds 1 of 9 sandboxes"),
    ],
)
def test_two_tenants(binary, model_file, root, tmp_path, new_key, limits, told):
    """One asks for more than there is; what is left to it ends with an error, and the other is answered meanwhile."""
    keys = {name: new_key("--name", name, "--tenant", name) for name in ("greedy", "other")}
    server = serve_with_root(
        binary, model_file, root, tmp_path, tmp_path, limits + "".join(key["toml"] for key in keys.values())
    )
    answers = []
    asking = [
        threading.Thread(target=lambda: answers.append(ask(server.url, "busy", keys["greedy"]["key"]))) for _ in range(6)
    ]
    for thread in asking:
        thread.start()
    until(lambda: len(answers) >= 4, seconds=15)
    assert {answer.status_code for answer in answers} == {429}
    assert all(told in answer.text for answer in answers)
    assert text_of(ask(server.url, "quick", keys["other"]["key"])) == "12"
    for thread in asking:
        thread.join()
    assert sorted(answer.status_code for answer in answers) in ([200, 200, 429, 429, 429, 429], [200] + [429] * 5)
    assert server.stop() == 0, server.log()
