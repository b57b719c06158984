"""What `clade plan` says of the demo, against what strace sees: the same calls, in the same order."""

import json
import pathlib
import re
import shutil
import sys

import pytest

import clade

sys.path.insert(0, str(clade.SOURCE / "examples" / "demo"))
import demo  # noqa: E402  pylint: disable=wrong-import-position

# The calls that namespaces, mounts, ids, limits, capabilities, prctl, Landlock and seccomp are made with.
CALLS = ["clone3", "open_tree", "fsopen", "fsconfig", "fsmount", "move_mount", "mount_setattr", "mount",
         "umount2", "pivot_root", "setgroups", "setresgid", "setresuid", "capset", "prctl", "execveat",
         "setsid", "sethostname", "prlimit64", "landlock_create_ruleset", "landlock_add_rule",
         "landlock_restrict_self", "seccomp", "keyctl", "unshare", "setns", "setpriority",
         "sched_setaffinity"]
# To know what others are about: new files and directories, and the id maps.
HELPERS = ["openat", "openat2", "mkdirat", "write", "clone"]
OF_THE_PARENT = {"clone3", "open_tree", "openat", "write", "setpriority", "sched_setaffinity"}
FIRST_SOURCE = 9  # runtime/protocol/descriptors.h


def trace(text):
    """strace's lines as (pid, call, arguments, result), interrupted ones put together."""
    begun = {}
    for line in text.splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            begun[pid] = rest[:-len("<unfinished ...>")]
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", rest)
        if resumed:
            rest = begun.pop(pid) + resumed[1]
        found = re.fullmatch(r"(\w+)\((.*)\)\s+= (-?\w+)(?: .*)?", rest)
        if found:
            yield int(pid), found[1], found[2].strip(), found[3]


def flags(text, prefix):
    return frozenset(re.findall(rf"{prefix}\w+", text))


def number(text):
    """8192*1024, RLIM64_INFINITY"""
    if "INFINITY" in text:
        return 2 ** 64 - 1
    result = 1
    for part in text.split("*"):
        result *= int(part, 0)
    return result


def strings(text):
    return tuple(re.findall(r'"([^"]*)"', text))


def attributes(text):
    """What mount_setattr sets. RELATIME is zero, and no flag."""
    return flags(text, "MOUNT_ATTR_") - {"MOUNT_ATTR_RELATIME"}


class Seen:
    """The calls of the processes of one start, each in few words that the plan has, too."""

    def __init__(self, plan, lines):
        self.sources = [source["path"] for source in plan["root"]["sources"]]
        self.files = {}  # descriptor: the id map that it leads to
        self.dropped = set()
        self.target = None  # what was looked up last in the new root
        self.list = []
        for call, arguments, result in lines:
            self.take(call, arguments, result)

    def take(self, call, arguments, result):
        special = getattr(self, call, None)
        entry = special(arguments, result) if special else self.plain(call, arguments)
        if entry and (not self.list or self.list[-1] != entry or call not in ("prctl",)):
            self.list.append(entry)

    @staticmethod
    def plain(call, arguments):
        if call in ("execveat", "setsid", "landlock_restrict_self", "landlock_add_rule", "keyctl",
                    "unshare", "setns", "sched_setaffinity"):
            return (call,)
        if call == "setpriority":
            return (call, arguments.split(", ")[-1])
        return (call, *strings(arguments))

    def clone3(self, arguments, _result):
        return ("clone3", flags(arguments, "CLONE_NEW"))

    def openat(self, arguments, result):
        name = strings(arguments)[0]
        if re.fullmatch(r"/proc/(\d+|self)/(uid_map|gid_map|setgroups|oom_score_adj|timens_offsets)"
                        r"|/proc/sys/user/max_inotify_\w+", name):
            self.files[result] = name.rsplit("/", 1)[1]
        return None

    def openat2(self, arguments, result):
        if result != "-1":
            self.target = strings(arguments)[0].rsplit("/", 1)[1]

    def write(self, arguments, _result):
        name = self.files.pop(arguments.split(",")[0], None)
        return name and ("write", name, strings(arguments)[0])

    def mkdirat(self, _arguments, _result):
        return None

    def clone(self, _arguments, _result):
        return None

    def source(self, arguments):
        return self.sources[int(arguments.split(",")[0]) - FIRST_SOURCE]

    def open_tree(self, arguments, _result):
        assert "OPEN_TREE_CLONE" in arguments
        # A single file, or something of the root's own.
        assert "AT_RECURSIVE" in arguments or not strings(arguments)[0].startswith("/")
        return ("open_tree", *strings(arguments))

    def fsopen(self, arguments, _result):
        return ("fsopen", *strings(arguments))

    def fsconfig(self, arguments, _result):
        if "FSCONFIG_CMD_CREATE" in arguments:
            return ("fsconfig", "create")
        return ("fsconfig", *strings(arguments))

    def fsmount(self, arguments, _result):
        return ("fsmount", attributes(arguments))

    def move_mount(self, arguments, _result):
        if "AT_FDCWD" in arguments:
            return ("move_mount", "/")
        fd = int(arguments.split(",")[0])
        if FIRST_SOURCE <= fd < FIRST_SOURCE + len(self.sources):
            return ("move_mount", self.source(arguments), self.target)
        return ("move_mount", self.target)

    def mount_setattr(self, arguments, _result):
        if "AT_RECURSIVE" not in arguments:
            return ("mount_setattr", attributes(arguments))
        return ("mount_setattr", self.target, attributes(arguments), "MS_PRIVATE" in arguments)

    def mount(self, arguments, _result):
        return ("mount", strings(arguments)[0], flags(arguments, "MS_"))

    def umount2(self, arguments, _result):
        return ("umount2", "MNT_DETACH" in arguments)

    def setgroups(self, arguments, _result):
        return ("setgroups", arguments.split(",")[0])

    def setresgid(self, arguments, _result):
        return ("setresgid", *set(arguments.split(", ")))

    def setresuid(self, arguments, _result):
        return ("setresuid", *set(arguments.split(", ")))

    def capset(self, arguments, _result):
        return ("capset", "{effective=0, permitted=0, inheritable=0}" in arguments)

    def prctl(self, arguments, result):
        words = arguments.split(", ")
        if words[0] == "PR_CAPBSET_DROP":
            if result == "0":
                self.dropped.add(words[1])
            return ("prctl", "PR_CAPBSET_DROP")
        if words[0] == "PR_CAP_AMBIENT":
            return ("prctl", *words[:2])
        if words[0] == "PR_SET_SECUREBITS":
            return ("prctl", words[0])
        return ("prctl", *words[:2])

    def sethostname(self, arguments, _result):
        return ("sethostname", *strings(arguments))

    def prlimit64(self, arguments, _result):
        words = arguments.split(", ")
        if words[2] == "NULL":
            return None  # a question
        if clade.sanitized() and "execveat" in self.list[-1] and words[1] == "RLIMIT_CORE":
            return None  # AddressSanitizer's own, before the program begins
        soft, hard = re.fullmatch(r".*\{rlim_cur=(.*), rlim_max=(.*)\},\s+NULL", arguments).groups()
        return ("prlimit64", words[1], number(soft), number(hard))

    def landlock_create_ruleset(self, arguments, _result):
        if "LANDLOCK_CREATE_RULESET_VERSION" in arguments:
            return None  # a question
        (fs,) = re.findall(r"handled_access_fs=([^,}]*)", arguments)
        return ("landlock_create_ruleset", fs == "0")

    def seccomp(self, arguments, _result):
        if "SECCOMP_SET_MODE_FILTER" not in arguments:
            return None
        return ("seccomp", int(re.search(r"len=(\d+)", arguments)[1]))


def planned(steps):
    """The plan's calls in the same few words."""
    for step in steps:
        for call in step["calls"]:
            name, text = call["call"], call["arguments"]
            entry = say(name, text)
            if entry:
                yield entry


def say(name, text):
    words = text.split(", ")
    last = strings(text)[-1].rsplit("/", 1)[-1] if strings(text) else None
    table = {
        "clone3": lambda: ("clone3", flags(text, "CLONE_NEW")),
        "write": lambda: ("write", words[0], strings(text)[0]),
        "open_tree": lambda: ("open_tree", *strings(text)),
        "fsopen": lambda: ("fsopen", *strings(text)),
        "fsconfig": lambda: ("fsconfig", *(strings(text) or ("create",))),
        "fsmount": lambda: ("fsmount", attributes(text)),
        "move_mount": lambda: ("move_mount", "/") if text.endswith(', "/"') else
        ("move_mount", strings(text)[0], last) if text.startswith("source") else ("move_mount", last),
        "mount_setattr": lambda: ("mount_setattr", last, attributes(text), "MS_PRIVATE" in text) if "AT_RECURSIVE" in text else
        ("mount_setattr", attributes(text)),
        "mount": lambda: ("mount", strings(text)[0], flags(text, "MS_")),
        "umount2": lambda: ("umount2", "MNT_DETACH" in text),
        "capset": lambda: ("capset", "permitted 0," in text),
        "prctl": lambda: ("prctl", words[0]) if words[0] in ("PR_CAPBSET_DROP", "PR_SET_SECUREBITS") else
        ("prctl", *words[:2]),
        "execveat": lambda: ("execveat",),
        "setsid": lambda: ("setsid",),
        "prlimit64": lambda: ("prlimit64", words[0], *(number(word) for word in words[1:])),
        "landlock_create_ruleset": lambda: ("landlock_create_ruleset", words[0] == "fs 0x0"),
        "landlock_restrict_self": lambda: ("landlock_restrict_self",),
        "landlock_add_rule": lambda: ("landlock_add_rule",), "keyctl": lambda: ("keyctl",),
        "unshare": lambda: ("unshare",), "setns": lambda: ("setns",),
        "sched_setaffinity": lambda: ("sched_setaffinity",), "setpriority": lambda: (name, words[-1]),
        "seccomp": lambda: ("seccomp", int(words[2].split()[0])),
        "setgroups": lambda: (name, text), "setresgid": lambda: (name, text),
        "setresuid": lambda: (name, text), "sethostname": lambda: (name, *strings(text)),
        "pivot_root": lambda: (name, *strings(text)),
        # Where files come to be is compared by the mounts on them.
        "mkdirat": lambda: None, "symlinkat": lambda: None, "unlinkat": lambda: None, "openat": lambda: None,
    }
    return table[name]()


# What is off by default: each key brings calls of its own.
EVERYTHING = {
    "limits": {"nice": 19, "cpus": "0", "oom_score_adj": 900,
               "rlimits": [{"type": "RLIMIT_FSIZE", "soft": 1000000, "hard": 2000000}]},
    "isolation": {"writable": "tmpfs", "readonlyPaths": ["/etc"],
                  "maskedPaths": ["/etc/hosts", "/proc/keys", "/proc/acpi", "/proc/fs"],
                  "capabilities": "^cap_net_bind_service", "hostname": "shop.example",
                  "time_offsets": {"monotonic": 5, "boottime": 7},
                  "landlock": {"paths": [{"path": "/", "rights": ["read", "execute"]},
                                         {"path": "/tmp", "rights": ["write", "make"]}],
                               "scopes": ["signal"]}},
}


@pytest.mark.users("root", "user")
@pytest.mark.parametrize("more", [{}, EVERYTHING], ids=["default", "everything"])
def test_the_plan_is_what_happens(place, refuse, more):
    if not shutil.which("strace"):
        refuse("strace is not installed: ./dev deps")
    files = place.path / "files"
    (files / "public").mkdir()
    configuration = demo.configuration(clade.BUILD, clade.free_port(), files)
    text = json.loads(pathlib.Path(configuration).read_text())
    for key, value in more.items():
        text["applications"]["demo"].setdefault(key, {}).update(value)
    pathlib.Path(configuration).write_text(json.dumps(text))
    output = place.path / "run" / "trace"
    planning = place.command("plan", configuration, "demo")
    assert planning.returncode == 0, planning.stderr
    plan = json.loads(planning.stdout)
    if plan["identity"]["method"] == "newuidmap":
        pytest.skip("strace takes the privilege of set-uid programs like newuidmap: run it as root")
    # -D: the tracer is a grandchild, and what we have is the supervisor.
    server = place.start(configuration, prefix=[
        "strace", "-D", "-f", "-qq", "-s", "256", "-o", output, "-e", "signal=none",
        "-e", "trace=" + ",".join(CALLS + HELPERS)],
        environment={"ASAN_OPTIONS": "detect_leaks=0"})  # which wants to trace, too
    server.wait_ready("demo", timeout=60)
    prototype, workers = server.prototypes()["demo"], list(server.workers("demo"))
    assert server.stop() == 0
    lines = list(trace(output.read_text()))

    # The start: what the supervisor does for it, and the clone up to its first word, which is "ready".
    pids = {server.pid, prototype}
    begin = next(index for index, (pid, call, arguments, result) in enumerate(lines)
                 if pid == server.pid and call == "clone3" and result == str(prototype))
    # The clone's first calls may be written down before the one that made it has returned.
    while begin > 0 and (lines[begin - 1][0] != server.pid or lines[begin - 1][1] == "open_tree"):
        begin -= 1
    start = []
    for pid, call, arguments, result in lines[begin:]:
        if pid == prototype and call == "write" and arguments.startswith("5, "):
            break
        if pid in pids and (pid == prototype or call in OF_THE_PARENT):
            start.append((call, arguments, result))
    seen, expected = Seen(plan, start), list(planned(plan["steps"]))
    # Two processes, each with an order of its own; where the sources are opened depends on who we are.
    parents = OF_THE_PARENT - ({"open_tree"} if plan["privilege"] == "none" else set())
    for ours in (True, False):
        mine = [entry for entry in seen.list if (entry[0] in parents) == ours]
        theirs = [entry for entry in expected if (entry[0] in parents) == ours]
        assert len(theirs) >= 3
        for index, (traced, said) in enumerate(zip(mine, theirs)):
            assert traced == said, f"call {index}: strace has {traced}, the plan {said}"
        assert len(mine) == len(theirs), (mine[len(theirs):], theirs[len(mine):])
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        kept = bool(more.get("isolation", {}).get("capabilities"))
        assert len(seen.dropped) == int(file.read()) + 1 - kept

    # One worker: its domain and its filter. Its session and its tie to the prototype are no plan's.
    mine = Seen(plan, [(call, arguments, result) for pid, call, arguments, result in lines
                       if pid == workers[0] and call.startswith(("landlock", "seccomp"))]).list
    assert mine == list(planned(plan["worker_steps"]))
    assert len(mine) == 2
