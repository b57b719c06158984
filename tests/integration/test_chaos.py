"""SIGKILL at random, under load: everything comes back, nothing is left, nothing grows."""

import collections
import os
import random
import signal
import time

import clade
from clade import EARLY

KILLS = 200
APPLICATIONS, PROCESSES = 4, 4


def whole(server, names, helpers):
    """Whether the events and /proc agree that all is there, and nothing else is."""
    prototypes, relays = server.prototypes(), server.relays()
    if sorted(prototypes) != sorted(names) or len(relays) != len(names) or \
            sorted(clade.children(server.pid)) != sorted([*helpers, *relays, *prototypes.values()]):
        return False
    for name, prototype in prototypes.items():
        workers = sorted(server.workers(name))
        if len(workers) != PROCESSES or sorted(clade.children(prototype)) != workers:
            return False
    return True


def victims(server):
    """Whoever has lived long enough not to be held against its slot or its application."""
    now = time.monotonic()
    born = {event["pid"]: event["seen"] for event in server.events
            if event["event"] in ("prototype-started", "worker-ready")}
    living = {**{pid: "prototype" for pid in server.prototypes().values()},
              **{pid: "worker" for pid in server.workers()}}
    return {pid: kind for pid, kind in living.items() if born[pid] < now - EARLY - 0.1}


def test_two_hundred_kills(place):
    ports = {f"app-{number}": clade.free_port() for number in range(APPLICATIONS)}
    mounts = clade.host_mounts()
    server = place.run({name: clade.native("probe", processes=PROCESSES) for name in ports},
                       {f"127.0.0.1:{port}": name for name, port in ports.items()})
    server.wait_ready(*ports)
    helpers = server.helpers()
    assert len(helpers) <= 1
    clade.wait_until(lambda: whole(server, ports, helpers), 5, "all is there at the start")
    descriptors = collections.Counter(
        kind.split(":")[0] for kind in clade.descriptors(server.pid).values())
    memory = None
    chance = random.Random(4)
    kills = collections.Counter()
    with clade.Load(ports.values(), clients=1, rate=50, timeout=5) as load:
        for number in range(KILLS):
            # Prototypes are few and take all of theirs along: one in five.
            kind = "prototype" if chance.random() < 0.2 else "worker"
            pid = chance.choice(clade.wait_until(
                lambda kind=kind: [pid for pid, its in victims(server).items() if its == kind], 5,
                f"a {kind} is old enough"))
            mark = server.mark()
            os.kill(pid, signal.SIGKILL)
            kills[kind] += 1
            server.wait_event(f"{kind}-exited", pid=pid, since=mark, signal=9)
            clade.wait_until(lambda: whole(server, ports, helpers), 5,
                             f"all is there again after kill {number} of {kind} {pid}")
            if number == KILLS // 4:
                memory = clade.rss(server.pid)
    assert kills["prototype"] > 20 and kills["worker"] > 100, kills
    assert load.answers > 1000, (load.answers, load.failures)
    # A request that a killed worker had is lost, and no other: at most one for each client and kill.
    assert load.failures <= 2 * KILLS

    assert collections.Counter(kind.split(":")[0] for kind in
                               clade.descriptors(server.pid).values()) == descriptors
    assert clade.rss(server.pid) - memory < (256 << 10 if clade.SLOW == 1 else 32 << 20)
    assert clade.host_mounts() == mounts
    family = clade.descendants(server.pid)
    assert len(family) == len(helpers) + APPLICATIONS * (2 + PROCESSES)
    assert not [pid for pid in family if not clade.running(pid)], "zombies"
    for port in ports.values():
        assert clade.get(port)
    assert server.stop() == 0
    assert clade.host_mounts() == mounts


def test_twenty_supervisors_are_killed(place):
    """Nothing below survives a second, and the next one starts at once on the same addresses."""
    port, path = clade.free_port(), place.path / "run" / "socket"
    mounts = clade.host_mounts()
    configuration = place.configuration(
        {"native": clade.native("probe", processes=3),
         "shell": {"type": "external", "executable": "/bin/sh",
                   "arguments": ["-c", "trap '' TERM HUP INT; sleep 1000 & setsid sleep 1000 & wait"],
                   "isolation": {"rootfs": "host"}}},
        {f"127.0.0.1:{port}": "native", f"unix:{path}": "native", "unix:@clade-test-%d" % port: "native"})
    for turn in range(20):
        start = time.monotonic()
        server = place.start(configuration)
        server.wait_ready("native", "shell")
        assert time.monotonic() - start < 2 * clade.SLOW
        for where in (port, str(path), "@clade-test-%d" % port):
            assert clade.get(where).startswith("native ")
        if turn % 2:
            # A grandchild that is nobody's any more, and hears nothing.
            assert clade.get(port, "/orphan") == "done\n"
        family = clade.wait_until(
            lambda: len(found := clade.descendants(server.pid)) >= 2 + 3 + 1 + 2 + turn % 2 and found,
            5, "all are there")
        births = {pid: clade.born(pid) for pid in family}
        server.process.kill()
        server.wait()
        clade.wait_until(lambda: not [pid for pid in family if clade.born(pid) == births[pid]
                                      and clade.running(pid)],
                         1 / clade.SLOW, "a second later something of it lives")
    assert path.exists()
    assert clade.host_mounts() == mounts


def test_a_kill_in_the_middle_of_a_start(place):
    """At any moment of its start a supervisor may die: the same holds."""
    port, path = clade.free_port(), place.path / "run" / "socket"
    configuration = place.configuration(
        {f"app-{number}": clade.native("probe", processes=5) for number in range(4)},
        {f"127.0.0.1:{port}": "app-0", f"unix:{path}": "app-1"})
    chance = random.Random(5)
    for _ in range(30):
        server = place.start(configuration)
        family = set()
        end = time.monotonic() + chance.uniform(0, 0.12) * clade.SLOW
        while time.monotonic() < end:
            family.update((pid, clade.born(pid)) for pid in clade.descendants(server.pid))
        os.kill(server.pid, signal.SIGSTOP)  # so that nobody is missed
        clade.wait_until(lambda: clade.status(server.pid)["State"][0] == "T", 5, "it is stopped")
        family.update((pid, clade.born(pid)) for pid in clade.descendants(server.pid))
        # Whoever has just been cloned has not asked yet to die with its parent.
        server.process.kill()
        server.wait()
        clade.wait_until(lambda: not [pid for pid, birth in family if birth is not None
                                      and clade.born(pid) == birth and clade.running(pid)],
                         1 / clade.SLOW, "a second later something of it lives")
    server = place.start(configuration)
    server.wait_ready(*(f"app-{number}" for number in range(4)))
    assert clade.get(str(path)).startswith("app-1 ")
    assert server.stop() == 0
    assert not path.exists()


def test_a_prototype_that_has_cut_its_tie_dies_all_the_same(place):
    server = place.start(place.configuration(
        {"loose": clade.native("hostile", preload="execs_from_a_thread", isolation={"rootfs": "host"})}, {}))
    started = server.wait_event("prototype-started", "loose")
    pid, born = started["pid"], clade.born(started["pid"])
    clade.wait_until(lambda: "sleep" in open(f"/proc/{pid}/cmdline", encoding="ascii").read(), 5,
                     "it has exec'd")
    server.process.kill()
    server.wait()
    clade.wait_until(lambda: not (clade.born(pid) == born and clade.running(pid)), 1 / clade.SLOW,
                     "it lives on")
