"""The benchmarks of warm workers run, and count what they say they count. Their figures are nobody's business here."""

import http.server
import json
import pathlib
import subprocess
import sys
import threading

import pytest

import clade

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import bench  # pylint: disable=wrong-import-position
import bench_python  # pylint: disable=wrong-import-position
import load  # pylint: disable=wrong-import-position
import paired  # pylint: disable=wrong-import-position
import servers  # pylint: disable=wrong-import-position


def test_ratios_are_of_the_same_round():
    numbers = {"slow": iter((4, 8, 100)), "fast": iter((2, 4, 10))}
    found = paired.Paired({name: lambda values=values: {"us": next(values)} for name, values in numbers.items()})
    found.run(3)
    assert found.ratios("slow", "fast", "us") == [2, 2, 10]
    assert found.ratio("slow", "fast", "us") == 2
    assert found.median("slow", "us") == 8


class Wrong(http.server.BaseHTTPRequestHandler):
    """Each fifth answer is no 200, each fifth is cut off, and the same name comes twice."""

    count = 0

    def do_GET(self):
        Wrong.count += 1
        body = f"{Wrong.count // 2}\n".encode()
        self.send_response(500 if Wrong.count % 5 == 0 else 200)
        self.send_header("Content-Length", str(len(body) + (Wrong.count % 5 == 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_what_is_lost_is_counted():
    server = http.server.HTTPServer(("127.0.0.1", 0), Wrong)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        bodies, found = load.ask(server.server_port, 50, 1)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert found["answered"] == len(bodies) == 30
    assert found["statuses"] == found["incomplete"] == 10
    assert 0 < found["p50_us"] <= found["p99_us"] and found["seconds"] > 0
    # Nobody listens there any more.
    bodies, found = load.ask(server.server_port, 5, 2)
    assert not bodies and found["refused"] + found["broken"] == 5


def test_the_benchmark_runs(tmp_path, refuse):
    if clade.sanitized():
        pytest.skip("nothing is measured where sanitizers would be")
    missing = servers.missing(servers.PEERS) + ([] if load.WRK else ["wrk"])
    if missing or bench.unsuitable():
        refuse(f"{bench.unsuitable() or ' '.join(missing)}: ./dev deps")
    results = tmp_path / "results.json"
    process = subprocess.run(
        ["/usr/bin/python3", "-B", bench_python.__file__, "--rounds", "1", "--seconds", "1", "--clones", "2", "--workers",
         "2", "--applications", "hello", "--requests", "200", "--demands", "1", "--only", "clone", "--only", "memory", "--only", "once", "--only",
         "demand", "--results", results], check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL, timeout=120)
    assert process.returncode == 0, process.stdout + process.stderr
    found = json.loads(results.read_text())
    assert found["machine"]["processors"] and set(found) == {"machine", "clone", "memory", "once", "demand"}
    assert found["once"]["python"]["answered"] == found["once"]["native"]["answered"] == 200
    assert len(found["clone"]["hello"]["results"]["clade"]) == 2
    for who in ("clade", "gunicorn sync", "uwsgi"):
        sizes = found["memory"]["hello"][who]["2"]
        assert 0 < sizes["private"] <= sizes["pss"]
