"""Runs the demo: ./dev demo [--port N].

Starts `clade run` on a copy of demo.json.in and tells the terminal what happens. What a sandboxed
process cannot know, its pid on the host, clade logs; this program keeps the current list in a file
in a directory that the sandbox sees read-only. All of it lives in a temporary directory, and the
demo's ids lie just behind clade's default range, so nothing is left anywhere.
"""

import argparse
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ID_FIRST = 1879048192 + 65536  # the id is this plus the port: two demos do not share one
PR_SET_PDEATHSIG = 1
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time")

FAMILY = ("prototype-started", "prototype-exited", "worker-started", "worker-exited")
QUIET = ("started", "worker-ready", "application-ready")


def configuration(build, port, state):
    text = (HERE / "demo.json.in").read_text()
    for name, value in {"BUILD": str(build), "STATE": str(state), "PORT": str(port),
                        "ID": str(ID_FIRST + port)}.items():
        text = text.replace(f"@{name}@", json.dumps(value)[1:-1])
    path = state / "demo.json"
    path.write_text(text)
    return path


def child_setup():
    """In clade, before its exec: it ends with us even if we are killed, and Ctrl-C is ours to pass on."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Story:
    """The family as clade's events describe it, on the terminal and for the page."""

    def __init__(self, clade, supervisor, config, public, port):
        self.clade, self.config, self.public, self.port = clade, config, public, port
        self.supervisor = supervisor
        self.prototype = None
        self.workers = {}  # pid: isolated pid
        self.introduced = False

    def publish(self):
        text = json.dumps({
            "clade": str(self.clade), "config": str(self.config),
            "supervisor": self.supervisor, "prototype": self.prototype,
            "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES
                           if os.path.exists(f"/proc/self/ns/{name}")},
            "workers": [{"pid": pid, "isolated_pid": inner} for pid, inner in self.workers.items()],
        }).replace("<", "\\u003c")
        new = self.public / ".outside.json"
        new.write_text(text)
        new.chmod(0o644)
        new.rename(self.public / "outside.json")

    def introduce(self):
        self.introduced = True
        address = f"http://127.0.0.1:{self.port}/"
        print(f"\n  {address}   served from an empty network namespace\n")
        print(f"  supervisor      {self.supervisor:>8}")
        print(f"  └─ prototype    {self.prototype:>8}   inside: 1")
        last = len(self.workers) - 1
        for index, (pid, inner) in enumerate(self.workers.items()):
            print(f"     {'└─' if index == last else '├─'} worker    {pid:>8}   inside: {inner}")
        print(f"\n  Try next, in another terminal:\n\n"
              f"    curl -s {address}data.json\n"
              f"    {self.clade} plan {self.config}\n"
              f"    kill -KILL {next(iter(self.workers))}     and watch it come back here\n\n"
              f"  Ctrl-C ends it.\n", flush=True)

    def event(self, event):
        name, pid = event.get("event"), event.get("pid")
        if name == "prototype-started":
            self.prototype = pid
        elif name == "prototype-exited":
            self.prototype = None
            self.workers.clear()
        elif name == "worker-started":
            self.workers[pid] = event.get("isolated_pid")
        elif name == "worker-exited":
            self.workers.pop(pid, None)
        if name in FAMILY:
            self.publish()
        if name == "application-ready" and not self.introduced:
            self.introduce()
        elif name == "application-backoff" and not self.introduced:
            pass  # when the only application cannot start, clade ends at once
        elif name not in QUIET and (self.introduced or name not in FAMILY):
            self.tell(event)

    @staticmethod
    def tell(event):
        what = event.get("event", "?").replace("-", " ")
        if event.get("isolated_pid"):
            what += f": {event['pid']} (inside: {event['isolated_pid']})"
        if "signal" in event and "pid" in event:
            what += f" by {signal.Signals(event['signal']).name}"
        elif "code" in event:
            what += f" with status {event['code']}"
        for key in ("message", "text"):
            what += f": {event[key]}" if event.get(key) else ""
        print(f"  {what}", flush=True)
        remedy = event.get("remedy")
        if event.get("errno") == "EADDRINUSE":
            remedy = "stop what listens there, or choose another port: ./dev demo --port N"
        if remedy:
            print(f"      {remedy}", flush=True)


def follow(clade, story):
    for line in clade.stderr:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if isinstance(event, dict):
            story.event(event)
        else:
            print(line.rstrip(), flush=True)


def serve(build, port, state):
    binary = build / "runtime" / "cli" / "clade"
    public = state / "public"
    public.mkdir()
    for directory in (state, public):
        directory.chmod(0o755)  # nothing in here is secret, and the application's id must see it
    config = configuration(build, port, state)

    clade = subprocess.Popen([binary, "run", "--log-format", "json", config],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             errors="replace", preexec_fn=child_setup)
    stops = 0

    def stop(_number, _frame):
        nonlocal stops
        stops += 1
        clade.send_signal(signal.SIGTERM if stops == 1 else signal.SIGQUIT)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        follow(clade, Story(binary, clade.pid, config, public, port))
        return clade.wait()
    finally:
        if clade.poll() is None:
            clade.send_signal(signal.SIGQUIT)
            clade.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--port", required=True, type=int)
    options = parser.parse_args()
    state = pathlib.Path(tempfile.mkdtemp(prefix="clade-demo-"))
    try:
        return serve(options.build.resolve(), options.port, state)
    finally:
        shutil.rmtree(state)


if __name__ == "__main__":
    sys.exit(main())
