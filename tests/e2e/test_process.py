"""The process and its surroundings: signals, the log's reader, and files that are not what they should be."""

import hashlib
import json
import os
import pathlib
import pty
import random
import signal
import socket
import ssl
import subprocess
import time

import httpx
import pytest

from server import MODEL, RunningServer, until

# A server that answers everything but completions, at once: no model is loaded.
QUICK = """
[server]
port = {port}
stop_grace_ms = 500
[[upstream]]
name = "nowhere"
base_url = "http://127.0.0.1:9"
models = ["m"]
[embeddings]
enabled = false
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def key(name, **more):
    lines = [f'name = "{name}"', f'sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"', 'scopes = ["admin"]']
    return "[[key]]\n" + "\n".join(lines + [f"{k} = {json.dumps(v)}" for k, v in more.items()]) + "\n"


def bearer(name):
    return {"authorization": f"Bearer {name}"}


class Started:
    """A server whose log goes where the test says."""

    def __init__(self, binary, config, port, scheme="http", **popen):
        self.url = f"{scheme}://127.0.0.1:{port}"
        # Not httpx.get: it reads the system's certificates each time, which takes longer than most tests here.
        self.http = httpx.Client(base_url=self.url, verify=False, timeout=30)
        self.process = subprocess.Popen([binary, "serve", "--config", str(config)], **popen)
        until(self.up, 30)

    def up(self):
        assert self.process.poll() is None, f"ended with {self.process.returncode}"
        try:
            return self.http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self):
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture
def quick(binary, tmp_path):
    """Starts a server of QUICK and more; `write` changes its file."""
    started = []
    port = free_port()
    file = tmp_path / "config.toml"

    def write(more=""):
        file.write_text(QUICK.format(port=port) + more)

    def start(more="", scheme="http", **popen):
        write(more)
        started.append(Started(binary, file, port, scheme, **popen))
        return started[-1]

    start.write = write
    start.started = started
    start.file = file
    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def test_a_log_whose_reader_goes_away_costs_only_the_log(quick):
    read, write = os.pipe()
    server = quick("[log]\nrequests = true\n", stderr=write)
    os.close(write)
    os.close(read)
    for _ in range(20):
        assert server.http.get("/v1/models").status_code == 200
    lost = [line for line in server.http.get("/metrics").text.splitlines() if "log_lines_lost_total " in line]
    assert float(lost[-1].split()[1]) >= 20
    assert server.stop() == 0


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_log_that_nobody_reads_holds_up_nobody(quick, kind):
    ours, theirs = (x.detach() for x in socket.socketpair()) if kind == "socket" else os.pipe()
    server = quick("[log]\nrequests = true\n", stderr=theirs)
    with httpx.Client(base_url=server.url, timeout=5) as http:
        for _ in range(600):
            assert http.get("/v1/models").status_code == 200
    os.set_blocking(ours, False)
    while len(os.read(ours, 1 << 20)) == 1 << 20:
        pass
    os.close(ours)
    os.close(theirs)
    assert server.stop() == 0


def test_a_terminal_that_closes_ends_nothing(binary, quick):
    quick.write()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(binary, [binary, "serve", "--config", str(quick.file)])
    url = "http://127.0.0.1:" + quick.file.read_text().split("port = ")[1].split()[0]

    http = httpx.Client(base_url=url, verify=False)

    def up():
        try:
            return http.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(up, 30)
        os.close(terminal)  # its session gets SIGHUP, and what is written to it fails from now on
        time.sleep(0.5)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0) and up()
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def hang_up(server, log, says="SIGHUP"):
    """Waits until the log, a file, has said it once more."""
    before = log.read_text().count(says)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: log.exists() and log.read_text().count(says) > before)


def test_sighup_reloads_keys_and_drops_no_connection(quick, tmp_path):
    log = tmp_path / "log"
    with open(log, "wb") as stderr:
        server = quick(key("ann") + key("bob"), stderr=stderr)
    with httpx.Client(base_url=server.url) as kept:
        status = lambda name: kept.get("/v1/cache", headers=bearer(name)).status_code
        with kept.stream("GET", "/v1/dashboard/events", headers=bearer("ann")) as ann, kept.stream(
            "GET", "/v1/dashboard/events", headers=bearer("bob")
        ) as bob:
            ann_lines, bob_lines = ann.iter_lines(), bob.iter_lines()
            next(ann_lines), next(bob_lines)
            assert (status("ann"), status("bob"), status("eve")) == (200, 200, 401)
            quick.write(key("bob") + key("eve"))
            hang_up(server, log, "read again")
            assert (status("ann"), status("bob"), status("eve")) == (401, 200, 200)
            for _ in ann_lines:  # a withdrawn key's dashboard ends; another's goes on
                pass
            for _ in range(6):
                next(bob_lines)
    assert "takes a restart" not in log.read_text()
    assert server.stop() == 0


def test_a_reload_is_no_new_minute(quick, tmp_path):
    log = tmp_path / "log"
    few = key("few", requests_per_minute=3).replace('"admin"', '"inference"')
    with open(log, "wb") as stderr:
        server = quick(few, stderr=stderr)
    ask = lambda: server.http.get("/v1/models", headers=bearer("few")).status_code
    assert [ask() for _ in range(4)] == [200, 200, 200, 429]
    quick.write(few + key("another"))
    hang_up(server, log, "read again")
    assert ask() == 429
    assert server.stop() == 0


@pytest.mark.parametrize(
    "wrong, says",
    [
        ("[server\nport = 0", "config.toml:"),
        ("[server]\nprot = 0\n", "did you mean"),
        ("", "no [[key]] any more"),  # a file that is being written anew
        ("\xff\xfe", "UTF-8"),
        (None, "No such file"),
        ("folder", "a folder"),
    ],
)
def test_a_file_that_is_wrong_at_sighup_changes_nothing(quick, tmp_path, wrong, says):
    log = tmp_path / "log"
    with open(log, "wb") as stderr:
        server = quick(key("ann"), stderr=stderr)
    quick.file.unlink()
    if wrong == "folder":
        quick.file.mkdir()
    elif wrong is not None:
        quick.file.write_bytes(wrong.encode("latin-1"))
    hang_up(server, log, "Everything stays as it was")
    assert says in log.read_text()
    assert server.http.get("/v1/cache", headers=bearer("ann")).status_code == 200
    assert server.http.get("/v1/cache").status_code == 401
    assert server.stop() == 0


def test_what_takes_a_restart_is_named(quick, tmp_path):
    log = tmp_path / "log"
    with open(log, "wb") as stderr:
        server = quick(stderr=stderr)
    changed = QUICK.format(port=f"{free_port()}\nthreads = 2") + "[cache]\nenabled = false\n"
    quick.file.write_text(changed)
    hang_up(server, log, "takes a restart")
    assert "takes a restart: [cache] enabled, [server] port, [server] threads" in log.read_text()
    assert server.http.get("/v1/cache").status_code == 200
    assert server.stop() == 0


def test_sighup_reopens_a_log_that_was_moved_away(quick, tmp_path):
    log, moved = tmp_path / "server.log", tmp_path / "server.log.1"
    server = quick(f'[log]\nrequests = true\npath = "{log}"\n')
    server.http.get("/v1/models")
    until(lambda: "/v1/models" in log.read_text())
    log.rename(moved)
    server.process.send_signal(signal.SIGHUP)
    until(log.exists)
    size = moved.stat().st_size
    server.http.get("/v1/models")
    until(lambda: "/v1/models" in log.read_text())
    assert moved.stat().st_size == size
    assert server.stop() == 0
    assert log.read_text().splitlines()[-1].endswith("stopped")


def certificate(folder, name):
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", str(paths[0]), "-keyout", str(paths[1])],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


def test_sighup_takes_a_renewed_certificate(binary, quick, tmp_path):
    old, new = certificate(tmp_path, "old"), certificate(tmp_path, "new")
    used = tmp_path / "used.pem", tmp_path / "used.key"
    for source, target in zip(old, used):
        target.write_bytes(source.read_bytes())
    log = tmp_path / "log"
    tls = f'tls_certificate = "{used[0]}"\ntls_key = "{used[1]}"\n[[upstream]]'
    quick.write()
    config = quick.file.read_text().replace("[[upstream]]", tls)
    quick.file.write_text(config)
    port = config.split("port = ")[1].split()[0]
    with open(log, "wb") as stderr:
        server = Started(binary, quick.file, port, "https", stderr=stderr)
    quick.started.append(server)
    trusting = lambda pair: ssl.create_default_context(cafile=pair[0])
    with httpx.Client(base_url=server.url, verify=trusting(old)) as kept:
        assert kept.get("/health").status_code == 200
        used[1].write_bytes(new[1].read_bytes())  # the half of it: no pair
        hang_up(server, log, "Everything stays as it was")
        assert f"SIGHUP: {used[1]} " in log.read_text()
        used[0].write_bytes(new[0].read_bytes())
        hang_up(server, log, "read again")
        assert kept.get("/health").status_code == 200
        assert httpx.get(server.url + "/health", verify=trusting(new)).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url + "/health", verify=trusting(old))
    assert server.stop() == 0


def test_sighup_takes_new_prices(binary, model_file, tmp_path):
    file = tmp_path / "priced.toml"

    def write(usd):
        file.write_text(
            f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\nthreads = 1\nkv_bytes = 67108864\n[embeddings]\nenabled = false\n'
            f'[prices."{MODEL}"]\noutput_per_mtok = {usd}\n'
        )

    def saved(text):
        for _ in range(2):
            body = {"model": MODEL, "temperature": 0, "max_tokens": 5, "messages": [{"role": "user", "content": text}]}
            answer = httpx.post(server.url + "/v1/chat/completions", json=body, timeout=60).json()
        return answer["permutation"]["cache"]["usd_saved"], answer["usage"]["completion_tokens"]

    write(1e6)
    server = RunningServer([binary, "serve", "--config", str(file)])
    usd, tokens = saved("one")
    assert usd == pytest.approx(tokens)
    write(3e6)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "read again" in server.log())
    usd, tokens = saved("two")
    assert usd == pytest.approx(3 * tokens)
    assert server.stop() == 0


# What a file's name may lead to instead of a file: {kind: (makes it, what is said)}.
def make_pipe(path):
    os.mkfifo(path)


KINDS = {
    "folder": (pathlib.Path.mkdir, "a folder"),
    "pipe": (make_pipe, "a pipe"),
    "absent": (lambda path: None, "No such file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "loop": (lambda path: path.symlink_to(path), "symbolic links"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "argv",
    [
        ("serve", "--port", "0", "--config", "FILE"),
        ("serve", "--port", "0", "--model", "FILE"),
        ("serve", "--port", "0", "--config", "TLS"),
        ("serve", "--port", "0", "--config", "PASSWORD"),
        ("ask", "--model", "FILE", "hello"),
        ("ask", "--context", "FILE", "hello"),
        ("rlm", "--context", "FILE", "hello"),
        ("learn", "acme", "FILE"),
        ("knowledge", "import", "FILE"),
        ("cache", "import", "FILE"),
    ],
    ids=lambda argv: "-".join(argv),
)
def test_what_is_no_file_is_refused_by_its_name(cli, tmp_path, argv, kind):
    make, says = KINDS[kind]
    file = tmp_path / "named.gguf"
    make(file)
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\ntls_certificate = "{file}"\ntls_key = "{file}"\n')
    if "PASSWORD" in argv:
        config.write_text(f'[cache.shared]\nurl = "redis://127.0.0.1"\npassword_file = "{file}"\n')
    named = {"FILE": file, "TLS": config, "PASSWORD": config}
    ended = cli(*[named.get(word, word) for word in argv], timeout=20)
    assert ended.returncode in (1, 2), ended.stderr
    assert str(file) in ended.stderr and says in ended.stderr


def test_a_config_without_a_name_is_no_config(cli):
    ended = cli("serve", "--port", "0", "--config", "", timeout=10)
    assert ended.returncode != 0 and "without a name" in ended.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_config_is_refused(cli, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("")
    file.chmod(0)
    ended = cli("serve", "--port", "0", "--config", file, timeout=10)
    assert ended.returncode != 0 and "Permission denied" in ended.stderr


def test_a_log_path_that_is_no_file_is_refused(cli, tmp_path):
    config = tmp_path / "c.toml"
    for wrong, says in ((tmp_path, "Is a directory"), ("/dev/null", "not a file"), (tmp_path / "no" / "log", "No such")):
        config.write_text(f'[log]\npath = "{wrong}"\n')
        ended = cli("serve", "--port", "0", "--config", config, timeout=10)
        assert ended.returncode != 0 and says in ended.stderr and str(wrong) in ended.stderr


def store_with_entries(quick, folder):
    server = quick(f'[cache]\npath = "{folder}"\n')
    for i in range(150):
        entry = {"value": "v" * (6000 if i % 9 == 0 else 40 + i)}
        assert server.http.put(f"/v1/cache/entries/{i}", json=entry).status_code == 200
    assert server.http.post("/v1/cache/flush").json()["durable"]
    assert server.stop() == 0
    return (folder / "responses.mdb").read_bytes()


def test_no_flipped_bit_of_the_store_keeps_a_server_from_serving(quick, tmp_path):
    folder = tmp_path / "responses"
    good = store_with_entries(quick, folder)
    chance = random.Random(20)
    sure = [(0, 16, 0), (0, 10, 3), (1, 16, 5), (1, 20, 0)]  # what says that it is a store: never overlooked
    anywhere = [(chance.randrange(len(good) // 4096), chance.randrange(160), chance.randrange(8)) for _ in range(8)]
    set_aside = 0
    for page, at, bit in sure + anywhere:
        damaged = bytearray(good)
        damaged[page * 4096 + at] ^= 1 << bit
        for old in folder.iterdir():
            old.unlink()
        (folder / "responses.mdb").write_bytes(damaged)
        server = quick(f'[cache]\npath = "{folder}"\n', stderr=subprocess.PIPE)
        disk = server.http.get("/v1/cache").json()["disk"]
        for i in range(0, 200, 7):
            server.http.get(f"/v1/cache/entries/{i}")
            assert server.http.put(f"/v1/cache/entries/{i}", json={"value": i}).status_code == 200
        assert server.http.post("/v1/cache/flush").json()["durable"]
        assert server.stop() == 0
        aside = [str(path) for path in folder.glob("responses.mdb.damaged-*")]
        assert aside == ([disk["set_aside"]] if "set_aside" in disk else [])
        if aside:
            assert b"is damaged" in server.process.stderr.read()
            assert pathlib.Path(aside[0]).read_bytes() == bytes(damaged)
            set_aside += 1
        else:
            assert disk["entries"] > 0
    assert set_aside >= len(sure)


def test_a_store_that_is_damaged_while_it_serves_is_replaced_at_the_next_start(quick, tmp_path):
    folder = tmp_path / "responses"
    store_with_entries(quick, folder)
    server = quick(f'[cache]\npath = "{folder}"\n')
    with open(folder / "responses.mdb", "r+b") as file:
        file.truncate(3 * 4096)
    for i in range(150):
        try:
            server.http.get(f"/v1/cache/entries/{i}")
        except httpx.TransportError:
            break  # the mapping ends where the file does: nothing here can help that
    if server.process.poll() is None:
        server.process.kill()
    server.process.wait()
    again = quick(f'[cache]\npath = "{folder}"\n')
    assert again.http.get("/v1/cache").json()["disk"]["set_aside"].endswith("damaged-1")
    assert again.stop() == 0


def test_a_server_without_standard_files_writes_its_log_into_no_other(binary, quick, tmp_path):
    folder = tmp_path / "responses"
    quick.write(f'[cache]\npath = "{folder}"\n[log]\nrequests = true\n')
    port = quick.file.read_text().split("port = ")[1].split()[0]
    shell = ["/bin/sh", "-c", f'exec "{binary}" serve --config "{quick.file}" 0<&- 1>&- 2>&-']
    process = subprocess.Popen(shell)
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False)

    def stored():
        try:
            return http.put("/v1/cache/entries/a", json={"value": 1}).status_code == 200
        except httpx.TransportError:
            return False

    until(stored, 30)
    assert all(os.readlink(f"/proc/{process.pid}/fd/{fd}") == "/dev/null" for fd in range(3))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    assert subprocess.run([binary, "check-store", str(folder / "responses.mdb")]).returncode == 0
