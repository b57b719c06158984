"""What one more worker takes: time, beside a bare fork of the same interpreter; and memory, beside Debian's servers."""

import collections
import os
import signal
import statistics
import subprocess
import time

import bench
import load
import paired
import servers
from bench import clade

WORKERS = 8  # of which one at a time is made anew


class Floor:
    """tests/bench/fork-floor, waiting to be asked for a fork."""

    def __init__(self, place, module):
        self.process = place.popen([bench.TOOLS / "fork-floor", servers.publish(place), module],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def fork(self):
        """µs, of a fork alone and of one that another process has ordered."""
        self.process.stdin.write(b".")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"fork-floor ended with {self.process.wait()}")
        direct, ordered = map(int, line.split())
        return {"us": direct / 1000, "ordered": ordered / 1000}

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Clones:
    """An application of which one worker after the other is killed, and made anew."""

    def __init__(self, place, module):
        self.ours = servers.Ours(place, module, WORKERS)
        self.server = self.ours.server
        ready = self.server.find("worker-ready")
        self.waiting = collections.deque((event["pid"], event["seen"]) for event in ready)

    def clone(self):
        """µs from the order to clone until the supervisor knows that the new worker accepts."""
        pid, since = self.waiting.popleft()
        # A younger one would be made to wait for its successor.
        time.sleep(max(0.0, since + 1.1 * clade.EARLY - time.monotonic()))
        mark = self.server.mark()
        os.kill(pid, signal.SIGKILL)
        event = self.server.wait_event("worker-ready", since=mark)
        self.waiting.append((event["pid"], event["seen"]))
        return {"us": event["start_us"]}

    def close(self):
        self.ours.close()


def clone(place, module, rounds):
    floor, clones = Floor(place, module), None
    try:
        clones = Clones(place, module)
        return paired.Paired({"bare fork": floor.fork, "clade": clones.clone}).run(rounds, pause=0.02)
    finally:
        floor.close()
        if clones:
            clones.close()


def report_clone(module, found, rounds):
    print(f"\none more worker of {module}, from the order until it is ready, beside a fork of the same interpreter: "
          f"median of {rounds} interleaved rounds; the same, with the order and the answer over a pipe as a supervisor "
          f"has them\n")
    floors = {"bare fork": found.values("bare fork", "us"), "bare fork, ordered": found.values("bare fork", "ordered")}
    values = {**floors, "clade": found.values("clade", "us")}
    rows = []
    for name, taken in values.items():
        low, middle, high = paired.quartiles(taken)
        rows.append([name, f"{middle:.0f}", f"{low:.0f} - {high:.0f}", f"{min(taken):.0f}",
                     *(f"{statistics.median(mine / its for mine, its in zip(taken, floor)):.2f}x"
                       for floor in floors.values())])
    paired.table(["", "µs", "quartiles", "least", "of a fork", "of an ordered one"], rows)
    return {"rounds": rounds, "results": found.results}


# --- memory


def settle(server, processes):
    """Each worker has served something: what is written to on the way is its own from then on."""
    load.wrk(server.port, 1, max(32, 2 * processes))


def weigh(pids):
    """{pss, private}: KiB for each of them."""
    found = [servers.memory(pid) for pid in pids]
    return {"pss": statistics.mean(pss for pss, _ in found), "private": statistics.mean(own for _, own in found)}


def memory(place, module, counts, ours=True):
    """{who: {count: {pss, private, ...}}}"""
    found = collections.defaultdict(dict)
    peers = {name: servers.PEERS[name] for name in ("gunicorn sync", "uwsgi")}
    for count in counts:
        if ours:
            server = servers.Ours(place, module, count)
            try:
                settle(server, count)
                workers = server.workers()
                assert len(workers) == count
                found["clade"][count] = weigh(workers)
                found["clade"][count]["prototype"] = servers.memory(server.prototype())[0]
            finally:
                server.close()
        for name in peers:
            server = servers.Peer(place, name, peers, module, count)
            try:
                settle(server, count)
                found[name][count] = weigh(server.workers())
                found[name][count]["prototype"] = servers.memory(server.process.pid)[0]
            finally:
                server.close()
    return found


def report_memory(module, found):
    print(f"\nmemory of {module}, KiB for each worker when all have served (proportional: a page shared by n counts as a "
          f"nth part), and of the process that they come from\n")
    paired.table(["", "workers", "proportional", "private", "their parent"],
                 [[name, count, f"{sizes['pss']:.0f}", f"{sizes['private']:.0f}", sizes["prototype"]]
                  for name, by_count in found.items() for count, sizes in by_count.items()])


def run_clone(place, options, record):
    if not servers.available() or not (bench.TOOLS / "fork-floor").exists():
        print("\nclone: no python module in this build")
        return
    for module in options.applications:
        found = clone(place, module, options.clones)
        record.add("clone", **{module: report_clone(module, found, options.clones)})


def run_memory(place, options, record):
    for module in options.applications:
        found = memory(place, module, options.workers, servers.available())
        report_memory(module, found)
        record.add("memory", **{module: found})
