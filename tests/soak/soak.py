"""Mixed load for a long time: ./dev soak [SECONDS]. Nothing may grow, and no good request may fail.

One clade with several applications: a native handler, the same whose workers are renewed all the time, and a WSGI
application. Clients of every kind are at them in rounds; between two rounds all is quiet, and the memory (anonymous) and
the descriptors of each process are looked at. After some rounds to warm up they have to stay what they are. What
counts is never how fast something was: this runs beside other things.

The last line is "N passed, N failed, N skipped": one case for each thing that has to hold.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "integration"))

import clade  # pylint: disable=wrong-import-position
import test_http_smuggling as messages  # pylint: disable=wrong-import-position
import wire  # pylint: disable=wrong-import-position

PATIENCE = 60  # seconds that an answer may take: others want the processors, too
WARM = 1 / 3  # of the rounds
ROUNDS_MIN = 12  # a third of those that count must be enough for the least of a saw-tooth
# What may come on top while nothing leaks: the allocator's pieces, pages touched late.
ALLOWED_SHARE, ALLOWED_BYTES = 0.1, 512 * 1024

WSGI = """
import zlib
from urllib.parse import parse_qs

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sum":
        size, value = 0, 1
        while piece := environ["wsgi.input"].read(65536):
            size, value = size + len(piece), zlib.adler32(piece, value)
        body = b"%d %08x\\n" % (size, value)
    elif path == "/sized":
        body = PATTERN * (int(parse_qs(environ["QUERY_STRING"])["size"][0]) // len(PATTERN) + 1)
        body = body[:int(parse_qs(environ["QUERY_STRING"])["size"][0])]
    else:
        body = b"hello\\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

PATTERN = bytes(97 + (i % 26 + i // 8192) % 26 for i in range(26 * 8192))
"""


# --- clients --------------------------------------------------------------------------------------


class Tally:
    """What has been asked of one application, and what went wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.asked = collections.Counter()
        self.failures = []

    def add(self, kind, count=1):
        with self.lock:
            self.asked[kind] += count

    def fail(self, kind, why):
        with self.lock:
            self.failures.append(f"{kind}: {why}")


def expect(answer, body):
    if answer is None or answer.status != 200 or answer.body != body:
        raise wire.Malformed(f"{answer!r}")


def kept(port, dice):
    """Some requests over one connection, which a worker that leaves may end, if it says so."""
    with wire.Connection(port, PATIENCE) as connection:
        for count in range(1, dice.randrange(2, 40)):
            size = dice.choice((0, 10, 5000, 70000))
            answer = connection.request(f"/sized?size={size}")
            expect(answer, wire.pattern(size))
            if answer.close:
                break
    return count


def fresh(port, _dice):
    answer = wire.fetch(port, "/", timeout=PATIENCE)
    if answer.status != 200 or not answer.body.startswith(b"hello"):
        raise wire.Malformed(f"{answer!r}")
    return 1


def pipelined(port, dice):
    """What a leaving worker has not answered is asked again, elsewhere."""
    left = wanted = dice.randrange(2, 30)
    while left > 0:
        with wire.Connection(port, PATIENCE) as connection:
            connection.send(wire.message("/sized?size=100") * left)
            while left > 0:
                answer = connection.response()
                expect(answer, wire.pattern(100))
                left -= 1
                if answer.close:
                    break
    return wanted


def large(port, dice):
    body = wire.pattern(dice.choice((70000, 1000000, 4000000)))
    with wire.Connection(port, PATIENCE) as connection:
        pieces = [body[at:at + 50000] for at in range(0, len(body), 50000)]
        connection.send(wire.message("/sum", "POST", wire.chunked(*pieces), Transfer_Encoding="chunked")
                        if dice.random() < 0.5 else wire.message("/sum", "POST", body))
        answer = connection.response()
        expect(answer, f"{len(body)} {zlib.adler32(body):08x}\n".encode())
    answer = wire.fetch(port, f"/sized?size={len(body)}", timeout=PATIENCE)
    expect(answer, body)
    return 2


def aborted(port, dice):
    """Goes away at any point, one way or the other. There is nothing to expect but that others do not notice."""
    request = dice.choice((wire.message("/sum", "POST", b"x" * 3000), wire.message("/sized?size=2000000"),
                           wire.message("/sized?size=10") * 5))
    with wire.Connection(port, PATIENCE, receive_buffer=dice.choice((None, 4096))) as connection:
        if dice.random() < 0.5:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.send(request[:dice.randrange(len(request) + 1)])
        connection.socket.settimeout(0.02)
        try:
            connection.socket.recv(dice.randrange(1, 100000))
        except OSError:
            pass
    return 1


def malformed(port, dice):
    name, (bad, _) = dice.choice(list(messages.AMBIGUOUS.items()))
    data, end = wire.talk(port, bad + messages.SMUGGLED, timeout=PATIENCE)
    trouble = messages.refusal(data, end)
    if trouble:
        raise wire.Malformed(f"{name}: {trouble}")
    return 1


def odd(port, dice):
    """Right, as unusual as it looks. Only that it is served: echoes are for another test."""
    name, (good, _) = dice.choice(list(messages.ORDINARY.items()))
    data, end = wire.talk(port, good + wire.message("/", Connection="close"), timeout=PATIENCE)
    answers = wire.responses(data)
    if end != "end" or not answers or any(answer.status != 200 for answer in answers):
        raise wire.Malformed(f"{name}: {end} {answers}")
    return len(answers)


# How often, beside the others.
KINDS = {kept: 8, fresh: 8, pipelined: 4, large: 1, aborted: 4, malformed: 4, odd: 3}


def client(port, tally, over, seed):
    dice = random.Random(seed)
    while not over.is_set():
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        try:
            tally.add(kind.__name__, kind(port, dice))
        except (OSError, AssertionError) as error:
            tally.fail(kind.__name__, repr(error))
            over.wait(0.5)


def wrk(port, seconds, tally):
    """As much as it can, over few connections."""
    output = subprocess.run([shutil.which("wrk"), "-t1", "-c8", f"-d{seconds}s", "--timeout", f"{PATIENCE}s",
                             f"http://127.0.0.1:{port}/"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False).stdout
    lines = {line.strip().split(":")[0]: line.strip() for line in output.splitlines()}
    requests = [line for line in lines.values() if " requests in " in line]
    if not requests:
        tally.fail("wrk", output)
    else:
        tally.add("wrk", int(requests[0].split()[0]))
    for name in ("Socket errors", "Non-2xx or 3xx responses"):
        if name in lines:
            tally.fail("wrk", lines[name])


# --- processes ------------------------------------------------------------------------------------


def anonymous(pid):
    """Bytes. Not its share of files: that changes with whoever else on the machine has them mapped."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Anonymous of {pid}")


def look(server):
    """{name: (anonymous memory, descriptors)}. Workers of an application together with its prototype are one line where they are
    renewed: none of them is there for long."""
    found = {"supervisor": (server.pid,)}
    for number, pid in enumerate(server.helpers()):
        found[f"helper {number}"] = (pid,)
    for number, pid in enumerate(server.relays()):
        found[f"relay {number}"] = (pid,)
    for name, pid in server.prototypes().items():
        workers = tuple(sorted(server.workers(name)))
        found[f"{name} prototype"] = (pid,)
        if name == "renewed":
            continue
        for number, worker in enumerate(workers):
            found[f"{name} worker {number}"] = (worker,)
    return {name: (sum(anonymous(pid) for pid in pids), sum(wire.descriptors(pid) for pid in pids))
            for name, pids in found.items()}


def settle(server, before):
    """What there is when all clients have gone: descriptors of those that have just left are closed soon."""
    for _ in range(100):
        try:
            now = look(server)
        except (FileNotFoundError, ProcessLookupError):
            now = None  # a worker has just been renewed
        if now and (not before or all(now[name][1] <= count for name, (_, count) in before.items() if name in now)):
            break
        time.sleep(0.1)
    return now


class Cases:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, holds, text):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok' if holds else 'FAILED'}: {text}", flush=True)

    def skip(self, text):
        if os.environ.get("CI") == "true":
            self.check(False, text)
            return
        self.skipped += 1
        print(f"skipped: {text}", flush=True)


def judge(cases, looks):
    """The first look after the warm-up and the last; in between the least counts, as pages come and go."""
    warm = looks[max(1, int(len(looks) * WARM)):]
    third = max(1, len(warm) // 3)
    print(f"\n{'process':<24}{'memory, KB':>18}{'descriptors':>16}   after the warm-up, and at the end")
    for name in warm[-1]:
        series = [seen[name] for seen in warm if name in seen]
        first, last = (min(memory for memory, _ in part) for part in (series[:third], series[-third:]))
        fds_first, fds_last = (min(count for _, count in part) for part in (series[:third], series[-third:]))
        print(f"{name:<24}{first // 1024:>9}{last // 1024:>9}{fds_first:>8}{fds_last:>8}")
        cases.check(last <= first + max(ALLOWED_BYTES, first * ALLOWED_SHARE), f"{name}: memory is flat")
        cases.check(fds_last <= fds_first, f"{name}: descriptors are flat")


# --- the whole ------------------------------------------------------------------------------------


def applications(place, cases):
    found = {"steady": clade.native("handler", processes=3),
             "renewed": clade.native("handler", processes=3, limits={"requests": 300})}
    if list((clade.BUILD / "modules" / "python").glob("*.clade.so")):
        place.write("soak.py", WSGI)
        found["python"] = {"type": "python", "path": str(place.path / "files"), "module": "soak",
                           "processes": 2}
    else:
        cases.skip("the module python is not built: no WSGI application")
    return found


def one_round(ports, tallies, seconds, number):
    """All clients at once, for a while."""
    over = threading.Event()
    threads = [threading.Thread(target=client, args=(port, tallies[name], over, f"{name} {number} {i}"), daemon=True)
               for name, port in ports.items() for i in range(4)]
    for thread in threads:
        thread.start()
    if shutil.which("wrk"):
        # It wants keep-alive without end, and calls a connection that is closed an error.
        for name in ("steady", "python"):
            if name in ports:
                wrk(ports[name], max(1, int(seconds / 4)), tallies[name])
    over.wait(max(0.5, seconds - 2 * max(1, int(seconds / 4))))
    over.set()
    for thread in threads:
        thread.join(2 * PATIENCE)
    for name, thread in zip([name for name in ports for _ in range(4)], threads):
        if thread.is_alive():
            tallies[name].fail("client", "it waits for an answer without end")


def soak(place, seconds, cases):
    programs = applications(place, cases)
    ports = {name: clade.free_port() for name in programs}
    server = place.run(programs, {f"127.0.0.1:{port}": name for name, port in ports.items()}, {"stop_timeout": 60})
    server.wait_ready(*programs, timeout=PATIENCE)
    tallies = {name: Tally() for name in programs}
    looks = []
    end = time.monotonic() + seconds
    length = min(15.0, max(2.0, seconds / 20))
    while time.monotonic() < end or len(looks) < ROUNDS_MIN:
        one_round(ports, tallies, length, len(looks))
        looks.append(settle(server, looks[0] if looks else None))
        if looks[-1] is None:
            looks.pop()
    judge(cases, looks)
    print()
    for name, tally in tallies.items():
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(tally.asked.items()))
        print(f"{name}: {sum(tally.asked.values())} requests: {kinds}")
        for failure in tally.failures[:20]:
            print(f"  {failure[:600]}")
        cases.check(tally.asked and not tally.failures, f"{name}: no good request failed, no bad one was served")
        exits = server.find("worker-exited", name)
        print(f"{name}: {len(exits)} workers ended")
        if name == "renewed":
            cases.check(len(exits) >= 3, f"{name}: workers were renewed")
            exits = [event for event in exits if event.get("code") != 0]
        cases.check(not exits, f"{name}: no worker ended that should not")
    server.send(signal.SIGTERM)
    cases.check(server.wait(PATIENCE) == 0 and not server.left(), "clade stopped, and nothing is left")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    who = clade.person("root" if os.geteuid() == 0 else "user")
    place = clade.Place(who)
    cases = Cases()
    start = time.monotonic()
    try:
        with contextlib.closing(place):
            soak(place, seconds, cases)
    except AssertionError as error:
        cases.check(False, f"{error}")
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{cases.passed} passed, {cases.failed} failed, {cases.skipped} skipped")
    return 1 if cases.failed else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main())
