"""Clients: wrk for rates and latencies, tests/bench/ask for requests of which each answer is looked at."""

import json
import pathlib
import shutil
import subprocess
import sys

import bench

HERE = pathlib.Path(__file__).resolve().parent
WRK = shutil.which("wrk")


def wrk(port, seconds, connections=32):
    """{rate (1/s), p50, p99 (ms), failed}. One thread of wrk's: the servers need the processors."""
    output = subprocess.run([WRK, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
                             "-s", HERE / "wrk.lua", f"http://127.0.0.1:{port}/"], check=True, text=True,
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
    found = json.loads(output.splitlines()[-1])
    return {"rate": found["requests"] * 1e6 / found["us"], "p50": found["p50"] / 1e3, "p99": found["p99"] / 1e3,
            "failed": found["socket_errors"] + found["bad_statuses"] + found["timeouts"]}


def ask(port, count, connections):
    """`count` requests, each over a connection of its own. (the bodies of the answers, {seconds, p50_us, p99_us,
    failed, failures})"""
    process = subprocess.run([bench.TOOLS / "ask", str(port), str(count), str(connections)], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    if process.returncode not in (0, 1):
        raise SystemExit(f"ask: {process.stderr}")
    *complaints, summary = process.stderr.splitlines()
    if complaints:
        print("\n".join(complaints), file=sys.stderr)
    return process.stdout.splitlines(), json.loads(summary)
