"""What many starts and many applications leave behind, for the benchmark and for the test of the same name."""

import collections
import contextlib
import os
import pathlib
import signal
import statistics
import time

import bench
from bench import clade

# One that ends earlier is made to wait before it is started again (runtime/supervisor/backoff.h).
GROWN_UP = 1.1

CGROUPS = [pathlib.Path(path) for path in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")]


def memory(pid):
    """(resident, proportional) in KiB; nothing of what has gone."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in
                     pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        return tuple(int(lines[key].split()[0]) for key in ("Rss", "Pss"))
    return (0, 0)


def cgroups():
    return sum(1 for root in CGROUPS if (root / "cgroup.procs").exists() for _ in os.walk(root))


# All that could grow. Memory in KiB.
State = collections.namedtuple("State", "supervisor_descriptors watcher_descriptors processes mounts cgroups "
                                        "supervisor_rss watcher_rss")


def state(server):
    """Of a supervisor whose applications are all ready."""
    [watcher] = server.helpers()
    return State(len(os.listdir(f"/proc/{server.pid}/fd")), len(os.listdir(f"/proc/{watcher}/fd")),
                 len(clade.descendants(server.pid)), len(clade.host_mounts()), cgroups(),
                 memory(server.pid)[0], memory(watcher)[0])


class Churn:
    """`starts` starts and stops of an application, in one supervisor. There are some copies of it, which take
    turns: one that ends within a second is made to wait."""

    def __init__(self, place, copies=100, options=()):
        names = [f"app{number}" for number in range(copies)]
        self.server = place.run({name: bench.ready_application() for name in names}, options=options)
        self.server.wait_ready(*names, timeout=60)
        self.copies = copies
        self.count = 0
        self.took = []  # start_us, in order

    def living(self):
        """{application: (pid of its prototype, when it was ready)} of those that serve."""
        found = {}
        with self.server.condition:
            for event in self.server.events:
                if event["event"] == "application-ready":
                    found[event["application"]] = (event["pid"], event["seen"])
        return found

    def settled(self):
        """All are up again, and nothing is on its way out."""
        def complete():
            prototypes = self.server.prototypes()
            return (len(prototypes) == self.copies and
                    all(self.living()[name][0] == pid for name, pid in prototypes.items()) and
                    len(clade.descendants(self.server.pid)) == 3 * self.copies + 1)
        clade.wait_until(complete, 30, "all applications are up again", every=0.2)
        return state(self.server)

    def run(self, starts):
        """Kills prototypes in turns until `starts` more have been started."""
        waiting = collections.deque(sorted(self.living().items(), key=lambda item: item[1][1]))
        goal, mark = self.count + starts, self.server.mark()
        ordered = 0
        while self.count < goal:
            while waiting and ordered < starts and time.monotonic() - waiting[0][1][1] > GROWN_UP:
                os.kill(waiting.popleft()[1][0], signal.SIGKILL)
                ordered += 1
            time.sleep(0.005)
            with self.server.condition:
                fresh = self.server.events[mark:]
                mark = len(self.server.events)
            for event in fresh:
                if event["event"] == "application-ready":
                    waiting.append((event["application"], (event["pid"], event["seen"])))
                    self.took.append(event["start_us"])
                    self.count += 1
                elif event["event"] in ("application-failed", "application-backoff"):
                    raise AssertionError(f"start {self.count}: {event}")
            if self.server.process.poll() is not None:
                raise AssertionError(self.server.story())
        return self.settled()


def growth(before, after):
    """What is more than it was. Memory may move by what an allocator keeps: 256 KiB. AddressSanitizer's keeps all
    that was freed for a while, and says itself at the end what leaked."""
    found = []
    kept = 2 ** 20 if clade.sanitized() else 256
    for name, old, new in zip(State._fields, before, after):
        allowed = kept if name.endswith("_rss") else 0
        if new > old + allowed:
            found.append(f"{name}: {old} -> {new}")
    return found


Crowd = collections.namedtuple("Crowd", "seconds supervisor_rss supervisor_pss watcher_pss all_pss descriptors "
                                        "processes cpu stop_seconds")


def crowd(place, count, idle=5.0):
    """`count` applications at once, each with one worker: from the exec of `clade run` until the last is ready;
    what that takes while nothing happens; and the end."""
    names = [f"app{number}" for number in range(count)]
    configuration = place.configuration({name: bench.ready_application() for name in names})
    before = len(clade.host_mounts()), cgroups()
    begin = time.monotonic()
    server = place.start(configuration)
    ready = server.wait_event("application-ready", count=count, timeout=120)
    seconds = ready["seen"] - begin
    failed = server.find("application-failed")
    assert not failed, failed[:3]
    [watcher] = server.helpers()
    busy = clade.cpu_seconds(server.pid) + clade.cpu_seconds(watcher)
    time.sleep(idle)
    busy = clade.cpu_seconds(server.pid) + clade.cpu_seconds(watcher) - busy
    processes = clade.descendants(server.pid)
    assert len(processes) == 3 * count + 1, len(processes)
    rss, pss = memory(server.pid)
    everything = pss + sum(memory(pid)[1] for pid in processes)
    descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
    assert (len(clade.host_mounts()), cgroups()) <= before, "mounts or control groups of the host's"
    begin = time.monotonic()
    assert server.stop(timeout=60) == 0
    stop = time.monotonic() - begin
    left = [pid for pid in processes if clade.running(pid)]
    assert not left, f"{len(left)} processes are left"
    assert (len(clade.host_mounts()), cgroups()) <= before
    return Crowd(seconds, rss, pss, memory(watcher)[1], everything, descriptors, len(processes), busy / idle, stop)


def median_of_part(values, part, parts=10):
    size = max(1, len(values) // parts)
    return statistics.median(values[part * size:(part + 1) * size])
