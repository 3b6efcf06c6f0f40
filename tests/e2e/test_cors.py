"""Pages of other origins: in a browser's words, and in a real browser."""

import http.server
import shutil
import subprocess
import threading

import httpx
import playwright.sync_api
import pytest

from server import MODEL

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CONFIG = """
[server]
port = 0
stop_grace_ms = 500
cors_origins = {origins}
[[model]]
path = "{model}"
{more}
"""


@pytest.fixture
def serve(starting, model_file):
    def begin(origins, more=""):
        quoted = "[" + ", ".join(f'"{origin}"' for origin in origins) + "]"
        return starting(CONFIG.format(model=model_file, origins=quoted, more=more))

    yield begin
    for server in starting.started:
        assert server.stop() == 0, server.log()


def test_a_preflight_needs_no_key_and_the_request_does(serve, new_key):
    made = new_key("--name", "page")
    secret = made["key"]
    server = serve(["http://localhost:3000"], f'[[key]]\nname = "page"\nsha256 = "{made["sha256"]}"')
    page = {"Origin": "http://localhost:3000"}
    asked = {**page, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for path in ("/v1/chat/completions", "/chat/completions", "/v1/embeddings", "/tokenize"):
        answer = httpx.options(server.url + path, headers=asked)
        assert answer.status_code == 204 and answer.headers["access-control-allow-origin"] == page["Origin"]
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "authorization,content-type"
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    for key, status in ((None, 401), (secret, 200)):
        for stream in (False, True):
            headers = {**page, **({"Authorization": f"Bearer {key}"} if key else {})}
            answer = httpx.post(server.url + "/v1/chat/completions", json={**body, "stream": stream}, headers=headers, timeout=60)
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == page["Origin"]
            assert "x-permutation-cache" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
    foreign = httpx.options(server.url + "/v1/models", headers={**asked, "Origin": "http://localhost:3001"})
    assert foreign.status_code == 403 and "access-control-allow-origin" not in foreign.headers


def test_a_config_that_names_no_origin_ends_the_start(binary, model_file, tmp_path):
    for wrong in ("localhost:3000", "https://a.example/chat", "null"):
        config = tmp_path / "c.toml"
        config.write_text(CONFIG.format(model=model_file, origins=f'["{wrong}"]', more=""))
        ended = subprocess.run([binary, "serve", "--config", str(config)], capture_output=True, text=True, timeout=60)
        assert ended.returncode != 0 and "cors_origins" in ended.stderr, ended.stderr


PAGE = """<!doctype html><title>waiting</title><script>
fetch("%s/v1/models", {headers: {"x-any": "1"}}).then(r => r.json())
  .then(j => document.title = "read " + j.object, e => document.title = "refused");
</script>"""


def title_in_a_browser(url):
    with playwright.sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(url)
        page.wait_for_function("document.title != 'waiting'")
        title = page.title()
        browser.close()
        return title


def test_a_browser_agrees(serve):
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(pages[self.path].encode())

        def log_message(self, *_):
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{site.server_port}"
    pages["/listed"] = PAGE % serve([origin]).url
    pages["/foreign"] = PAGE % serve(["http://localhost:1"]).url
    assert title_in_a_browser(origin + "/listed") == "read list"
    assert title_in_a_browser(origin + "/foreign") == "refused"
    site.shutdown()
