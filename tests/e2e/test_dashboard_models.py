"""The page's table of models that come on demand, in a real Chromium: it follows what loads, goes and fails."""

import shutil

import httpx
import pytest

from chromium import browser, page, playwright  # noqa: F401

SOON = 60_000
CONFIG = """
[server]
port = 0
stop_grace_ms = 500

[models]
dir = "{folder}"
kv_bytes = 16777216

[embeddings]
enabled = false
"""


@pytest.fixture
def server(starting, model_file, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("ada", "ben"):
        shutil.copyfile(model_file, folder / f"{name}.gguf")
    (folder / "cut.gguf").write_bytes(model_file.read_bytes()[: 1 << 20])
    return starting(CONFIG.format(folder=folder))


def row(page, name):
    return page.locator("#models-table tbody tr", has=page.get_by_role("rowheader", name=name, exact=True))


def test_the_table_follows_what_loads_goes_and_fails(server, page):
    playwright.expect(page.locator("#models-table tbody tr")).to_have_count(3, timeout=SOON)
    playwright.expect(row(page, "ada")).to_contain_text("unloaded")
    playwright.expect(row(page, "ada").locator("td").nth(1)).to_have_text("0 B")
    with httpx.Client(base_url=server.url, timeout=300) as http:
        asked = {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 8}
        assert http.post("/v1/chat/completions", json={"model": "ada", **asked}).status_code == 200
        playwright.expect(row(page, "ada")).to_contain_text("ready", timeout=SOON)
        playwright.expect(row(page, "ada").locator("td").nth(1)).to_contain_text("MiB")
        playwright.expect(row(page, "ada").locator("td").last).not_to_have_text("–")
        playwright.expect(row(page, "ben")).to_contain_text("unloaded")

        failed = http.post("/v1/chat/completions", json={"model": "cut", **asked})
        assert failed.status_code == 503, failed.text
        playwright.expect(row(page, "cut")).to_contain_text("failed: ", timeout=SOON)

        http.post("/v1/models/ada/unload").raise_for_status()
        playwright.expect(row(page, "ada")).to_contain_text("unloaded", timeout=SOON)
        playwright.expect(row(page, "ada").locator("td").nth(1)).to_have_text("0 B", timeout=SOON)
