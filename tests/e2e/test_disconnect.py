"""A client that leaves: the generation stops, its pages are free, others go on."""

import threading

import httpx
import pytest

from server import MODEL, complete, off, until

# It goes on counting for thousands of tokens if nobody stops it.
LONG = {
    "model": MODEL,
    "prompt": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,",
    "temperature": 0,
    "max_tokens": 6000,
}


def start_and_leave(url, body, lines=4):
    """Reads a few chunks of a stream, then hangs up."""
    with httpx.stream("POST", url + "/v1/completions", json={**body, "stream": True}, timeout=60) as answer:
        assert answer.status_code == 200
        for number, _ in enumerate(answer.iter_lines()):
            if number == lines:
                return


def test_leaving_a_stream_stops_the_generation(server, idle):
    before = idle()["engine"]
    start_and_leave(server.url, {**LONG, "permutation": {"cache": {"mode": "off"}}})
    after = idle(3)["engine"]
    assert after["requests"] - before["requests"] == 1
    assert after["cancelled"] - before["cancelled"] == 1
    assert after["completed"] == before["completed"]


def test_leaving_before_the_answer_stops_it_too(server, idle):
    before = idle()["engine"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(server.url + "/v1/completions", json={**LONG, **off()}, timeout=1)
    after = idle(3)["engine"]
    assert after["cancelled"] - before["cancelled"] == 1


def test_one_of_two_that_share_may_leave(server, client, idle, pool, fresh):
    """The computation goes on for the one that stays, and ends with the last."""
    body = {**LONG, "prompt": fresh("1, 2, 3, 4, 5, 6, 7, 8,"), "max_tokens": 60}
    before = idle()["engine"]
    stays = {}

    def stay():
        stays["answer"] = complete(client, body["prompt"], max_tokens=60)

    thread = threading.Thread(target=stay)
    thread.start()
    until(lambda: pool()["engine"]["requests"] == before["requests"] + 1)
    start_and_leave(server.url, body, lines=0)
    thread.join(60)
    assert stays["answer"].usage.completion_tokens > 0
    after = idle(3)["engine"]
    assert after["requests"] - before["requests"] == 1
    assert after["cancelled"] == before["cancelled"]


def test_nothing_half_made_is_stored(server, client, http, idle, fresh):
    body = {**LONG, "prompt": fresh(LONG["prompt"])}
    idle()
    before = http.get("/v1/cache").json()["stores"]
    start_and_leave(server.url, body)
    idle(3)
    assert http.get("/v1/cache").json()["stores"] == before


def test_many_leave_at_once(server, idle):
    idle()
    bodies = [{**LONG, "prompt": f"{LONG['prompt']} {n},", **off()} for n in range(12)]
    threads = [threading.Thread(target=start_and_leave, args=(server.url, body)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    idle(5)


def test_the_server_answers_while_a_long_one_runs(server, client, idle, fresh):
    stop = threading.Event()

    def long_one():
        with httpx.stream(
            "POST", server.url + "/v1/completions", json={**LONG, **off(), "stream": True}, timeout=60
        ) as answer:
            for _ in answer.iter_lines():
                if stop.is_set():
                    return

    thread = threading.Thread(target=long_one)
    thread.start()
    try:
        until(lambda: httpx.get(server.url + "/v1/kv").json()["models"][0]["engine"]["running"] == 1)
        assert complete(client, fresh("Two plus two is"), max_tokens=4).choices[0].text
    finally:
        stop.set()
        thread.join(60)
    idle(5)
