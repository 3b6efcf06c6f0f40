"""Sends cases over a few kept connections and keeps what went wrong."""

import collections
import http.client
import itertools
import threading
import time
import urllib.parse

from server import PATIENCE
from swap_oracle import wrong_answer

ANSWER_S = 30 * PATIENCE  # no answer takes longer, on a machine that does something else besides
FAILURES_MAX = 40  # and then it stops: the rest would say the same


class Failure:
    def __init__(self, case, wrong):
        self.case, self.wrong = case, wrong

    def kind(self):
        """Failures of one kind are told once."""
        return f"{self.case.method} {self.case.route}: {self.wrong[:60]}"


class Runner:
    """`make(number)` makes a case. Stops at the first sign that the server is gone."""

    def __init__(self, server, make, count, first=0):
        self.server, self.make = server, make
        self.numbers = iter(range(first, first + count))
        self.lock = threading.Lock()
        self.sent = itertools.count()
        self.statuses = collections.Counter()
        self.failures, self.slowest = [], (0, None)
        self.under_way = {}
        url = urllib.parse.urlsplit(server.url)
        self.host, self.port = url.hostname, url.port

    def run(self, threads=8):
        workers = [threading.Thread(target=self._work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return self

    def is_dead(self):
        return self.server.process.poll() is not None

    def told(self):
        """The failures by kind, with one request of each as a command."""
        kinds = {}
        for failure in self.failures:
            kinds.setdefault(failure.kind(), []).append(failure)
        lines = []
        for failures in kinds.values():
            one = failures[0]
            command = one.case.curl(self.server.url)
            shown = command if len(command) < 6_000 else command[:200] + " [...; the case's number makes it again]"
            lines.append(f"{len(failures)} x {one.case}\n  {one.wrong}\n  {shown}")
        return "\n".join(lines)

    def _next(self):
        with self.lock:
            if len(self.failures) >= FAILURES_MAX or self.is_dead():
                return None
            return next(self.numbers, None)

    def _work(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_S)
        while (number := self._next()) is not None:
            case = self.make(number)
            with self.lock:
                self.under_way[threading.get_ident()] = case
            begun = time.monotonic()
            wrong = self._try(connection, case)
            with self.lock:
                self.slowest = max(self.slowest, (time.monotonic() - begun, number))
                if wrong:
                    self.failures.append(Failure(case, wrong))
        connection.close()

    def _try(self, connection, case):
        """None, or what is wrong."""
        for attempt in range(120):
            fresh = connection.sock is None
            try:
                status, headers, data = self._ask(connection, case)
            except TimeoutError:
                connection.close()
                return f"no answer in {ANSWER_S} s"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if fresh or attempt > 1:  # a kept connection may be closed at any time
                    return f"no answer: {type(error).__name__} {error}"
                continue
            if status != 503 or "retry-after" not in headers:
                break
            time.sleep(0.5)  # its queue is full, and it says when to come again
        with self.lock:
            self.statuses[status] += 1
        return wrong_answer(case, status, headers, data)

    def _ask(self, connection, case):
        connection.putrequest(case.method, case.target, skip_host=True, skip_accept_encoding=True)
        for name, value in case.headers.items():
            connection.putheader(name, value.encode("latin-1"))
        if case.body is not None or case.method == "POST":
            connection.putheader("content-length", str(len(case.body or b"")))
        connection.endheaders(case.body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        if case.route == "/v1/dashboard/events" and response.status == 200:  # it has no end
            data = b""
            while not data.endswith(b"\n\n"):
                data += response.readline()
            connection.close()
        else:
            data = response.read()
        return response.status, headers, data
