"""Sessions of `rlm` over HTTP: a scripted root writes the programs, the sandbox keeps their variables."""

import hashlib
import threading
import time

import httpx
import pytest

from scripted_root import ScriptedRoot, block, serve_with_root

PROGRAMS = {
    "begin": [block("rows = context.splitlines()\nFINAL(len(rows))")],
    "go_on": [block("FINAL(rows[-1] + '|' + context.splitlines()[0] + '|' + history[-1]['answer'])")],
    "contexts": [block("FINAL([context, context_0[:5], len(rows)])")],
    "lost": [block("FINAL('rows' in globals())")],
    "dies": [block("import os\nos._exit(1)"), block("FINAL(len(context))")],
    "slow": [block("import time\ntime.sleep(3)\nFINAL('slept')")],
}
KEYS = "\n".join(
    f'[[key]]\nname = "{name}"\ntenant = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\nscopes = ["inference"]\n'
    for name in ("ann", "ben")
)
LIMITS = "sandbox = \"bubblewrap\"\nsessions_tenant_max = 3\nsession_idle_seconds = 8\n"
TEXT = "first\nsecond\nthird"


@pytest.fixture(scope="module")
def root():
    upstream = ScriptedRoot(PROGRAMS)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def server(binary, model_file, root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sessions")
    running = serve_with_root(binary, model_file, root, folder, folder, LIMITS + KEYS)
    yield running
    assert running.stop() == 0, running.log()


def headers(who):
    return {"authorization": f"Bearer {who}"}


def ask(server, name, session, who="ann", model="rlm", **rlm):
    body = {"model": model, "temperature": 0, "messages": [{"role": "user", "content": f"play:{name}"}],
            "permutation": {"rlm": {"session": session, **rlm}}}
    return httpx.post(server.url + "/v1/chat/completions", json=body, headers=headers(who), timeout=60)


def said(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["permutation"]["engine"]["context_strategy"]["session"]


def error(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def sessions(server, who="ann"):
    answer = httpx.get(server.url + "/v1/rlm/sessions", headers=headers(who))
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["data"]}


def test_variables_stay_and_the_context_need_not_come_again(server):
    first = ask(server, "begin", "s", context=TEXT)
    assert said(first) == "3" and told(first)["turn"] == 1 and told(first)["resumed"] is False
    second = ask(server, "go_on", "s")
    assert said(second) == "third|first|3"
    assert told(second) == {"id": "s", "turn": 2, "resumed": True, "contexts": 1}
    assert said(ask(server, "contexts", "s", context="another")) == "['another', 'first', 3]"
    shown = sessions(server)["s"]
    assert shown["turns"] == 3 and shown["contexts"] == 2 and shown["repl"] and not shown["busy"]
    assert shown["bytes"] == len(TEXT) + len("another")


def test_its_answers_have_nothing_to_do_with_the_cache(server, root):
    for _ in range(2):
        answer = ask(server, "begin", "uncached", context=TEXT)
        assert said(answer) == "3"
        assert answer.headers["x-permutation-cache"] == "bypass"
    assert told(answer)["turn"] == 2


def test_a_tenant_has_its_own(server):
    ask(server, "begin", "mine", context=TEXT)
    refused = error(ask(server, "go_on", "mine", who="ben"), 404)
    assert refused["param"] == "permutation.rlm.session" and "send the context again" in refused["message"]
    assert "mine" not in sessions(server, "ben")
    assert httpx.delete(server.url + "/v1/rlm/sessions/mine", headers=headers("ben")).status_code == 404
    assert said(ask(server, "go_on", "mine")) == "third|first|3"


def test_one_is_ended_by_name(server):
    ask(server, "begin", "ended", context=TEXT)
    gone = httpx.delete(server.url + "/v1/rlm/sessions/ended", headers=headers("ann"))
    assert gone.json() == {"id": "ended", "object": "rlm.session", "deleted": True}
    assert httpx.delete(server.url + "/v1/rlm/sessions/ended", headers=headers("ann")).status_code == 404
    error(ask(server, "go_on", "ended"), 404)
    anew = ask(server, "lost", "ended", context=TEXT)
    assert said(anew) == "False" and told(anew)["resumed"] is False and "why" in told(anew)


def test_a_second_request_at_once_is_refused(server):
    answers = []
    first = threading.Thread(target=lambda: answers.append(ask(server, "slow", "busy", context=TEXT)))
    first.start()
    while not sessions(server).get("busy", {}).get("busy"):
        time.sleep(0.02)
    refused = error(ask(server, "begin", "busy", context=TEXT), 409)
    assert refused["param"] == "permutation.rlm.session" and "another session" in refused["message"]
    assert httpx.delete(server.url + "/v1/rlm/sessions/busy", headers=headers("ann")).status_code == 409
    first.join()
    assert said(answers[0]) == "slept"


def test_a_process_that_dies_is_told(server):
    ask(server, "begin", "dying", context=TEXT)
    answer = ask(server, "dies", "dying")
    assert said(answer) == str(len(TEXT))
    assert told(answer)["resumed"] is False and "variables are gone" in told(answer)["why"]
    assert said(ask(server, "lost", "dying")) == "False"
    assert httpx.get(server.url + "/health").status_code == 200


def test_the_least_recently_used_makes_room_and_an_idle_one_ends(server):
    for name in ("a", "b", "c", "d"):
        ask(server, "begin", name, context=TEXT, who="ben")
    assert set(sessions(server, "ben")) == {"b", "c", "d"}
    deadline = time.monotonic() + 30
    while sessions(server, "ben"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "was idle" in error(ask(server, "go_on", "d", who="ben"), 404)["message"]


def test_unified_sends_it_to_rlm(server):
    ask(server, "begin", "through", model="unified", context=TEXT)
    answer = ask(server, "go_on", "through", model="unified")
    assert said(answer) == "third|first|3"


@pytest.mark.parametrize("name", [5, "", "a/b", ".hidden", "x" * 65, ["s"], {"id": "s"}])
def test_a_name_that_is_none_is_refused(server, name):
    refused = error(ask(server, "begin", name, context=TEXT), 400)
    assert refused["param"] == "permutation.rlm.session"


def counted(server):
    """What /metrics has of sessions, less the prefix of the names."""
    lines = httpx.get(server.url + "/metrics").text.splitlines()
    names = "permutation_rlm_sessions_"
    return {key[len(names):]: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line.startswith(names))}


def test_a_server_that_is_killed_in_a_session_says_what_is_gone(binary, model_file, root, tmp_path):
    def started():
        return serve_with_root(binary, model_file, root, tmp_path, tmp_path, 'sandbox = "bubblewrap"\n')

    server = started()
    assert said(ask(server, "begin", "s", context=TEXT)) == "3"
    assert said(ask(server, "go_on", "s")) == "third|first|3"
    before = counted(server)
    assert (before["begun_total"], before["resumed_total"], before["open"], before["bytes"]) == (1, 1, 1, len(TEXT))
    asking = threading.Thread(target=lambda: pytest.raises(httpx.HTTPError, ask, server, "slow", "s"))
    asking.start()
    while counted(server)["busy"] == 0:
        time.sleep(0.02)
    server.kill()
    asking.join()
    again = started()
    assert set(counted(again).values()) == {0, before["bytes_max"]}
    refused = error(ask(again, "go_on", "s"), 404)
    assert refused["param"] == "permutation.rlm.session" and "send the context again" in refused["message"]
    anew = ask(again, "begin", "s", context=TEXT)
    assert said(anew) == "3" and told(anew)["turn"] == 1 and "started anew" in told(anew)["why"]
    assert said(ask(again, "go_on", "s")) == "third|first|3"
    assert again.stop() == 0, again.log()
