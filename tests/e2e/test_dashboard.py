"""The dashboard in a real Chromium: what it shows is what the server counted. Screenshots of every view, in both
themes and at phone width, are left in DASHBOARD_SHOTS if that names a folder."""

import os
import pathlib
import re

import httpx
import pytest

from chromium import browser, open_view, page, playwright  # noqa: F401
from scripted_root import ScriptedRoot, block, serve_with_root
from server import MODEL, RunningServer, chat, extension, off, until

VIEWS = ["overview", "audit", "cache", "kv", "knowledge", "trajectories", "requests", "chat"]
SHOTS = os.environ.get("DASHBOARD_SHOTS")


def test_the_overview_shows_the_servers_own_figures(page, client, http, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    stats = http.get("/v1/cache").json()
    tile = page.locator(".tile", has_text="responses kept")
    playwright.expect(tile.locator("b")).to_have_text(f"{stats['entries']:,}", timeout=5000)
    hit = page.locator(".tile", has_text="lookups hit")
    playwright.expect(hit).to_contain_text(f"of {stats['lookups']:,} lookups hit")
    tokens = page.locator(".tile", has_text="answers' tokens came from it")
    shown = float(tokens.locator("b").inner_text().removesuffix(" %"))
    assert 0 < shown == pytest.approx(100 * stats["token_hit_rate"], abs=0.06)
    playwright.expect(page.locator("#latency tbody tr").first.locator("td").first).to_have_text(re.compile(r"^[\d.,]+ m?s$"))


def test_the_overview_shows_what_answers_cost(page, client, http, fresh):
    chat(client, fresh())
    (own,) = [row for row in http.get("/v1/cache").json()["provider"]["models"] if row["model"] == MODEL]
    row = page.locator("#spending-table tbody tr", has_text=MODEL)
    playwright.expect(row.locator("td").nth(2)).to_have_text(f"{own['answers']:,}", timeout=5000)
    playwright.expect(row.locator("td").nth(3)).to_contain_text("$")
    playwright.expect(row.locator("td").nth(4)).to_have_text("–")  # no provider spoke of a cache
    playwright.expect(page.locator("#budget-table")).to_be_hidden()


def test_the_audit_leads_to_its_counter(page, client, http, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    open_view(page, "audit")
    row = page.locator("#audit-table tbody tr", has_text="response cache")
    audit = http.get("/v1/audit").json()
    cell = next(c for c in audit["caches"] if c["name"] == "response cache")
    playwright.expect(row).to_contain_text(cell["used_in"]["completions"]["state"])
    row.locator("button").last.click()
    detail = page.locator("#audit-detail")
    playwright.expect(detail).to_contain_text(cell["counter"])
    playwright.expect(detail).to_contain_text("permutation_cache_uses_total")
    assert page.locator("#audit-table tbody tr").count() == len(audit["caches"])


def test_entries_are_searched_flagged_and_purged(page, http):
    keys = [http.put(f"/v1/cache/entries/browser-{i}", json={"value": f"needle {i}", "tags": ["t"]}).json()["key"] for i in (1, 2)]
    open_view(page, "cache")
    page.fill("#cache-q", "needle")
    page.press("#cache-q", "Enter")
    cards = page.locator("#cache-list > li")
    playwright.expect(cards).to_have_count(2)
    cards.filter(has_text="needle 1").get_by_role("button", name="Flag as a false hit").click()
    playwright.expect(cards).to_have_count(1)
    assert http.get(f"/v1/cache/entries/{keys[0]}").status_code == 404
    cards.first.get_by_role("button", name="Purge").click()
    playwright.expect(page.locator("#cache-list")).to_contain_text("No entry matches")
    assert http.get(f"/v1/cache/entries/{keys[1]}").status_code == 404
    page.locator("#cache-undo button").click()
    playwright.expect(cards).to_have_count(1)
    assert http.get(f"/v1/cache/entries/{keys[1]}").json()["value"] == "needle 2"


def test_entries_of_one_answer_are_one_row(page, http):
    for i in (1, 2, 3):
        http.put(f"/v1/cache/entries/twin-{i}", json={"value": "the same twin"})
    open_view(page, "cache")
    page.fill("#cache-q", "the same twin")
    page.press("#cache-q", "Enter")
    cards = page.locator("#cache-list > li")
    playwright.expect(cards).to_have_count(1)
    playwright.expect(page.locator("#cache-page")).to_contain_text("3 entries with 1 answers")
    fold = cards.locator(".twins")
    playwright.expect(fold.locator("summary")).to_have_text("The same answer in 2 other entries, 0 hits in all")
    fold.locator("summary").click()
    playwright.expect(fold.locator("li")).to_have_count(2)
    fold.locator("li").first.get_by_role("button", name="Purge").click()
    playwright.expect(page.locator("#cache-page")).to_contain_text("2 entries with 1 answers")


def test_an_answer_tells_what_it_saved(page, client, http, fresh):
    text = fresh()
    key = extension(chat(client, text))["cache"]["key"]
    open_view(page, "cache")
    page.fill("#cache-q", key)
    page.press("#cache-q", "Enter")
    card = page.locator("#cache-list > li")
    playwright.expect(card).to_have_count(1)
    playwright.expect(card).to_contain_text("no hits yet")
    for _ in range(3):
        chat(client, text)
    page.press("#cache-q", "Enter")
    playwright.expect(card).to_contain_text("3 hits")


def test_the_responses_are_counted_as_the_server_counts_them(page, client, http, fresh):
    http.delete("/v1/cache").raise_for_status()  # an entry whose life is over counts until a lookup meets it; the list has none
    text = fresh()
    chat(client, text)
    key = extension(chat(client, text))["cache"]["key"]
    stats = http.get("/v1/cache").json()
    open_view(page, "cache")
    line = page.locator("#cache-line")
    playwright.expect(line).to_contain_text(f"{stats['hits']['exact']:,} exact hits, {stats['hits']['semantic']:,} by other wordings", timeout=5000)
    playwright.expect(line).to_contain_text(f"{stats['misses']:,} misses")
    playwright.expect(page.locator("#cache-page")).to_contain_text(f"{stats['entries']:,} entries")
    assert http.get(f"/v1/cache/entries/{key}").status_code == 200
    page.reload()
    open_view(page, "cache")
    playwright.expect(line).to_contain_text(f"{stats['hits']['exact']:,} exact hits", timeout=5000)
    again = http.get("/v1/cache").json()
    assert {k: v for k, v in again.items() if k != "provider"} == {k: v for k, v in stats.items() if k != "provider"}


def test_why_a_request_missed_is_told(page, client, fresh):
    chat(client, fresh(), temperature=0.7)
    open_view(page, "cache")
    playwright.expect(page.locator("#why tbody tr").first).to_contain_text("temperature")


def test_a_miss_is_told_as_the_difference_to_the_nearest_request(page, client, fresh):
    text = fresh()
    chat(client, text, seed=1)
    chat(client, text, seed=2, max_tokens=9, temperature=0.5)
    open_view(page, "cache")
    parts = page.locator("#why tbody tr").first.locator(".differs")
    playwright.expect(parts).to_have_text(["temperature and other sampling temperature 0 there, 0.5 here", "seed 1 there, 2 here", "length, stop and n max_tokens 24 there, 9 here"])
    open_view(page, "requests")
    row = page.locator("#request-list > li").first
    row.locator("summary").first.click()
    playwright.expect(row.locator(".differs").first.locator("b")).to_have_text("temperature and other sampling")


def test_the_heat_map_shows_what_compression_kept(page, client, pool, fresh):
    chat(client, fresh("The quick brown fox jumps over the lazy dog. " * 40), extra_body=off(kv={"ratio": 8, "mode": "query_aware"}))
    until(lambda: pool()["last_compressed"])
    model = pool()
    open_view(page, "kv")
    cells = page.locator("#kv .heat").last.locator("td")
    layers = model["bytes_by_layer_head"]
    playwright.expect(cells).to_have_count(len(layers) * len(layers[0]))
    last = model["last_compressed"]
    playwright.expect(page.locator("#kv")).to_contain_text(f"{last['tokens']:,} tokens")
    said = "layer {}, head {}: {} of {} tokens kept"
    assert cells.first.get_attribute("title") == said.format(0, 0, last["kept_by_layer_head"][0][0], last["tokens"])
    page.locator("#kv .heat").last.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(1500)  # past the next snapshot, which draws all of it anew
    page.keyboard.press("ArrowDown")
    readout = page.locator("#kv .readout").last
    playwright.expect(readout).to_have_text(said.format(2, 1, last["kept_by_layer_head"][2][1], last["tokens"]))
    cells.nth(1).click()
    playwright.expect(readout).to_have_text(said.format(1, 0, last["kept_by_layer_head"][1][0], last["tokens"]))


def test_the_pool_is_a_stack_with_what_a_ratio_costs_beside_it(page, client, pool, fresh):
    chat(client, fresh("The slow brown fox jumps over the lazy dog. " * 40), extra_body=off(kv={"ratio": 8, "mode": "query_aware"}))
    until(lambda: pool()["last_compressed"] and pool()["sequences"] == 0)
    model = pool()
    open_view(page, "kv")
    box = page.locator("#kv .model").first
    free = box.locator(".stack").first.get_by_role("button", name="free")
    free.focus()
    whole = page.evaluate("n => bytes(n)", model["bytes_max"])
    playwright.expect(box.locator(".stack + .readout").first).to_contain_text(f"of {whole}")
    share = page.evaluate("n => percent(n)", 1 - model["bytes"] / model["bytes_max"])
    playwright.expect(box.locator(".stack + .readout").first).to_contain_text(share)
    evicted = box.locator(".stack").last.get_by_role("button", name="evicted")
    evicted.click()
    last = model["last_compressed"]
    playwright.expect(box.locator(".stack + .readout").last).to_contain_text(f"evicted: {page.evaluate('n => number(n)', last['tokens'] - last['tokens_kept'])} tokens")
    playwright.expect(box.locator(".measured")).to_contain_text("on this model")
    box.locator("summary", has_text="What each ratio was measured to keep").click()
    page.wait_for_timeout(1500)
    row = next(r for r in model["measured"] if r["ratio"] == 8)
    cell = box.locator("details tbody tr", has_text=page.evaluate("r => taskOf(r)", row)).locator(f"td[title='of {row['n']} right answers']").first
    playwright.expect(cell).to_be_visible()
    assert any(r["safe"] for r in model["measured"]) == (box.locator("details td.safe").count() > 0)


def teach(http, domain, facts):
    job = http.post(f"/v1/knowledge/{domain}/facts", json={"facts": facts}).json()["id"]
    until(lambda: http.get(f"/v1/knowledge/jobs/{job}").json()["status"] == "done", seconds=120)


def test_knowledge_is_shown_as_it_was_learnt_and_forgotten_from_here(page, http):
    teach(http, "harbour", [{"id": "boss", "prompt": "Who runs Quinset Harbour?", "answer": "Ada Brunolo"}])
    teach(http, "harbour", [{"id": "depth", "prompt": "How deep is Quinset Harbour?", "answer": "nine metres"}])
    open_view(page, "knowledge")
    rows = page.locator("#learning-table tbody tr", has_text="harbour")
    playwright.expect(rows).to_have_count(2)
    playwright.expect(rows.first).to_contain_text("100 % of 1")  # the latest: what it learnt, and what it left
    box = page.locator("#knowledge-list .model", has_text="harbour")
    playwright.expect(box).to_contain_text("2 facts about 1 things")
    box.locator("summary").click()
    slots = box.locator("tbody tr")
    playwright.expect(slots).to_have_count(2)
    page.on("dialog", lambda dialog: dialog.accept())
    slots.filter(has_text="nine metres").get_by_role("button", name="Forget").click()
    playwright.expect(box.locator("tbody tr")).to_have_count(1)
    assert [f["id"] for f in http.get("/v1/knowledge/harbour").json()["facts"]] == ["boss"]
    box.get_by_role("button", name="Forget the domain").click()
    playwright.expect(box).to_have_count(0)
    assert http.get("/v1/knowledge/harbour").status_code == 404


def test_a_trajectory_is_a_tree_with_code_and_output(browser, binary, model_file, tmp_path):
    programs = {
        "tour": [block("print('size', len(context))\nprint(rlm_query('play:child Look.', 'a walnut'))"), block("FINAL('walnut')")],
        "child": [block("FINAL('seen: ' + context)")],
    }
    root = ScriptedRoot(programs)
    server = serve_with_root(binary, model_file, root, tmp_path, tmp_path)
    body = {
        "model": "rlm", "messages": [{"role": "user", "content": "play:tour What is it?"}],
        "permutation": {"trace": True, "rlm": {"context": "x" * 5000}},
    }  # fmt: skip
    assert httpx.post(server.url + "/v1/chat/completions", json=body, timeout=600).status_code == 200
    page = browser.new_page()
    page.goto(server.url + "#trajectories")
    box = page.locator("#trajectory-list .model")
    playwright.expect(box).to_have_count(1)
    playwright.expect(box.locator(".code pre").first).to_contain_text("print('size', len(context))")
    playwright.expect(box.locator(".shown", has_text="it printed").first).to_contain_text("size 5000")
    call = box.locator("details", has_text="asked t/root").last
    call.locator("summary").first.click()
    playwright.expect(call).to_contain_text("seen: a walnut")
    playwright.expect(call.locator("details summary", has_text="depth 1")).to_be_visible()
    playwright.expect(box.locator("p.question")).to_contain_text("What is it?")
    steps = box.locator(".timeline li")
    playwright.expect(steps).to_have_count(3)  # two turns, and the child's one between them
    assert [s.split(",")[0].strip() for s in steps.locator("span:first-child").all_inner_texts()] == ["turn 1", "turn 1", "turn 2"]
    begun = steps.evaluate_all("rows => rows.map((r) => r.querySelector('.line i').getBoundingClientRect().left)")
    assert begun[0] <= begun[1] < begun[2]
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/trajectory-tree.png", full_page=True)
    page.close()
    root.stop()
    assert server.stop() == 0


def test_the_waterfall_has_the_phases_of_a_request(page, client, fresh):
    chat(client, fresh())
    open_view(page, "requests")
    row = page.locator("#request-list > li").first
    playwright.expect(row).to_contain_text(MODEL)
    assert row.locator(".flow i").count() == 4
    row.locator("summary").first.click()
    playwright.expect(row).to_contain_text("prefill_ms")


def test_requests_are_found_by_their_id_and_by_what_became_of_them(page, client, http, fresh):
    text = fresh()
    chat(client, text)
    chat(client, text)
    failed = http.post("/v1/chat/completions", json={"model": "nobody", "messages": [{"role": "user", "content": "x"}]})
    open_view(page, "requests")
    rows = page.locator("#request-list > li")
    page.select_option("#req-only", "failed")
    playwright.expect(rows.first).to_contain_text("nobody")  # the error's text names it
    page.fill("#req-q", failed.headers["x-request-id"])
    page.press("#req-q", "Enter")
    playwright.expect(rows).to_have_count(1)
    page.select_option("#req-only", "memory")
    playwright.expect(rows.first).to_contain_text("No request matches")
    page.fill("#req-q", "")
    page.press("#req-q", "Enter")
    playwright.expect(rows.first).to_contain_text("hit")


def test_a_fact_is_taught_from_the_page(page, http):
    open_view(page, "knowledge")
    for field, value in {"domain": "quay", "prompt": "Who keeps the light at Brenholm Quay?", "answer": "Tove Aldis"}.items():
        page.fill("#teach-" + field, value)
    page.fill("#teach-paraphrases", "Who is the keeper at Brenholm Quay?")
    page.press("#teach-answer", "Enter")
    playwright.expect(page.locator("#teach-said")).to_contain_text("Learnt: 1 new", timeout=60_000)
    (fact,) = http.get("/v1/knowledge/quay").json()["facts"]
    assert (fact["answer"], fact["paraphrases"]) == ("Tove Aldis", ["Who is the keeper at Brenholm Quay?"])
    playwright.expect(page.locator("#knowledge-list .model", has_text="quay")).to_be_visible()
    http.delete("/v1/knowledge/quay").raise_for_status()


def test_the_keyboard_reaches_everything(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))
    assert {f"#{view}" for view in VIEWS} <= seen
    page.focus('nav a[href="#kv"]')
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#kv")).to_be_visible()
    assert page.locator('nav a[aria-current="page"]').inner_text() == "KV memory"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_fits_its_width_in_both_themes(page, client, fresh, theme, width):
    text = fresh("Name three animals")
    chat(client, text)
    chat(client, text)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=theme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (theme == "light")
    for view in VIEWS:
        page.evaluate(f"location.hash = '{view}'")
        playwright.expect(page.locator(f"#{view}")).to_be_visible()
        page.wait_for_timeout(300)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{view} is {wide} px wider than a window of {width}"
        if SHOTS:
            pathlib.Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{SHOTS}/{view}-{theme}-{width}.png", full_page=True)


def test_a_server_with_keys_asks_for_one(browser, binary, model_file, tmp_path, new_key):
    key = new_key("--scope", "admin")
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 5000\n[[model]]\npath = "{model_file}"\n' + key["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        page = browser.new_page()
        page.goto(server.url)
        playwright.expect(page.locator("#login")).to_be_visible()
        page.fill("#login-key", key["key"])
        page.press("#login-key", "Enter")
        playwright.expect(page.locator("#link")).to_have_attribute("data-state", "live")
        page.close()
    finally:
        assert server.stop() == 0
