"""Each system call of a start is made to fail, one at a time, in the supervisor, the prototype and the worker.

Either the start is refused, with the step's name, and nothing is left behind; or the call did not matter, and
what runs is confined exactly as ever. There is no third way. CLADE_INJECT=all takes all calls, and two errnos;
otherwise those of the loader and of the supervisor's housekeeping are sampled.
"""

import collections
import contextlib
import errno
import http.client
import json
import os
import signal
import subprocess
import time

import pytest

import clade

INJECT = clade.BUILD / "tests" / "inject" / "inject"
ALL = os.environ.get("CLADE_INJECT") == "all"
PR_SET_CHILD_SUBREAPER = 36

# Numbers of x86-64.
CLONE, CLONE3, SOCKET = 56, 435, 41
# close, munmap, rt_sigaction, rt_sigprocmask: as they are used here they have no way to fail and do nothing.
CANNOT_FAIL = {3, 11, 13, 14}
WAITING = {7, 23, 43, 232, 270, 271, 281, 288}  # poll, select, accept, epoll_wait and their kin
# read, fstat, mmap, mprotect, brk, pread64, ioctl, lseek,
# fcntl, dup2, openat, newfstatat, epoll_ctl, epoll_wait, and what a libc asks at its start
HOUSEKEEPING = {0, 5, 9, 10, 12, 17, 8, 16, 72, 33, 257, 262, 233, 232, 281, 21, 158, 218, 273, 334,
                318, 202, 39, 102, 104, 107, 108, 228, 293, 292}
NEAR = 16  # calls
SANITIZERS = {131}  # sigaltstack: whose failure they do not survive, and tell so
FIRST, EVERY = (4, 10) if clade.SLOW == 1 else (1, 40)
SUPERVISOR, PROTOTYPE, WORKER = "supervisor", "prototype", "worker"
# The steps that each of them must have been seen to fail in, in order (isolation/apply.h, protocol/steps.h).
STEPS = {
    SUPERVISOR: ["namespaces", "id-maps"],
    PROTOTYPE: ["identity", "exec", "tether", "session", "hostname", "propagation", "root", "entries", "seal",
                "pivot", "limits", "capabilities", "no-new-privs", "landlock", "seccomp"],
    WORKER: ["worker", "landlock", "seccomp"],
}
# What a worker tells of itself that confinement shows in.
FACTS = ["/file?path=/proc/self/status", "/file?path=/proc/self/mountinfo", "/file?path=/proc/self/limits",
         "/file?path=/proc/self/uid_map", "/file?path=/proc/sys/kernel/hostname", "/environment",
         "/descriptors", "/clone3", "/files", "/root"]
STATUS = {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
          "Seccomp_filters"}

Call = collections.namedtuple("Call", "process number nth")


def confinement(port):
    facts = {}
    for target in FACTS:
        text = clade.get(port, target)
        if target.endswith("status"):
            text = "\n".join(line for line in text.splitlines() if line.split(":")[0] in STATUS)
        elif target.endswith("mountinfo"):
            # Ids, and devices without a name, are others each time.
            text = "\n".join(" ".join(line.split()[3:]) for line in text.splitlines())
        elif target == "/descriptors":
            text = "\n".join(line.split(":[")[0] for line in text.splitlines())
        facts[target] = text
    return facts


class Bench:
    """Runs clade below the injector, one application, one worker."""

    def __init__(self, place):
        self.place = place
        self.port = clade.free_port()
        self.log = place.path / "run" / "calls"
        self.configuration = place.configuration(
            {"app": clade.native("probe")}, {f"127.0.0.1:{self.port}": "app"}, {"start_timeout": 2})

    def look(self):
        """What failed may have cost a worker that was ready; the next one then tells, or nobody."""
        end = time.monotonic() + 2 * clade.SLOW
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return confinement(self.port)
            time.sleep(0.05)
        return None

    def start(self, *what):
        modules = clade.BUILD / "modules" / "native" / "*.clade.so"
        below = [INJECT, self.log, *what] if what else []
        return self.place.popen([*below, clade.CLADE, "run", "--log-format=json",
                                 f"--modules={modules}", self.configuration],
                                stderr=subprocess.PIPE, text=True,
                                # Its leak check traces, which nobody can who is traced.
                                env={**self.place.environment(), "ASAN_OPTIONS": "detect_leaks=0"})

    def run(self, *what):
        """(events, the worker's facts or None, exit status, what was no event)"""
        events, noise, facts = [], [], None
        with self.start(*what) as process:
            for line in process.stderr:
                try:
                    event = json.loads(line)
                except ValueError:
                    noise.append(line.rstrip())
                    continue
                events.append(event)
                if event["event"] == "application-ready":
                    facts = self.look()
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(events[0]["pid"], signal.SIGTERM)
            return events, facts, process.wait(20), noise

    def calls(self):
        """By role, its calls up to the moment from which on nothing more is set up."""
        _, facts, status, noise = self.run("list")
        assert facts and status == 0, noise
        lines = [line.split(" ") for line in self.log.read_text().splitlines()]
        titles = {process: " ".join(rest) for kind, process, *rest in lines if kind == "exec"}
        parents = {process: rest[0] for kind, process, *rest in lines if kind == "born"}
        (prototype,) = [process for process, title in titles.items() if title.startswith("clade: prototype")]
        worker = min(process for process, parent in parents.items() if parent == prototype)
        roles = {"0": SUPERVISOR, prototype: PROTOTYPE, worker: WORKER}
        found = collections.defaultdict(list)
        over = set()
        for kind, process, *rest in lines:
            role = roles.get(process)
            if kind != "call" or role in over or role is None or int(rest[0]) in CANNOT_FAIL:
                continue
            call = Call(process, int(rest[0]), int(rest[1]))
            if role == PROTOTYPE and call.number == CLONE or role == WORKER and call.number in WAITING:
                over.add(role)
                if role == PROTOTYPE:
                    over.add(SUPERVISOR)
                continue
            found[role].append(call)
        # What it compiles is read from the host, with much that may be missing there. Its part begins with the
        # listener.
        mine = found[SUPERVISOR]
        begin = max(i for i, call in enumerate(mine) if call.number == SOCKET
                    and any(later.number == CLONE3 for later in mine[i:]))
        found[SUPERVISOR] = mine[begin:]
        return found


def sample(calls):
    """The first ones and the last of each kind, and of those in between every few; of what only reads and maps,
    fewer. What follows the clone, which is the id maps, all of it."""
    seen, of_all = collections.Counter(), collections.Counter(call.number for call in calls)
    kept = []
    since_clone = NEAR
    for call in calls:
        since_clone = 0 if call.number == CLONE3 else since_clone + 1
        seen[call.number] += 1
        first = 0 if call.number in HOUSEKEEPING else FIRST
        number = seen[call.number]
        if clade.SLOW > 1 and call.number in HOUSEKEEPING | SANITIZERS:
            continue
        near = since_clone < NEAR and call.number not in HOUSEKEEPING
        if ALL or near or number <= first or number % EVERY == 1 or number == of_all[call.number]:
            kept.append(call)
    return kept


@contextlib.contextmanager
def orphans_are_ours():
    """Whatever loses its parent meanwhile is a child of ours."""
    clade.LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield set(clade.children(os.getpid()))
    finally:
        clade.LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0)


def nothing_left(before):
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return not set(clade.children(os.getpid())) - before


@pytest.mark.parametrize("role", [SUPERVISOR, PROTOTYPE, WORKER])
def test_no_call_fails_unnoticed(place, role, refuse):
    if not INJECT.exists():
        refuse("the injector knows x86-64 only")
    bench = Bench(place)
    # Not below the injector: who is traced sees other things in /proc. And first: compiled programs are kept on
    # the disk, so the calls of the first run are not those of the next.
    _, whole, status, _ = bench.run()
    assert whole and status == 0
    calls = bench.calls()
    mounts = clade.host_mounts()
    steps, missed = [], 0
    for code in (errno.EPERM, errno.ENOMEM) if ALL else (errno.EPERM,):
        for call in sample(calls[role]):
            with orphans_are_ours() as before:
                events, facts, status, noise = bench.run(*map(str, call), str(code))
                clade.wait_until(lambda before=before: nothing_left(before), 2,
                                 f"{call} of the {role}: something is left")
            if "injected" not in bench.log.read_text():
                missed += 1  # a loop that went round less often this time
                continue
            assert not noise, (call, noise)
            failures = [event for event in events if event["event"] in ("application-failed", "failed")]
            if facts:
                assert facts == whole, call
                # What the event loop itself needs may fail after that: then clade ends, and says so.
                assert status == 0 or failures, (call, status, events)
            else:
                # One that was ready before it failed is stopped like any other, or clade itself has failed.
                ready = any(event["event"] == "application-ready" for event in events)
                assert failures and (status == 1 or ready and status == 0), (call, status, events)
                assert failures[0]["message"], (call, failures)
                steps.append(failures[0].get("step"))
    assert missed < len(sample(calls[role])) / 10
    order = [step for step in steps if step in STEPS[role]]
    assert sorted(set(order), key=STEPS[role].index) == STEPS[role]
    assert ALL or role == SUPERVISOR or order == sorted(order, key=STEPS[role].index)
    assert clade.host_mounts() == mounts
