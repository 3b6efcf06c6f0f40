"""Keys, tenants, TLS and where the server listens, with the real binary."""

import hashlib
import ssl
import subprocess

import httpx
import openai
import pytest

from server import RunningServer, chat, until


@pytest.fixture(scope="module")
def keys(new_key):
    """A key for each role."""
    return {
        "ann": new_key("--name", "ann", "--tenant", "a", "--scope", "inference", "--scope", "cache"),
        "bob": new_key("--name", "bob", "--tenant", "b", "--scope", "inference", "--scope", "cache"),
        "ops": new_key("--name", "ops", "--scope", "admin"),
        "few": new_key("--name", "few", "--tenant", "f", "--requests-per-minute", "3"),
    }


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    paths = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


@pytest.fixture(scope="module")
def guarded(binary, model_file, keys, certificate, tmp_path_factory):
    """A server with keys and TLS, logging everything it would ever log."""
    config = tmp_path_factory.mktemp("guarded") / "config.toml"
    config.write_text(
        f"""
[server]
port = 0
stop_grace_ms = 500
tls_certificate = "{certificate[0]}"
tls_key = "{certificate[1]}"
[[model]]
path = "{model_file}"
[log]
format = "json"
level = "debug"
requests = true
"""
        + "".join(key["toml"] for key in keys.values())
    )
    running = RunningServer([binary, "serve", "--config", str(config)])
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def trust(certificate):
    return ssl.create_default_context(cafile=certificate[0])


@pytest.fixture
def as_user(guarded, keys, trust):
    def client(name):
        return openai.OpenAI(
            base_url=guarded.url + "/v1",
            api_key=keys[name]["key"],
            max_retries=0,
            http_client=httpx.Client(verify=trust, timeout=120),
        )

    return client


@pytest.fixture
def http(guarded, trust):
    with httpx.Client(base_url=guarded.url, verify=trust, timeout=60) as client:
        yield client


def bearer(keys, name):
    return {"authorization": f"Bearer {keys[name]['key']}"}


def test_a_new_key_is_its_hash_in_the_config(keys):
    made = keys["ann"]
    assert made["key"].startswith("pmt-") and len(made["key"]) >= 47
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()
    assert made["sha256"] in made["toml"] and made["key"] not in made["toml"]
    assert len({key["key"] for key in keys.values()}) == len(keys)


def test_the_official_client_over_tls_with_a_key(as_user, guarded):
    assert guarded.url.startswith("https://")
    assert chat(as_user("ann"), "Say hello over TLS").choices[0].message.content
    stream = chat(as_user("ann"), "Say hello in a stream", stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


@pytest.mark.parametrize("command", [["ask", "Say hello"], ["audit"], ["rlm", "Who wrote it?", "--context", __file__]])
def test_commands_speak_https_with_a_key(cli, guarded, keys, certificate, command):
    ask = [*command, "--url", guarded.url, "--ca-file", certificate[0]]
    ended = cli(*ask, env={"PERMUTATION_API_KEY": keys["ops"]["key"]})
    assert (ended.returncode, ended.stdout != "") == (0, True), ended.stderr
    without_key = cli(*ask, env={"PERMUTATION_API_KEY": ""})
    assert (without_key.returncode, "key" in without_key.stderr) == (1, True), without_key
    untrusted = cli(*command, "--url", guarded.url, env={"PERMUTATION_API_KEY": keys["ops"]["key"]})
    assert (untrusted.returncode, "can't be trusted" in untrusted.stderr) == (1, True), untrusted


def test_without_a_key_a_wrong_one_or_the_scope(as_user, http, keys, guarded, trust):
    anonymous = openai.OpenAI(
        base_url=guarded.url + "/v1", api_key="wrong", max_retries=0, http_client=httpx.Client(verify=trust)
    )
    with pytest.raises(openai.AuthenticationError) as refused:
        chat(anonymous, "hello")
    assert refused.value.code == "invalid_api_key"
    assert http.get("/v1/models").status_code == 401
    assert http.get("/v1/audit", headers=bearer(keys, "ann")).status_code == 403
    assert http.get("/v1/audit", headers=bearer(keys, "ops")).status_code == 200
    with pytest.raises(openai.PermissionDeniedError):
        as_user("ops").with_options(api_key=keys["few"]["key"]).get("/cache", cast_to=object)
    assert http.get("/health").status_code == 200


def test_tenants_share_neither_answers_nor_entries_nor_prefixes(as_user, http, keys):
    text = "Tell of the shared prefix. " * 40
    first = chat(as_user("ann"), text).model_extra["permutation"]
    again = chat(as_user("ann"), text).model_extra["permutation"]
    other = chat(as_user("bob"), text).model_extra["permutation"]
    assert [first["cache"]["status"], again["cache"]["status"], other["cache"]["status"]] == ["miss", "hit", "miss"]
    assert other["kv"]["prefix_tokens_reused"] == 0, "what another tenant's prompt left would show by its time"
    entry = f"/v1/cache/entries/{first['cache']['key']}"
    assert http.get(entry, headers=bearer(keys, "ann")).status_code == 200
    assert http.get(entry, headers=bearer(keys, "bob")).status_code == 404
    assert http.delete("/v1/cache", headers=bearer(keys, "bob")).json()["purged"] == 1
    assert http.get(entry, headers=bearer(keys, "ann")).status_code == 200


def test_rate_limits_speak_openais_language(as_user):
    few = as_user("few")
    raw = few.models.with_raw_response.list()
    assert raw.headers["x-ratelimit-limit-requests"] == "3"
    assert raw.headers["x-ratelimit-remaining-requests"] == "2"
    few.models.list()
    few.models.list()
    with pytest.raises(openai.RateLimitError) as over:
        few.models.list()
    assert over.value.code == "rate_limit_exceeded"
    assert int(over.value.response.headers["retry-after"]) >= 1


def test_old_tls_is_refused(guarded):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((httpx.ConnectError, ssl.SSLError)):
        httpx.get(guarded.url + "/health", verify=old)


def test_secrets_and_texts_are_never_logged(as_user, http, keys, guarded):
    secret = "the vault opens with marzipan"  # no digits: ids are full of them
    chat(as_user("ann"), secret)
    http.get("/v1/models", headers={"authorization": "Bearer pmt-mistyped-but-secret"})
    http.get("/v1/models?api_key=in-the-query")
    log = guarded.log()
    assert '"event":"request"' in log and '"key":"ann"' in log
    for key in keys.values():
        assert key["key"] not in log and key["sha256"] not in log
    for text in ("pmt-mistyped-but-secret", "in-the-query", "marzipan", "uthorization"):
        assert text not in log, text


def test_the_command_line_takes_its_key_from_the_environment(cli, binary, model_file, keys, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text(f'[server]\nport = 0\n[[model]]\npath = "{model_file}"\n' + keys["ops"]["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        refused = cli("audit", "--url", server.url)
        assert refused.returncode == 1 and "API key" in refused.stderr
        allowed = cli("audit", "--url", server.url, env={"PERMUTATION_API_KEY": keys["ops"]["key"]})
        assert allowed.returncode == 0, allowed.stderr
    finally:
        server.stop()


@pytest.mark.parametrize(
    "config, says",
    [
        ('[[key]]\nname = "a"\n', "permutation keys new"),
        ('[[key]]\nname = "a"\nsha256 = "pmt-the-key-itself"\n', "never goes into a file"),
        ('[[key]]\nname = "a"\nsha256 = "' + "0" * 64 + '"\nscopes = ["root"]\n', "inference"),
        ('[server]\ntls_key = "k.pem"\n', "set both"),
        ('[server]\ntls_certificate = "no.pem"\ntls_key = "no.pem"\n', "no.pem"),
        ('[telemetry]\notlp_endpoint = "collector:4317"\n', "4318"),
        ('[log]\nformat = "xml"\n', '"json"'),
    ],
)
def test_a_wrong_config_says_the_way_out(cli, tmp_path, config, says):
    file = tmp_path / "c.toml"
    file.write_text(config)
    ended = cli("serve", "--config", file)
    assert ended.returncode == 2, ended.stderr
    assert says in ended.stderr


def test_beyond_this_machine_only_with_keys_or_when_told(cli, binary, model_file, keys, tmp_path):
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0", "--model", model_file)
    assert refused.returncode == 2 and "--allow-remote" in refused.stderr and "keys new" in refused.stderr
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nhost = "0.0.0.0"\nport = 0\n[[model]]\npath = "{model_file}"\n' + keys["ann"]["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        until(lambda: "in the clear" in server.log())  # no TLS: it is said
    finally:
        assert server.stop() == 0
