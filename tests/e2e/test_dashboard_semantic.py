"""Answers to other wordings on the page, with the real embedder and model: what was served, how much of it is wrong, and a
person's word that stops a wrong one. In a real Chromium."""

import os

import httpx
import pytest

from chromium import browser, open_view, page, playwright  # noqa: F401
from conftest import client_of, serving
from server import RunningServer, extension, until
from test_semantic import asked

FIRST, SECOND = "What is the capital city of Peru?", "What's the capital city of Peru?"


@pytest.fixture(autouse=True)
def installed():
    if not os.path.isfile(os.environ.get("PERMUTATION_EMBEDDER", "")):
        pytest.skip("PERMUTATION_EMBEDDER names no file; ./dev test fetches the embedding model")


@pytest.fixture
def server(binary, model_file, tmp_path):
    """One of its own for each test: what a pair must reach is learnt."""
    yield from serving(binary, model_file, tmp_path)


def served_once(server):
    """A client, and FIRST's answer given to SECOND: again where one in fifty is computed to learn."""
    client = client_of(server)
    for i in range(5):
        asked(client, FIRST, f"space {i}")
        until(lambda: httpx.get(server.url + "/v1/cache").json()["semantic"]["entries"] > i)
        if extension(asked(client, SECOND, f"space {i}"))["cache"]["status"] == "semantic_hit":
            return client, f"space {i}"
    raise AssertionError("no other wording was served")


def test_a_wrong_answer_is_stopped_from_the_page_and_the_word_is_taken_back(server, page):
    client, space = served_once(server)
    figures = lambda: httpx.get(server.url + "/v1/cache").json()  # noqa: E731
    open_view(page, "cache")
    pair = page.locator("#pair-list > li").first
    playwright.expect(pair).to_contain_text(SECOND)
    playwright.expect(pair).to_contain_text(FIRST)
    playwright.expect(pair).to_contain_text("the cached answer was given")
    tiles = page.locator("#semantic-figures")
    playwright.expect(tiles).to_contain_text("served of")
    before = figures()["semantic"]
    pair.get_by_role("button", name="Different").click()
    playwright.expect(page.locator("#pairs-said")).to_contain_text("answers that question no more")
    after = figures()
    compared, wrong = after["semantic"]["quality"]["compared"], after["semantic"]["quality"]["wrong"]
    assert (compared, wrong) == (before["quality"]["compared"] + 1, before["quality"]["wrong"] + 1)
    assert after["semantic"]["judged"] == {"same": 0, "different": 1} and after["false_hits"] == 1
    shown = page.evaluate("n => percent(n)", after["semantic"]["quality"]["wrong_low"])
    playwright.expect(tiles).to_contain_text(f"wrong ({wrong} of {compared}); with 95 % certainty from {shown}", timeout=5000)
    look = {"permutation": {"cache": {"mode": "read_only", "namespace": space, "semantic": {"error_max": 0.1}}}}
    answer = client.chat.completions.create(model="smollm2-135m-instruct", temperature=0, max_tokens=24, extra_body=look, messages=[{"role": "user", "content": SECOND}])
    assert "judged to have another answer" in extension(answer)["cache"]["why"]
    page.locator("#pairs-said button").click()
    playwright.expect(page.locator("#pairs-said")).to_have_text("Taken back.")
    assert figures()["semantic"]["judged"] == {"same": 0, "different": 0}
    assert figures()["semantic"]["quality"]["compared"] == before["quality"]["compared"]
    pair.get_by_role("button", name="Same").click()
    playwright.expect(page.locator("#pairs-said")).to_contain_text("Judged the same.")
    page.select_option("#pairs-only", "judged")
    playwright.expect(page.locator("#pair-list > li").first.get_by_role("button", name="Same")).to_have_attribute("aria-pressed", "true")
    assert figures()["semantic"]["judged"] == {"same": 1, "different": 0}


def test_a_server_without_other_wordings_shows_no_figures_of_them(browser, binary, model_file, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n[embeddings]\nenabled = false\n')
    server = RunningServer([binary, "serve", "--config", str(config)])
    shown = browser.new_page()
    shown.goto(server.url + "#cache")
    playwright.expect(shown.locator("#cache-line")).to_contain_text("exact hits")
    playwright.expect(shown.locator("#semantic")).to_be_hidden()
    shown.close()
    assert server.stop() == 0
