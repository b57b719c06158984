"""As many workers as are needed, none that hangs, and each for as many requests as it may serve.

Seen from outside: by the events, by /proc, and by what clients get. The application is tests/integration/
programs/counted.c, which has nothing but module.h; what the HTTP unit and the modules on top of it make of the
same limits is in test_http.py and test_python.py.
"""

import concurrent.futures
import contextlib
import os
import signal
import time

import pytest

import clade

USERS = pytest.mark.users("root", "user")
ONCE = pytest.mark.users("user")


def run(place, processes, limits=None, **more):
    port = clade.free_port()
    server = place.run({"app": clade.native("counted", processes=processes, limits=limits or {}, **more)},
                       {f"127.0.0.1:{port}": "app"})
    server.wait_event("application-ready", "app")
    return server, port


def alive(server):
    return sorted(pid for prototype in server.prototypes().values() for pid in clade.children(prototype)
                  if clade.running(pid))


def ask(port, target="/", timeout=20.0):
    return [int(word) for word in clade.get(port, target, timeout).split()]


def ask_many(port, targets, timeout=30.0):
    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        return list(pool.map(lambda target: ask(port, target, timeout), targets))


@USERS
def test_nothing_runs_until_somebody_comes(place):
    server, port = run(place, {"max": 4, "spare": 0, "idle_timeout": 1})
    assert not alive(server) and not server.find("worker-started")
    assert ask(port)[2] == 1
    # A second one only where the machine is so busy that the first one seemed to be.
    assert 1 <= len(alive(server)) <= 2
    # ... and nothing some time after; and once more from the beginning.
    clade.wait_until(lambda: not alive(server), 10, "the idle worker has gone")
    server.wait_event("worker-idle", "app")
    assert not server.find("worker-backoff")
    assert ask(port)[2] == 1
    assert server.stop() == 0


@ONCE
def test_an_application_at_rest_costs_nothing(place):
    server, port = run(place, {"max": 4, "spare": 1, "idle_timeout": 1}, {"timeout": 1})
    assert ask(port)
    clade.wait_until(lambda: len(alive(server)) == 1, 6, "one is left")
    time.sleep(3)
    before, began = clade.cpu_seconds(server.pid), time.monotonic()
    switches = int(clade.status(server.pid)["voluntary_ctxt_switches"])
    time.sleep(3)
    # Nothing wakes it but what wakes every supervisor: once a second at most.
    assert int(clade.status(server.pid)["voluntary_ctxt_switches"]) - switches <= 8
    assert clade.cpu_seconds(server.pid) - before < 0.2 * (time.monotonic() - began)
    assert server.stop() == 0


@USERS
def test_as_many_as_there_is_work_for_and_no_more_than_may_be(place):
    server, port = run(place, {"max": 4, "spare": 1, "idle_timeout": 1})
    assert len(alive(server)) == 1
    answers = ask_many(port, ["/sleep/700"] * 8)
    workers = {answer[0] for answer in answers}
    assert len(workers) == 4, answers
    clade.wait_until(lambda: len(alive(server)) == 1, 8, "down to the spare one")
    assert len(server.find("worker-started", "app")) == 4
    assert not server.find("worker-backoff")
    assert server.stop() == 0


@ONCE
def test_one_spare_is_ready_before_it_is_needed(place):
    server, port = run(place, {"max": 3, "spare": 1, "idle_timeout": 60})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(ask, port, "/sleep/1500")
        server.wait_event("worker-ready", "app", count=2)
        assert not first.done()
        began = time.monotonic()
        assert ask(port)[2] == 1
        assert time.monotonic() - began < 1.0 * clade.SLOW
        first.result()
    assert server.stop() == 0


@ONCE
def test_connections_that_wait_bring_workers(place):
    server, port = run(place, {"max": 6, "spare": 0, "idle_timeout": 60})
    answers = ask_many(port, ["/sleep/500"] * 6)
    assert len({answer[0] for answer in answers}) >= 4, answers
    assert server.stop() == 0


@USERS
def test_each_request_has_a_worker_that_served_nobody_else(place):
    server, port = run(place, 4, {"requests": 1})
    serials, pids = set(), set()
    for _ in range(60):
        for pid, serial, served in ask_many(port, ["/"] * 5):
            assert served == 1
            assert serial not in serials and pid not in pids
            serials.add(serial)
            pids.add(pid)
    assert not server.find("worker-backoff") and not server.find("application-failed")
    # What comes and goes by the thousand is told to those who ask for it.
    assert not server.find("worker-exited", "app", code=0)
    assert server.stop() == 0


@ONCE
def test_workers_are_recycled(place):
    server, port = run(place, 2, {"requests": 5})
    seen = {}
    for _ in range(60):
        pid, _, served = ask(port)
        assert served == seen.get(pid, 0) + 1 <= 5
        seen[pid] = served
    assert len(seen) >= 11
    assert not server.find("worker-backoff")
    assert server.stop() == 0


@ONCE
def test_what_claims_to_be_recycled_for_ever_is_put_off(place):
    """Only where each request has a worker of its own is there no end to it."""
    server, port = run(place, 1, {"requests": 1000})
    deadline = time.monotonic() + 20 * clade.SLOW
    while not server.find("worker-backoff") and time.monotonic() < deadline:
        try:
            clade.get(port, "/crash", 2)
        except (OSError, clade.http.client.HTTPException):
            pass
    assert server.find("worker-backoff", "app")
    assert len(server.find("worker-exited", "app")) > 15
    assert server.stop() == 0


@USERS
def test_a_worker_that_hangs_is_ended_and_the_others_go_on(place):
    server, port = run(place, 2, {"timeout": 1})
    before = alive(server)
    began = time.monotonic()
    with pytest.raises((OSError, clade.http.client.HTTPException)):
        clade.get(port, "/hang", 20)
    # Ended by SIGTERM here: the program handles it as everybody does.
    assert 0.9 < time.monotonic() - began < 4 * clade.SLOW
    (hung,) = server.find("worker-hung", "app")
    assert hung["pid"] in before and hung["timeout"] == 1
    server.wait_event("worker-exited", "app")
    clade.wait_until(lambda: len(alive(server)) == 2, 5, "it has been replaced")
    assert len(set(before) & set(alive(server))) == 1
    assert ask(port)[2] >= 1
    assert server.stop() == 0


@ONCE
def test_one_that_hangs_with_its_first_request_is_noticed(place):
    """It may have begun before its prototype has said that it is there."""
    server, port = run(place, {"max": 2, "spare": 0}, {"timeout": 1})
    for _ in range(4):
        with pytest.raises((OSError, clade.http.client.HTTPException)):
            clade.get(port, "/hang", 20)
    assert len(server.find("worker-hung", "app")) == 4
    assert server.stop() == 0


@ONCE
def test_the_supervisor_can_only_read_what_workers_say(place):
    """A write would wait for the file's lock, and a tenant can hold that."""
    server, _ = run(place, {"max": 2, "spare": 1}, {"timeout": 1})
    found = []
    for name in os.listdir(f"/proc/{server.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            if "clade-scoreboard" in os.readlink(f"/proc/{server.pid}/fd/{name}"):
                with open(f"/proc/{server.pid}/fdinfo/{name}", encoding="ascii") as info:
                    flags = next(line for line in info if line.startswith("flags:"))
                found.append(int(flags.split()[1], 8) & os.O_ACCMODE)
    assert found == [os.O_RDONLY]
    assert server.stop() == 0


@ONCE
def test_what_takes_long_but_not_too_long_is_left_alone(place):
    server, port = run(place, 2, {"timeout": 2})
    for _ in range(3):
        answers = ask_many(port, ["/sleep/1200"] * 2)
        assert len(answers) == 2
    assert not server.find("worker-hung")
    assert server.stop() == 0


@ONCE
def test_one_that_does_not_listen_is_killed(place):
    script = clade.native("counted", processes=1, limits={"timeout": 1}, symbol="deaf_main")
    port = clade.free_port()
    server = place.run({"app": script}, {f"127.0.0.1:{port}": "app"}, settings={"stop_timeout": 1})
    server.wait_ready("app")
    with pytest.raises((OSError, clade.http.client.HTTPException)):
        clade.get(port, "/hang", 20)
    ended = server.wait_event("worker-exited", "app")
    assert ended["signal"] == signal.SIGKILL
    assert server.stop() == 0


@ONCE
def test_those_that_are_killed_are_replaced_at_once(place):
    """As by the kernel, or by an administrator; a back-off is for what never works."""
    server, port = run(place, 4)
    for _ in range(12):
        worker = alive(server)[0]
        os.kill(worker, signal.SIGKILL)
        clade.wait_until(lambda: len(alive(server)) == 4 and worker not in alive(server), 5,
                         "it has been replaced")
        for _ in range(4):
            ask(port)
    assert server.stop() == 0


@ONCE
def test_a_lie_about_leaving_costs_the_liar_alone(place):
    server, port = run(place, {"max": 2, "spare": 1, "idle_timeout": 1})
    assert ask(port, "/lie")
    # It counts as one that leaves, so another one is made ready; it can have no third.
    server.wait_event("worker-ready", "app", count=2)
    for _ in range(10):
        assert ask(port)
    assert len(alive(server)) == 2
    assert server.stop() == 0
