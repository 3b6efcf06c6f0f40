"""The page's first screen: what was saved in a piece of time, its curves, and a server that goes away and comes back."""

import re

import httpx
import pytest

from chromium import browser, open_view, page, playwright, watched  # noqa: F401
from server import MODEL, RunningServer, chat, until

CONFIG = """
[server]
port = {port}
stop_grace_ms = 500

[[model]]
path = "{model}"

[embeddings]
enabled = false

[cache]
path = "{folder}/cache"

[knowledge]
path = "{folder}/knowledge"

[prices."{name}"]
input_per_mtok = 100.0
output_per_mtok = 400.0
"""


def serve(binary, model_file, folder, port=0):
    config = folder / "config.toml"
    config.write_text(CONFIG.format(port=port, model=model_file, folder=folder, name=MODEL))
    return RunningServer([binary, "serve", "--config", str(config)])


def total_of(url, span="24h"):
    return httpx.get(f"{url}/v1/history?range={span}").json()["total"]


def test_the_sentence_and_the_figures_are_the_histories(page, client, http, fresh):
    text = fresh()
    for _ in range(3):
        chat(client, text)
    page.get_by_role("button", name="hour", exact=True).click()
    total = total_of(str(http.base_url).rstrip("/"), "1h")
    requests = total["requests"]
    memory = requests["exact"] + requests["semantic"] + requests["shared"]
    assert memory >= 2 and total["tokens_saved"] > 0
    said = page.locator("#said")
    playwright.expect(said).to_contain_text(f"Of {sum(requests.values()):,} requests in the last hour, {memory:,} were answered", timeout=10_000)
    playwright.expect(said).to_contain_text(f"saved {total['tokens_saved']:,} tokens")
    playwright.expect(said).to_contain_text(re.compile(r"\$[\d.]+ of \$[\d.]+"))
    figures = page.locator("#figures .tile")
    playwright.expect(figures).to_have_count(4)
    playwright.expect(figures.nth(1).locator("b")).to_have_text(f"{total['tokens_saved']:,}")
    for figure in figures.all():
        playwright.expect(figure.locator(".trend")).to_contain_text("the hour before")
    row = page.locator("#callers-table tbody tr", has_text=MODEL)
    playwright.expect(row.first).to_be_visible()


def test_a_chart_is_read_by_mouse_keys_and_touch(page, client, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    page.get_by_role("button", name="hour", exact=True).click()
    chart = page.locator(".chart", has_text="Requests, by what answered them")
    plot, readout = chart.locator(".plot"), chart.locator(".readout")
    playwright.expect(plot.locator("path.c-exact")).to_have_attribute("d", re.compile("M"), timeout=10_000)
    assert plot.locator("text").count() >= 5, "axes with figures"
    plot.focus()  # the last step, which holds now or the half minute before
    page.keyboard.press("End")
    seen = [readout.inner_text()]
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
        seen.append(readout.inner_text())
    assert any(re.search(r"\d\d:\d\d.* to .*: \d+ in all, .*from memory, exact \d", text) for text in seen), seen
    assert plot.locator(".cursor").count() == 1
    page.keyboard.press("Home")
    playwright.expect(readout).to_contain_text("nothing is known")  # the server didn't run an hour ago
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 50)
    playwright.expect(readout).not_to_contain_text("nothing is known")
    plot.dispatch_event("pointerdown", {"clientX": box["x"] + 60, "clientY": box["y"] + 50, "pointerType": "touch"})
    playwright.expect(readout).to_contain_text("nothing is known")


def test_every_curve_has_its_unit_and_every_range_its_axis(page, client, fresh):
    chat(client, fresh())
    for name, ticks in {"hour": r"\d\d:\d\d", "24 hours": r"\d\d:\d\d", "7 days": r"\d+ \w+", "30 days": r"\d+ \w+"}.items():
        page.get_by_role("button", name=name, exact=True).click()
        playwright.expect(page.locator("#said")).to_contain_text(f"in the last {name}", timeout=10_000)
        playwright.expect(page.locator(".chart").first.locator("text", has_text=re.compile(f"^{ticks}$")).first).to_be_visible()
    for title, unit in {"Time to the first token": r"m?s$", "Memory of keys and values": "B$", "Dollars": r"^\$"}.items():
        labels = page.locator(".chart", has_text=title).locator("text").all_text_contents()
        assert any(re.search(unit, label) for label in labels), (title, labels)


def test_the_history_outlives_a_restart_and_a_lost_server_is_said(browser, binary, model_file, tmp_path):
    server = serve(binary, model_file, tmp_path)
    port = int(server.url.rsplit(":", 1)[1])
    body = {"model": MODEL, "temperature": 0, "max_tokens": 8, "messages": [{"role": "user", "content": "Name a colour."}]}
    for _ in range(3):
        httpx.post(server.url + "/v1/chat/completions", json=body, timeout=600).raise_for_status()
    before = total_of(server.url)
    assert before["requests"] == {"exact": 2, "semantic": 0, "shared": 0, "computed": 1, "upstream": 0, "failed": 0}
    assert before["usd_saved"] == pytest.approx(2 * before["usd_spent"])
    assert before["seconds_saved"] > 0
    page = browser.new_page()
    page.goto(server.url)
    playwright.expect(page.locator("#said")).to_contain_text("2 were answered from memory", timeout=10_000)
    assert server.stop() == 0
    link = page.locator("#link")
    playwright.expect(link).to_have_text(re.compile(r"no connection since \d\d:\d\d:\d\d"), timeout=15_000)
    assert float(page.evaluate("getComputedStyle(document.querySelector('#overview')).opacity")) < 1
    again = serve(binary, model_file, tmp_path, port)
    playwright.expect(link).to_have_attribute("data-state", "live", timeout=30_000)
    assert float(page.evaluate("getComputedStyle(document.querySelector('#overview')).opacity")) == 1
    assert total_of(again.url) == before
    httpx.post(again.url + "/v1/chat/completions", json=body, timeout=600).raise_for_status()
    assert total_of(again.url)["requests"]["exact"] == 3  # from the disk
    page.close()
    assert again.stop() == 0


def test_a_damaged_history_is_set_aside(binary, model_file, tmp_path):
    first = serve(binary, model_file, tmp_path)
    assert first.stop() == 0
    kept = tmp_path / "cache" / "history"
    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    second = serve(binary, model_file, tmp_path)
    until(lambda: httpx.get(second.url + "/v1/history").status_code == 200)
    assert second.stop() == 0
    assert "its checksum is wrong" in second.log()
    assert (tmp_path / "cache" / "history.damaged-1").read_bytes() == bytes(data)
    assert kept.exists()
