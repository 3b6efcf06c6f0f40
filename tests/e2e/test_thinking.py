"""A local model that thinks, asked by all three APIs. The 135M model wasn't taught to open a thought, so its template
does; and no thought of its ever ends, so each request bounds it."""

import json

import anthropic
import httpx
import pytest

from conftest import client_of, serving
from server import MODEL

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' and 'refuse me' in m.content %}"
    "{{ raise_exception('No such questions, please') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if reasoning_effort %}<|im_start|>system\nThink with {{ reasoning_effort }} effort.<|im_end|>\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n"
    "{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}{% endif %}"
)
QUESTION = [{"role": "user", "content": "Write a long story about a river and its fish."}]
BUDGET = 12


@pytest.fixture(scope="module")
def thinker(binary, model_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("thinking")
    template = folder / "thinks.jinja"
    template.write_text(TEMPLATE)
    yield from serving(binary, model_file, folder, model_more=f'chat_template = "{template}"')


@pytest.fixture(scope="module")
def http_of(thinker):
    with httpx.Client(base_url=thinker.url, timeout=600) as http:
        yield http


@pytest.fixture
def ask(http_of):
    """The answer's JSON to one greedy question with a budget, unless `more` says otherwise."""

    def create(**more):
        body = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 60,
                "permutation": {"thinking": {"budget_tokens": BUDGET}}, **more}  # fmt: skip
        answer = http_of.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return create


def extension(answer):
    return answer["permutation"]


def thoughts(usage):
    return (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)


def test_thoughts_stand_apart_and_have_a_budget(thinker, http_of):
    answer = client_of(thinker).chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=60,
        extra_body={"permutation": {"thinking": {"budget_tokens": BUDGET}}})  # fmt: skip
    message = answer.choices[0].message
    assert message.reasoning_content and message.content
    assert "think>" not in message.reasoning_content + message.content
    counted = answer.usage.completion_tokens_details.reasoning_tokens
    assert BUDGET < counted <= BUDGET + 12, "what closes the thought counts, too"
    assert counted < answer.usage.completion_tokens <= 60
    models = {one["id"]: one for one in http_of.get("/v1/models").json()["data"]}
    assert models[MODEL]["meta"]["thinks"] is True


def test_streamed_they_come_first(thinker, ask):
    whole = ask()["choices"][0]["message"]
    kinds, texts = [], {"reasoning_content": "", "content": ""}
    stream = client_of(thinker).chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=60, stream=True,
        extra_body={"permutation": {"thinking": {"budget_tokens": BUDGET}, "cache": {"mode": "off"}}})  # fmt: skip
    for chunk in stream:
        delta = chunk.choices[0].delta.model_dump() if chunk.choices else {}
        for kind in texts:
            if delta.get(kind):
                kinds.append(kind)
                texts[kind] += delta[kind]
    assert texts == {kind: whole[kind] for kind in texts}
    assert kinds.count("reasoning_content") > 3 and kinds.count("content") > 1, "piece by piece"
    assert kinds == sorted(kinds, reverse=True)


def test_the_cache_keeps_them_beside_the_answer(http_of, ask):
    asked = [{"role": "user", "content": "Describe all the colours of the rainbow, one after the other."}]
    first, again = ask(messages=asked), ask(messages=asked)
    assert extension(first)["cache"]["status"] == "miss" and extension(again)["cache"]["status"] == "hit"
    assert again["choices"][0]["message"] == first["choices"][0]["message"]
    assert thoughts(again["usage"]) == thoughts(first["usage"]) > 0
    entry = http_of.get("/v1/cache/entries/" + extension(first)["cache"]["key"]).json()
    assert entry["value"]["choices"][0]["text"] == first["choices"][0]["message"]["content"]
    other = ask(messages=asked, permutation={"thinking": {"budget_tokens": BUDGET - 1}})
    assert extension(other)["cache"]["status"] == "miss", "another budget is another question"


def test_on_and_off(ask):
    on = ask()
    ways = ({"reasoning_effort": "none"}, {"chat_template_kwargs": {"enable_thinking": False}},
            {"permutation": {"thinking": {"budget_tokens": 0}}})  # fmt: skip
    for way in ways:
        off = ask(**way)
        assert "reasoning_content" not in off["choices"][0]["message"], way
        assert off["choices"][0]["message"]["content"]
        assert thoughts(off["usage"]) == 0, "the template has closed the thought"
        assert "ignored" not in extension(off)
    high = ask(reasoning_effort="high")
    assert high["choices"][0]["message"]["reasoning_content"]
    assert high["usage"]["prompt_tokens"] > on["usage"]["prompt_tokens"], "the template knows the word"


def test_history_goes_back_where_the_template_shows_it(ask):
    def turns(**thought):
        said = {"role": "assistant", "content": "It flowed.", **thought}
        return [*QUESTION, said, {"role": "user", "content": "And of the sea?"}]

    bare, shown = ask(messages=turns()), ask(messages=turns(reasoning_content="Rivers flow into the sea, and fish live in them."))
    assert shown["usage"]["prompt_tokens"] > bare["usage"]["prompt_tokens"] + 5


def test_a_form_binds_the_answer_alone(ask):
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"],
              "additionalProperties": False}  # fmt: skip
    message = ask(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})["choices"][0]["message"]
    assert list(json.loads(message["content"])) == ["city"]
    assert message["reasoning_content"] and not message["reasoning_content"].startswith("{")


def test_logprobs_and_stops_are_the_answers(ask):
    choice = ask(logprobs=True)["choices"][0]
    said = "".join(one["token"] for one in choice["logprobs"]["content"])
    assert said.strip() == choice["message"]["content"].strip()
    thought = choice["message"]["reasoning_content"]
    stopped = ask(stop=[thought[:3]])["choices"][0]["message"]
    assert stopped["reasoning_content"] == thought


def test_a_call_comes_after_the_thought(ask):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}}}  # fmt: skip
    choice = ask(tools=[tool], tool_choice="required", parallel_tool_calls=False, max_tokens=100)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"]
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}


def test_responses_have_an_item_of_them(thinker, ask):
    client = client_of(thinker)
    more = {"model": MODEL, "input": QUESTION[0]["content"], "temperature": 0, "max_output_tokens": 60,
            "extra_body": {"permutation": {"thinking": {"budget_tokens": BUDGET}}}}  # fmt: skip
    answer = client.responses.create(**more)
    chat = ask()["choices"][0]["message"]
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert answer.output[0].content[0].text == chat["reasoning_content"]
    assert answer.output_text == chat["content"]
    assert answer.usage.output_tokens_details.reasoning_tokens > BUDGET
    kinds = [event.type for event in client.responses.create(stream=True, **more)]
    assert "response.reasoning_text.delta" in kinds
    gone_on = client.responses.create(**{**more, "input": "And of the sea?", "previous_response_id": answer.id})
    assert gone_on.usage.input_tokens > answer.usage.input_tokens + BUDGET, "its thoughts went along"
    off = client.responses.create(**more, reasoning={"effort": "none"})
    assert [item.type for item in off.output] == ["message"]


def test_messages_have_a_block_of_them(thinker, ask):
    claude = anthropic.Anthropic(base_url=thinker.url, api_key="none", max_retries=0, timeout=600)
    more = {"model": MODEL, "max_tokens": 60, "messages": QUESTION, "extra_body": {"temperature": 0}}
    answer = claude.messages.create(**more, thinking={"type": "enabled", "budget_tokens": BUDGET})
    chat = ask(reasoning_effort="low")["choices"][0]["message"]
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].thinking == chat["reasoning_content"]
    assert answer.content[1].text == chat["content"]
    off = claude.messages.create(**more, thinking={"type": "disabled"})
    assert [block.type for block in off.content] == ["text"]


def test_what_a_template_refuses_is_told(http_of):
    answer = http_of.post("/v1/chat/completions",
                          json={"model": MODEL, "messages": [{"role": "user", "content": "refuse me"}]})  # fmt: skip
    assert answer.status_code == 400
    assert "No such questions, please" in answer.json()["error"]["message"]
    ours = http_of.post("/v1/chat/completions",
                        json={"model": MODEL, "messages": QUESTION, "chat_template_kwargs": {"messages": []}})  # fmt: skip
    assert ours.status_code == 400 and ours.json()["error"]["param"] == "chat_template_kwargs.messages"


def test_a_model_that_does_not_think_says_so(http):
    answer = http.post("/v1/chat/completions", json={
        "model": MODEL, "messages": QUESTION, "max_tokens": 2, "reasoning_effort": "low",
        "permutation": {"thinking": {"budget_tokens": 9}}}).json()  # fmt: skip
    assert extension(answer)["ignored"] == ["reasoning_effort", "permutation.thinking"]
    assert "reasoning_content" not in answer["choices"][0]["message"]
