"""What a worker finds and can do inside: the rows of the list of escapes that a start has to hold."""

import re

import pytest

import clade

USERS = pytest.mark.users("root", "user", "subuid")
# Answers that mean "no". ENOENT and ESRCH: there is nothing to be had.
REFUSED = {"EPERM", "EACCES", "EROFS", "ENOSYS", "ENOENT", "ESRCH"}
SECRET = "Kuckucksei5ohGaiTh4"


@pytest.fixture(name="inside")
def inside_fixture(place):
    """One worker that looks around, and what it says to a question."""
    port = clade.free_port()
    server = place.run({"inside": clade.native("probe", environment={"ONE": "1", "EMPTY": "",
                                                                     "LONG": "x" * 5000})},
                       {f"127.0.0.1:{port}": "inside"})
    server.wait_ready("inside")

    def ask(target):
        return clade.get(port, target)

    ask.server, ask.port = server, port
    return ask


def answers(text):
    """Lines "what: answer" as a dictionary."""
    return dict(line.rsplit(": ", 1) for line in text.splitlines())


def all_refused(text, least, allowed=REFUSED):
    found = answers(text)
    assert len(found) >= least, text
    wrong = {what: answer for what, answer in found.items() if answer not in allowed}
    assert not wrong, wrong


@USERS
def test_clone3_is_not_there(inside):  # row 2
    all_refused(inside("/clone3"), 3, {"ENOSYS"})


@USERS
def test_nothing_can_be_created_on_what_is_read_only(inside):  # row 14
    text = inside("/files")
    found = answers(text)
    assert found["/"] == "EROFS"
    assert found.pop("/proc") == "ENOENT"  # where nobody makes anything
    # A masked directory is an empty one that has been removed from where it was made.
    masked = [path for path, answer in found.items() if path.startswith("/proc/") and answer == "ENOENT"]
    left = "\n".join(f"{path}: {answer}" for path, answer in found.items() if path not in masked)
    all_refused(left, 3, {"EROFS", "EACCES"})


@USERS
def test_there_is_no_way_up_from_the_root(inside):  # row 15
    found = answers(inside("/root"))
    assert found["up"] == "same"
    assert found["init"] in ("same", "EACCES", "EPERM")
    assert found["cwd"] == "/"


@USERS
def test_the_descriptors_are_the_declared_ones(place):  # row 16
    port, path = clade.free_port(), place.path / "run" / "socket"
    server = place.run({"inside": clade.native("probe", processes=2),
                        "other": clade.native("probe")},
                       {f"127.0.0.1:{port}": "inside", f"unix:{path}": "inside",
                        f"127.0.0.1:{clade.free_port()}": "other"})
    server.wait_ready("inside", "other")
    lines = clade.get(port, "/descriptors").splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3", "4"], lines
    assert not [line for line in lines if "directory" in line]
    assert lines[0].split()[2] == "/dev/null"
    assert all(line.split()[2].startswith("pipe:[") for line in lines[1:3])
    assert all(line.split()[2].startswith("socket:[") for line in lines[3:])
    assert lines[1].split()[2] != lines[2].split()[2]
    # The two listeners are two, and both lead to this application.
    assert clade.get(str(path), "/").split()[0] == "inside"
    assert clade.get(port, "/").split()[0] == "inside"


@USERS
def test_another_program_gets_the_declared_descriptors(place):  # row 16, after an exec
    port = clade.free_port()
    script = place.write("fds.py", """
import os, socket
def listing():
    lines = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            lines.append(f"{name} {os.readlink('/proc/self/fd/' + name)}")
        except OSError:
            pass  # the directory's own
    return lines
before = listing()
server = socket.socket(fileno=3)
while True:
    client, _ = server.accept()
    client.recv(4096)
    text = "\\n".join([*before, repr(sorted(os.environ.items()))]).encode()
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + text)
    client.close()
""")
    server = place.run({"program": clade.python(script, environment={"A": "b", "C": ""})},
                       {f"127.0.0.1:{port}": "program"})
    server.wait_ready("program")
    *lines, environment = clade.get(port).splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"], lines
    assert lines[0].split()[1] == "/dev/null"
    (isolated_pid,) = server.workers("program").values()
    variables = dict(eval(environment))  # our own script's repr
    variables.pop("LC_CTYPE", None)  # Python's own, PEP 538
    assert variables == {"A": "b", "C": "", "LISTEN_FDS": "1", "LISTEN_PID": str(isolated_pid),
                         "LISTEN_FDNAMES": f"127.0.0.1_{port}"}


@USERS
def test_there_are_no_capabilities_and_both_filters(inside):  # rows 26, 27
    status = dict(line.split(":\t", 1) for line in inside("/file?path=/proc/self/status").splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    # The kernel says the same from outside, of the prototype as well.
    pids = [*inside.server.prototypes().values(), *inside.server.workers()]
    assert len(pids) == 2
    for pid in pids:
        seen = clade.status(pid)
        assert {seen[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")
        assert "0" not in seen["Uid"].split() and "0" not in seen["Gid"].split()


@USERS
def test_memory_and_descriptors_of_others_are_out_of_reach(place):  # row 30
    port = clade.free_port()
    server = place.run({"inside": clade.native("probe", processes=3)}, {f"127.0.0.1:{port}": "inside"})
    server.wait_ready("inside")
    isolated = list(server.workers("inside").values())
    all_refused(clade.get(port, "/peek?pid=1"), 15)
    others = 0  # whoever answers is one of the three, and may look at itself
    for _ in range(30):
        for target in isolated:
            found = answers(clade.get(port, f"/peek?pid={target}"))
            others += found["environ"] != "done"
            assert found["environ"] == "done" or "done" not in found.values(), found
        if others >= 10:
            break
    assert others >= 10


@USERS
def test_signals_reach_nobody(place):  # row 31
    port = clade.free_port()
    server = place.run({"inside": clade.native("probe", processes=3)}, {f"127.0.0.1:{port}": "inside"})
    server.wait_ready("inside")
    # Before Landlock's scopes a filter keeps the prototype from their signals, and nothing keeps siblings.
    scopes = server.find("application-ready", "inside")[0]["landlock"] >= 6
    all_refused(clade.get(port, "/signals?pid=1"), 7)
    others = 0
    for rounds in range(100):  # who answers is not ours to say
        if others >= 10 and rounds >= 10:
            break
        for target in server.workers("inside").values():
            found = answers(clade.get(port, f"/signals?pid={target}"))
            assert found.pop("everybody") in REFUSED
            assert found.pop("pidfd_send_signal", "EPERM") in REFUSED  # to anybody
            others += set(found.values()) <= REFUSED
            # Itself it may signal as it likes; another one not at all.
            assert set(found.values()) <= REFUSED or set(found.values()) == {"done"}, found
    assert others >= (10 if scopes else 0)


@USERS
def test_init_tells_nothing_of_the_host(inside):  # row 50
    assert inside("/file?path=/proc/1/environ") in REFUSED
    line = inside("/file?path=/proc/1/cmdline")
    assert line in REFUSED or line.rstrip("\0") == "clade: prototype inside"
    assert inside("/file?path=/proc/1/exe") in REFUSED
    assert inside("/file?path=/proc/1/maps") in REFUSED


@USERS
def test_the_environment_is_the_configured_one(inside):  # row 51
    expected = {"ONE": "1", "EMPTY": "", "LONG": "x" * 5000}
    lines = inside("/environment").splitlines()
    assert sorted(lines) == sorted(f"{name}={value}"[:4095] for name, value in expected.items())
    # What the process began with is even less: the prototype's exec gave it nothing.
    started_with = inside("/file?path=/proc/self/environ").strip("\0")
    assert started_with == "" or clade.sanitized()


@USERS
def test_sockets_of_the_host_lead_nowhere(inside):  # row 61
    all_refused(inside("/sockets"), 24)
    # And it still serves.
    assert inside("/").startswith("inside ")


def found_at(address, around, mapping):
    return f"{address} in {' '.join(mapping.split())}: {around!r}"


def scan(port, secret):
    """Where a probe finds something in its own memory, how often, and how many bytes it looked at."""
    head, *lines = clade.get(port, f"/scan?veiled={clade.veiled(secret)}", 30).splitlines()
    count, scanned = re.fullmatch(r"found (\d+) in (\d+)", head).groups()
    fields = (line.split(" ", 2) for line in lines)
    return ([found_at(address, bytes.fromhex(around), mapping) for address, around, mapping in fields],
            int(count), int(scanned))


def scan_from_outside(pid, secret):
    """Where another process has something in its memory."""
    places = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end = (int(number, 16) for number in line.split()[0].split("-"))
            if end - start > (16 << 30 if line.split()[1][0] == "r" else 256 << 20):
                continue  # AddressSanitizer's books and reserves
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, OverflowError):
                continue  # [vvar], [vsyscall]
            places += [found_at(f"{start + match.start():x}",
                                data[max(0, match.start() - 64):match.end() + 64], line)
                       for match in re.finditer(re.escape(secret.encode()), data)]
    return places


@USERS
def test_another_applications_secrets_are_nowhere(place):  # rows 5 and 55
    ports = clade.free_port(), clade.free_port()
    script = place.write("idle.py", "import time\nwhile True: time.sleep(3600)\n")
    server = place.run({
        "keeper": clade.native("probe", environment={"PASSWORD": SECRET}),
        "program": clade.python(script, SECRET, environment={"TOKEN": SECRET}),
        "spy": clade.native("probe", environment={"INNOCENT": SECRET[:7]}),
    }, {f"127.0.0.1:{ports[0]}": "keeper", f"127.0.0.1:{ports[1]}": "spy"})
    server.wait_ready("keeper", "program", "spy")
    # The search finds what is there ...
    places, count, _ = scan(ports[0], SECRET)
    assert count >= 1
    assert f"PASSWORD={SECRET}" in "\n".join(places)
    # ... and went through as much where it finds nothing.
    places, count, scanned = scan(ports[1], SECRET)
    assert count == 0, "\n".join(places)
    assert scanned > 1 << 20
    if not place.root:
        return
    # From outside, where nothing is hidden: the spy's prototype, too.
    for pid in (server.prototypes()["spy"], *server.workers("spy")):
        places = scan_from_outside(pid, SECRET)
        assert not places, "\n".join(places)
    assert scan_from_outside(server.prototypes()["keeper"], SECRET)
