"""Bad input: a clear error that names the field, OpenAI's status, and a server that goes on."""

import re
import socket

import httpx
import openai
import pytest

from server import MODEL, chat, complete

HELLO = [{"role": "user", "content": "Hello"}]


def body(**changes):
    return {"model": MODEL, "messages": HELLO, "temperature": 0, "max_tokens": 2, **changes}


def extended(**parts):
    return body(permutation=parts)


@pytest.fixture(autouse=True)
def still_up_and_empty_handed(http, request):
    """After every case: the server answers, and nothing was stored by it."""
    stores = http.get("/v1/cache").json()["stores"]
    yield
    assert http.get("/health").json()["status"] == "ok"
    assert http.get("/v1/cache").json()["stores"] == stores


def error_of(answer):
    """The error object, with its shape checked."""
    assert answer.headers["content-type"].startswith("application/json")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert answer.headers["x-request-id"]
    return error


CASES = [
    # what, body, status, the field, a word of the message
    ("messages of the wrong type", body(messages="hello"), 400, "messages", "array"),
    ("no messages", body(messages=[]), 400, "messages", "empty|at least one"),
    ("messages left out", {"model": MODEL}, 400, "messages", "required"),
    ("model left out", {"messages": HELLO}, 400, "model", "required"),
    ("model of the wrong type", body(model=7), 400, "model", "string"),
    ("an unknown model", body(model="gpt-9"), 404, "model", MODEL),
    ("an unknown role", body(messages=[{"role": "king", "content": "x"}]), 400, r"messages\[0\].role", "king"),
    ("a message that is no object", body(messages=["x"]), 400, r"messages\[0\]", "object"),
    ("content of the wrong type", body(messages=[{"role": "user", "content": 5}]), 400, "content", "5"),
    ("an image", body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
     400, "messages", "image_url"),
    ("temperature as text", body(temperature="hot"), 400, "temperature", "hot"),
    ("temperature too high", body(temperature=2.5), 400, "temperature", "2.5"),
    ("top_p above one", body(top_p=1.5), 400, "top_p", "1.5"),
    ("negative top_k", body(top_k=-1), 400, "top_k", "-1"),
    ("max_tokens zero", body(max_tokens=0), 400, "max_tokens", "0"),
    ("max_tokens as a fraction", body(max_tokens=1.5), 400, "max_tokens", "1.5"),
    ("n zero", body(n=0), 400, "n", "0"),
    ("n huge", body(n=100000), 400, "n", "100000"),
    ("stop of the wrong type", body(stop=5), 400, "stop", "5"),
    ("too many stop strings", body(stop=[str(i) for i in range(100)]), 400, "stop", "at most"),
    ("seed as text", body(seed="x"), 400, "seed", "x"),
    ("top_logprobs without logprobs", body(top_logprobs=3), 400, "top_logprobs", "logprobs"),
    ("too many top_logprobs", body(logprobs=True, top_logprobs=50), 400, "top_logprobs", "50"),
    ("logit_bias of the wrong type", body(logit_bias=[1]), 400, "logit_bias", "object"),
    ("stream as text", body(stream="yes"), 400, "stream", "yes"),
    ("a tool that is no function", body(tools=[{"type": "web"}]), 400, r"tools\[0\].type", "function"),
    ("a tool without a name", body(tools=[{"type": "function", "function": {}}]), 400,
     r"tools\[0\].function.name", "required"),
    ("a choice without tools", body(tool_choice="required"), 400, "tool_choice", "tools"),
    ("an unknown format", body(response_format={"type": "xml"}), 400, "response_format.type", "json_schema"),
    ("a format without its schema", body(response_format={"type": "json_schema"}), 400,
     "response_format.json_schema$", "required"),
    ("a schema's holder without it", body(response_format={"type": "json_schema", "json_schema": {"name": "x"}}), 400,
     "response_format.json_schema.schema$", "required"),
    ("a schema that can't be followed",
     body(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "unheard-of"}}}),
     400, "response_format.json_schema.schema.type", "no type of JSON"),
    ("KV ratio 0", extended(kv={"ratio": 0}), 400, "permutation.kv.ratio", "64"),
    ("KV ratio 65", extended(kv={"ratio": 65}), 400, "permutation.kv.ratio", "64"),
    ("KV ratio 100", extended(kv={"ratio": 100}), 400, "permutation.kv.ratio", "64"),
    ("a semantic error of 1", extended(cache={"semantic": {"error_max": 1}}), 400, "permutation.cache.semantic", "1"),
    ("knowledge that isn't there", extended(knowledge=["acme"]), 404, "permutation.knowledge", "no domain"),
    ("an unknown key of the extension", extended(cachee={}), 400, "permutation.cachee", "cache"),
    ("an unknown key of its cache", extended(cache={"tll_s": 5}), 400, "permutation.cache.tll_s", "ttl_s"),
    ("an unknown cache mode", extended(cache={"mode": "maybe"}), 400, "permutation.cache.mode", "maybe"),
    ("a negative ttl", extended(cache={"ttl_s": -1}), 400, "permutation.cache.ttl_s", "-1"),
    ("the extension as text", body(permutation="x"), 400, "permutation", "object"),
]


@pytest.mark.parametrize(("what", "sent", "status", "field", "word"), CASES, ids=[case[0] for case in CASES])
def test_a_wrong_field_is_named(http, what, sent, status, field, word):
    answer = http.post("/v1/chat/completions", json=sent)
    assert answer.status_code == status, answer.text
    error = error_of(answer)
    assert re.search(field, error["param"] or ""), error
    assert re.search(word, error["message"]), error
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "text",
    ['{"model":', "", "[]", "nonsense", '{"model": "x"} trailing', b"\xff\xfe{}", '"text"', "[" * 100_000],
    ids=["cut off", "empty", "array", "words", "trailing", "not UTF-8", "text", "deep"],
)
def test_malformed_json(http, text):
    answer = http.post("/v1/chat/completions", content=text, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    error_of(answer)


def test_a_streaming_request_that_is_wrong_answers_plain_json(http):
    answer = http.post("/v1/chat/completions", json=body(stream=True, temperature="hot"))
    assert answer.status_code == 400
    error_of(answer)


def test_the_official_client_raises_its_own_errors(client):
    with pytest.raises(openai.NotFoundError) as error:
        chat(client, "x", model="gpt-9")
    assert error.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, "x", temperature=9)
    assert error.value.param == "temperature"


@pytest.mark.parametrize("stream", [False, True])
def test_a_context_too_long_says_by_how_much(http, stream):
    sent = body(messages=[{"role": "user", "content": "word " * 9000}], stream=stream)
    answer = http.post("/v1/chat/completions", json=sent)
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["code"] == "context_length_exceeded"
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", error["message"])]
    assert 8192 in numbers, error  # what the model takes
    asked = max(numbers)
    assert asked > 9000, error
    assert any(asked - 8192 - 8 <= number <= asked - 8192 + 8 for number in numbers), error  # how much too long


def test_a_prompt_too_long_for_completions(http):
    answer = http.post("/v1/completions", json={"model": MODEL, "prompt": "word " * 9000})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "context_length_exceeded"


def test_token_ids_out_of_the_vocabulary(http):
    answer = http.post("/v1/completions", json={"model": MODEL, "prompt": [1, 99_999_999], "max_tokens": 1})
    assert answer.status_code == 400
    error_of(answer)


def test_an_unknown_path(http):
    for path in ("/v1", "/v1/nope", "/v1/chat/completions/", "/health/../etc"):
        assert http.get(path).status_code == 404, path
    error_of(http.get("/v1/nope"))


def test_a_wrong_method_says_which_are_right(http):
    answer = http.get("/v1/chat/completions")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert "POST" in error_of(answer)["message"]
    assert http.post("/health").status_code == 405


def raw(server, request, wait_for=b"\r\n"):
    """Sends bytes as they are and returns the status line."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while wait_for not in answer:
            piece = connection.recv(4096)
            if not piece:
                break
            answer += piece
        return answer.split(b"\r\n")[0].decode()


def test_a_body_too_large_is_refused_before_it_is_sent(server):
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50000000\r\n\r\n"
    )
    assert " 413 " in raw(server, request)


def test_a_chunked_body_too_large(server):
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(40):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it said 413 and hung up while we were still sending
        try:
            answer = connection.recv(4096)
        except ConnectionResetError:
            return
        assert answer == b"" or b" 413 " in answer.split(b"\r\n")[0]


def test_what_is_no_http(server):
    assert " 400 " in raw(server, b"HELLO\r\n\r\n")
    assert " 400 " in raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"tokens": 1}, "value"),
        ({"value": 1, "tokens": "x"}, "tokens"),
        ({"value": 1, "ttl_s": 0}, "ttl_s"),
        ({"value": 1, "tags": "x"}, "tags"),
        ({"value": 1, "reusabel": True}, "reusabel"),
    ],
)
def test_a_wrong_cache_entry(http, entry, field):
    answer = http.put("/v1/cache/entries/some-key", json=entry)
    assert answer.status_code == 400
    assert field in error_of(answer)["message"]
    assert http.get("/v1/cache/entries/some-key").status_code == 404


@pytest.fixture
def serve(cli):
    """Exit status and stderr of a server that must not come up."""

    def run(*args):
        port = [] if "--port" in args else ["--port", "0"]
        ended = cli("serve", *port, *args, timeout=60)
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    return run


def test_a_truncated_model(serve, model_file, tmp_path):
    for size in (3, 100, 100_000, 50_000_000, model_file.stat().st_size - 1):
        cut = tmp_path / "cut.gguf"
        with model_file.open("rb") as whole:
            cut.write_bytes(whole.read(size))
        status, log = serve("--model", cut)
        assert status == 1, (size, log)
        assert "cut.gguf" in log.splitlines()[-1], (size, log)


def test_a_garbage_model(serve, tmp_path):
    for content in (b"", b"this is not a model at all" * 100, b"GGUF" + b"\xff" * 10_000, bytes(5000)):
        garbage = tmp_path / "garbage.gguf"
        garbage.write_bytes(content)
        status, log = serve("--model", garbage)
        assert status == 1, log
        assert "garbage.gguf" in log.splitlines()[-1], log


def test_a_model_file_that_is_not_there(serve, tmp_path):
    status, log = serve("--model", tmp_path / "none.gguf")
    assert status == 1
    assert "none.gguf" in log
    assert serve("--model", f"{tmp_path}/")[0] == 1


def test_an_unknown_model_name(serve):
    status, log = serve("--model", "gpt-9")
    assert status == 1
    assert MODEL in log


def test_a_model_that_is_not_installed(serve):
    status, log = serve()
    assert status == 1
    assert f"permutation models pull {MODEL}" in log


def test_a_wrong_config(serve, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text("[server]\nprot = 1\n")
    status, log = serve("--config", config)
    assert status == 2
    assert "c.toml:2" in log
    assert 'did you mean "port"' in log
    assert serve("--config", tmp_path / "none.toml")[0] == 1


def test_listening_beyond_this_machine_is_refused(serve):
    status, log = serve("--host", "0.0.0.0")
    assert status == 2
    assert "--allow-remote" in log


def test_a_port_in_use(serve, server, model_file):
    port = httpx.URL(server.url).port
    status, log = serve("--model", model_file, "--port", port)
    assert status in (1, 2)
    assert str(port) in log


def test_all_of_it_left_the_server_well(client, idle):
    idle()
    assert complete(client, "The capital of France is", max_tokens=4, extra_body={
        "permutation": {"cache": {"mode": "off"}}
    }).choices[0].text
