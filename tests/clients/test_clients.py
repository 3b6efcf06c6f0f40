"""openai 2.x (3.x is what tests/e2e uses), litellm, langchain-openai and llm, as their users call them."""

import os
import subprocess
import sys

import litellm
import openai
import pytest
from langchain_openai import ChatOpenAI

from server import MODEL, chat, extension, off, streamed

QUESTION = "Name a colour."


@pytest.fixture
def base(server):
    return server.url + "/v1"


@pytest.fixture
def client(base, key):
    return openai.OpenAI(base_url=base, api_key=key["key"], max_retries=0, timeout=120)


def test_openai_2(client):
    assert openai.__version__.startswith("2."), openai.__version__
    assert MODEL in [model.id for model in client.models.list()]
    first = chat(client, QUESTION)
    again = chat(client, QUESTION)
    assert first.choices[0].message.content == again.choices[0].message.content
    assert extension(again)["cache"]["status"] == "hit"
    text, last, _ = streamed(chat(client, QUESTION, stream=True, stream_options={"include_usage": True}))
    assert text == first.choices[0].message.content
    with pytest.raises(openai.NotFoundError):
        chat(client, QUESTION, model="no-such-model")


def test_openai_2_asynchronously(base, key):
    import asyncio

    async def ask():
        async with openai.AsyncOpenAI(base_url=base, api_key=key["key"], max_retries=0) as client:
            answers = await asyncio.gather(*(chat(client, f"{QUESTION} {i}", extra_body=off()) for i in range(4)))
            return [answer.choices[0].message.content for answer in answers]

    assert all(asyncio.run(ask()))


def test_litellm(base, key):
    call = dict(model=f"openai/{MODEL}", api_base=base, api_key=key["key"], temperature=0, max_tokens=16,
                messages=[{"role": "user", "content": QUESTION}])  # fmt: skip
    answer = litellm.completion(**call)
    assert answer.choices[0].message.content and answer.usage.total_tokens > 0
    text = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **call))
    assert text == answer.choices[0].message.content
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**{**call, "api_key": "wrong"})


def test_langchain(base, key):
    model = ChatOpenAI(model=MODEL, base_url=base, api_key=key["key"], temperature=0, max_tokens=16, max_retries=0)
    answer = model.invoke(QUESTION)
    assert answer.content and answer.usage_metadata["output_tokens"] > 0
    assert "".join(chunk.content for chunk in model.stream(QUESTION)) == answer.content
    batch = model.batch([QUESTION, "Name a fruit."])
    assert batch[0].content == answer.content and batch[1].content


def test_llm(base, key, tmp_path):
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: here\n  model_name: {MODEL}\n  api_base: {base}\n  api_key_name: here\n"
    )
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}

    def llm(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "llm", *arguments], capture_output=True, text=True, timeout=120, env=environment, check=True
        ).stdout

    llm("keys", "set", "here", "--value", key["key"])
    assert llm("-m", "here", "--no-stream", "-o", "temperature", "0", "-o", "max_tokens", "16", QUESTION).strip()
    assert llm("-m", "here", "-o", "temperature", "0", "-o", "max_tokens", "16", QUESTION).strip()
