"""What a start costs, beside a floor of the same system calls and beside bubblewrap.

    floor        a static C program that carries out the very plan of `clade run`, with the same calls, and nothing
                 of a runtime (floor.c); from its first call to the application's first word
    clade        `start_us` of application-ready: from the moment the supervisor begins (pipes, memfds, clone, relay)
                 until the application's only worker has exec'd and the supervisor knows
    bubblewrap   /usr/bin/bwrap with the plan's mounts, files, namespaces, ids and seccomp program; it has no Landlock,
                 no time namespace, no limits, no second process for the worker. From its exec to the application's
                 first word
    clade run    the whole command: from its exec (modules asked, configuration read, host probed, filters
                 compiled, watcher started) to application-ready
    again        `start_us` of an application whose prototype was killed: the supervisor is warm, and the old
                 network namespace is torn down meanwhile

The application is the same static program each time. One round runs each of them once, in an order that changes;
printed are medians with quartiles, and ratios to the floor of the same rounds; and the least of all, which is what
it takes when nothing else wants a processor. On a busy machine the medians tell more of its scheduler than of us.
"""

import argparse
import collections
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import bench
from bench import clade

BWRAP = shutil.which("bwrap")


def nanoseconds(place, *arguments, pass_fds=()):
    """What tests/bench/floor measured, in µs."""
    process = place.popen([bench.TOOLS / "floor", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, pass_fds=pass_fds)
    with process:
        out, err = process.communicate(timeout=30)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: {err}")
    return int(out) / 1000


class Bubblewrap:
    """The plan in bubblewrap's words, as far as it has any."""

    def __init__(self, place, plan, filter_path):
        self.place, self.plan, self.filter_path = place, plan, filter_path
        self.mounts, self.contents = [], []
        for entry in plan["root"]["entries"]:
            self.take(entry)

    def take(self, entry):
        kind, target = entry["kind"], entry["target"]
        if kind == "directory":
            self.mounts += ["--dir", target]
        elif kind == "symlink":
            self.mounts += ["--symlink", entry["content"], target]
        elif kind == "file":
            self.contents.append((len(self.mounts) + 1, entry["content"]))
            self.mounts += ["--file", None, target]
        elif kind == "bind":
            readonly = "ro" in entry["attributes"]
            self.mounts += ["--ro-bind" if readonly else "--dev-bind", entry["source"], target]
        elif kind in ("proc", "tmpfs", "mqueue"):
            self.mounts += [f"--{kind}", target]
        elif kind == "mask":
            self.mounts += ["--tmpfs", target] if os.path.isdir(target) else ["--ro-bind", "/dev/null", target]
        else:
            raise SystemExit(f"bubblewrap has no word for {kind}")

    def measure(self):
        identity = self.plan["identity"]
        mounts, files = list(self.mounts), []
        try:
            for index, content in self.contents:
                files.append(tempfile.TemporaryFile())
                files[-1].write(content.encode())
                files[-1].seek(0)
                mounts[index] = str(files[-1].fileno())
            files.append(open(self.filter_path, "rb"))
            return nanoseconds(
                self.place, "spawn", BWRAP, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net",
                "--unshare-uts", "--unshare-cgroup", "--uid", str(identity["uid"]), "--gid", str(identity["gid"]),
                "--hostname", self.plan["hostname"], "--cap-drop", "ALL", "--new-session", "--die-with-parent",
                "--clearenv", *mounts, "--remount-ro", "/", "--seccomp", str(files[-1].fileno()),
                str(bench.TOOLS / "ready"), pass_fds=[file.fileno() for file in files])
        finally:
            for file in files:
                file.close()


class Bench:
    def __init__(self, place):
        self.place = place
        self.configuration = place.configuration({"app": bench.ready_application()})
        planning = place.command("plan", self.configuration, "app")
        if planning.returncode:
            raise SystemExit(planning.stderr)
        self.plan = json.loads(planning.stdout)
        self.image = place.path / "run" / "plan"
        place.popen([bench.TOOLS / "plan-image", clade.CLADE, self.configuration, "app",
                     self.image]).wait(30)
        self.bubblewrap = Bubblewrap(place, self.plan, f"{self.image}.filter")
        self.steps = collections.defaultdict(list)
        self.results = collections.defaultdict(list)
        self.first = {}

    def floor(self):
        self.results["floor"].append(
            nanoseconds(self.place, "start", self.image, bench.TOOLS / "ready"))

    def bwrap(self):
        self.results["bubblewrap"].append(self.bubblewrap.measure())

    def clade(self):
        """One `clade run`: its first start, and one more."""
        begin = time.monotonic()
        server = self.place.start(self.configuration)
        ready = server.wait_event("application-ready", "app")
        self.results["clade run"].append((ready["seen"] - begin) * 1e6)
        self.results["clade"].append(ready["start_us"])
        os.kill(ready["pid"], signal.SIGKILL)
        again = server.wait_event("application-ready", "app", count=2)
        self.results["again"].append(again["start_us"])
        server.stop()
        self.place.clades.remove(server)
        server.close()

    def listen(self):
        """Where the time goes, from a few starts that are not counted: at debug there is more to write."""
        for _ in range(20):
            server = self.place.start(self.configuration, options=["--log-level", "debug"])
            server.wait_ready("app")
            for event in server.find("start-step", "app"):
                self.steps[event["step"]].append(event["us"])
            server.stop()
            self.place.clades.remove(server)
            server.close()

    def run(self, rounds):
        parts = [self.floor, self.clade, *([self.bwrap] if BWRAP else [])]
        for _ in range(rounds):
            random.shuffle(parts)
            for part in parts:
                part()
                time.sleep(0.03)  # the network namespace of the last one is on its way out


def report(who, results, steps, rounds, plan):
    floor = results["floor"]
    calls = sum(len(step["calls"]) for step in plan["steps"])
    print(f"\ncold start as {who}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, median of {rounds} interleaved rounds; level {plan['level']}, {calls} calls "
          f"planned, {len(plan['root']['sources'])} sources\n")
    print(f"  {'':<12}{'µs':>9}{'quartiles':>20}{'floor':>8}{'quartiles of it':>18}{'least':>9}{'floor':>8}")
    for name in ("floor", "clade", "bubblewrap", "again", "clade run"):
        if not results[name]:
            continue
        middle, first, third = bench.spread(results[name])
        ratios = [value / base for value, base in zip(results[name], floor)]
        _, low, high = bench.spread(ratios)
        print(f"  {name:<12}{middle:>9.0f}{first:>10.0f}{third:>10.0f}{middle / statistics.median(floor):>7.2f}x"
              f"{f'{low:.2f} - {high:.2f}':>18}{min(results[name]):>9.0f}{min(results[name]) / min(floor):>7.2f}x")
    if not results["bubblewrap"]:
        print("  bubblewrap is not installed")
    print("\n  where it goes (start-step, median of 20, µs):")
    words = [f"{name} {statistics.median(values):.0f}" for name, values in steps.items()]
    for index in range(0, len(words), 7):
        print("    " + ", ".join(words[index:index + 7]))
    both = [name for name in ("probe", "compile") if name in steps]
    print(f"  {' and '.join(both)} are done once for each supervisor, before the start begins; `again` does without")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", help="a file for the raw numbers")
    options, _ = parser.parse_known_args()
    reason = bench.unsuitable()
    if reason:
        print(f"cold start: {reason}")
        return
    raw = {}
    for who in bench.kinds():
        with bench.somebody(who) as place:
            measured = Bench(place)
            measured.run(options.rounds)
            measured.listen()
            report(who, measured.results, measured.steps, options.rounds, measured.plan)
            raw[who] = {"results": measured.results, "steps": measured.steps}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(raw, file)


if __name__ == "__main__":
    main()
