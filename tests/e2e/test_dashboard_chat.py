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
