"""Workers that hang and workers that are killed, and what the others' clients notice.

    hang    eight workers, one of which always hangs until limits.timeout ends it, beside the same without: p99 of those
            who ask for something else, in pairs
    kill    workers killed ten times in a second, under steady load over connections that are kept: nobody may notice
            but those whose worker it was. Each failure must be a connection that was closed, in the moment after a
            kill, and there may be no more of them than connections that the killed could have had
"""

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import threading
import time

import bench
import load
import paired
import servers
import steady
from bench import clade

WORKERS, TIMEOUT = 8, 1
# From the kill until the client has seen it, at the latest.
MOMENT = 1.0


class Application:
    def __init__(self, place, kind, **more):
        self.port = clade.free_port()
        entry = {"native": {"type": "native", "library": str(clade.PROGRAMS / "handler.so")},
                 "python": {"type": "python", "path": servers.publish(place), "module": "trouble",
                            "callable": "app"}}[kind]
        self.server = place.run({"app": {**entry, "processes": WORKERS, **more}}, {f"127.0.0.1:{self.port}": "app"})
        self.server.wait_ready("app", timeout=30)
        self.place = place

    def workers(self):
        return clade.children(self.server.prototypes()["app"])

    def close(self):
        self.server.stop()
        self.place.clades.remove(self.server)
        self.server.close()


class Hanging:
    """Somebody who asks for what hangs, again as soon as the answer, or the end, is there."""

    def __init__(self, port):
        self.port, self.asked, self.silent = port, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.over.is_set():
            with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
                connection.settimeout(TIMEOUT + 10)
                connection.sendall(b"GET /hang HTTP/1.1\r\nHost: hang\r\n\r\n")
                self.asked += 1
                try:
                    answer = connection.recv(4096)
                    if answer and not answer.startswith(b"HTTP/1.1 503 "):
                        raise SystemExit(f"what hangs was answered: {answer[:80]}")
                except ConnectionResetError:
                    pass
                except TimeoutError:
                    self.silent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def hang(place, kind, options):
    application = Application(place, kind, limits={"timeout": TIMEOUT})
    load.wrk(application.port, 1)
    asked = silent = 0

    def quiet():
        return load.wrk(application.port, options.seconds)

    def troubled():
        nonlocal asked, silent
        with Hanging(application.port) as hanging:
            time.sleep(0.2)
            found = load.wrk(application.port, options.seconds)
        asked, silent = asked + hanging.asked, silent + hanging.silent
        return found

    found = paired.Paired({"quiet": quiet, "one hangs": troubled}).run(options.rounds, pause=0.5)
    hung = len(application.server.find("worker-hung", "app"))
    application.close()
    print(f"\n{kind}: one of {WORKERS} workers hangs, {TIMEOUT} s each time ({asked} times, {hung} ended by clade, "
          f"{silent} without an answer or an end)\n")
    paired.table(["", "requests/s", "p50 ms", "p99 ms", "failed"],
                 [[name, *(f"{found.median(name, metric):.2f}" for metric in ("rate", "p50", "p99")),
                   sum(found.values(name, "failed"))] for name in found.parts])
    print(f"\n  p99, median of {options.rounds} pairs: {found.ratio('one hangs', 'quiet', 'p99'):.2f}x")
    return {"results": found.results, "asked": asked, "hung": hung, "silent": silent,
            "ratio": found.ratio("one hangs", "quiet", "p99")}


def kill(place, kind, options):
    application = Application(place, kind)
    clients = steady.Steady(application.port, options.connections)
    killed = []

    async def killer(end):
        while time.monotonic() < end - MOMENT:
            await asyncio.sleep(1 / options.kills)
            workers = application.workers()
            if workers:
                try:
                    os.kill(random.choice(workers), signal.SIGKILL)
                    killed.append(time.monotonic())
                except ProcessLookupError:
                    pass

    asyncio.run(clients.run(options.kill_seconds, killer))
    backoffs = len(application.server.find("worker-backoff"))
    application.close()
    strange = [how for when, how in clients.failures
               if not how.startswith("closed") or not any(0 <= when - moment < MOMENT for moment in killed)]
    print(f"\n{kind}: {len(killed)} workers of {WORKERS} killed in {options.kill_seconds} s, {options.connections} "
          f"connections: {clients.answered} answers, {len(clients.failures)} connections lost with their worker, "
          f"{len(strange)} failures of another kind, {backoffs} back-offs")
    if strange:
        print(f"  {clients.kinds()}")
    return {"killed": len(killed), "answered": clients.answered, "failures": clients.kinds(), "strange": len(strange),
            "backoffs": backoffs}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("hang", "kill"))
    parser.add_argument("--user", choices=("root", "user"), default=bench.kinds()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10, help="in a second")
    parser.add_argument("--kill-seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--results", default=str(clade.BUILD / "bench-trouble.json"))
    options, _ = parser.parse_known_args(arguments)
    reason = bench.unsuitable() or (None if load.WRK else "wrk is not installed; ./dev deps")
    if reason:
        print(f"trouble: {reason}")
        return 0
    record, good = paired.Record(), True
    for kind in ("native", "python") if servers.available() else ("native",):
        with bench.somebody(options.user) as place:
            if options.only != "kill":
                found = hang(place, kind, options)
                good &= found["silent"] == 0
                record.add("hang", **{kind: found})
        with bench.somebody(options.user) as place:
            if options.only != "hang":
                found = kill(place, kind, options)
                good &= found["strange"] == 0
                record.add("kill", **{kind: found})
        record.write(options.results)
    print(f"\n  all numbers: {options.results}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
