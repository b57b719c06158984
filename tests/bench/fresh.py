"""Workers that serve one request each, and workers that are made when somebody comes."""

import collections
import contextlib
import time

import bench
import load
import paired
import servers
from bench import clade

SPARE, CONNECTIONS = 8, 16


def native(place, **more):
    """An application in C that says who it is: (port, server)."""
    port = clade.free_port()
    server = place.run({"app": {"type": "native", "library": str(bench.TOOLS / "once.so"), **more}},
                       {f"127.0.0.1:{port}": "app"})
    server.wait_ready("app", timeout=30)
    return port, server


def check(bodies, count):
    """What is wrong: answers that did not come, and names that came more than once."""
    repeated = [name for name, times in collections.Counter(bodies).items() if times > 1]
    return {"lost": count - len(bodies), "repeated": len(repeated)}


def once(place, kind, count, connections=CONNECTIONS, spare=SPARE):
    """`count` requests, each to a worker that has served nobody: what `ask` found, and what is wrong with it."""
    more = {"processes": {"max": 2 * spare, "spare": spare}, "limits": {"requests": 1}}
    if kind == "native":
        port, server = native(place, **more)
        close = server.stop
    else:
        ours = servers.Ours(place, "once", more.pop("processes"), **more)
        port, server, close = ours.port, ours.server, ours.close
    server.unread += [b'"worker-']  # some for each request
    try:
        bodies, found = load.ask(port, count, connections)
    finally:
        close()
    return {**found, "rate": found["answered"] / found["seconds"], **check(bodies, count)}


def report_once(results, count):
    print(f"\none worker for each request: {count} requests over {CONNECTIONS} connections at a time, {SPARE} workers "
          f"kept ready\n")
    paired.table(["", "requests/s", "p50 ms", "p99 ms", "lost", "repeated"],
                 [[kind, f"{found['rate']:.0f}", f"{found['p50_us'] / 1e3:.1f}", f"{found['p99_us'] / 1e3:.1f}",
                   found["lost"], found["repeated"]] for kind, found in results.items()])


def first_answer(port):
    """ms from connect to the whole answer."""
    begin = time.monotonic()
    clade.get(port, timeout=10)
    return {"ms": (time.monotonic() - begin) * 1e3}


class Demand:
    """Nobody is there until somebody comes; then one, and after a second nobody again."""

    def __init__(self, place, module):
        self.ours = servers.Ours(place, module, {"max": 2, "spare": 0, "idle_timeout": 1})

    def ask(self):
        clade.wait_until(lambda: not self.ours.server.workers("app", event="worker-started"), 20, "nobody is left")
        return first_answer(self.ours.port)


def demand(place, module, rounds):
    with contextlib.ExitStack() as stack:
        absent = Demand(place, module)
        stack.callback(absent.ours.close)
        present = servers.Ours(place, module, 1)
        stack.callback(present.close)
        return paired.Paired({"none is there": absent.ask, "one is there": lambda: first_answer(present.port)}).run(rounds)


def report_demand(module, found, rounds):
    print(f"\nfirst answer of {module} (connect to last byte): median of {rounds} rounds\n")
    rows = []
    for name in found.parts:
        low, middle, high = paired.quartiles(found.values(name, "ms"))
        rows.append([name, f"{middle:.2f}", f"{low:.2f} - {high:.2f}"])
    paired.table(["", "ms", "quartiles"], rows)


def run_once(place, options, record):
    results = {"native": once(place, "native", options.requests)}
    if servers.available():
        results["python"] = once(place, "python", options.requests)
    report_once(results, options.requests)
    record.add("once", **results)
    return all(found["lost"] == found["repeated"] == 0 for found in results.values())


def run_demand(place, options, record):
    if not servers.available():
        print("\ndemand: no python module in this build")
        return
    for module in options.applications:
        found = demand(place, module, options.demands)
        report_demand(module, found, options.demands)
        record.add("demand", **{module: {"rounds": options.demands, "results": found.results}})
