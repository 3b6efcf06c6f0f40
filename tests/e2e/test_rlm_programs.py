"""RecursiveLanguageModel with programs: a scripted root model over HTTP writes them, the sandbox runs them, the real
local model answers what they ask."""

import datetime
import json
import time

import openai
import pytest

from scripted_root import ScriptedRoot, block, serve_with_root
from server import MODEL, extension

FACT = "The secret password of the brewery in Trieste is walnut."

PROGRAMS = {
    "needle": [
        block("hits = context_search('secret password of the brewery in Trieste', 2)\nprint(hits[0]['text'])"),
        block(
            "said = llm_query('Text: ' + hits[0]['text'] + '\\n\\nWhat is the secret password of the brewery?')\n"
            "answer['content'] = said\nanswer['ready'] = True"
        ),
    ],
    "count": [block("n = sum('status=open' in line for line in context.splitlines())\nFINAL(n)")],
    "batched": [
        block(
            "parts = [context_slice(i * 400, i * 400 + 400) for i in range(3)]\n"
            "said = llm_query_batched(['Say one word about: ' + part for part in parts])\n"
            "print(len(said), all(said))\nFINAL(len(said))"
        )
    ],
    "deep": [block("FINAL('0>' + rlm_query('play:deeper'))")],
    "deeper": [block("FINAL('1>' + rlm_query('play:deepest', 'a part'))")],
    "deepest": [block("FINAL('2>' + context + '>' + str(len(rlm_query('Say hello.')) > 0))")],
    "loop": [
        block("kept = 41"),
        block("while True:\n    pass"),
        block("FINAL(kept + 1)"),
    ],
    "syntax": [block("x = ("), block("FINAL('after the error')")],
    "raises": [block("kept = 'still here'\n1 / 0"), block("FINAL_VAR('kept')")],
    "older_form": ["I know it.\nFINAL(by word alone)"],
    "endless": [block("print('again')")],
    "flood": [block("for i in range(100000):\n    llm_query('Say the number ' + str(i))")],
    "breaks": [block("print(1)"), ("status", 500)],
    "tools": [block("FINAL(to_eur(rates['USD'] * 10))")],
    "formed": [
        block(
            "import json\nform = {'type': 'json_schema', 'json_schema': {'name': 'n', 'schema': {'type': 'object', 'properties': "
            "{'count': {'type': 'integer'}}, 'required': ['count'], 'additionalProperties': False}}}\n"
            "said = llm_query('How many? ' + context, response_format=form)\nFINAL(sorted(json.loads(said)))"
        )
    ],
}


@pytest.fixture(scope="module")
def root():
    upstream = ScriptedRoot(PROGRAMS)
    yield upstream
    upstream.stop()


@pytest.fixture(scope="module")
def trajectories(tmp_path_factory):
    return tmp_path_factory.mktemp("trajectories")


@pytest.fixture(scope="module")
def client(binary, model_file, root, trajectories, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rlm")
    running = serve_with_root(binary, model_file, root, trajectories, folder, "max_iterations = 4\nblock_seconds = 1.0\n")
    yield openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=120)
    assert running.stop() == 0, running.log()


def book(paragraphs=200):
    lines = [f"On day {i} the keeper wrote {i % 7} lines and went home along the river." for i in range(paragraphs)]
    lines.insert(paragraphs // 2, FACT)
    return "\n\n".join(lines)


def play(client, name, context="nothing much", **more):
    options = {"cache": {"mode": "off"}, "trace": True, "rlm": {"context": context}, **more}
    return client.chat.completions.create(
        model="rlm", temperature=0, messages=[{"role": "user", "content": f"play:{name}"}],
        extra_body={"permutation": options}
    )


def text_of(answer):
    return answer.choices[0].message.content


def read_as_the_viewer_does(lines):
    """Every field that the `rlms` viewer takes without asking first, with the type that it counts on."""
    assert isinstance(lines[0]["root_model"], str) and isinstance(lines[0]["backend"], str)
    for line in lines[1:]:
        datetime.datetime.fromisoformat(line["timestamp"])
        assert isinstance(line["response"], str) and isinstance(line["iteration_time"], float)
        assert line["final_answer"] is None or isinstance(line["final_answer"], str)
        assert all(isinstance(message["content"], str) for message in line["prompt"])
        for block in line["code_blocks"]:
            result = block["result"]
            assert isinstance(block["code"], str) and isinstance(result["locals"], dict)
            assert isinstance(result["stdout"], str) and isinstance(result["stderr"], str)
            assert isinstance(result["execution_time"], float)
            for call in result["rlm_calls"]:
                assert isinstance(call["prompt"], str) and isinstance(call["response"], str)
                assert isinstance(call["prompt_tokens"], int) and isinstance(call["completion_tokens"], int)
                assert isinstance(call["execution_time"], float)


def test_a_program_searches_and_asks_the_local_model(client, trajectories):
    answer = play(client, "needle", book())
    engine = extension(answer)["engine"]
    assert engine["context_strategy"]["program"] == "written by t/root"
    assert engine["context_strategy"]["turns"] == 2
    assert engine["kv_cache_compression"]["enabled"] is True
    written = [json.loads(line) for line in max(trajectories.iterdir(), key=lambda p: p.stat().st_mtime).open()]
    assert [line["type"] for line in written] == ["metadata", "iteration", "iteration"]
    (made,) = written[2]["code_blocks"][0]["result"]["rlm_calls"]
    # What the small model makes of the passage hangs on the processor's last bits; that it was asked doesn't.
    assert made["root_model"] == MODEL and FACT in made["prompt"]
    assert made["response"] == text_of(answer) != ""
    read_as_the_viewer_does(written)
    assert made["prompt_tokens"] > 20 and made["completion_tokens"] > 0


def test_a_program_counts(client):
    lines = "\n".join(f"order={i}; status={('paid', 'open')[i % 2]}" for i in range(500))
    answer = play(client, "count", lines)
    assert text_of(answer) == "250"


TOOLS = {"rates": {"USD": 2.5}, "to_eur": {"python": "def to_eur(x):\n    return x * 2", "description": "dollars to euros"}}


@pytest.mark.parametrize("model", ["rlm", "unified"])
def test_a_program_has_its_callers_tools(client, root, model):
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "play:tools"}],
        extra_body={"permutation": {"cache": {"mode": "off"}, "rlm": {"context": "x", "custom_tools": TOOLS}}},
    )
    assert text_of(answer) == "50.0"
    assert "- to_eur: dollars to euros" in root.asked("tools")[-1][0]["content"]


def test_a_tool_that_cant_be_set_up_is_refused(client):
    for tools, field in [({"f": {"python": "def g(): pass"}}, "f"), ({"context": 1}, "context")]:
        with pytest.raises(openai.BadRequestError) as refused:
            play(client, "tools", rlm={"context": "x", "custom_tools": tools})
        assert refused.value.param == f"permutation.rlm.custom_tools.{field}", refused.value


def test_a_question_of_a_program_has_the_form_that_it_asks_for(client):
    assert text_of(play(client, "formed", "one, two, three")) == "['count']"


def test_sub_calls_run_side_by_side(client):
    assert text_of(play(client, "batched", book())) == "3"


def test_recursion_ends_at_the_depth_limit(client, root):
    answer = play(client, "deep")
    assert text_of(answer) == "0>1>2>a part>True"
    assert extension(answer)["engine"]["performance"]["total_depth"] == 2
    assert len(root.asked("deepest")) == 1


def test_a_runaway_loop_is_stopped_and_variables_live_on(client, root):
    begin = time.monotonic()
    assert text_of(play(client, "loop")) == "42"
    assert time.monotonic() - begin < 20
    assert "TimeoutError: the block ran for its 1 s" in root.asked("loop")[2][-2]["content"]  # what the root was told of its loop


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("syntax", "after the error", "SyntaxError"),
        ("raises", "still here", "ZeroDivisionError"),
    ],
)
def test_an_error_goes_back_to_the_root(client, root, name, said, told):
    assert text_of(play(client, name)) == said
    assert told in root.asked(name)[1][-2]["content"]


def test_the_older_form_of_an_answer(client):
    assert text_of(play(client, "older_form")) == "by word alone"


def test_turns_are_limited(client, root):
    answer = play(client, "endless")
    assert extension(answer)["engine"]["context_strategy"]["ended"] == "the turns were used up"
    assert len(root.asked("endless")) == 4 + 1  # and a last word


def test_a_flood_of_sub_calls_ends_at_the_budget(client):
    with pytest.raises(openai.APIStatusError) as caught:
        play(client, "flood", budget={"tokens": 4_000})
    assert "budget" in str(caught.value)


def test_a_root_that_fails_in_the_middle(client):
    with pytest.raises(openai.APIStatusError) as caught:
        play(client, "breaks")
    assert caught.value.status_code == 503
    assert text_of(play(client, "older_form")) == "by word alone"  # the server stays up


def test_the_second_time_is_out_of_the_cache(client, root):
    before = len(root.requests)
    first = play(client, "needle", book(), cache={})
    asked = len(root.requests) - before
    again = play(client, "needle", book(), cache={})
    assert extension(again)["cache"]["status"] == "hit"
    assert text_of(first) == text_of(again)
    assert asked == 2 and len(root.requests) - before == 2
