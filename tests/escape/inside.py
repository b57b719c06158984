"""One run of the probe in a worker: an application of each type beside a neighbour, canaries outside, and what
only somebody outside can bring about or see. Answers are {(row, attempt): answer}."""

import collections
import os
import re
import shutil
import signal
import socket
import stat
import subprocess

import time

import attacks
import canaries
import clade

PROGRAM = clade.BUILD / "tests" / "escape" / "escape"
LIBRARY = clade.BUILD / "tests" / "escape" / "escape.so"
STAGE = clade.BUILD / "tests" / "escape" / "stage"
TYPES = ("native", "external")
SECRET = "KuckuckaeW4ohchiefo"  # in the neighbour's environment; told to the probe veiled
ENVIRONMENT = {"ONE": "1", "TWO": "zwei"}
STRANGER = 4242
FILLING = "tmp-full,tmp-inodes,descriptors,tasks,locked-memory"

Run = collections.namedtuple("Run", "answers words level touched")


def ask(where, timeout=90, **parameters):
    """A run of the probe by whichever worker takes the connection."""
    text = " ".join(f"{name}={value}" for name, value in parameters.items())
    with socket.create_connection(("127.0.0.1", where), timeout=timeout) as sock:
        sock.sendall(text.encode() + b"\n")
        with sock.makefile(encoding="utf-8", errors="replace") as lines:
            return parse(lines)


def parse(lines):
    """Lines "ROW NAME ANSWER" up to "end", without which something is missing."""
    answers = {}
    for line in lines:
        if line.strip() == "end":
            return answers
        row, name, answer = line.rstrip("\n").split(" ", 2)
        if answer.startswith("names:"):
            answer = "names:" + ",".join(sorted(answer[6:].split(",")))
        answers[int(row), name] = answer
    raise AssertionError(f"the probe has not come to its end; the last of {len(answers)}: "
                         f"{list(answers.items())[-3:]}")


class Share:
    """What the probe is shown: copies of itself that would lend it somebody else's id."""

    def __init__(self, place):
        self.path = place.path / "share"
        self.path.mkdir(exist_ok=True)
        self.path.chmod(0o755)
        for name, owner in (("root", 0), ("stranger", STRANGER)):
            path = self.path / f"set-uid-{name}"
            shutil.copyfile(PROGRAM, path)
            if os.geteuid() == 0:
                os.chown(path, owner, owner)
            path.chmod(0o6755)
            assert path.stat().st_mode & stat.S_ISUID


def application(kind, share, isolation=None, destination=None):
    """Without a root of its own a mount can only be where it is anyway."""
    isolation = dict(isolation or {})
    isolation["mounts"] = [{"destination": destination or str(share.path), "source": str(share.path)},
                           *isolation.get("mounts", [])]
    what = {"library": str(LIBRARY)} if kind == "native" else {"executable": str(PROGRAM)}
    return {"type": kind, **what, "processes": 2, "environment": ENVIRONMENT, "isolation": isolation}


class Inside:
    """A running clade with the probe, of which one worker answers and the other is a sibling."""

    def __init__(self, place, kind, isolation=None, prefix=(), plain=None):
        self.place, self.kind = place, kind
        self.port, self.neighbour_port = clade.free_port(), clade.free_port()
        self.share = Share(place)
        self.server = place.start(place.configuration(
            {"probe": application(kind, self.share, isolation),
             "neighbour": clade.native("probe", environment={"PASSWORD": SECRET},
                                       **({"isolation": plain} if plain else {}))},
            {f"127.0.0.1:{self.port}": "probe", f"127.0.0.1:{self.neighbour_port}": "neighbour"},
            {"stop_timeout": 2}), prefix=prefix)
        self.server.wait_ready("probe", "neighbour")
        clade.wait_until(lambda: len(self.server.workers("probe")) == 2, 10, "two workers")
        self.answers = {}

    def level(self):
        return self.server.wait_event("application-ready", "probe").get("isolation")

    def ids(self, application="probe"):
        """Who its workers are, for the host."""
        status = clade.status(min(self.server.workers(application)))
        return int(status["Uid"].split()[0]), int(status["Gid"].split()[0])

    def words(self):
        """What the names in expected.txt mean here."""
        names = [*ENVIRONMENT, *(("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
                                 if self.kind == "external" else ())]
        names = "names:" + ",".join(sorted(names))
        return {"environment": names, "executable": str(PROGRAM), "mdwe": "* EACCES EPERM",
                "started_with": names if self.kind == "external" else "names: ENOENT EACCES"}

    def stopped(self, pid):
        """Holds a worker still, so that the other one answers."""
        os.kill(pid, signal.SIGSTOP)
        clade.wait_until(lambda: clade.status(pid)["State"][0] == "T", 5, "it is stopped")

    def all_attempts(self):
        sibling, prober = sorted(self.server.workers("probe"))
        uid, gid = self.ids()
        prefix = self.place.path
        with canaries.Canaries(prefix, uid, gid, become=os.geteuid() == 0) as outside:
            self.stopped(sibling)
            outer = {"outer": sibling} if self.level() == "shared-proc" else {}
            self.answers.update(ask(
                self.port, **outer, share=self.share.path, veiled=clade.veiled(SECRET), skip=FILLING,
                sibling=self.server.workers("probe")[sibling], **outside.parameters()))
            state = clade.status(sibling).get("State", "gone")
            touched = outside.touched()
            if state[0] != "T" and self.level() != "filter":  # where it may be signalled, row 31 says so
                touched.append(f"the sibling that was stopped is {state}")
            if state != "gone":
                os.kill(sibling, signal.SIGCONT)
        self.compare_random(sibling, prober)
        return touched

    def compare_random(self, sibling, prober):
        self.stopped(prober)
        other = ask(self.port, names="getrandom,arc4random")
        os.kill(prober, signal.SIGCONT)
        for key, answer in other.items():
            same = answer == self.answers[key] or not re.fullmatch("random:[0-9a-f]{32}", answer)
            self.answers[key] = "the-same" if same else "differs"

    # --- what takes somebody outside

    def fill(self):  # row 53
        memory = clade.rss(self.server.pid)
        neighbour = attacks.Neighbour(self.server, "neighbour", self.neighbour_port)
        with neighbour.asked_meanwhile():
            self.answers.update(ask(self.port, names=FILLING))
        grown = clade.rss(self.server.pid) - memory
        self.answers[53, "neighbour"] = "contained" if neighbour.fine() else f"waits:{neighbour.worst()}"
        self.answers[53, "supervisor"] = "contained" if grown < 4 << 20 or clade.SLOW > 1 \
            else f"grown:{grown}"

    def shut_down(self):  # row 62
        with clade.Load([self.neighbour_port], clients=1) as load:
            answer = ask(self.port, names="disconnect-listener")
            self.answers[62, "disconnect"] = answer[0, "disconnect-listener"]
            time.sleep(max(0.0, 1.1 * clade.SLOW - self.age()))  # old enough not to be held against it
            mark, start = self.server.mark(), time.monotonic()
            try:
                ask(self.port, names="shutdown-listener")
            except (OSError, AssertionError):
                pass  # the supervisor was quicker: the culprit is gone before it could answer
            lost = self.server.wait_event("listener-lost", "probe", since=mark)
            self.server.wait_event("listener-reopened", "probe", since=mark)
            took = time.monotonic() - start
            self.server.wait_ready("probe", since=mark)
        self.answers[62, "shutdown"] = "reopened" if lost and took < 1 * clade.SLOW else f"after:{took:g}"
        self.answers[62, "neighbour"] = "untouched" if load.failures == 0 and load.answers else \
            f"failures:{load.failures}"

    def age(self):
        started = self.server.find("worker-ready", "probe")[-1]["seen"]
        return time.monotonic() - started

    def forge(self):  # row 64
        mark = self.server.mark()
        if ask(self.port, names="forge-log")[0, "forge-log"] != "written":
            self.answers[64, "forged"] = "not-written"
            return
        clade.wait_until(lambda: len(self.forgeries(mark)) >= 6, 5, "all lines of the probe")
        believed = [event for event in self.server.events[mark:] if event["event"] == "forged"]
        self.answers[64, "forged"] = "believed" if believed or self.server.noise else "tagged"

    def forgeries(self, mark):
        return [event for event in self.server.find("output", "probe", since=mark)
                if "forged" in event["text"]]

    def share_out(self):  # row 65
        """One uses up what it can get hold of; somebody else needs a little of it: whoever has the neighbour's id,
        and whoever runs clade."""
        others = {self.ids("neighbour"), (self.place.who.uid, self.place.who.gid)}
        for name, attempt in (("in-flight", "in-flight"), ("processes", "tasks"), ("inotify", "inotify")):
            with socket.create_connection(("127.0.0.1", self.port), timeout=60) as sock:
                sock.sendall(f"names={attempt} hold=500\n".encode())
                time.sleep(0.15 * clade.SLOW)
                codes = [subprocess.run(["/usr/bin/python3", "-c", NEEDS[name]], check=False, timeout=30,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                                        **become(uid, gid)).returncode for uid, gid in others]
                with sock.makefile() as lines:
                    parse(lines)
            self.answers[65, name] = "shared" if any(codes) else "contained"

    def orphans(self):  # row 54: the last, since it ends the prototype
        assert ask(self.port, names="orphans")[0, "orphans"] == "done"
        prototype = self.server.prototypes()["probe"]
        family = [prototype, *clade.descendants(prototype)]
        family = {pid: clade.born(pid) for pid in family}
        os.kill(prototype, signal.SIGKILL)
        try:
            clade.wait_until(lambda: not [pid for pid, birth in family.items()
                                          if clade.born(pid) == birth and clade.running(pid)], 1, "")
            self.answers[54, "orphans"] = "dead" if len(family) >= 6 else f"few:{len(family)}"
        except AssertionError:
            self.answers[54, "orphans"] = "alive"
            # Where nothing ends them, which is what was to be seen, we do.
            for pid, birth in family.items():
                clade.end(pid, birth)

    def everything(self):
        touched = self.all_attempts()
        for part in (self.fill, self.shut_down, self.forge, self.share_out, self.orphans):
            part()
        self.server.stop(signal.SIGQUIT)
        return Run(self.answers, self.words(), self.level(), touched)


def become(uid, gid):
    return {"user": uid, "group": gid, "extra_groups": []} if os.geteuid() == 0 else {}


# A little of each, and an exit status of 0 when it could be had.
NEEDS = {
    "in-flight": "import array, socket; one, other = socket.socketpair()\n"
                 "one.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))])",
    "processes": "import os\nfor _ in range(20):\n pid = os.fork()\n if pid == 0: os._exit(0)\n"
                 " os.waitpid(pid, 0)",
    "inotify": "import ctypes, sys; sys.exit(ctypes.CDLL(None).inotify_init1(0) < 0)",
}
