"""The shared cache through a real redis-server that is asked over TLS, with a certificate made here, or by a socket."""

import shutil
import signal
import subprocess

import httpx
import pytest

from redis_server import free_port
from server import chat_raw
from server import until as until_within

from conftest import client_of

PASSWORD = "p@ss%21 w#rd/:"
ENCODED = "p%40ss%2521%20w%23rd%2F%3A"
CONFIG = """
[server]
port = 0
stop_grace_ms = 500
[[model]]
path = "{model}"
kv_bytes = 67108864
[embeddings]
enabled = false
[cache.shared]
url = "{url}"
timeout_ms = 20000
retry_ms = 100
{more}
"""


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    ca, crt = folder / "ca.crt", folder / "redis.crt"
    run("openssl", "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", ca)
    run("openssl", "req", *key[:-2], "-subj", "/CN=redis", "-keyout", folder / "redis.key", "-out", folder / "redis.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    run("openssl", "x509", "-req", "-in", folder / "redis.csr", "-CA", ca, "-CAkey", folder / "ca.key", "-days", "1",
        "-extfile", folder / "names", "-out", crt)  # fmt: skip
    return folder


@pytest.fixture
def redis(certificates, tmp_path):
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server: apt-get install redis-server")
    port = free_port()
    argv = [program, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path),
            "--requirepass", PASSWORD, "--tls-auth-clients", "no", "--tls-cert-file", certificates / "redis.crt",
            "--tls-key-file", certificates / "redis.key", "--tls-ca-cert-file", certificates / "ca.crt",
            "--unixsocket", tmp_path / "redis.sock"]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    until_within((tmp_path / "redis.sock").exists, seconds=60)
    yield port
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture
def start(starting, model_file):
    return lambda url, more="": starting(CONFIG.format(model=model_file, url=url, more=more))


def shared(server):
    return httpx.get(f"{server.url}/v1/cache", timeout=60).json()["shared"]


def test_two_servers_share_over_tls_and_a_socket(start, redis, certificates, tmp_path, fresh):
    tls = start(f"rediss://:{ENCODED}@127.0.0.1:{redis}", f'tls_ca = "{certificates / "ca.crt"}"')
    local = start(f"unix://:{ENCODED}@{tmp_path / 'redis.sock'}")
    for server in (tls, local):
        until_within(lambda s=server: shared(s)["state"] == "up", seconds=60)
    text = fresh("Name a colour.")
    headers, first = chat_raw(client_of(tls), text)
    assert headers["x-permutation-cache"] == "miss"
    headers, second = chat_raw(client_of(local), text)
    assert headers["x-permutation-cache"] == "hit"
    assert second.choices == first.choices


def test_a_certificate_that_nobody_vouches_for(start, redis):
    server = start(f"rediss://:{ENCODED}@127.0.0.1:{redis}")
    until_within(lambda: "tls_ca" in shared(server)["error"], seconds=60)
    assert chat_raw(client_of(server), "Hello.")[0]["x-permutation-cache"] == "miss", "its own cache goes on"
    unchecked = start(f"rediss://:{ENCODED}@127.0.0.1:{redis}", "tls_verify = false")
    until_within(lambda: shared(unchecked)["state"] == "up", seconds=60)


def test_what_is_wrong_with_a_url_ends_the_start(binary, model_file, tmp_path):
    for url, more, said in (("redis://:50%off@h", "", "%25"), ("redis://h", 'tls_ca = "/etc/hosts"', "rediss://"),
                            ("rediss://h", 'tls_ca = "/none"', "tls_ca"), ("http://h", "", "rediss://")):  # fmt: skip
        config = tmp_path / "c.toml"
        config.write_text(CONFIG.format(model=model_file, url=url, more=more))
        ended = subprocess.run([binary, "serve", "--config", str(config)], capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0 and said in ended.stderr and "50" not in ended.stderr, ended.stderr
