"""Rows that are tried from outside of a worker: roots that a tenant has prepared (24), applications that attack
clade's own channels from their prototypes (58 to 60), and what the supervisor's loop does meanwhile (63)."""

import ctypes
import os
import threading
import time

import attacks
import clade
import inside

AT_FDCWD, RENAME_EXCHANGE = -100, 2
LIBC = ctypes.CDLL(None, use_errno=True)
# What a tenant may have made a link of in a root of its own.
PREPARED = ("dev", "dev/null", "dev/pts", "dev/shm", "proc", "tmp", "etc", "srv", "srv/escape")
TENANT = 62399
STARTS = 4


# --- row 24 ---------------------------------------------------------------------------------------


class Root:
    """A directory that is an application's root and belongs to a tenant; and what its links lead to."""

    def __init__(self, place, name):
        self.place = place
        self.path = place.path / "files" / f"root-{name.replace('/', '-')}"
        self.victim = place.path / "files" / f"victim-{name.replace('/', '-')}"
        for directory in ("dev/pts", "dev/shm", "proc", "sys", "tmp", "etc", "srv/escape",
                          str(inside.PROGRAM.parent)[1:]):
            (self.path / directory).mkdir(parents=True, exist_ok=True)
        for file in ("dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom", "dev/tty", "etc/passwd",
                     "etc/group", "etc/hosts", "etc/resolv.conf", str(inside.PROGRAM)[1:]):
            (self.path / file).write_text("")
        self.victim.mkdir()
        (self.victim / "file").write_text("untouched")
        for top in (self.path, self.victim):
            top.chmod(0o755)
            if os.geteuid() == 0:
                owner = TENANT if place.root else place.who.uid
                for directory, names, files in os.walk(top):
                    for path in (directory, *(os.path.join(directory, entry) for entry in names + files)):
                        os.chown(path, owner, owner, follow_symlinks=False)

    def link(self, name):
        """A link in the place of what clade expects there; the original is kept beside it."""
        path = self.path / name
        beside = path.with_name(path.name + "-kept")
        target = self.victim / "file" if path.is_file() else self.victim
        beside.symlink_to(target)
        if os.geteuid() == 0:
            os.chown(beside, *(2 * [TENANT if self.place.root else self.place.who.uid]),
                     follow_symlinks=False)
        return os.fsencode(path), os.fsencode(beside)

    def touched(self):
        if sorted(os.listdir(self.victim)) != ["file"]:
            return f"touched:{sorted(os.listdir(self.victim))}"
        if (self.victim / "file").read_text() != "untouched":
            return "written"
        return None


def exchange(one, other):
    LIBC.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)


def start_with(place, root):
    """One start: "refused", "harmless", or what it has done."""
    mounts = clade.host_mounts()
    application = inside.application("external", inside.Share(place), {"rootfs": str(root.path)},
                                     "/srv/escape")
    server = place.run({"probe": {**application, "processes": 1}}, {}, {"start_timeout": 5})
    clade.wait_until(lambda: server.find("application-ready") or server.find("application-failed") or
                     server.process.poll() is not None, 20, "it is ready or refused")
    answer = "harmless" if server.find("application-ready") else "refused"
    answer = root.touched() or answer
    server.stop(clade.signal.SIGQUIT)
    if clade.host_mounts() != mounts:
        answer = "mounts-left"
    return root.touched() or answer


def prepared_roots(place):
    answers = {(24, "host"): "untouched"}
    plain = start_with(place, Root(place, "plain"))
    if plain != "harmless":
        answers[24, "links-none"] = f"not-even-a-plain-root:{plain}"
    for name in PREPARED:
        root = Root(place, name)
        exchange(*root.link(name))
        answers[24, f"links-{name}"] = start_with(place, root)
    for name in ("dev", "dev/null", "srv/escape"):
        root = Root(place, f"swapped-{name}")
        pair = root.link(name)
        over = threading.Event()

        def swap(pair=pair, over=over):
            while not over.is_set():
                exchange(*pair)
                time.sleep(0.0001)

        thread = threading.Thread(target=swap, daemon=True)
        thread.start()
        try:
            found = [start_with(place, root) for _ in range(STARTS)]
        finally:
            over.set()
            thread.join()
        bad = [answer for answer in found if answer not in ("refused", "harmless")]
        answers[24, f"swapped-{name}"] = bad[0] if bad else max(found)
    return answers


# --- rows 58, 59 and 63 ---------------------------------------------------------------------------


def row_of(attack):
    return 59 if attack.startswith(("says_", "claims_")) else 58


def attacked(place):
    """All attacks at once beside a neighbour, who is asked all the time."""
    names = [attack for attack, _ in attacks.ATTACKS]
    port = clade.free_port()
    applications = {"neighbour": clade.native("probe", processes=2)}
    applications |= {name: clade.native("hostile", preload=name) for name in [*names, *attacks.POINTLESS]}
    server = place.run(applications, {f"127.0.0.1:{port}": "neighbour"})
    server.wait_ready("neighbour")
    neighbour = attacks.Neighbour(server, "neighbour", port)
    answers = {}
    with neighbour.asked_meanwhile():
        for name, errno in attacks.ATTACKS:
            answers[row_of(name), name] = judge_attack(server, name, errno)
        for name in attacks.POINTLESS:
            server.wait_ready(name)
            answers[58, name] = "pointless"
        time.sleep(1)
    quiet = not server.find("worker-exited", "neighbour") and not server.find("application-failed", "neighbour")
    answers[58, "neighbour"] = "untouched" if quiet else "touched"
    answers[63, "loop-attacked"] = "below-50-ms" if neighbour.fine() else f"waits:{neighbour.worst()}"
    server.stop(clade.signal.SIGQUIT)
    return answers


def judge_attack(server, name, errno):
    """Stopped, reported and backed off, and no word of its believed."""
    if errno and server.wait_event("application-failed", name)["errno"] != errno:
        return "another-reason"
    server.wait_event("prototype-exited", name)
    server.wait_event("application-backoff", name)
    believed = server.find("worker-ready", name) or server.find("application-ready", name)
    return "believed" if believed else "stopped"


def held_up(place):
    """A tenant whose writes hold the locks of its pipes."""
    port = clade.free_port()
    server = place.run({"neighbour": clade.native("probe"),
                        "attacker": clade.native("hostile", preload="holds_its_pipes")},
                       {f"127.0.0.1:{port}": "neighbour"})
    server.wait_ready("neighbour")
    server.wait_event("output", "attacker", stream="stderr", timeout=20)  # it has held one for long
    longest = attacks.longest_wait(server.pid, 2)
    server.stop(clade.signal.SIGQUIT)
    return {(63, "loop-held-pipes"):
            "below-50-ms" if longest < attacks.LOOP else f"waits:{1000 * longest:.0f}"}


# --- row 60 ---------------------------------------------------------------------------------------


def stubborn(place):
    """Each is killed in time, backed off and reported; the one that only hears no SIGTERM, when clade stops."""
    server = place.run({"forks-without-end": clade.native("hostile", preload="multiplies"),
                        "never-ready": clade.native("fates", symbol="never_ready"),
                        "refuses-to-stop": clade.native("fates", symbol="is_deaf")},
                       {f"127.0.0.1:{clade.free_port()}": "refuses-to-stop"},
                       {"start_timeout": 2, "stop_timeout": 1})
    answers = {}
    for name, backoff in (("never-ready", "worker-backoff"), ("forks-without-end", "application-backoff")):
        failed = server.wait_event("application-failed", name, timeout=30)
        server.wait_event(backoff, name, timeout=30)
        answers[60, name] = "killed" if failed["errno"] == "ETIMEDOUT" else f"failed:{failed['errno']}"
    server.wait_ready("refuses-to-stop")
    family = clade.descendants(server.pid)
    start = time.monotonic()
    server.stop()
    took = time.monotonic() - start
    left = [pid for pid in family if clade.running(pid)]
    answers[60, "refuses-to-stop"] = "killed" if took < 4 * clade.SLOW and not left and \
        server.find("worker-exited", "refuses-to-stop", signal=9) else f"after:{took:.1f},left:{len(left)}"
    return answers


def everything(place):
    """One after the other: what forks without end leaves no processor to a start that is to be judged."""
    return {**prepared_roots(place), **stubborn(place), **attacked(place), **held_up(place)}
