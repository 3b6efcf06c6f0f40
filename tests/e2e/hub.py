"""Two real HTTP servers that behave like the hub of models and the host that its files lie on.

The hub lists repositories and redirects to signed addresses at the other one, which takes ranges. What else may happen
to a download is told to the other one beforehand, file by file: see `faults`.
"""

import collections
import functools
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

COMMIT = "c0ffee" * 6 + "abcd"
PIECE = 64 * 1024


@functools.lru_cache(maxsize=64)
def digest(data, kind):
    """Of large files once: a listing must come soon, on a busy machine too."""
    return hashlib.new(kind, data).hexdigest()


class Server:
    """One of the two, with a log of (path, headers) and of the bytes of bodies that it sent."""

    def __init__(self, answer):
        self.log = []
        self.sent = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.log.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer(self)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that went away is no news
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def wrap(self, context):
        """TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = self.url.replace("http:", "https:")

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def send(self, handler, status, body=b"", headers=()):
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


class Hub:
    """`repos`: {"user/repo": {path: bytes}}. `announced`: sums and sizes that the listing gives instead of the true ones,
    {path: {"sha256": ..., "size": ...}}. `token`: what one must know. `renamed`: {old repository: new one}.

    `faults`: {path: [what happens to its first download, to the second, ...]}, each of
      "stall:N"   N bytes, then silence             "break:N"  N bytes, then the connection ends
      "whole"     the whole file for a range        "slow:N"   N bytes a second
      "503" etc.  that status                       "shift"    another range than the one asked for
      "page"      a web page
    """

    def __init__(self, repos, prefix=""):
        self.repos = repos
        self.prefix = prefix
        self.announced = {}
        self.token = None
        self.renamed = {}
        self.faults = collections.defaultdict(list)
        self.etags = {}
        self.hub = Server(self._hub)
        self.store = Server(self._store)
        self.url = self.hub.url + prefix

    def stop(self):
        self.hub.stop()
        self.store.stop()

    def ranges(self):
        """What was asked of the files' host: (file, Range)."""
        return [(path.split("?")[0].rsplit("/", 1)[1], headers.get("range")) for path, headers in self.store.log]

    def _refused(self, handler, status, code, message):
        body = json.dumps({"error": message}).encode()
        self.hub.send(handler, status, body, [("x-error-code", code), ("x-error-message", message)])

    def _hub(self, handler):
        path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        if not path.startswith(self.prefix + "/"):
            return self.hub.send(handler, 404)
        parts = path[len(self.prefix) + 1 :].split("/")
        listing = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if listing else parts[:2])
        if repo in self.renamed:
            return self.hub.send(handler, 307, headers=[("location", handler.path.replace(repo, self.renamed[repo]))])
        if self.token and handler.headers.get("authorization") != f"Bearer {self.token}":
            return self._refused(handler, 401, "RepoNotFound", "Invalid username or password.")
        if repo not in self.repos:
            return self._refused(handler, 404 if self.token else 401, "RepoNotFound", "Repository not found")
        if listing:
            return self._list(handler, repo, "/".join(parts[5:]))
        return self._resolve(handler, repo, "/".join(parts[4:]))

    def _list(self, handler, repo, revision):
        if revision not in ("main", COMMIT):
            return self._refused(handler, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
        siblings = [{"rfilename": "README.md", "size": 7, "blobId": "1"}]
        for path, data in self.repos[repo].items():
            large = {"sha256": digest(data, "sha256"), "size": len(data), "pointerSize": 130}
            large |= self.announced.get(path, {})
            siblings.append({"rfilename": path, "size": large["size"], "blobId": "2", "lfs": large})
        body = json.dumps({"id": repo, "sha": COMMIT, "siblings": siblings}).encode()
        self.hub.send(handler, 200, body, [("content-type", "application/json")])

    def _resolve(self, handler, repo, path):
        if path not in self.repos[repo]:
            return self._refused(handler, 404, "EntryNotFound", "Entry not found")
        data = self.repos[repo][path]
        to = f"{self.store.url}/{repo}/{path}?signature=a%2Fb"
        linked = [("x-linked-etag", '"' + digest(data, "sha256") + '"'), ("x-linked-size", str(len(data)))]
        self.hub.send(handler, 302, headers=[("location", to), ("x-repo-commit", COMMIT), *linked])

    def _store(self, handler):
        parts = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)[1:].split("/")
        path = "/".join(parts[2:])
        data = self.repos["/".join(parts[:2])][path]
        fault, _, number = (self.faults[path].pop(0) if self.faults[path] else "").partition(":")
        if fault.isdigit():
            return self.store.send(handler, int(fault), headers=[("retry-after", "0")])
        if fault == "page":
            return self.store.send(handler, 200, b"<html>" + b" " * (len(data) - 6))
        first, last = self._range(handler, data, path, fault)
        etag = self.etags.get(path, digest(data, "md5"))
        whole = first == 0 and last == len(data) - 1
        handler.send_response(200 if whole else 206)
        handler.send_header("etag", f'"{etag}"')
        handler.send_header("content-length", str(last + 1 - first))
        if not whole:
            handler.send_header("content-range", f"bytes {first}-{last}/{len(data)}")
        handler.end_headers()
        self._body(handler, data[first : last + 1], fault, int(number or 0))

    def _range(self, handler, data, path, fault):
        asked = handler.headers.get("range")
        same = handler.headers.get("if-range") in (None, '"' + self.etags.get(path, digest(data, "md5")) + '"')
        if not asked or not same or fault == "whole":
            return 0, len(data) - 1
        first, last = asked.removeprefix("bytes=").split("-")
        shift = 1 if fault == "shift" else 0
        return int(first) + shift, int(last) if last else len(data) - 1

    def _body(self, handler, data, fault, number):
        if fault in ("stall", "break"):
            self._write(handler, data[:number])
            if fault == "stall":
                time.sleep(60)
            handler.close_connection = True
            return
        for at in range(0, len(data), PIECE):
            self._write(handler, data[at : at + PIECE])
            if fault == "slow":
                time.sleep(PIECE / number)

    def _write(self, handler, data):
        handler.wfile.write(data)
        handler.wfile.flush()
        self.store.sent += len(data)
