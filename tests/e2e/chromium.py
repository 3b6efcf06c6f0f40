"""A real Chromium for the tests of the page. A test file that uses it imports `browser` and `page` by name."""

import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium here: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def watched(context):
    """A page, and what goes wrong in it."""
    opened = context.new_page()
    errors = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda m: m.type == "error" and "status of 404" not in m.text and errors.append(m.text))
    return opened, errors


@pytest.fixture
def page(browser, server):
    """A page that fails the test on any error of its script or its policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, errors = watched(context)
    opened.goto(server.url)
    playwright.expect(opened.locator("#link")).to_have_attribute("data-state", "live")
    yield opened
    context.close()
    assert not errors, errors


def open_view(page, name):
    page.click(f'nav a[href="#{name}"]')
    playwright.expect(page.locator(f"#{name}")).to_be_visible()
    assert page.locator("section.open").count() == 1
