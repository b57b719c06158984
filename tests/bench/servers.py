"""Who is compared: clade, and Debian's servers for WSGI, each with the same application and as many processes.

Every server is told what its own documentation advises for such a load: no access log, keep-alive where it has it,
threads where it has them and they are of use. As many threads for all that have some.
"""

import contextlib
import http.client
import os
import pathlib
import shutil
import signal
import subprocess

from bench import clade

APPS = pathlib.Path(__file__).resolve().parent / "apps"


def publish(place):
    """A copy of the applications where everybody can read them: the directory."""
    for app in APPS.glob("*.py"):
        written = place.write(f"apps/{app.name}", app.read_text())
    return str(pathlib.Path(written).parent)


def gunicorn(kind, threads):
    def command(port, module, processes, _apps):
        more = ["--threads", str(threads), "--keep-alive", "30"] if threads > 1 else []
        return ["/usr/bin/gunicorn", "--bind", f"127.0.0.1:{port}", "--workers", str(processes), "--preload",
                "--backlog", "1024", "--worker-class", kind, "--worker-tmp-dir", "/dev/shm", "--log-level",
                "warning", *more, f"{module}:app"]
    return command


def uwsgi_plugin(apps):
    return ["--plugins-dir", "/usr/lib/uwsgi/plugins", "--chdir", apps, "--pythonpath", apps, "--master", "--die-on-term",
            "--disable-logging", "--need-app", "--listen", "128"]


def uwsgi(threads):
    """Speaks HTTP itself, and closes after each answer."""
    def command(port, module, processes, apps):
        more = ["--enable-threads", "--threads", str(threads)] if threads > 1 else []
        return ["/usr/bin/uwsgi", "--plugins", "python3", *uwsgi_plugin(apps), "--http-socket", f"127.0.0.1:{port}",
                "--add-header", "Connection: close", "--processes", str(processes), *more, "--wsgi", f"{module}:app"]
    return command


def uwsgi_router(threads):
    """With keep-alive, which takes a process of uwsgi's between clients and workers."""
    def command(port, module, processes, apps):
        more = ["--enable-threads", "--threads", str(threads)] if threads > 1 else []
        return ["/usr/bin/uwsgi", "--plugins", "http,python3", *uwsgi_plugin(apps), "--http", f"127.0.0.1:{port}",
                "--http-keepalive", "--add-header", "Connection: keep-alive", "--processes", str(processes),
                *more, "--wsgi", f"{module}:app"]
    return command


def waitress(threads):
    def command(port, module, processes, apps):
        return ["/usr/bin/python3", "-B", f"{apps}/serve_waitress.py", str(port), str(processes), str(threads), module]
    return command


# {name: (its program, what to call it with)}
PEERS = {
    "gunicorn sync": ("/usr/bin/gunicorn", gunicorn("sync", 1)),
    "gunicorn gthread": ("/usr/bin/gunicorn", gunicorn("gthread", 4)),
    "uwsgi": ("/usr/bin/uwsgi", uwsgi(1)),
    "uwsgi router": ("/usr/bin/uwsgi", uwsgi_router(1)),
    "waitress": ("/usr/bin/python3", waitress(4)),
}
# Where an application waits, threads are the point.
WAITING = {
    "gunicorn sync": PEERS["gunicorn sync"],
    "gunicorn gthread": PEERS["gunicorn gthread"],
    "uwsgi": ("/usr/bin/uwsgi", uwsgi(4)),
    "uwsgi router": ("/usr/bin/uwsgi", uwsgi_router(4)),
    "waitress": PEERS["waitress"],
}


def missing(peers):
    """What has to be installed, in words; nothing: all is there."""
    found = sorted({program for program, _ in peers.values() if not shutil.which(program)})
    probe = subprocess.run(["/usr/bin/python3", "-c", "import waitress, flask"], check=False,
                           stderr=subprocess.DEVNULL)
    return found + ([] if probe.returncode == 0 else ["python3-waitress", "python3-flask"])


class Peer:
    """A running one."""

    def __init__(self, place, name, peers, module, processes=2):
        self.port, self.name = clade.free_port(), name
        apps = publish(place)
        self.log = open(place.path / "run" / f"{name.replace(' ', '-')}-{module}.log", "w+", encoding="utf-8")
        self.process = place.popen(peers[name][1](self.port, module, processes, apps), cwd=apps,
                                   stdout=self.log, stderr=subprocess.STDOUT,
                                   env={**place.environment(), "PYTHONPATH": apps, "PYTHONDONTWRITEBYTECODE": "1"})
        self.processes = processes
        try:
            clade.wait_until(self.answers, 20, f"{name} answers")
        except BaseException:
            print(self.story())
            self.close()
            raise

    def answers(self):
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} has ended:\n{self.story()}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return clade.get(self.port, timeout=2)
        return None

    def story(self):
        self.log.seek(0)
        return self.log.read()[-2000:]

    def workers(self):
        """Its processes that answer: those at the end of each branch."""
        return [pid for pid in clade.descendants(self.process.pid) if not clade.children(pid)]

    def close(self):
        everybody = [(pid, clade.born(pid)) for pid in clade.descendants(self.process.pid)]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid, birth in everybody:
            if birth is not None:
                clade.end(pid, birth)
        self.log.close()


class Ours:
    """clade on the same."""

    def __init__(self, place, module, processes=2, options=(), **more):
        self.port, self.place = clade.free_port(), place
        application = {"type": "python", "path": publish(place), "module": module, "callable": "app",
                       "processes": processes, **more}
        self.server = place.run({"app": application}, {f"127.0.0.1:{self.port}": "app"}, options=options)
        self.server.wait_ready("app", timeout=30)

    def workers(self):
        return list(self.server.workers("app"))

    def prototype(self):
        return self.server.prototypes()["app"]

    def close(self):
        self.server.stop()
        self.place.clades.remove(self.server)
        self.server.close()


def memory(pid):
    """(proportional, private) KiB of a process."""
    rollup = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split(":")
        rollup[name] = int(value.split()[0])
    return rollup["Pss"], rollup["Private_Clean"] + rollup["Private_Dirty"]


def available():
    """Whether this build has the module."""
    return os.access(clade.BUILD / "modules" / "python" / "python.clade.so", os.R_OK)
