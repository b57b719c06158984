"""What attacks there are on clade's own channels, and how a neighbour fares meanwhile: shared by the tests of
hostile applications and by the list of escapes."""

import contextlib
import datetime
import threading
import time

import clade

# What breaks a rule: (attack, what the supervisor says of it).
ATTACKS = [
    ("sends_garbage", "EBADMSG"),
    ("sends_halves", "EBADMSG"),
    ("sends_too_much", "EBADMSG"),
    ("floods_reports", "EBADMSG"),
    ("says_ready_twice", "EBADMSG"),
    ("claims_many_steps", "EBADMSG"),
    ("says_cloned_early", "EBADMSG"),
    ("claims_stranger", "ESRCH"),
    ("claims_itself", "ESRCH"),
    ("claims_grandchild", "ESRCH"),
    ("claims_other_slot", "EBADMSG"),
    ("claims_other_serial", "EBADMSG"),
    ("claims_end_of_living", "EBADMSG"),
    ("claims_impossible_end", "EBADMSG"),
    ("claims_failure_of_nobody", "EBADMSG"),
    ("closes_reports", None),
]
# What breaks none, and must not matter to anybody, the attacker's own application included.
POINTLESS = ["spoils_scoreboard", "steals_channels"]
LOOP = 0.050  # seconds that the supervisor's loop may be away


class Neighbour:
    """An application of the same supervisor, asked all the time: by its latency, and by the time that a line
    of its output takes through the supervisor's loop."""

    def __init__(self, server, name, port):
        self.server, self.name, self.port = server, name, port
        self.loop = []  # seconds
        self.asked = []  # seconds

    def ask_once(self):
        mark, start = self.server.mark(), time.time()
        clade.get(self.port, f"/print?text=at{start}%0a")
        self.asked.append(time.time() - start)
        event = self.server.wait_event("output", self.name, since=mark, text=f"at{start}")
        told = datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
        self.loop.append(told.timestamp() - start)

    def ask(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ask_once()
            time.sleep(0.01)

    @contextlib.contextmanager
    def asked_meanwhile(self):
        over = threading.Event()

        def ask():
            while not over.is_set():
                self.ask_once()
                over.wait(0.01)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)

    @staticmethod
    def share(numbers, share):
        return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * share))]

    def worst(self):
        """Milliseconds: the median and the 95th percentile of both."""
        return ",".join(f"{1000 * self.share(numbers, share):.0f}"
                        for numbers in (self.loop, self.asked) for share in (0.5, 0.95))

    def fine(self):
        """Below the limit, but for what a machine with as much to do costs everybody."""
        return len(self.loop) > 3 and all(
            self.share(numbers, 0.5) < LOOP * clade.SLOW and self.share(numbers, 0.95) < 5 * LOOP * clade.SLOW
            for numbers in (self.loop, self.asked))

    def check(self, quiet):
        """Nearly always below the limit; the machine's own hiccups, as far as `quiet` had them, aside."""
        for what in ("loop", "asked"):
            mine, before = getattr(self, what), getattr(quiet, what)
            assert len(mine) > 10
            assert self.share(mine, 0.5) < LOOP * clade.SLOW, (what, sorted(mine))
            assert self.share(mine, 0.95) < (LOOP + self.share(before, 0.95)) * clade.SLOW, \
                (what, sorted(mine))


def longest_wait(pid, seconds):
    """The longest time that a process was seen waiting where no signal reaches it, as for a lock of the kernel's."""
    longest = since = 0.0
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            waits = stat.read().rpartition(")")[2].split()[0] == "D"
        since = (since or now) if waits else 0.0
        longest = max(longest, now - since if waits else 0.0)
        time.sleep(0.001)
    return longest
