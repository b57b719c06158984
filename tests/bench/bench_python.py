"""Warm workers: Python, beside a bare fork and beside Debian's gunicorn, uwsgi and waitress.

    clone     one more worker, from the order until it is ready, and a fork of the same interpreter (fork_floor.c)
    memory    proportional and private memory of each worker, at several counts of them
    serving   requests/s and latencies under wrk: trivial WSGI, Flask, a handler that waits for 20 ms
    once      a new worker for each request, native and Python; every answer is looked at
    demand    the first answer where no worker is kept

Everything runs on this machine's loopback, the clients on the same processors as the servers.
"""

import argparse
import os
import sys

import bench
import clones
import fresh
import load
import paired
import servers
import serving

PARTS = {
    "clone": clones.run_clone,
    "memory": clones.run_memory,
    "serving": serving.run,
    "once": fresh.run_once,
    "demand": fresh.run_demand,
}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append", help="all")
    parser.add_argument("--user", choices=("root", "user"), default=bench.kinds()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of wrk, for each server")
    parser.add_argument("--seconds", type=int, default=3, help="of each run of wrk")
    parser.add_argument("--applications", nargs="+", default=["hello", "flasked"], help="of tests/bench/apps, for clone, memory and "
                        "demand")
    parser.add_argument("--clones", type=int, default=100)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--requests", type=int, default=100000, help="with one worker for each")
    parser.add_argument("--demands", type=int, default=20)
    parser.add_argument("--results", default=str(bench.clade.BUILD / "bench-python.json"), help="where all numbers go")
    options, _ = parser.parse_known_args(arguments)
    reason = bench.unsuitable()
    if not reason and (not load.WRK or servers.missing(servers.PEERS)):
        reason = f"not installed: {' '.join(servers.missing(servers.PEERS)) or 'wrk'}; ./dev deps"
    if reason:
        print(f"python: {reason}")
        return 0
    record, good = paired.Record(), True
    print(f"\nwarm workers as {options.user}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for name in options.only or PARTS:
        with bench.somebody(options.user) as place:
            good = PARTS[name](place, options, record) is not False and good
        record.write(options.results)
    print(f"\n  all numbers: {options.results}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
