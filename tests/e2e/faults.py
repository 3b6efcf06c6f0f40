"""What breaks around a server while it works: a Redis that hangs, a clock that jumps. And the hand that breaks it."""

import glob
import itertools
import signal
import threading
import time


class RedisStalls:
    """The process stops in the middle of whatever it does; its socket stays open and takes bytes."""

    def __init__(self, redis):
        self.redis, self.count = redis, 0

    def strike(self):
        self.redis.send(signal.SIGSTOP)
        time.sleep(1.5)
        self.heal()
        self.count += 1

    def heal(self):
        self.redis.send(signal.SIGCONT)


class ClockJumps:
    """The wall clock of a process under Debian's libfaketime steps back and forth by hours and days, as a clock that
    is set by hand or from a bad source does. The monotonic clock goes on: no machine's steps."""

    OFFSETS_S = [-3600, 2 * 86400, 0, 30 * 86400, -86400, 0]

    def __init__(self, folder):
        self.file, self.count = folder / "clock", 0
        self.offsets, self.offset = itertools.cycle(self.OFFSETS_S), 0
        self.heal()

    @staticmethod
    def library():
        return next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

    def env(self):
        return {
            "LD_PRELOAD": self.library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset):
        self.offset = offset
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{offset:+d}")
        fresh.replace(self.file)

    def strike(self):
        self.set(next(self.offsets))
        self.count += 1
        time.sleep(2)

    def heal(self):
        self.set(0)


class Faults:
    """Strikes with each in turn until it is told to stop, then heals all."""

    def __init__(self, kinds, pause_s=1.0):
        self.kinds, self.pause_s = kinds, pause_s
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        for kind in itertools.cycle(self.kinds):
            if self.stop.wait(self.pause_s):
                return
            kind.strike()

    def end(self):
        self.stop.set()
        self.thread.join()
        for kind in self.kinds:
            kind.heal()
