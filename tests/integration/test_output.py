"""What applications write: whose it was, how much of it, and what cannot be made of it."""

import json
import os
import stat
import subprocess
import time

import clade


def encode(data):
    return "".join(f"%{byte:02x}" for byte in data)


def say(port, data, stream=1):
    assert int(clade.get(port, f"/print?stream={stream}&text={encode(data)}")) == len(data)


def test_lines_carry_their_author(place):
    ports = clade.free_port(), clade.free_port()
    server = place.run({"one": clade.native("probe", processes=3), "two": clade.native("probe")},
                       {f"127.0.0.1:{ports[0]}": "one", f"127.0.0.1:{ports[1]}": "two"})
    server.wait_ready("one", "two")
    for number in range(20):
        slot_pid = clade.get(ports[0]).split()
        say(ports[0], b"out %d\n" % number)
        say(ports[0], b"err %d\n" % number, 2)
        say(ports[1], b"two %d\n" % number)
        assert slot_pid[0] == "one"
    for number in range(20):
        out = server.wait_event("output", "one", text=f"out {number}")
        err = server.wait_event("output", "one", text=f"err {number}")
        server.wait_event("output", "two", text=f"two {number}")
        assert (out["stream"], err["stream"]) == ("stdout", "stderr")
        for event in (out, err):
            assert server.workers("one")[event["pid"]] == event["isolated_pid"]
    assert len({event["pid"] for event in server.find("output", "one")}) > 1


def test_the_last_words_of_a_worker_are_its_own(place):
    """A successor on the same slot, and so on the same pipe, does not get them."""
    port = clade.free_port()
    script = place.write("words.py", "import os, time\nprint('I am', os.getpid())\ntime.sleep(0.02)\n"
                                     "print('I was', os.getpid())\nos._exit(3)\n")
    server = place.run({"brief": clade.python(script), "other": clade.native("probe")},
                       {f"127.0.0.1:{port}": "other"})
    server.wait_event("worker-exited", "brief", count=4, timeout=30)
    assert server.stop(clade.signal.SIGQUIT) == 0
    spoken = server.find("output", "brief")
    assert len(spoken) >= 8
    for event in spoken:
        assert event["text"].split()[-1] == str(event["isolated_pid"]), event


def test_no_line_can_be_forged(place):
    port = clade.free_port()
    server = place.run({"liar": clade.native("probe")}, {f"127.0.0.1:{port}": "liar"})
    server.wait_ready("liar")
    forged = b'{"time":"2026-01-01T00:00:00Z","level":"error","event":"forged","application":"other"}'
    evil = [forged, b'"},' + forged, b"\\" + forged, b"\r" + forged, b"\x1b[2J\x1b[H" + forged,
            b"\x00" + forged, b"\xff\xfe" + forged, b"\xe2\x80\xa8" + forged, b"\xc2\x85" + forged]
    for line in evil:
        say(port, line + b"\n")
    say(port, b"x" * 1200 + b"\n")
    clade.wait_until(lambda: len(server.find("output", "liar")) >= len(evil) + 1, 5, "all lines")
    assert not server.find("forged")
    assert not server.find("output", "other")
    assert not server.noise
    texts = [event["text"] for event in server.find("output", "liar")]
    assert sum("forged" in text for text in texts) == len(evil)
    assert texts[0] == forged.decode()
    assert server.stop() == 0


def test_no_line_of_text_can_be_forged_either(place):
    """The format for people: a line is an event's, whatever an application writes."""
    port = clade.free_port()
    configuration = place.configuration({"liar": clade.native("probe")}, {f"127.0.0.1:{port}": "liar"})
    process = place.popen([clade.CLADE, "run", configuration], stderr=subprocess.PIPE)
    try:
        clade.wait_until(lambda: serves(port), 10, "it serves")
        for line in (b"\rforged", b"\x1b[31mforged", b"\x07forged\x08", b"\xe2\x80\xa8forged",
                     b"\xc2\x9bforged", b"\xe2\x80\xaeforged"):
            say(port, line + b"\n")
        time.sleep(0.3)
    finally:
        process.terminate()
        _, text = process.communicate(timeout=20)
    lines = text.decode().splitlines()  # at any line break there is in Unicode
    assert not [line for line in lines if "forged" in line and "liar" not in line], lines
    assert sum("forged" in line for line in lines) == 6
    assert not [char for char in text.decode() if char != "\n" and not char.isprintable()]


def serves(port):
    try:
        return clade.get(port, timeout=1)
    except (OSError, clade.http.client.HTTPException):
        return False


def test_a_file_is_written_by_the_supervisor_alone(place):
    port = clade.free_port()
    out, err = place.path / "run" / "out.log", place.path / "run" / "err.log"
    server = place.run({"app": clade.native("probe", processes=2, stdout=str(out), stderr=str(err))},
                       {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app")
    out.read_bytes()
    for number in range(10):
        say(port, b"to out %d\n" % number)
        say(port, b"to err %d\n" % number, 2)
    clade.wait_until(lambda: len(err.read_text().splitlines()) == 10, 5, "all lines")
    clade.wait_until(lambda: len(out.read_text().splitlines()) == 10, 5, "all lines")
    assert sorted(out.read_text().splitlines()) == sorted(f"to out {number}" for number in range(10))
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert (out.stat().st_uid, out.stat().st_gid) == (place.who.uid, place.who.gid)
    assert not server.find("output", "app")
    # Nobody below holds it: only pipes.
    assert str(out) in clade.descriptors(server.pid).values()
    for pid in clade.descendants(server.pid):
        if place.root:
            assert str(out) not in clade.descriptors(pid).values()
    assert "out.log" not in clade.get(port, "/descriptors")
    # It is appended to, not begun anew.
    assert server.stop() == 0
    server = place.start(server.configuration)
    server.wait_ready("app")
    say(port, b"once more\n")
    clade.wait_until(lambda: "once more" in out.read_text(), 5, "the line")
    assert len(out.read_text().splitlines()) == 11
    assert server.stop() == 0


def test_a_flood_is_bounded_and_nobody_else_waits(place):
    ports = clade.free_port(), clade.free_port()
    log = place.path / "run" / "flood.log"
    server = place.run({"to-log": clade.native("fates", symbol="floods", processes=2),
                        "to-file": clade.native("fates", symbol="floods", processes=2,
                                                stdout=str(log), stderr=str(log)),
                        "calm": clade.native("probe"), "calm-too": clade.native("probe")},
                       {f"127.0.0.1:{ports[0]}": "calm", f"127.0.0.1:{ports[1]}": "calm-too"})
    server.unread.append(b'"event":"output","application":"to-log"')
    server.wait_ready("calm", "calm-too")
    clade.wait_until(log.exists, 5, "the file")
    time.sleep(3)  # the burst is over
    size, lines, memory = log.stat().st_size, server.unread_lines, clade.rss(server.pid)
    spent = clade.cpu_seconds(server.pid)
    with clade.Load(ports, clients=1) as load:
        time.sleep(4)
    seconds = 4
    # 1 MiB each second, of which a line in the log costs 128 more than its 64 bytes.
    assert (log.stat().st_size - size) / seconds < 1.3 * (1 << 20)
    assert 1000 < (server.unread_lines - lines) / seconds < 1.3 * (1 << 20) / 192
    assert clade.rss(server.pid) - memory < 1 << 20 or clade.SLOW > 1
    assert clade.cpu_seconds(server.pid) - spent < 0.5 * seconds * clade.SLOW
    assert server.find("output-throttled", "to-log") and server.find("output-throttled", "to-file")
    assert len(server.find("output-throttled")) <= 2 * 2 * 8
    # The calm ones have their rate for themselves, and their answers in time.
    assert load.failures == 0 and load.answers > 100
    assert load.worst(0.5) < 0.05 * clade.SLOW
    mark, start = server.mark(), time.monotonic()
    say(ports[0], b"I am here\n")
    server.wait_event("output", "calm", since=mark, text="I am here")
    assert time.monotonic() - start < 1 * clade.SLOW
    # Whoever floods can be stopped like anybody.
    assert server.stop() == 0


def test_a_full_disk_loses_lines_and_says_so(place):
    port = clade.free_port()
    server = place.run({"app": clade.native("probe", stdout="/dev/full")}, {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app")
    say(port, b"lost\n")
    event = server.wait_event("output-dropped", "app")
    assert event["errno"] == "ENOSPC" and event["bytes"] == 5, event
    assert clade.get(port).startswith("app ")
    assert server.stop() == 0


def test_a_log_that_cannot_be_opened_is_named(place):
    path = str(place.path / "nowhere" / "out.log")
    server = place.run({"app": clade.native("probe", stdout=path)})
    assert server.wait(20) == 1
    (failed,) = server.find("application-failed")
    assert failed["errno"] == "ENOENT" and path in failed["message"] and failed["remedy"]


def test_a_link_that_a_tenant_could_have_made_is_not_followed(place):
    victim, link = place.path / "run" / "victim", place.path / "run" / "link"
    victim.write_text("untouched")
    link.symlink_to(victim)
    stranger = clade.STRANGER + 1
    os.chown(victim, place.who.uid, place.who.gid)
    if os.geteuid() == 0:
        os.chown(link, stranger, stranger, follow_symlinks=False)
    server = place.run({"app": clade.native("probe", stdout=str(link))})
    if os.geteuid() != 0:
        # Our own link leads where we could go ourselves.
        server.wait_ready("app")
        assert server.stop() == 0
        return
    assert server.wait(20) == 1
    (failed,) = server.find("application-failed")
    assert failed["errno"] == "ELOOP" and str(link) in failed["message"]
    assert victim.read_text() == "untouched"


def test_every_event_is_one_line_of_json(place):
    port = clade.free_port()
    configuration = place.configuration({"app": clade.native("probe")}, {f"127.0.0.1:{port}": "app"})
    process = place.popen([clade.CLADE, "run", "--log-format=json", configuration],
                          stderr=subprocess.PIPE)
    lines = []
    with process:
        for line in process.stderr:
            lines.append(line)
            if b"application-ready" in line:
                process.terminate()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == [
        "started", "prototype-started", "worker-started", "worker-ready", "application-ready",
        "stopping", "worker-exited", "prototype-exited", "stopped"]
    for event in events:
        assert list(event)[:3] == ["time", "level", "event"]
        assert event["level"] in ("debug", "info", "warning", "error")
    times = [event["time"] for event in events]
    assert times == sorted(times)
    for event in events:
        if event["event"].startswith(("worker-", "prototype-")):
            assert event["application"] == "app" and event["pid"] > 1 and event["isolated_pid"] > 0
