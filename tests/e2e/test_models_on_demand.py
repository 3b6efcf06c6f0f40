"""A folder of models, of which a few fit into memory at once: each is loaded by its first request and gives way to others."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import threading
import time

import httpx
import pytest

from conftest import MODEL_FILE
from server import RunningServer, samples, until

# Each is the same model with another default system text in its template: so they answer otherwise.
WHO = {"Albert": "You are a pirate, Captain Albert. You speak of ships and gold.",
       "Brenda": "You are Brenda, a cook. You speak only about soup and bread.",
       "Cedric": "You are Cedric, a king. You speak only of castles and wars.",
       "Daniel": "You are Daniel, a farmer. You speak only of cows and rain.",
       "Elaine": "You are Elaine, a doctor. You speak only of health and sleep."}  # fmt: skip
NAMES = list(WHO)
ITSELF = b"You are a helpful AI assistant named SmolLM, trained by Hugging Face"
MIB = 1 << 20
EACH = (98 + 16 + 192) * MIB  # the file, its kv_bytes, working memory
CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[models]
dir = "{folder}"
kv_bytes = 16777216
{more}

[embeddings]
enabled = false
"""


def variant(model_file, to, name):
    content = model_file.read_bytes()
    assert content.count(ITSELF) == 1
    to.with_suffix(".new").write_bytes(content.replace(ITSELF, WHO[name].encode().ljust(len(ITSELF))))
    to.with_suffix(".new").rename(to)


@pytest.fixture(scope="module")
def folder(model_file, tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    for name in NAMES:
        variant(model_file, made / f"{name}.gguf", name)
    return made


@pytest.fixture
def linked(folder, tmp_path):
    """A folder of this test's own, of links to the files, which it may replace."""
    (tmp_path / "models").mkdir()
    for name in NAMES:
        os.link(folder / f"{name}.gguf", tmp_path / "models" / f"{name}.gguf")
    return tmp_path / "models"


def question(name, text="Who are you?", **more):
    return {"model": name, "temperature": 0, "max_tokens": 12, "messages": [{"role": "user", "content": text}], **more}


UNCACHED = {"permutation": {"cache": {"mode": "off"}}}


def ask(http, name, text="Who are you?", **more):
    answer = http.post("/v1/chat/completions", json=question(name, text, **more))
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def client(server):
    return httpx.Client(base_url=server.url, timeout=600)


def model(http, name):
    return http.get(f"/v1/models/{name}").raise_for_status().json()


def resident(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def test_200_requests_over_five_models_under_a_ceiling_for_two(starting, folder):
    texts = ["Who are you?", "Introduce yourself.", "What do you like?", "What is your name?"]
    names = [name.lower() for name in NAMES]
    expected = {}
    for name in names:  # each alone in a server
        server = starting(CONFIG.format(folder=folder, more=f"memory_bytes = {EACH + 4 * MIB}"))
        with client(server) as http:
            expected.update({(name, text): ask(http, name, text) for text in texts})
        assert server.stop() == 0, server.log()
    assert len({expected[name, texts[0]] for name in names}) == len(names), "or nobody sees who answered"

    ceiling = 2 * EACH + 8 * MIB
    server = starting(CONFIG.format(folder=folder, more=f"memory_bytes = {ceiling}"))
    most, ended = [0, 0], threading.Event()

    def watch():
        with client(server) as http:
            while not ended.is_set():
                most[0] = max(most[0], resident(server))
                most[1] = max(most[1], sum(m.get("bytes_reserved", 0) for m in http.get("/v1/models").json()["data"]))
                time.sleep(0.02)

    def one(i):
        name, text = names[i * 7 % 5], texts[i % 4]
        with client(server) as http:
            return (name, text), ask(http, name, text, **UNCACHED)

    watching = threading.Thread(target=watch)
    watching.start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(200)))
    ended.set()
    watching.join()
    wrong = [(asked, got, expected[asked]) for asked, got in answers if got != expected[asked]]
    assert len(answers) == 200 and not wrong, wrong[:5]
    figures = samples(server)
    loads = sum(value for _, value in figures["permutation_engine_loads_total"])
    print(f"{loads:.0f} loads, at most {most[0] / MIB:.0f} MiB resident, {most[1] / MIB:.0f} of {ceiling / MIB:.0f} MiB reserved")
    assert loads > 5 and most[1] <= ceiling and most[0] <= ceiling
    assert sum(value for _, value in figures["permutation_engine_completed_total"]) == 200, "counted on across unloading"
    assert figures["permutation_models_memory_bytes_max"][0][1] == ceiling
    assert sum(value for _, value in figures["permutation_engine_loaded"]) == 2
    assert server.stop() == 0, server.log()


def test_states_and_what_the_operator_does(starting, linked):
    server = starting(CONFIG.format(folder=linked, more=""))
    with client(server) as http:
        listed = {m["id"]: m for m in http.get("/v1/models").json()["data"]}
        assert set(listed) == {name.lower() for name in NAMES}
        cold = listed["albert"]
        assert (cold["state"], cold["bytes"], cold["last_used"], cold["pinned"]) == ("unloaded", 0, None, False)
        assert cold["meta"]["file_bytes"] == (linked / "Albert.gguf").stat().st_size
        assert cold["meta"]["context_tokens"] > 0
        loaded = http.post("/v1/models/albert/load").raise_for_status().json()
        assert loaded["state"] == "ready" and loaded["bytes"] > 90 * MIB and loaded["running"] == 0
        assert http.get("/v1/kv").json()["models"][0]["model"] == "albert"
        assert http.post("/v1/models/albert/unload").json()["state"] == "unloaded"
        assert http.post("/v1/models/albert/unload").status_code == 200
        assert http.get("/v1/kv").json()["models"] == []

        with http.stream("POST", "/v1/chat/completions",
                         json=question("brenda", "Count to a thousand.", max_tokens=600, ignore_eos=True, stream=True)) as busy:
            lines = busy.iter_lines()  # kept: with it goes the connection
            next(lines)
            refused = http.post("/v1/models/brenda/unload")
            assert refused.status_code == 409 and "busy" in refused.text
        until(lambda: model(http, "brenda")["running"] == 0, 30)
        assert model(http, "brenda")["last_used"] > time.time() - 100

        tokens = http.post("/v1/tokenize", json={"model": "cedric", "prompt": "hello"})  # loads it
        assert tokens.status_code == 200 and tokens.json()["count"] > 0
        assert model(http, "cedric")["state"] == "ready"
        counted = http.post("/v1/messages/count_tokens", json={"model": "daniel", "messages": [{"role": "user", "content": "hello"}]})
        assert counted.json()["input_tokens"] > 3
        taught = http.post("/v1/chat/completions", json=question("albert", permutation={"knowledge": ["acme"]}))
        assert taught.status_code == 400 and "load = " in taught.text
        assert http.post("/v1/models/absent/load").status_code == 404
    assert server.stop() == 0, server.log()


def test_only_an_admin_loads(starting, linked, new_key):
    keys = {scope: new_key("--name", scope, "--scope", scope) for scope in ("inference", "admin")}
    more = "\n".join(key["toml"] for key in keys.values())
    server = starting(CONFIG.format(folder=linked, more="") + more)
    with client(server) as http:
        post = lambda scope: http.post("/v1/models/albert/load", headers={"authorization": "Bearer " + keys[scope]["key"]})
        assert post("inference").status_code == 403
        assert post("admin").status_code == 200
        shown = http.get("/v1/models/albert", headers={"authorization": "Bearer " + keys["inference"]["key"]})
        assert shown.json()["state"] == "ready"
    assert server.stop() == 0, server.log()


def test_the_idle_one_goes(starting, linked):
    server = starting(CONFIG.format(folder=linked, more="idle_s = 1"))
    with client(server) as http:
        ask(http, "albert")
        assert model(http, "albert")["state"] == "ready"
        full = resident(server)
        until(lambda: model(http, "albert")["state"] == "unloaded", 10)
        assert resident(server) < full - 60 * MIB, "its memory went back to the system"
        cached = http.post("/v1/chat/completions", json=question("albert"))
        assert cached.json()["permutation"]["cache"]["status"] == "hit"
        assert model(http, "albert")["state"] == "unloaded", "a cached answer needs no model"
    assert server.stop() == 0, server.log()


def test_a_replaced_file_is_noticed(starting, linked, model_file):
    server = starting(CONFIG.format(folder=linked, more=""))
    with client(server) as http:
        before, other = ask(http, "albert"), ask(http, "elaine")
        assert before != other
        variant(model_file, linked / "Albert.gguf", "Elaine")
        assert ask(http, "albert") == other, "neither the old model nor its cached answer"
        again = http.post("/v1/chat/completions", json=question("albert")).json()
        assert again["permutation"]["cache"]["status"] == "hit"
        assert model(http, "albert")["file_replaced"] > time.time() - 100
        assert "albert: its file" in server.log()
        # Written over, in the same place.
        shutil.copyfile(linked / "Brenda.gguf", linked / "Albert.gguf")
        assert ask(http, "albert") == ask(http, "brenda")
    assert server.stop() == 0, server.log()


def test_bad_files_say_why_and_the_server_stays_up(starting, linked, model_file):
    whole = model_file.read_bytes()
    (linked / "Albert.gguf").unlink()
    (linked / "Albert.gguf").write_bytes(b"not a model")
    (linked / "Brenda.gguf").unlink()
    (linked / "Brenda.gguf").write_bytes(whole[: len(whole) // 2])
    (linked / "Cedric.gguf").unlink()
    (linked / "Cedric.gguf").write_bytes(whole[:4] + (4).to_bytes(4, "little") + whole[8:])
    (linked / "Daniel.gguf").unlink()
    (linked / "Daniel.gguf").write_bytes(whole.replace(b"tokenizer.ggml.model", b"tokenizer.gone.model"))
    (linked / "huge.gguf").write_bytes(whole)
    os.truncate(linked / "huge.gguf", 1 << 40)  # of holes
    (linked / "readme.txt").write_text("no model")
    server = starting(CONFIG.format(folder=linked, more="memory_bytes = 1000000000"))
    says = {"albert": "magic", "brenda": "fetch it again", "cedric": "newer release", "daniel": "no tokenizer", "huge": "short"}
    with client(server) as http:
        assert "readme" not in http.get("/v1/models").text
        for name, why in says.items():
            refused = http.post("/v1/chat/completions", json=question(name))
            assert refused.status_code == 503 and why in refused.json()["error"]["message"], refused.text
            assert 1 <= int(refused.headers["retry-after"]) <= 10
            assert "tries it again" in refused.text
            shown = model(http, name)
            assert shown["state"] == "failed" and shown["failure"]["message"] and shown["failure"]["retry_in_s"] >= 0
            streamed = http.post("/v1/chat/completions", json=question(name, stream=True))
            assert streamed.status_code == 503, "nothing was said before"
        assert ask(http, "elaine")
        os.replace(linked / "Elaine.gguf", linked / "Brenda.gguf")
        assert ask(http, "brenda"), "a changed file is tried at once"
        assert http.get("/health").status_code == 200
    assert server.stop() == 0, server.log()


def test_a_stream_says_that_its_model_is_loaded(starting, linked):
    """Behind a busy one, which holds the only room."""
    # Long enough that the other's stream has been silent for a second before it ends.
    roomy = CONFIG.replace("kv_bytes = 16777216", f"kv_bytes = {96 * MIB}")
    server = starting(roomy.format(folder=linked, more=f"memory_bytes = {EACH + 84 * MIB}"))
    with client(server) as http:
        long = question("albert", "Tell a long story.", max_tokens=4000, ignore_eos=True, stream=True,
                        permutation={"speculation": "off"})  # fmt: skip
        with http.stream("POST", "/v1/chat/completions", json=long) as busy:
            lines = busy.iter_lines()
            next(lines)
            waiting = question("brenda", stream=True, **UNCACHED)
            with http.stream("POST", "/v1/chat/completions", json=waiting) as late:
                said = late.iter_lines()
                assert next(said) == ": brenda waits for memory that other models still use"
                assert model(http, "brenda")["state"] == "waiting" and model(http, "albert")["state"] == "unloading"
                busy.close()  # its client leaves
                chunks = [json.loads(line[6:]) for line in said if line.startswith("data: {")]
        assert any(chunk["choices"] and chunk["choices"][0]["delta"].get("content") for chunk in chunks)
        until(lambda: model(http, "albert")["state"] == "unloaded")
    assert server.stop() == 0, server.log()


def test_the_server_stops_in_every_state(starting, linked):
    for pause in (0, 0.05, 0.15, 0.4):
        server = starting(CONFIG.format(folder=linked, more=f"memory_bytes = {EACH + 4 * MIB}"))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(httpx.post, server.url + "/v1/chat/completions", json=question(name, max_tokens=500, ignore_eos=True), timeout=60)
                     for name in ("albert", "brenda", "cedric", "brenda")]
            time.sleep(pause)
            assert server.stop() == 0, server.log()
            for each in asked:
                assert each.exception(60) is not None or each.result().status_code in (200, 503), each.result().text


def test_a_folder_on_the_command_line(binary, linked):
    server = RunningServer([binary, "serve", "--port", "0", "--models-dir", str(linked)])
    with client(server) as http:
        assert ask(http, "elaine")
        assert {m["state"] for m in http.get("/v1/models").json()["data"] if m["id"] in {n.lower() for n in NAMES}} == {"ready", "unloaded"}
    assert server.stop() == 0, server.log()


def test_a_model_that_stays_beside_those_that_come(starting, linked):
    more = f'memory_bytes = {2 * EACH + 8 * MIB}\n[[model]]\nname = "stays"\npath = "{MODEL_FILE}"\nkv_bytes = 16777216\n'
    more += f'[[model]]\nname = "lazy"\npath = "{MODEL_FILE}"\nkv_bytes = 16777216\nload = "first_use"\n'
    server = starting(CONFIG.format(folder=linked, more=more))
    with client(server) as http:
        for name in ("albert", "lazy", "stays", "brenda"):
            assert ask(http, name)
        states = {m["id"]: m.get("state") for m in http.get("/v1/models").json()["data"]}
        assert (states["stays"], states["brenda"], states["lazy"], states["albert"]) == ("ready", "ready", "unloaded", "unloaded")
        stays = model(http, "stays")
        assert stays["pinned"] and stays["last_used"] > time.time() - 100 and stays["bytes"] > 90 * MIB
        refused = http.post("/v1/models/stays/unload")
        assert refused.status_code == 409 and "stays" in refused.text
        assert ask(http, "permutation")
    assert server.stop() == 0, server.log()
