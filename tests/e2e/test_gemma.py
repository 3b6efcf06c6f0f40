"""The second architecture, a base model with local layers: needs `permutation models pull gemma3-270m`."""

import openai
import pytest

from server import RunningServer, complete, extension

GEMMA = "gemma3-270m"


@pytest.fixture(scope="module")
def gemma(binary, model_file):
    file = model_file.parent.parent / GEMMA / "gemma-3-270m-q4_k_m.gguf"
    if not file.is_file():
        pytest.skip(f"not installed: {file}; `permutation models pull {GEMMA}` fetches it")
    running = RunningServer([binary, "serve", "--port", "0", "--model", str(file)])
    yield openai.OpenAI(base_url=running.url + "/v1", api_key="none", max_retries=0, timeout=300)
    assert running.stop() == 0, running.log()


def test_goes_on_from_a_text(gemma):
    answer = complete(gemma, "Monday, Tuesday, Wednesday, Thursday,", model=GEMMA, max_tokens=4)
    assert "Friday" in answer.choices[0].text
    assert answer.usage.completion_tokens == 4


def test_a_chat_is_refused_and_told_where_to_go(gemma):
    with pytest.raises(openai.BadRequestError) as refused:
        gemma.chat.completions.create(model=GEMMA, messages=[{"role": "user", "content": "Hello"}])
    assert "/v1/completions" in str(refused.value)
    assert refused.value.param == "model"


def test_local_layers_hold_their_window_and_prefixes_are_reused(gemma):
    text = "\n".join(f"Crate {i} holds {i * 7 % 31} brass lamps." for i in range(90))
    off = {"permutation": {"cache": {"mode": "off"}}}
    first = complete(gemma, text + "\nCrate 90", model=GEMMA, max_tokens=4, extra_body=off)
    kv = extension(first)["kv"]
    assert kv["tokens_total"] > 1000
    # 15 of 18 layers see 512 tokens: f16 for everything would be 18 KiB a token.
    assert kv["bytes"] < kv["tokens_total"] * 18432 * 0.75
    again = complete(gemma, text + "\nCrate 17", model=GEMMA, max_tokens=4, extra_body=off)
    assert extension(again)["kv"]["prefix_tokens_reused"] > 1000
