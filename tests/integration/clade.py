"""What the integration tests are made with: the real `clade run` as somebody, its events, its processes.

Nothing here is a stand-in. A Place is a directory of its own for one test, with somebody who runs clade
in it; a Clade is one running supervisor, whose events are read from its stderr as they come. Whatever a
test does, its processes are ended by pid when it is over, and whatever they left is a failure.
"""

import collections
import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CLADE_BUILD_DIR") or SOURCE / "build").resolve()
CLADE = BUILD / "runtime" / "cli" / "clade"
PROGRAMS = BUILD / "tests" / "integration" / "programs"

# Nobody's: no account, no subordinate ids, no group that anything belongs to.
STRANGER = 62345
# What each kind of user has, as `clade plan` calls it.
KINDS = ("root", "user", "subuid")

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def sanitized():
    options = json.loads((BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    return any(option["name"] == "b_sanitize" and option["value"] != "none" for option in options)


# A worker that dies younger than this, in seconds, makes its slot wait.
EARLY = 1.0

# Sanitizers cost time and memory; what is asked for is the same.
SLOW = 4 if sanitized() else 1


def wait_until(condition, timeout=10.0, what="the condition", every=0.01):
    """Returns the first true value of condition()."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout * SLOW:g} s: {what}")
        time.sleep(every)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- processes ------------------------------------------------------------------------------------


def status(pid):
    """/proc/PID/status as a dictionary; empty when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {key: value.strip() for key, value in (line.split(":", 1) for line in text.splitlines())}


def nspid(pid):
    return [int(number) for number in status(pid).get("NSpid", "").split()]


def born(pid):
    """When it was started, in clock ticks: two processes of the same pid differ in it. None: gone."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def running(pid):
    return status(pid).get("State", "Z")[0] not in "ZX"


def end(pid, birth):
    """Kills a process, held fast so that it is that one and no successor of its number."""
    with contextlib.suppress(ProcessLookupError):
        fd = os.pidfd_open(pid)
        try:
            if born(pid) == birth:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
        finally:
            os.close(fd)


def title(pid):
    """What a process calls itself; nothing when it is gone or dead."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                text = pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text()
                found += [int(word) for word in text.split()]
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def descriptors(pid):
    """What each descriptor of a process is: {3: "socket:[123]", ...}"""
    result = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            result[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
    return result


def rss(pid):
    """In bytes."""
    return int(status(pid)["VmRSS"].split()[0]) * 1024


def host_mounts():
    return sorted(line.split(" ", 1)[1]
                  for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())


# --- somebody -------------------------------------------------------------------------------------

Person = collections.namedtuple("Person", "kind uid gid name")


def subordinate(path, name, uid):
    """Whether subuid(5) or subgid(5) grants anything."""
    with contextlib.suppress(FileNotFoundError):
        for line in pathlib.Path(path).read_text().splitlines():
            fields = line.split(":")
            if len(fields) == 3 and fields[0] in (name, str(uid)) and int(fields[2]) > 0:
                return True
    return False


def person(kind):
    """Somebody of that kind for us to be, or a text that says why there is none."""
    if os.geteuid() != 0:
        if kind != "user":
            return "only root can become somebody else"
        return Person("user", os.geteuid(), os.getegid(), None)
    if kind == "root":
        return Person("root", 0, 0, "root")
    if kind == "user":
        return Person("user", STRANGER, STRANGER, None)
    if not shutil.which("newuidmap") or not shutil.which("newgidmap"):
        return "newuidmap is not installed (uidmap)"
    for account in pwd.getpwall():
        if account.pw_uid != 0 and all(subordinate(f"/etc/sub{kind}", account.pw_name,
                                                   account.pw_uid) for kind in ("uid", "gid")):
            return Person("subuid", account.pw_uid, account.pw_gid, account.pw_name)
    return "no account has a range in /etc/subuid and /etc/subgid"


# --- a place --------------------------------------------------------------------------------------


class Place:
    """A directory for one test, and who runs clade in it."""

    def __init__(self, who):
        self.who = who
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="clade-test-"))
        self.clades = []
        self.count = 0
        for name in (".", "state", "run", "files"):
            (self.path / name).mkdir(exist_ok=True)
            (self.path / name).chmod(0o755)
            os.chown(self.path / name, who.uid, who.gid)

    @property
    def root(self):
        return self.who.kind == "root"

    def write(self, name, text, mode=0o644):
        path = self.path / "files" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, self.who.uid, self.who.gid)
        return str(path)

    def configuration(self, applications, listeners=None, settings=None):
        """Writes a configuration file. Listeners are {address: name of the application}."""
        self.count += 1
        settings = dict(settings or {})
        if self.root:
            settings.setdefault("state_directory", str(self.path / "state" / "ids"))
        return self.write(f"{self.count}.json", json.dumps({
            "settings": settings,
            "listeners": {address: {"pass": f"applications/{name}"}
                          for address, name in (listeners or {}).items()},
            "applications": applications,
        }, indent=2))

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
                "XDG_STATE_HOME": str(self.path / "state"), "HOME": str(self.path),
                **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}

    def popen(self, arguments, **more):
        """Starts a program as this somebody, in a session of its own; it does not survive us."""
        become = {}
        if os.geteuid() == 0:
            become = {"user": self.who.uid, "group": self.who.gid, "extra_groups": []}

        def last():  # after the change of ids, which forgets it
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        more = {"env": self.environment(), "stdin": subprocess.DEVNULL, "cwd": "/", **more}
        return subprocess.Popen([str(argument) for argument in arguments], start_new_session=True,
                                preexec_fn=last, **become, **more)

    def command(self, *arguments, timeout=60, **more):
        """Runs `clade ARGUMENTS` to its end."""
        process = self.popen([CLADE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, **more)
        with process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def run(self, applications, listeners=None, settings=None, options=()):
        """Starts `clade run` on a configuration."""
        return self.start(self.configuration(applications, listeners, settings), options)

    def start(self, configuration, options=(), prefix=(), environment=None):
        clade = Clade(self, configuration, options, prefix, environment)
        self.clades.append(clade)
        return clade

    def close(self):
        try:
            with contextlib.ExitStack() as stack:
                for clade in self.clades:
                    stack.callback(clade.close)
        finally:
            shutil.rmtree(self.path, ignore_errors=True)


class Clade:
    """One running supervisor."""

    def __init__(self, place, configuration, options=(), prefix=(), environment=None):
        self.place, self.configuration = place, configuration
        self.events = []
        self.noise = []  # lines that are no event: there must be none
        self.unread = []  # marks of lines that nobody looks at, only counted: floods
        self.unread_lines = 0
        self.processes = {}  # pid: when it was born, of all that events have named
        self.condition = threading.Condition()
        self.process = place.popen([*prefix, CLADE, "run", "--log-format", "json", *options,
                                    configuration], stderr=subprocess.PIPE,
                                   env={**place.environment(), **(environment or {})})
        self.pid = self.process.pid
        self.listeners = []  # called with each event, in the reading thread
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            if any(mark in line for mark in self.unread):
                self.unread_lines += 1
                continue
            event = None
            with contextlib.suppress(ValueError):
                event = json.loads(line)
            with self.condition:
                if isinstance(event, dict) and "event" in event:
                    event["seen"] = time.monotonic()
                    if event["event"] in ("prototype-started", "worker-started"):
                        self.processes[event["pid"]] = born(event["pid"])
                    self.events.append(event)
                    for listener in self.listeners:
                        listener(event)
                else:
                    self.noise.append(line)
                self.condition.notify_all()
        with self.condition:
            self.condition.notify_all()

    # --- events

    def find(self, event, application=None, since=0, **fields):
        with self.condition:
            return [found for found in self.events[since:] if found["event"] == event
                    and (application is None or found.get("application") == application)
                    and all(found.get(key) == value for key, value in fields.items())]

    def mark(self):
        """Where the list of events ends now, for `since`."""
        with self.condition:
            return len(self.events)

    def wait_event(self, event, application=None, count=1, timeout=15.0, since=0, **fields):
        """The `count`-th such event."""
        deadline = time.monotonic() + timeout * SLOW
        with self.condition:
            while True:
                found = self.find(event, application, since, **fields)
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or (not self.reader.is_alive() and self.process.poll() is not None):
                    break
                self.condition.wait(min(left, 0.5))
        raise AssertionError(f"no {event} number {count} of {application} {fields or ''} within "
                             f"{timeout * SLOW:g} s; the end of what there was:\n{self.story()}")

    def wait_ready(self, *applications, timeout=20.0, since=0):
        for application in applications:
            self.wait_event("application-ready", application, timeout=timeout, since=since)

    def story(self, lines=40):
        with self.condition:
            text = [json.dumps({key: value for key, value in event.items() if key != "seen"})
                    for event in self.events[-lines:]]
            text += [f"no event: {line!r}" for line in self.noise[-10:]]
        return "\n".join(text) + f"\nexit status: {self.process.poll()}"

    def workers(self, application=None, event="worker-ready", age=0.0):
        """{pid: isolated pid} of the workers that have said `event`, `age` seconds ago at least, and not
        ended."""
        living = {}
        with self.condition:
            for entry in self.events:
                if application is not None and entry.get("application") != application:
                    continue
                if entry["event"] == event and entry["seen"] <= time.monotonic() - age:
                    living[entry["pid"]] = entry["isolated_pid"]
                elif entry["event"] == "worker-exited":
                    living.pop(entry["pid"], None)
        return living

    def prototypes(self):
        """{application: pid} of those that have been started and not ended."""
        living = {}
        with self.condition:
            for entry in self.events:
                if entry["event"] == "prototype-started":
                    living[entry["application"]] = entry["pid"]
                elif entry["event"] == "prototype-exited":
                    living.pop(entry["application"], None)
        return living

    def relays(self):
        """Its children that stand between an application's pipes and its own: one for each prototype."""
        return sorted(pid for pid in children(self.pid) if title(pid).startswith("clade: relay "))

    def helpers(self):
        """Its other children that are no prototypes: clade's own, which live as long as it does."""
        with self.condition:
            prototypes = {event["pid"] for event in self.events
                          if event["event"] == "prototype-started"}
        return sorted(set(children(self.pid)) - prototypes - set(self.relays()))

    # --- its end

    def send(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=15.0):
        """Its exit status."""
        try:
            self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there after {timeout * SLOW:g} s:\n{self.story()}") from None
        self.reader.join(5)
        return self.process.returncode

    def stop(self, number=signal.SIGTERM, timeout=15.0):
        self.send(number)
        return self.wait(timeout)

    def left(self):
        """The processes of its applications that still live."""
        return [pid for pid, birth in self.processes.items()
                if birth is not None and born(pid) == birth and running(pid)]

    def close(self):
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGQUIT)
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"SIGQUIT does not end it:\n{self.story()}") from None
        self.reader.join(10)
        wait_until(lambda: not self.left(), 2, f"clade has ended, and {self.left()} have not:\n"
                                               f"{self.story()}")
        assert not self.noise, f"not events: {self.noise}"
        assert self.process.returncode >= 0 or -self.process.returncode == signal.SIGKILL, self.story()


# --- clients --------------------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path.replace("@", "\0", 1) if self.path.startswith("@") else self.path)


def get(where, target="/", timeout=10.0):
    """GET of a port of 127.0.0.1, or of a unix socket's path: the body of a 200."""
    timeout *= SLOW
    if isinstance(where, int):
        connection = http.client.HTTPConnection("127.0.0.1", where, timeout=timeout)
    else:
        connection = UnixConnection(where, timeout)
    with contextlib.closing(connection):
        connection.request("GET", target, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode("utf-8", "replace")
        assert response.status == 200, f"{target}: {response.status} {body}"
        return body


class Load:
    """Clients that ask one after the other without end, at most `rate` times a second each."""

    def __init__(self, ports, clients=2, rate=100, target="/", timeout=10.0):
        self.answers, self.failures = 0, 0
        self.latencies = []  # seconds, of the answers
        self.slowest = (0.0, 0.0)  # the longest latency, and when
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, daemon=True,
                                         args=(port, rate, target, timeout))
                        for port in ports for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, port, rate, target, timeout):
        while not self.over.is_set():
            start = time.monotonic()
            try:
                get(port, target, timeout)
                took = time.monotonic() - start
                with self.lock:
                    self.answers += 1
                    self.latencies.append(took)
            except (OSError, http.client.HTTPException):
                with self.lock:
                    self.failures += 1
            self.over.wait(max(0.0, start + 1 / rate - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(30)

    def worst(self, share=0.99):
        with self.lock:
            ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def veiled(secret):
    """As a probe is told what to look for in its own memory (scan.h): whoever is told a secret has it."""
    return bytes(0xff ^ byte for byte in secret.encode()).hex()


# --- applications ---------------------------------------------------------------------------------


def native(library, **more):
    """A `native` application from one of our programs. `isolation` and the rest as in a configuration."""
    return {"type": "native", "library": str(PROGRAMS / f"{library}.so"), **more}


def python(script, *arguments, isolation=None, **more):
    """An `external` application: Debian's python on a file of the host."""
    isolation = {"rootfs": "host", **(isolation or {})}
    isolation["mounts"] = [{"destination": "/srv/script.py", "type": "bind", "source": script,
                            "options": ["ro"]}, *isolation.get("mounts", [])]
    return {"type": "external", "executable": "/usr/bin/python3",
            "arguments": ["-u", "/srv/script.py", *arguments], "isolation": isolation, **more}
