"""PermutationEngine with a teacher: a scripted server, and a second server of our own."""

import httpx
import openai
import pytest

from scripted_upstream import CONFIG, UNSURE, ScriptedUpstream
from server import MODEL, RunningServer, chat, extension, streamed

PRICES = """
[prices."t/large"]
input_per_mtok = 1000.0
output_per_mtok = 1000.0
"""


@pytest.fixture(scope="module")
def teacher():
    upstream = ScriptedUpstream()
    yield upstream
    upstream.stop()


def engine_server(binary, model_file, tmp_path_factory, url, models='["large"]'):
    config = tmp_path_factory.mktemp("cascade") / "config.toml"
    config.write_text(CONFIG.format(model=model_file, url=url, models=models) + PRICES + UNSURE)
    return RunningServer([binary, "serve", "--config", str(config)])


@pytest.fixture(scope="module")
def unsure(binary, model_file, teacher, tmp_path_factory):
    running = engine_server(binary, model_file, tmp_path_factory, teacher.url)
    yield openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=120)
    assert running.stop() == 0, running.log()


def ask(client, text, budget=None, **options):
    asked = {"trace": True} if budget is None else {"trace": True, "budget": budget}
    return chat(client, text, model="permutation", extra_body={"permutation": asked}, **options)


def engine(answer):
    return extension(answer)["engine"]


def steps(answer):
    return {step["component"]: step for step in engine(answer)["trace"]["steps"]}


def test_an_unsure_student_is_stopped_and_the_teacher_answers(unsure, fresh):
    text = fresh("Is it so? do:ok")
    answer = ask(unsure, text)
    assert answer.choices[0].message.content == "It is so."
    metadata = engine(answer)["metadata"]
    assert metadata["answered_by"] == "teacher"
    assert (metadata["student_calls"], metadata["teacher_calls"]) == (1, 1)
    assert metadata["cost"] == pytest.approx(0.014)
    assert metadata["degraded"] is False
    assert 0 < metadata["quality_score"] < 1
    assert steps(answer)["confidence"]["output"]["tokens"] == 4
    assert answer.model_extra["citations"] == ["https://a.example/1"]
    assert engine(answer)["answer"] == "It is so."
    assert engine(answer)["reasoning"]
    again = ask(unsure, text)
    assert extension(again)["cache"]["status"] == "hit"
    assert extension(again)["cache"]["usd_saved"] == pytest.approx(0.014)
    assert engine(again)["metadata"]["teacher_calls"] == 0
    assert again.model_extra["citations"] == ["https://a.example/1"]


def test_the_teachers_words_stream_through(unsure, fresh):
    said, last, chunks = streamed(ask(unsure, fresh("do:ok"), stream=True))
    assert said == "It is so."
    assert len([c for c in chunks if c.choices and c.choices[0].delta.content]) == 3
    assert engine(last)["metadata"]["answered_by"] == "teacher"


def test_a_failed_teacher_leaves_a_degraded_answer_that_is_not_kept(unsure, fresh):
    text = fresh("What is the capital of Peru? do:500,500,ok")
    for _ in range(2):
        answer = ask(unsure, text)
        assert extension(answer)["cache"]["status"] == "miss"
        assert engine(answer)["metadata"]["degraded"] is True
        assert engine(answer)["metadata"]["answered_by"] in ("student", "fallback")
        assert "500" in engine(answer)["metadata"]["degraded_why"]
        assert steps(answer)["teacher"]["status"] == "failed"
        assert answer.choices[0].message.content
    assert engine(ask(unsure, text))["metadata"]["answered_by"] == "teacher"


def test_a_teacher_that_breaks_off_is_an_error(unsure, fresh):
    with pytest.raises(openai.APIError):
        list(ask(unsure, fresh("do:break"), stream=True))


def test_budgets_are_not_overrun_by_more_than_a_call(unsure, teacher, fresh):
    before = len(teacher.requests)
    answer = ask(unsure, fresh("do:ok"), budget={"tokens": 1})
    assert engine(answer)["metadata"]["degraded_why"] == "the budget of 1 tokens is used up"
    assert len(teacher.requests) == before
    with pytest.raises(openai.RateLimitError, match="budget of 0"):
        ask(unsure, fresh("do:ok"), budget={"usd": 0})
    assert engine(ask(unsure, fresh("do:ok"), budget={"usd": 0.001}))["metadata"]["cost"] == pytest.approx(0.014)


def test_a_second_server_of_our_own_as_teacher(binary, server, model_file, tmp_path_factory, fresh, client):
    running = engine_server(binary, model_file, tmp_path_factory, server.url + "/v1", f'{{ large = "{MODEL}" }}')
    try:
        own = openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=120)
        question = fresh("Name three colours.")
        answer = ask(own, question)
        assert engine(answer)["metadata"]["answered_by"] == "teacher"
        assert answer.choices[0].message.content == chat(client, question).choices[0].message.content
        audit = httpx.get(running.url + "/v1/audit").json()
        ask(own, question)
        after = httpx.get(running.url + "/v1/audit").json()
        used = [a["caches"][0]["used_in"]["permutation"]["count"] for a in (audit, after)]
        assert used[1] == used[0] + 1
    finally:
        assert running.stop() == 0, running.log()


def test_the_seconds_of_a_local_answer_are_bounded(client, fresh):
    budget = {"permutation": {"budget": {"seconds": 0.5}, "cache": {"mode": "off"}}}
    answer = chat(client, fresh("Write a very long story."), max_tokens=4000, extra_body=budget)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens < 4000
