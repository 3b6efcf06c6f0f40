"""`permutation models pull|list|remove` against servers that behave like the hub of models, and serving what came."""

import hashlib
import json
import os
import pathlib
import ssl
import subprocess
import time

import pytest

from conftest import client_of
from hub import COMMIT, Hub
from server import RunningServer, chat
from split_gguf import split

REPO = "maker/Small-GGUF"
MIB = 1 << 20


def file_of(text, size):
    """Bytes that pass for a model file as long as nobody loads it."""
    block = hashlib.sha256(text.encode()).digest()
    return b"GGUF" + (block * (size // len(block) + 1))[: size - 4]


FILES = {
    "Small-Q4_K_M.gguf": file_of("q4", 3 * MIB),
    "Small-Q8_0.gguf": file_of("q8", 2 * MIB),
    "mmproj-Small-F16.gguf": file_of("mmproj", 1000),
    "imatrix_unsloth.gguf": file_of("imatrix", 1000),
}
Q4 = FILES["Small-Q4_K_M.gguf"]
Q4_SUM = hashlib.sha256(Q4).hexdigest()


@pytest.fixture
def hub():
    running = Hub({REPO: dict(FILES), "maker/None": {"model.safetensors": b"x"}})
    yield running
    running.stop()


@pytest.fixture
def models(cli, hub, tmp_path):
    """Runs `permutation models ARGS` with the hub's address in the environment."""

    def run(*args, env=None):
        return cli("models", *args, env={"HF_ENDPOINT": hub.url, "HF_TOKEN": "", **(env or {})})

    run.folder = tmp_path / "home" / "models"
    return run


def pulled(models, *args, **options):
    """The path that a pull prints."""
    ended = models("pull", *args, **options)
    assert ended.returncode == 0, ended.stderr
    return pathlib.Path(ended.stdout.strip())


def listed(models):
    """{name: object} without the catalogue's."""
    rows = json.loads(models("list", "--json").stdout)["models"]
    return {row["name"]: row for row in rows if "packages" not in row}


def hidden(models):
    return sorted(path.name for path in models.folder.iterdir() if path.name.startswith("."))


def test_a_quantization_comes_from_the_hub(models, hub):
    ended = models("pull", f"hf:{REPO}:Q4_K_M")
    assert ended.returncode == 0, ended.stderr
    path = pathlib.Path(ended.stdout.strip())
    assert path == models.folder / "small-q4_k_m" / "Small-Q4_K_M.gguf"
    assert path.read_bytes() == Q4
    assert "3.0 MiB" in ended.stderr
    assert hidden(models) == []
    row = listed(models)["small-q4_k_m"]
    assert row["source"] == f"hf:{REPO}:Q4_K_M"
    assert (row["bytes"], row["sha256"], row["installed"]) == (len(Q4), Q4_SUM, True)
    assert (row["server"], row["revision"], row["path"]) == (hub.url, COMMIT, str(path))
    table = models("list").stdout
    assert f"hf:{REPO}:Q4_K_M" in table and "3.0 MiB" in table and Q4_SUM in table
    assert [path for path, _ in hub.hub.log][-1] == f"/{REPO}/resolve/{COMMIT}/Small-Q4_K_M.gguf"


def test_what_is_here_is_not_fetched_again(models, hub):
    path = pulled(models, f"hf:{REPO}")  # Q4_K_M is the usual one
    sent = hub.store.sent
    ended = models("pull", f"hf:{REPO}:q4_k_m")
    assert ended.returncode == 0 and "already installed and intact" in ended.stderr
    assert pathlib.Path(ended.stdout.strip()) == path
    assert hub.store.sent == sent
    path.write_bytes(b"GGUF" + bytes(len(Q4) - 4))
    assert pulled(models, f"hf:{REPO}:Q4_K_M").read_bytes() == Q4, "a damaged one is"


def test_a_new_revision_replaces_the_old_one(models, hub):
    pulled(models, f"hf:{REPO}:Q4_K_M")
    hub.repos[REPO]["Small-Q4_K_M.gguf"] = file_of("newer", 3 * MIB)
    path = pulled(models, f"hf:{REPO}:Q4_K_M")
    assert path.read_bytes() == file_of("newer", 3 * MIB)
    assert hidden(models) == []
    assert sorted(p.name for p in path.parent.iterdir()) == ["Small-Q4_K_M.gguf", "source.json"]


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        (f"hf:{REPO}:Q2_K", 1, ["no GGUF of \"Q2_K\"", "Small-Q4_K_M.gguf  3.0 MiB", "Small-Q8_0.gguf"]),
        (f"hf:{REPO}@v9:Q8_0", 1, ["404", "Invalid rev id"]),
        ("hf:maker/None", 1, ["has no GGUF file"]),
        ("hf:maker/unknown", 1, ["401", "HF_TOKEN"]),
        ("hf:nonsense", 2, ["hf:USER/REPO"]),
        ("https://host.invalid/page.html", 2, [".gguf"]),
        ("http://host.invalid/x.gguf", 2, ["--sha256"]),
        ("https://host.invalid/x.gguf", 1, ["host.invalid"]),
    ],
)
def test_what_cannot_be_pulled_says_why(models, source, status, words):
    ended = models("pull", source)
    assert ended.returncode == status, ended
    for word in words:
        assert word in ended.stderr
    assert ended.stdout == ""
    assert not models.folder.exists() or list(models.folder.iterdir()) == []


def test_a_nonsense_hub_and_a_dead_one(models, hub):
    for address in ("", "mirror"):
        ended = models("pull", f"hf:{REPO}", env={"HF_ENDPOINT": address})
        assert ended.returncode == 2 and "HF_ENDPOINT" in ended.stderr
    ended = models("pull", f"hf:{REPO}", env={"HF_ENDPOINT": hub.url, "HF_TOKEN": "", "PERMUTATION_HOME": "/proc/none"})
    assert ended.returncode == 1 and "PERMUTATION_HOME" in ended.stderr
    hub.hub.stop()
    ended = models("pull", f"hf:{REPO}")
    assert ended.returncode == 1 and hub.url in ended.stderr


def test_a_token_opens_a_private_repository_and_stays_at_the_hub(models, hub):
    hub.token = "hf_secret"
    for token, word in [("", "set HF_TOKEN"), ("hf_wrong", "HF_TOKEN isn't valid")]:
        ended = models("pull", f"hf:{REPO}:Q8_0", env={"HF_TOKEN": token})
        assert ended.returncode == 1
        assert word in ended.stderr and "hf_" not in ended.stderr
    assert pulled(models, f"hf:{REPO}:Q8_0", env={"HF_TOKEN": "hf_secret"}).read_bytes() == FILES["Small-Q8_0.gguf"]
    assert all("authorization" not in headers for _, headers in hub.store.log)
    assert "hf_secret" not in (models.folder / "small-q8_0" / "source.json").read_text()
    ended = models("pull", f"hf:{REPO}:Q4_K_M", env={"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "http://mirror.invalid"})
    assert ended.returncode == 2 and "unencrypted" in ended.stderr


def test_a_mirror_and_a_renamed_repository(models):
    mirror = Hub({REPO: dict(FILES)}, prefix="/models/hub")
    mirror.renamed["old/Name"] = REPO
    try:
        path = pulled(models, "hf:old/Name:Q8_0", env={"HF_ENDPOINT": mirror.url + "/"})
        assert path.read_bytes() == FILES["Small-Q8_0.gguf"]
        assert listed(models)["small-q8_0"]["server"] == mirror.url
    finally:
        mirror.stop()


def test_a_link_to_a_files_page_on_the_hub_means_the_file(models, hub):
    pulled(models, f"{hub.url}/{REPO}/blob/main/Small-Q8_0.gguf")
    assert listed(models)["small-q8_0"]["source"] == f"hf:{REPO}:Small-Q8_0.gguf"


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        (["stall:1000000"], [None, "bytes=1000000-"]),
        (["break:1000000", "break:500000"], [None, "bytes=1000000-", "bytes=1500000-"]),
        (["503", "429", "break:1000000"], [None, None, None, "bytes=1000000-"]),
        (["break:1000000", "whole"], [None, "bytes=1000000-"]),
        (["break:1000000", "shift"], [None, "bytes=1000000-", None]),
    ],
)
def test_a_broken_download_goes_on(models, hub, faults, asked):
    hub.faults["Small-Q4_K_M.gguf"] = list(faults)
    ended = models("pull", f"hf:{REPO}:Q4_K_M", "--timeout", "1")
    assert ended.returncode == 0, ended.stderr
    assert pathlib.Path(ended.stdout.strip()).read_bytes() == Q4
    assert ended.stderr.count("trying again") == len(faults) - faults.count("whole")
    assert [range_ for _, range_ in hub.ranges()] == asked
    assert hidden(models) == []


def test_a_server_that_only_fails_ends_the_pull_and_the_next_one_goes_on(models, hub):
    hub.faults["Small-Q4_K_M.gguf"] = ["break:1000000"] + ["503"] * 4
    ended = models("pull", f"hf:{REPO}:Q4_K_M", "--timeout", "1")
    assert ended.returncode == 1 and "503" in ended.stderr
    row = listed(models)["small-q4_k_m"]
    assert row["installed"] is False and 1_000_000 <= row["fetched"] < 1_100_000
    assert "permutation models pull hf:" in models("list").stdout
    pulled(models, f"hf:{REPO}:Q4_K_M")
    assert hub.ranges()[-1] == ("Small-Q4_K_M.gguf", "bytes=1000000-")


def test_a_killed_pull_goes_on_and_never_looked_whole(binary, models, hub, tmp_path):
    hub.faults["Small-Q4_K_M.gguf"] = [f"slow:{MIB}"]
    env = {**os.environ, "PERMUTATION_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_TOKEN": ""}
    process = subprocess.Popen([binary, "models", "pull", f"hf:{REPO}:Q4_K_M"], env=env, stderr=subprocess.PIPE)
    part = models.folder / ".pull-small-q4_k_m" / "Small-Q4_K_M.gguf.part"
    end = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > MIB) and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stderr.close()
    had = part.stat().st_size
    assert MIB <= had < len(Q4)
    assert listed(models)["small-q4_k_m"]["installed"] is False
    assert [path.name for path in models.folder.iterdir()] == [".pull-small-q4_k_m"]
    assert pulled(models, f"hf:{REPO}:Q4_K_M").read_bytes() == Q4
    assert hub.ranges()[-1] == ("Small-Q4_K_M.gguf", f"bytes={had}-")


def test_a_killed_pull_begins_anew_where_the_file_is_another_one(models, hub):
    hub.faults["Small-Q4_K_M.gguf"] = ["break:1000000"] + ["503"] * 4
    assert models("pull", f"hf:{REPO}:Q4_K_M", "--timeout", "1").returncode == 1
    hub.repos[REPO]["Small-Q4_K_M.gguf"] = file_of("newer", 3 * MIB)
    assert pulled(models, f"hf:{REPO}:Q4_K_M").read_bytes() == file_of("newer", 3 * MIB)
    assert hub.ranges()[-1] == ("Small-Q4_K_M.gguf", None)


def test_a_wrong_sum_sets_the_file_aside(models, hub):
    hub.announced["Small-Q4_K_M.gguf"] = {"sha256": "ab" * 32}
    for number in (1, 2):
        ended = models("pull", f"hf:{REPO}:Q4_K_M")
        assert ended.returncode == 1
        assert Q4_SUM in ended.stderr and "ab" * 32 in ended.stderr and "set aside" in ended.stderr
        assert (models.folder / f"Small-Q4_K_M.gguf.damaged-{number}").read_bytes() == Q4
    assert listed(models) == {} and hidden(models) == []
    hub.announced.clear()
    assert pulled(models, f"hf:{REPO}:Q4_K_M").read_bytes() == Q4


def test_a_file_of_another_size_is_refused(models, hub):
    hub.announced["Small-Q4_K_M.gguf"] = {"size": len(Q4) - 1}
    ended = models("pull", f"hf:{REPO}:Q4_K_M")
    assert ended.returncode == 1 and f"has {len(Q4)} bytes now" in ended.stderr
    assert listed(models) == {}


def test_room_on_the_disk_is_asked_for_before(models, hub):
    hub.announced["Small-Q4_K_M.gguf"] = {"size": 10**16}
    ended = models("pull", f"hf:{REPO}:Q4_K_M")
    assert ended.returncode == 1
    assert "more of disk" in ended.stderr and "PERMUTATION_HOME" in ended.stderr
    assert hub.store.log == [] and hidden(models) == []


def test_a_plain_url(models, hub):
    url = f"{hub.store.url}/{REPO}/Small-Q8_0.gguf?download=true"
    path = pulled(models, url, "--name", "mine")
    assert path == models.folder / "mine" / "Small-Q8_0.gguf"
    assert path.read_bytes() == FILES["Small-Q8_0.gguf"]
    row = listed(models)["mine"]
    assert row["source"] == url and row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "already installed" in models("pull", url, "--name", "mine").stderr


def test_a_url_whose_file_changed_is_begun_anew(models, hub):
    url = f"{hub.store.url}/{REPO}/Small-Q8_0.gguf"
    hub.faults["Small-Q8_0.gguf"] = ["", "break:1000000"] + ["503"] * 4
    assert models("pull", url, "--timeout", "1").returncode == 1
    hub.faults["Small-Q8_0.gguf"] = ["", "break:500000"]
    pulled(models, url)
    assert [r for _, r in hub.ranges()][-3:] == ["bytes=0-0", "bytes=1000000-", "bytes=1500000-"]
    models("remove", url)
    hub.faults["Small-Q8_0.gguf"] = ["", "break:1000000"] + ["503"] * 4
    assert models("pull", url, "--timeout", "1").returncode == 1
    hub.repos[REPO]["Small-Q8_0.gguf"] = file_of("newer", 2 * MIB)
    assert pulled(models, url).read_bytes() == file_of("newer", 2 * MIB)
    assert hub.ranges()[-1] == ("Small-Q8_0.gguf", None), "another ETag: no range is asked for"


def test_a_urls_sum_may_be_said_and_a_page_is_no_model(models, hub):
    url = f"{hub.store.url}/{REPO}/Small-Q8_0.gguf"
    ended = models("pull", url, "--sha256", "cd" * 32)
    assert ended.returncode == 1 and "set aside" in ended.stderr
    assert models("pull", url, "--sha256", "cd").returncode == 2
    hub.faults["Small-Q8_0.gguf"] = ["", "page"]
    ended = models("pull", url)
    assert ended.returncode == 1 and "no GGUF file" in ended.stderr
    pulled(models, url, "--sha256", hashlib.sha256(FILES["Small-Q8_0.gguf"]).hexdigest())


def test_https_by_the_systems_authorities(models, hub, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=loopback", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    hub.hub.wrap(context)
    env = {"HF_ENDPOINT": hub.hub.url}
    ended = models("pull", f"hf:{REPO}:Q8_0", env=env)
    assert ended.returncode == 1 and "can't be trusted" in ended.stderr
    trusting = {**env, "SSL_CERT_FILE": str(certificate)}
    ended = models("pull", f"hf:{REPO}:Q8_0", "--timeout", "1", env=trusting)
    assert ended.returncode == 1 and "has no TLS" in ended.stderr, "nothing leads back to plain HTTP"
    hub.store.wrap(context)
    assert pulled(models, f"hf:{REPO}:Q8_0", env=trusting).read_bytes() == FILES["Small-Q8_0.gguf"]


def test_two_models_of_one_name(models, hub):
    hub.repos["other/Small-GGUF"] = {"Small-Q4_K_M.gguf": file_of("other", MIB)}
    first = pulled(models, f"hf:{REPO}:Q4_K_M")
    ended = models("pull", "hf:other/Small-GGUF")
    assert ended.returncode == 2 and "--name" in ended.stderr and f"hf:{REPO}:Q4_K_M" in ended.stderr
    pulled(models, "hf:other/Small-GGUF", "--name", "other-small")
    assert first.read_bytes() == Q4
    for name in ["smollm2-135m-instruct", "../x", ".x", "a b"]:
        assert models("pull", f"hf:{REPO}:Q8_0", "--name", name).returncode == 2, name
    assert set(listed(models)) == {"small-q4_k_m", "other-small"}


def test_two_pulls_at_once_share_the_work(binary, models, hub, tmp_path):
    hub.faults["Small-Q4_K_M.gguf"] = [f"slow:{4 * MIB}"]
    env = {**os.environ, "PERMUTATION_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_TOKEN": ""}
    both = [subprocess.Popen([binary, "models", "pull", f"hf:{REPO}:Q4_K_M"], env=env, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]  # fmt: skip
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert hub.store.sent == len(Q4)


def test_removing(models, hub):
    path = pulled(models, f"hf:{REPO}:Q4_K_M")
    pulled(models, f"hf:{REPO}:Q8_0")
    ended = models("remove", f"hf:{REPO}")
    assert ended.returncode == 2 and "small-q4_k_m, small-q8_0" in ended.stderr
    ended = models("remove", "small-q4_k_m")
    assert ended.returncode == 0 and "3.0 MiB" in ended.stderr
    assert not path.parent.exists() and hidden(models) == []
    assert models("remove", f"hf:{REPO}").returncode == 0
    ended = models("remove", "small-q8_0")
    assert ended.returncode == 1 and "models list" in ended.stderr
    hub.faults["Small-Q4_K_M.gguf"] = ["break:1000000"] + ["503"] * 4
    assert models("pull", f"hf:{REPO}:Q4_K_M", "--timeout", "1").returncode == 1
    assert models("remove", f"hf:{REPO}:Q4_K_M").returncode == 0, "an unfinished one"
    assert list(models.folder.iterdir()) == []
    assert models("remove", "../models").returncode == 1


def test_a_catalogue_model_is_removed_too(models):
    row = json.loads(models("list", "--json").stdout)["models"][0]
    path = pathlib.Path(row["path"])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert models("remove", row["name"]).returncode == 0
    assert not path.parent.exists()


def test_a_pulled_model_is_served_by_name_and_by_source(binary, models, hub, model_file, tmp_path, fresh):
    """The real model, from the hub: whole and in three parts, of which two break off."""
    data = model_file.read_bytes()
    hub.repos["maker/Real-GGUF"] = {"Real-Q4_1.gguf": data}
    for number, part in enumerate(split(data, 3), 1):
        hub.repos["maker/Real-GGUF"][f"Parts/Real-Q8_0-0000{number}-of-00003.gguf"] = part
    hub.faults["Parts/Real-Q8_0-00002-of-00003.gguf"] = ["break:100000"]
    hub.faults["Parts/Real-Q8_0-00003-of-00003.gguf"] = ["stall:100000"]
    whole = pulled(models, "hf:maker/Real-GGUF:Q4_1")
    assert whole.read_bytes() == data
    joined = pulled(models, "hf:maker/Real-GGUF:Q8_0", "--timeout", "3")
    assert joined == models.folder / "real-q8_0" / "Real-Q8_0.gguf"
    assert sorted(path.name for path in joined.parent.iterdir()) == ["Real-Q8_0.gguf", "source.json"]
    row = listed(models)["real-q8_0"]
    assert len(row["files"]) == 3 and row["bytes"] == joined.stat().st_size
    assert row["sha256"] == hashlib.sha256(joined.read_bytes()).hexdigest()
    assert "already installed" in models("pull", "hf:maker/Real-GGUF:Q8_0").stderr

    env = {"PERMUTATION_HOME": str(tmp_path / "home"), "HF_ENDPOINT": "http://nobody.invalid"}
    config = tmp_path / "config.toml"
    config.write_text(
        '[server]\nport = 0\n[[model]]\nname = "hf:maker/Real-GGUF:Q4_1"\n'
        '[[model]]\nname = "real-q8_0"\n[[model]]\nname = "third"\npath = "hf:maker/Real-GGUF:Q8_0"\n'
    )
    server = RunningServer([binary, "serve", "--config", str(config)], env=env)
    client = client_of(server)
    assert {"real-q4_1", "real-q8_0", "third"} <= {model.id for model in client.models.list()}
    question = fresh("Name a colour")
    texts = [chat(client, question, model=name).choices[0].message.content for name in ["real-q4_1", "real-q8_0", "third"]]
    assert texts[0] and texts == [texts[0]] * 3
    assert server.stop() == 0

    server = RunningServer([binary, "serve", "--port", "0", "--model", "hf:maker/Real-GGUF:Q8_0"], env=env)
    assert "real-q8_0" in [model.id for model in client_of(server).models.list()]
    assert server.stop() == 0
    ended = models("pull", "hf:maker/Real-GGUF:Q8_0", env={"HF_ENDPOINT": hub.url})
    assert ended.returncode == 0


def test_serving_what_was_not_pulled_says_how(cli):
    ended = cli("serve", "--port", "0", "--model", "hf:maker/None-GGUF:Q4_0")
    assert ended.returncode != 0
    assert "permutation models pull hf:maker/None-GGUF:Q4_0" in ended.stderr
