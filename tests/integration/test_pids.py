"""Both numbers of every worker, compared with what the kernel says: /proc/PID/status, NSpid."""

import os
import random
import signal
import time

import clade
from clade import EARLY

APPLICATIONS, PROCESSES = 5, 10
# As many as can be told of while nobody listens: a packet pipe has room for 16 words, and each has 3.
BRIEF = 5


class Witness:
    """Looks each worker up the moment that its event is read, while it can be seen at all."""

    def __init__(self, server):
        self.verified, self.gone, self.wrong = 0, 0, []
        server.listeners.append(self.on_event)

    def on_event(self, event):
        if event["event"] != "worker-started":
            return
        numbers = clade.nspid(event["pid"])
        if not numbers:
            self.gone += 1  # reaped already: it lived shorter than the event took
        elif numbers != [event["pid"], event["isolated_pid"]]:
            self.wrong.append((event, numbers))
        else:
            self.verified += 1


def check_claims(server):
    """What can be said of all events: no pid twice at a time, no end without a beginning."""
    living = {}
    for event in server.events:
        name, key = event["event"], (event.get("application"), event.get("isolated_pid"))
        if name == "worker-started":
            assert event["pid"] not in living.values(), event
            assert key not in living, event
            assert event["isolated_pid"] > 1 and event["pid"] > 1
            living[key] = event["pid"]
        elif name in ("worker-ready", "worker-exited", "worker-failed"):
            assert living[key] == event["pid"], event
            if name == "worker-exited":
                del living[key]
    return living


def test_fifty_workers_are_known_by_both_pids_while_they_are_killed(place):
    # The last of the five consists of workers that die as soon as they are there.
    names = [f"steady-{number}" for number in range(APPLICATIONS - 1)]
    applications = {name: clade.native("probe", processes=PROCESSES) for name in names}
    applications["brief"] = clade.native("fates", symbol="exits_at_once", processes=PROCESSES)
    server = place.run(applications, {f"127.0.0.1:{clade.free_port()}": name for name in names})
    witness = Witness(server)
    server.wait_ready(*names)

    # Every one of those that run, and nobody else, is a child of its prototype.
    for name in names:
        workers = server.workers(name)
        assert len(workers) == PROCESSES
        assert sorted(clade.children(server.prototypes()[name])) == sorted(workers)
        for pid, isolated_pid in workers.items():
            assert clade.nspid(pid) == [pid, isolated_pid]

    chance = random.Random(3)
    killed = 0
    end = time.monotonic() + 8
    while time.monotonic() < end:
        time.sleep(chance.uniform(0, 0.05))
        # Old enough not to be waited for; and now and then one of those that are dying anyway.
        steady = [pid for name in names for pid in server.workers(name, age=EARLY + 0.1)]
        brief = list(server.workers("brief", "worker-started"))
        victims = brief if brief and chance.random() < 0.2 else steady
        if not victims:
            continue
        try:
            os.kill(chance.choice(victims), signal.SIGKILL)
            killed += 1
        except ProcessLookupError:
            pass  # dead a moment ago
    assert killed > 50

    def settled():
        return all(len(workers := server.workers(name)) == PROCESSES and
                   all(clade.nspid(pid) == [pid, inner] for pid, inner in workers.items())
                   for name in names)

    clade.wait_until(settled, 40, "all are there again, and known by both their pids")
    assert not witness.wrong, witness.wrong
    assert witness.verified >= PROCESSES * (APPLICATIONS - 1) + killed // 2
    check_claims(server)
    # Each that was killed is reported so, each of the brief ones with its own status.
    assert {event["signal"] for event in server.find("worker-exited") if "signal" in event} == {9}
    assert {event["code"] for event in server.find("worker-exited") if "code" in event} == {7}
    assert server.stop() == 0
    assert not check_claims(server)


def test_workers_that_die_at_once_are_known_by_both_pids(place):
    """Nothing is left to chance here: the dead cannot be reaped before we have looked.

    With the supervisor stopped the prototype clones what it was asked for before, and all of it dies. With
    the prototype stopped instead the supervisor finds the dead and tells us; they stay until the
    prototype runs again and hears that they may go."""
    server = place.run({"brief": clade.native("fates", symbol="exits_at_once", processes=BRIEF)},
                       options=["--log-level", "debug"])
    prototype = server.wait_event("prototype-started", "brief")["pid"]
    rounds = 0
    for _ in range(3):
        # Everybody has died the same number of times and waits.
        failures = rounds + 4
        server.wait_event("worker-backoff", "brief", count=BRIEF, failures=failures, timeout=30)
        os.kill(prototype, signal.SIGSTOP)
        # The orders arrive, and nobody hears them yet.
        time.sleep(0.1 * 2 ** (failures - 1) + 0.3)
        os.kill(server.pid, signal.SIGSTOP)
        os.kill(prototype, signal.SIGCONT)
        dead = clade.wait_until(lambda: len(found := clade.children(prototype)) == BRIEF and all(
            clade.status(pid).get("State", "")[:1] == "Z" for pid in found) and found, 10,
                                "all have been cloned, and have died")
        # ... and been told of: it waits for the next order.
        clade.wait_until(lambda: clade.status(prototype)["State"][0] == "S", 5, "the prototype rests")
        time.sleep(0.05)
        assert clade.status(prototype)["State"][0] == "S"
        os.kill(prototype, signal.SIGSTOP)
        mark = server.mark()
        os.kill(server.pid, signal.SIGCONT)
        server.wait_event("worker-started", "brief", since=mark, count=BRIEF)
        started = server.find("worker-started", "brief", since=mark)
        assert sorted(event["pid"] for event in started) == sorted(dead)
        for event in started:
            assert clade.nspid(event["pid"]) == [event["pid"], event["isolated_pid"]]
            assert clade.status(event["pid"])["PPid"] == str(prototype)
        # None of them has been given up, since nobody could have reaped it.
        assert not server.find("worker-exited", "brief", since=mark)
        os.kill(prototype, signal.SIGCONT)
        server.wait_event("worker-exited", "brief", since=mark, count=BRIEF, code=7)
        rounds += 1
    assert server.stop() == 0
    assert not check_claims(server)
