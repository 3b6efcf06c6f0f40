"""The page's chat, in a real Chromium against the real model; what a model would write is checked through the page's own renderer."""

import json

from chromium import browser, open_view, page, playwright  # noqa: F401
from server import MODEL, RunningServer

ANSWERED = 60_000


def ask(page, text):
    page.fill("#chat-text", text)
    page.press("#chat-text", "Enter")


def ready(page):
    open_view(page, "chat")
    page.select_option("#chat-model", MODEL)


def test_an_answer_streams_and_says_what_the_caches_did(page, fresh):
    ready(page)
    text = fresh("Name a colour")
    ask(page, text)
    answer = page.locator("#chat-log article.theirs")
    playwright.expect(answer.last).to_contain_text("cache: miss", timeout=ANSWERED)
    assert answer.last.locator(".said-text").inner_text().strip()
    playwright.expect(answer.last).to_contain_text("keys and values: exact")
    page.click("#chat-new")
    playwright.expect(answer).to_have_count(0)
    ask(page, text)
    playwright.expect(answer.last).to_contain_text("cache: hit", timeout=ANSWERED)
    playwright.expect(answer.last).to_contain_text("tokens saved")


def test_a_conversation_goes_on_and_is_there_after_a_reload(page, fresh):
    ready(page)
    page.click("#chat-settings summary")
    page.fill("#chat-length", "12")
    page.fill("#chat-system", "You are brief.")
    sent = []
    page.on("request", lambda r: r.url.endswith("/chat/completions") and sent.append(json.loads(r.post_data)))
    first, second = fresh("One"), fresh("Two")
    answers = page.locator("#chat-log article.theirs")
    for count, text in enumerate((first, second), 1):
        ask(page, text)
        playwright.expect(answers).to_have_count(count)
        playwright.expect(answers.last).to_contain_text("cache: ", timeout=ANSWERED)
    assert [m["role"] for m in sent[1]["messages"]] == ["system", "user", "assistant", "user"]
    assert sent[1]["messages"][1]["content"] == first and sent[1]["max_tokens"] == 12
    page.reload()
    playwright.expect(page.locator("#chat-log article.mine")).to_have_text([first, second])
    playwright.expect(page.locator("#chat-system")).to_have_value("You are brief.")
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("#chat-delete")
    playwright.expect(page.locator("#chat-log article")).to_have_count(0)
    assert first not in page.evaluate("localStorage.getItem('permutation-chats')")


def test_an_answer_can_be_stopped(page, fresh):
    ready(page)
    page.click("#chat-settings summary")
    page.fill("#chat-length", "2000")
    page.uncheck("#chat-cache")
    ask(page, fresh("Write a very long story about a lighthouse, in many chapters"))
    playwright.expect(page.locator("#chat-stop")).to_be_visible()
    playwright.expect(page.locator("#chat-log .theirs .said-text")).not_to_be_empty(timeout=ANSWERED)
    page.click("#chat-stop")
    playwright.expect(page.locator("#chat-log .theirs .note")).to_have_text("stopped")
    playwright.expect(page.locator("#chat-stop")).to_be_hidden()


MARKDOWN = """# Title

Some *soft* and **hard** words, `a < b`, a [link](https://example.org/x) and [none](javascript:alert(1)).

- one
- two
  1. deep

| a | b |
| --- | --- |
| 1 | 2 |

> said

```python
print("<b>&amp;</b>")
```

<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>
"""


def test_markdown_becomes_nodes_and_nothing_of_it_runs(page):
    open_view(page, "chat")
    made = page.evaluate("text => { const at = el('div', { className: 'said-text', id: 'probe' }, ...markdown(text)); $('chat-log').append(at); return at.innerHTML; }", MARKDOWN)
    probe = page.locator("#probe")
    assert probe.locator("h3").inner_text() == "Title"
    assert [probe.locator(tag).first.inner_text() for tag in ("em", "strong", "code", "blockquote")] == ["soft", "hard", "a < b", "said"]
    assert probe.locator("a").count() == 1 and probe.locator("a").get_attribute("href") == "https://example.org/x"
    assert probe.locator("ul > li").all_inner_texts()[0] == "one" and probe.locator("ul ol > li").inner_text() == "deep"
    assert probe.locator("table td").all_inner_texts() == ["1", "2"]
    assert probe.locator("pre code").inner_text() == 'print("<b>&amp;</b>")'
    assert probe.locator("img, script").count() == 0 and "&lt;script&gt;" in made
    assert page.title() == "Permutation"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    probe.get_by_role("button", name="Copy code").click()
    playwright.expect(probe.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == 'print("<b>&amp;</b>")'


def test_any_text_is_drawn_whole_and_soon(page):
    open_view(page, "chat")
    texts = ["*" * 4000, "[" * 2000, "`" * 999 + "x", "- \n" * 300, ">" * 500, "# ", "|", "| a\n|", "1. a\n\n2. b", "```\nopen", "a_b_c __x", "\\*no\\*"]
    drawn = page.evaluate("texts => texts.map((t) => { const begun = performance.now(); const at = el('div', {}, ...markdown(t)); return [at.textContent.length, performance.now() - begun]; })", texts)
    for text, (_, ms) in zip(texts, drawn):
        assert ms < 1000, (text[:20], ms)
    assert page.evaluate("el('p', {}, ...inline('a_b_c \\\\*no\\\\*')).innerHTML") == "a_b_c *no*"


def test_a_key_for_inference_opens_the_chat_alone(browser, binary, model_file, tmp_path, new_key):
    key = new_key("--scope", "inference")
    config = tmp_path / "c.toml"
    config.write_text(f'[server]\nport = 0\nstop_grace_ms = 500\n[[model]]\npath = "{model_file}"\n' + key["toml"])
    server = RunningServer([binary, "serve", "--config", str(config)])
    try:
        page = browser.new_page()
        page.goto(server.url)
        page.fill("#login-key", key["key"])
        page.press("#login-key", "Enter")
        playwright.expect(page.locator("#chat")).to_be_visible()
        playwright.expect(page.locator("#login")).to_be_hidden()
        assert page.locator("nav a:visible").all_inner_texts() == ["Chat"]
        playwright.expect(page.locator("#chat-model option")).not_to_have_count(0)
        page.select_option("#chat-model", MODEL)
        ask(page, "Name a colour")
        playwright.expect(page.locator("#chat-log .theirs")).to_contain_text("cache: miss", timeout=ANSWERED)
        page.close()
    finally:
        assert server.stop() == 0


def said_by_tools(page, calls):
    return page.evaluate("calls => calls.map(([name, text]) => runTool(name, text))", [[name, json.dumps(given)] for name, given in calls])


def test_the_chats_tools_compute_and_run_nothing(page):
    open_view(page, "chat")
    sums = ["2*(3+4)^2", "-2^2", "2^-1", "10 % 4", "max(1, 2, 3) / 4", "1e3 × 2", "sqrt(2)^2"]
    assert said_by_tools(page, [("calculate", {"expression": e}) for e in sums]) == ["98", "-4", "0.5", "2", "0.75", "2000", "2"]
    wrong = ["1/0", "2+", "constructor(1)", "alert(1)", "1;2", "(" * 500, "x", ""]
    assert all(said.startswith("error: ") for said in said_by_tools(page, [("calculate", {"expression": e}) for e in wrong]))
    pairs = [(10, "miles", "km"), (100, "celsius", "Fahrenheit"), (5, "feet", "inches"), (1, "GB", "MiB")]
    given = [("convert_units", {"value": v, "from": a, "to": b}) for v, a, b in pairs]
    assert said_by_tools(page, given) == ["16.09344", "212", "60", "953.6743164"]
    assert said_by_tools(page, [("convert_units", {"value": 1, "from": "ft", "to": "kg"})])[0].startswith("error: 'ft' and 'kg'")
    now, nowhere = said_by_tools(page, [("current_time", {"time_zone": "Asia/Tokyo"}), ("current_time", {"time_zone": "Mars"})])
    assert "GMT+9" in now or "JST" in now
    assert nowhere.startswith("error: ")
    assert said_by_tools(page, [("toString", {})])[0].startswith("error: there is no tool")


def test_a_tool_that_the_model_calls_is_run_and_shown(page, fresh):
    """The model is told to call one: it is too small to choose by itself."""
    sent = []

    def force(route):
        body = json.loads(route.request.post_data)
        sent.append(body)
        if len(sent) == 1:
            body["tool_choice"] = {"type": "function", "function": {"name": "current_time"}}
        else:
            del body["tools"]
        route.continue_(post_data=json.dumps(body))

    ready(page)
    page.route("**/v1/chat/completions", force)
    page.check("#chat-tools")
    ask(page, fresh("What is the time?"))
    answer = page.locator("#chat-log .theirs").last
    playwright.expect(answer.locator(".did")).to_contain_text("current_time(", timeout=ANSWERED)
    playwright.expect(answer.locator(".did")).to_contain_text(" → ")
    playwright.expect(answer).to_contain_text("cache: ", timeout=ANSWERED)
    assert [t["function"]["name"] for t in sent[0]["tools"]] == ["calculate", "convert_units", "current_time"]
    assert len(sent) == 2
    call, result = sent[1]["messages"][-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] and result["role"] == "tool" and result["content"]
    page.reload()
    playwright.expect(page.locator("#chat-log .did")).to_contain_text("current_time(")


REPORT = "The harbour office reports. " * 60 + "The code of the blue door is 7713."


def drop(page, name, text, kind="text/plain"):
    """As a person drops it on the chat."""
    data = page.evaluate_handle("([name, text, type]) => { const d = new DataTransfer(); d.items.add(new File([text], name, { type })); return d; }", [name, text, kind])
    page.dispatch_event("#chat", "dragover", {"dataTransfer": data})
    page.dispatch_event("#chat", "drop", {"dataTransfer": data})


def test_a_file_goes_with_the_question_at_the_chosen_ratio(page, fresh):
    ready(page)
    sent = []
    page.on("request", lambda r: r.url.endswith("/chat/completions") and sent.append(json.loads(r.post_data)))
    drop(page, "report.txt", REPORT)
    chip = page.locator("#chat-files .row")
    playwright.expect(chip).to_contain_text("report.txt")
    chip.get_by_label("KV ratio").select_option("4")
    ask(page, fresh("What is the code of the blue door?"))
    answer = page.locator("#chat-log .theirs").last
    playwright.expect(answer).to_contain_text("cache: ", timeout=ANSWERED)
    assert sent[0]["permutation"]["kv"] == {"ratio": 4}
    assert sent[0]["messages"][-1]["content"].startswith("File report.txt:\n" + REPORT)
    playwright.expect(page.locator("#chat-log .mine")).to_contain_text("report.txt")
    playwright.expect(chip).to_have_count(0)
    assert REPORT[:200] not in page.evaluate("localStorage.getItem('permutation-chats')")


def test_a_file_is_searched_by_rlm(page, fresh):
    ready(page)
    sent = []
    page.on("request", lambda r: r.url.endswith("/chat/completions") and sent.append(json.loads(r.post_data)))
    drop(page, "report.txt", REPORT)
    page.locator("#chat-files").get_by_label("What for: report.txt").select_option("rlm")
    ask(page, fresh("What is the code of the blue door?"))
    playwright.expect(page.locator("#chat-log .theirs").last.locator(".copy").first).to_be_visible(timeout=ANSWERED)
    assert sent[0]["model"] == "rlm" and sent[0]["permutation"]["rlm"]["context"].endswith(REPORT + "\n\n")
    assert "File" not in sent[0]["messages"][-1]["content"]


def test_a_file_of_facts_is_taught_and_asked(page, http):
    ready(page)
    facts = [{"id": "keeper", "prompt": "Who keeps the light at Dorrin Point?", "answer": "Selma Roth"}]
    drop(page, "dorrin.jsonl", "\n".join(map(json.dumps, facts)))
    page.locator("#chat-files").get_by_role("button", name="Teach").click()
    playwright.expect(page.locator("#files-said")).to_contain_text("Learnt: 1 new", timeout=ANSWERED)
    assert [f["id"] for f in http.get("/v1/knowledge/dorrin").json()["facts"]] == ["keeper"]
    ask(page, "Who keeps the light at Dorrin Point?")
    playwright.expect(page.locator("#chat-log .theirs").last).to_contain_text("knowledge: 1 fact of dorrin", timeout=ANSWERED)
    playwright.expect(page.locator("#chat-log .theirs").last).to_contain_text("Selma Roth")
    http.delete("/v1/knowledge/dorrin").raise_for_status()


def test_what_is_no_text_is_refused_with_its_name(page):
    ready(page)
    page.locator("#chat-file").set_input_files([
        {"name": "cat.png", "mimeType": "image/png", "buffer": b"\x89PNG\xff\xfe"},
        {"name": "none.txt", "mimeType": "text/plain", "buffer": b""},
        {"name": "good.txt", "mimeType": "text/plain", "buffer": "früh".encode()},
    ])
    playwright.expect(page.locator("#files-said")).to_have_text("cat.png isn't text in UTF-8. none.txt is empty.")
    playwright.expect(page.locator("#chat-files .row b")).to_have_text(["good.txt"])
    page.get_by_role("button", name="Remove good.txt").click()
    playwright.expect(page.locator("#chat-files .row")).to_have_count(0)


def test_a_long_prompt_says_how_much_of_it_was_read(page, fresh):
    ready(page)
    page.uncheck("#chat-cache")
    page.evaluate("window.notes = []; new MutationObserver(() => window.notes.push(document.querySelector('#chat-log .theirs:last-child .note')?.textContent)).observe($('chat-log'), { childList: true, subtree: true })")
    lines = fresh("Crates") + "".join(f"\nCrate {i} holds {i * 7 % 31} lamps." for i in range(250))
    drop(page, "crates.txt", lines)
    page.locator("#chat-files").get_by_label("KV ratio").select_option("1")
    ask(page, "How many lamps does crate 3 hold?")
    playwright.expect(page.locator("#chat-log .theirs").last).to_contain_text("keys and values", timeout=ANSWERED)
    said = [n for n in page.evaluate("window.notes") if n and n.startswith("reading the prompt, ")]
    read = [[int(word) for word in n.replace(",", "").split() if word.isdigit()] for n in said]
    assert read and all(part < whole for part, whole in read) and read == sorted(read)
