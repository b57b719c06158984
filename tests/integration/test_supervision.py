"""Replacement, back-off, start that fails, stop: what the supervisor does about what happens below."""

import errno
import os
import signal
import socket
import time

import pytest

import clade


# --- replacement and back-off ---------------------------------------------------------------------


@pytest.mark.parametrize("how, field, value", [("/exit?code=5", "code", 5), ("/exit?code=0", "code", 0),
                                               ("/crash?signal=11", "signal", 11),
                                               ("/crash?signal=6", "signal", 6)])
def test_a_dead_worker_is_replaced(place, how, field, value):
    port = clade.free_port()
    server = place.run({"app": clade.native("probe", processes=2)}, {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app")
    time.sleep(clade.EARLY + 0.1)
    before, mark = server.workers("app"), server.mark()
    with pytest.raises((OSError, clade.http.client.HTTPException)):
        clade.get(port, how)
    exited = server.wait_event("worker-exited", "app", since=mark, **{field: value})
    assert before.pop(exited["pid"]) == exited["isolated_pid"]
    ready = server.wait_event("worker-ready", "app", since=mark)
    assert ready["slot"] == exited["slot"]
    # A grown-up is replaced at once.
    assert not server.find("worker-backoff")
    assert ready["seen"] - exited["seen"] < 0.5 * clade.SLOW
    # The others are as they were.
    assert list(before) == [pid for pid in server.workers("app") if pid != ready["pid"]]
    assert clade.get(port).startswith("app ")
    assert server.stop() == 0


@pytest.mark.parametrize("symbol, field, value", [("exits_at_once", "code", 7),
                                                  ("exits_when_ready", "code", 7),
                                                  ("crashes_at_once", "signal", 11)])
def test_one_that_dies_early_waits_twice_as_long_each_time(place, symbol, field, value):
    port = clade.free_port()
    server = place.run({"bad": clade.native("fates", symbol=symbol), "good": clade.native("probe")},
                       {f"127.0.0.1:{port}": "good"})
    server.wait_ready("good")
    with clade.Load([port], clients=1) as load:
        server.wait_event("worker-backoff", "bad", count=5, timeout=20)
    events = server.find("worker-backoff", "bad")[:5]
    assert [event["delay_ms"] for event in events] == [100, 200, 400, 800, 1600]
    assert [event["failures"] for event in events] == [1, 2, 3, 4, 5]
    assert all(event[field] == value for event in server.find("worker-exited", "bad"))
    # They were really waited for.
    starts = server.find("worker-started", "bad")
    for backoff, start in zip(events, starts[1:]):
        assert start["seen"] - backoff["seen"] > backoff["delay_ms"] / 1000 - 0.05
        assert start["seen"] - backoff["seen"] < backoff["delay_ms"] / 1000 + 1 * clade.SLOW
    assert load.failures == 0 and load.answers > 50
    # It is the worker that is bad; its prototype goes on.
    assert len(server.find("prototype-started", "bad")) == 1
    assert server.stop() == 0


def test_a_dead_prototype_takes_its_workers_along_and_comes_back(place):
    ports = clade.free_port(), clade.free_port()
    server = place.run({"app": clade.native("probe", processes=3), "other": clade.native("probe")},
                       {f"127.0.0.1:{ports[0]}": "app", f"127.0.0.1:{ports[1]}": "other"})
    server.wait_ready("app", "other")
    time.sleep(clade.EARLY + 0.1)
    assert clade.get(ports[0], "/orphan") == "done\n"
    workers, prototype, mark = server.workers("app"), server.prototypes()["app"], server.mark()
    family = clade.wait_until(lambda: len(found := clade.descendants(prototype)) == 4 and found, 5,
                              "three workers and an orphan")
    others = server.workers("other")
    os.kill(prototype, signal.SIGKILL)
    exited = server.wait_event("prototype-exited", "app", since=mark, pid=prototype)
    assert exited["signal"] == 9
    # Each of the workers is accounted for, before the prototype is.
    ends = [event["pid"] for event in server.find("worker-exited", "app", since=mark, signal=9)]
    assert sorted(ends) == sorted(workers)
    assert not [pid for pid in family if clade.running(pid)]
    server.wait_ready("app", since=mark)
    assert server.prototypes()["app"] != prototype
    assert len(server.workers("app")) == 3
    assert clade.get(ports[0]).startswith("app ")
    assert server.workers("other") == others
    assert server.stop() == 0


# --- starts that fail -----------------------------------------------------------------------------


def missing_library(place):
    return {"type": "native", "library": str(place.path / "files" / "missing.so")}, \
        None, "ENOENT", "missing.so"


def not_a_library(place):
    return {"type": "native", "library": place.write("text.so", "this is not a library")}, \
        "preload", None, "text.so"


def missing_symbol(_place):
    return clade.native("fates", symbol="not_there"), "preload", None, "not_there"


def refusing_preload(_place):
    return clade.native("fates", symbol="never_ready", preload="refuses"), "preload", None, "42"


def missing_executable(place):
    return {"type": "external", "executable": str(place.path / "files" / "missing")}, \
        None, "ENOENT", "missing"


def missing_mount(place):
    return clade.native("probe", isolation={"mounts": [
        {"destination": "/data", "type": "bind", "source": str(place.path / "nowhere")}]}), \
        None, "ENOENT", "nowhere"


def missing_template(_place):
    return clade.native("probe", isolation={"rootfs": "maximal"}), None, None, "maximal"


def missing_directory(_place):
    return clade.native("probe", working_directory="/not/here"), None, "ENOENT", "/not/here"


BROKEN = [missing_library, not_a_library, missing_symbol, refusing_preload, missing_executable,
          missing_mount, missing_template, missing_directory]


@pytest.mark.parametrize("broken", BROKEN)
def test_nothing_that_can_start_is_an_exit_status(place, broken):
    """One message that names the thing, and what to do; nothing is left behind."""
    application, step, number, name = broken(place)
    port = clade.free_port()
    server = place.run({"broken": application}, {f"127.0.0.1:{port}": "broken"})
    assert server.wait(20) == 1
    told = server.find("application-failed") or server.find("configuration-error")
    assert len(told) == 1, server.story()
    assert name in told[0]["message"], told
    if broken is not refusing_preload:  # what would help only the application knows
        assert told[0].get("remedy") or "expected" in told[0]["message"], told
    if step:
        assert told[0]["step"] == step
    if number and told[0]["event"] == "application-failed":
        assert told[0]["errno"] == number
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_one_that_cannot_start_is_tried_again_while_others_run(place):
    port = clade.free_port()
    marker = place.path / "files" / "late.so"
    server = place.run({"late": clade.native("probe", isolation={"mounts": [
        {"destination": "/data", "type": "bind", "source": str(marker)}]}),
                        "good": clade.native("probe")}, {f"127.0.0.1:{port}": "good"})
    server.wait_ready("good")
    server.wait_event("application-backoff", "late", count=3)
    events = server.find("application-backoff", "late")[:3]
    assert [event["delay_ms"] for event in events] == [100, 200, 400]
    assert {event["errno"] for event in server.find("application-failed", "late")} == {"ENOENT"}
    # What was missing comes: nobody has to start anything anew.
    place.write("late.so", "here")
    server.wait_ready("late", timeout=10)
    assert clade.get(port).startswith("good ")
    assert server.stop() == 0


@pytest.mark.parametrize("preload, code", [("dies", 9)])
def test_a_prototype_that_dies_while_it_loads_is_reported(place, preload, code):
    server = place.run({"dead": clade.native("fates", symbol="never_ready", preload=preload),
                        "good": clade.native("probe")})
    failed = server.wait_event("application-failed", "dead")
    assert str(code) in failed["message"]
    assert server.wait_event("prototype-exited", "dead")["code"] == code
    # What it had to say before is heard.
    said = server.wait_event("output", "dead", text="the last words")
    assert said["stream"] == "stderr" and said["isolated_pid"] == 1
    server.wait_event("application-backoff", "dead")
    server.wait_ready("good")
    assert server.stop() == 0


@pytest.mark.parametrize("fate", [{"preload": "hangs", "symbol": "never_ready"},
                                  {"symbol": "never_ready"}])
def test_one_that_never_gets_ready_is_ended(place, fate):
    server = place.run({"slow": clade.native("fates", **fate), "good": clade.native("probe")},
                       settings={"start_timeout": 1})
    start = time.monotonic()
    failed = server.wait_event("application-failed", "slow")
    assert failed["errno"] == "ETIMEDOUT" and failed["remedy"]
    assert time.monotonic() - start < 3 * clade.SLOW
    server.wait_event("prototype-exited" if "preload" in fate else "worker-exited", "slow", signal=9)
    server.wait_event("application-backoff" if "preload" in fate else "worker-backoff", "slow")
    server.wait_ready("good")
    assert not server.find("application-failed", "good")
    assert server.stop() == 0


def test_an_exec_that_fails_says_why(place):
    """ENOEXEC, EACCES and a missing interpreter: found out only by trying."""
    cases = {
        "no-format": (place.write("no-format", "neither ELF nor #!\n", 0o755), "ENOEXEC"),
        "no-permission": (place.write("no-permission", "#!/bin/sh\n", 0o644), "EACCES"),
        "no-interpreter": (place.write("no-interpreter", "#!/no/such/interpreter\n", 0o755), "ENOENT"),
    }
    server = place.run({name: {"type": "external", "executable": path, "isolation": {"rootfs": "host"}}
                        for name, (path, _) in cases.items()} | {"good": clade.native("probe")})
    server.wait_ready("good")
    for name, (path, number) in cases.items():
        failed = server.wait_event("application-failed", name)
        assert failed["errno"] == number, failed
        assert path in failed["message"] and failed["remedy"]
        assert not server.find("application-ready", name)
    assert server.stop() == 0


def test_ready_is_what_a_program_says(place):
    script = place.write("notify.py", """
import os, socket, sys, time
time.sleep(float(sys.argv[1]))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
    to.sendto(b"STATUS=up\\nREADY=1\\n", os.environ["NOTIFY_SOCKET"])
while True:
    time.sleep(3600)
""")
    server = place.run({"slow": clade.python(script, "0.5", ready="notify", processes=2),
                        "quick": clade.python(script, "0", ready="notify"),
                        "never": clade.python(script, "3600", ready="notify")},
                       settings={"start_timeout": 3})
    server.wait_ready("quick", "slow")
    for name, least in (("slow", 0.5), ("quick", 0)):
        # A worker is told as started when it has run for a moment; its prototype was there before it.
        (began,) = server.find("prototype-started", name)
        for ready in server.find("worker-ready", name):
            assert server.find("worker-started", name, pid=ready["pid"])
            assert ready["seen"] - began["seen"] >= least
    failed = server.wait_event("worker-failed", "never")
    assert failed["errno"] == "ETIMEDOUT" and "NOTIFY_SOCKET" in failed["remedy"]
    assert not server.find("worker-ready", "never")
    assert server.stop() == 0


def test_a_source_that_the_private_id_cannot_read_is_named(place):
    if not place.root:
        # Without an id of its own the application reads what its user does; what that cannot read ...
        path = "/etc/shadow"
        name = None
    else:
        path = place.write("private.txt", "for root only", 0o600)
        name = path
    server = place.run({"app": clade.native("probe", isolation={"mounts": [
        {"destination": "/data", "type": "bind", "source": path}]})})
    assert server.wait(20) == 1
    (failed,) = server.find("application-failed")
    assert path in failed["message"] and failed["remedy"]
    if name:
        # ... with the id that would have to be able to.
        assert any(word.strip(":,;()").isdigit() and int(word.strip(":,;()")) >= 1879048192
                   for word in (failed["message"] + " " + failed["remedy"]).split()), failed


# --- listeners ------------------------------------------------------------------------------------


def test_a_listener_in_use_is_refused_with_a_remedy(place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        server = place.run({"app": clade.native("probe")}, {address: "app"})
        assert server.wait(20) == 1
        (failed,) = server.find("application-failed")
        assert failed["errno"] == "EADDRINUSE"
        assert address in failed["message"] and failed["remedy"]


def test_a_unix_socket_of_the_dead_is_replaced_and_of_the_living_refused(place):
    path = place.path / "run" / "socket"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.listen()
    os.chown(path, place.who.uid, place.who.gid)
    configuration = place.configuration({"app": clade.native("probe")}, {f"unix:{path}": "app"})
    living = place.start(configuration)
    assert living.wait(20) == 1
    (failed,) = living.find("application-failed")
    assert failed["errno"] == "EADDRINUSE" and str(path) in failed["message"] and failed["remedy"]
    # Refused means untouched.
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    stale.close()
    server = place.start(configuration)
    server.wait_ready("app")
    assert clade.get(str(path)).startswith("app ")
    assert server.stop() == 0
    assert not path.exists()


def test_something_else_in_place_of_a_unix_socket_stays(place):
    path = place.write("precious", "not a socket")
    server = place.run({"app": clade.native("probe")}, {f"unix:{path}": "app"})
    assert server.wait(20) == 1
    (failed,) = server.find("application-failed")
    assert path in failed["message"] and failed["remedy"]
    with open(path, encoding="utf-8") as file:
        assert file.read() == "not a socket"


def test_a_second_start_on_the_same_addresses_works_at_once(place):
    port, path = clade.free_port(), place.path / "run" / "socket"
    configuration = place.configuration({"app": clade.native("probe", processes=2)},
                                        {f"127.0.0.1:{port}": "app", f"unix:{path}": "app"})
    for _ in range(5):
        server = place.start(configuration)
        server.wait_ready("app")
        # A connection that is open when all ends, which leaves TIME_WAIT behind.
        with socket.create_connection(("127.0.0.1", port)):
            assert clade.get(str(path)).startswith("app ")
            assert server.stop() == 0


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order(place, number):
    port = clade.free_port()
    server = place.run({"app": clade.native("fates", symbol="stops_well", processes=3),
                        "shell": {"type": "external", "executable": "/bin/sleep",
                                  "arguments": ["1000"], "isolation": {"rootfs": "host"}}},
                       {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app", "shell")
    assert server.stop(number) == 0
    # They were asked, not killed.
    assert [event.get("code") for event in server.find("worker-exited", "app")] == [23] * 3
    assert [event.get("signal") for event in server.find("worker-exited", "shell")] == [15]
    assert [event["signal"] for event in server.find("stopping")] == [number]
    assert server.events[-1]["event"] == "stopped"
    assert {event.get("code") for event in server.find("prototype-exited")} == {0}


def test_the_deaf_are_killed_at_the_deadline(place):
    port = clade.free_port()
    server = place.run({"deaf": clade.native("fates", symbol="is_deaf", processes=2)},
                       {f"127.0.0.1:{port}": "deaf"}, {"stop_timeout": 1})
    server.wait_ready("deaf")
    start = time.monotonic()
    assert server.stop() == 0
    assert 0.9 < time.monotonic() - start < 2.5 * clade.SLOW
    assert [event.get("signal") for event in server.find("worker-exited", "deaf")] == [9, 9]


@pytest.mark.parametrize("first, second", [(None, signal.SIGQUIT), (signal.SIGTERM, signal.SIGTERM),
                                           (signal.SIGINT, signal.SIGQUIT)])
def test_now_means_now(place, first, second):
    port = clade.free_port()
    server = place.run({"deaf": clade.native("fates", symbol="is_deaf", processes=2)},
                       {f"127.0.0.1:{port}": "deaf"}, {"stop_timeout": 60})
    server.wait_ready("deaf")
    if first:
        server.send(first)
        server.wait_event("stopping")
        # Twice in one moment is one wish: a terminal and whoever started us may both pass it on.
        server.send(signal.SIGTERM)
        time.sleep(1.1)
        assert len(server.workers("deaf")) == 2
    start = time.monotonic()
    assert server.stop(second) == 0
    assert time.monotonic() - start < 2 * clade.SLOW  # and not 60


def test_while_it_stops_nobody_is_let_in(place):
    port, path = clade.free_port(), place.path / "run" / "socket"
    server = place.run({"app": clade.native("probe")}, {f"127.0.0.1:{port}": "app", f"unix:{path}": "app"},
                       {"stop_timeout": 5})
    server.wait_ready("app")
    # A worker that is busy, and does not hear of SIGTERM before it is done: it is stopped.
    (pid,) = server.workers("app")
    os.kill(pid, signal.SIGSTOP)
    server.send(signal.SIGTERM)
    server.wait_event("stopping")
    clade.wait_until(lambda: not path.exists(), 2, "the socket's file is gone")
    os.kill(pid, signal.SIGCONT)
    assert server.wait() == 0
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_orphans_and_sessions_of_their_own_end_with_the_rest(place):
    script = place.write("daemon.py", """
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        if os.fork():
            os._exit(0)
        while True:
            time.sleep(3600)
    os.wait()
while True:
    time.sleep(3600)
""")
    server = place.run({"app": clade.python(script)})
    server.wait_ready("app")
    prototype = server.prototypes()["app"]
    family = clade.wait_until(lambda: len(found := clade.children(prototype)) == 4 and found, 10,
                              "the worker and three orphans")
    assert server.stop() == 0
    assert not [pid for pid in family if clade.running(pid)]


def test_it_can_be_stopped_at_any_moment(place):
    configuration = place.configuration(
        {"app": clade.native("probe", processes=5),
         "bad": clade.native("fates", symbol="exits_at_once", processes=3),
         "slow": clade.native("fates", symbol="never_ready", preload="hangs")},
        {f"127.0.0.1:{clade.free_port()}": "app"})
    for delay in (0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3):
        server = place.start(configuration)
        server.wait_event("started")
        time.sleep(delay)
        assert server.stop(timeout=5) == 0, server.story()
        assert server.events[-1]["event"] == "stopped"


def test_workers_that_end_before_they_are_ready_are_a_failed_start(place):
    """Each of them ends at once, so none is late; all of them together are."""
    script = place.write("ends.py", "raise SystemExit(3)\n")
    server = place.run({"ends": clade.python(script, ready="notify"), "lives": clade.native("probe")},
                       {}, {"start_timeout": 1})
    failed = server.wait_event("application-failed", "ends")
    assert failed["errno"] == "ETIMEDOUT" and "status 3" in failed["message"], failed
    assert server.find("worker-exited", "ends", code=3)
    server.wait_ready("lives")
    assert not server.find("application-failed", "lives")
    assert server.stop() == 0
