"""Control groups as the tests see them, and ways to start clade in one."""

import contextlib
import os
import pathlib
import signal
import time

import clade

TOP = pathlib.Path("/sys/fs/cgroup")
CONTROLLERS = "+cpu +io +memory +pids"


def make(name, owner=None):
    """A control group below the top, delegated to somebody as the kernel's documentation has it."""
    (TOP / "cgroup.subtree_control").write_text(CONTROLLERS)
    group = TOP / name
    group.mkdir()
    if owner:
        for path in (group, *(group / f"cgroup.{name}" for name in ("procs", "subtree_control", "threads"))):
            os.chown(path, owner.uid, owner.gid)
    return group


def remove(group):
    for path in sorted(group.rglob("*"), reverse=True):
        if path.is_dir():
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()
    clade.wait_until(lambda: not gone(group), 5, f"{group} cannot be removed")


def gone(group):
    """Removes it; whether it is still there."""
    with contextlib.suppress(FileNotFoundError, OSError):
        group.rmdir()
    return group.exists()


def below(group):
    return sorted(str(path.relative_to(group)) for path in group.rglob("*") if path.is_dir())


def members(group):
    """All pids in it and below it."""
    return {int(pid) for path in (group, *group.rglob("*")) if path.is_dir()
            for pid in (path / "cgroup.procs").read_text().split()}


def events(group, name):
    return dict(line.split() for line in (group / name).read_text().splitlines())


def start_in(place, group, applications, listeners=None, settings=None):
    """`clade run` as a process of that control group, where only root can put it."""
    configuration = place.configuration(applications, listeners, settings)
    server = place.start(configuration, prefix=["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh"])
    clade.wait_until(lambda: clade.status(server.pid).get("State", "")[:1] == "T", 10, "a stop")
    (group / "cgroup.procs").write_text(str(server.pid))
    os.kill(server.pid, signal.SIGCONT)
    return server


def application_group(server, application):
    return pathlib.Path(server.find("prototype-started", application)[-1]["cgroup"])


def stop(server):
    assert server.stop(timeout=30) == 0, server.story()


def settle(seconds=0.3):
    time.sleep(seconds)
