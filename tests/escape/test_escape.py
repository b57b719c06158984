"""Every row of the list of escapes, tried as root, as an ordinary user, and as one with subordinate ids, by an
application of each type; and proof that the probe notices where nothing is held."""

import collections
import os
import subprocess

import pytest

import canaries
import clade
import columns
import inside
import outside
import table

ROWS = table.load()
# Beyond these the probe is not asked for anything that is not asked outside as well.
OUTSIDE = {24, 58, 59, 60, 63}
LEVELS = {"root": "full", "subuid": "full", "user": "user"}
# With sanitizers everything takes four times as long, and what confines is the same: one of each there.
SANITIZED = clade.sanitized()
KINDS = inside.TYPES[:1] if SANITIZED else inside.TYPES
LOWER = columns.LOWER[1:2] if SANITIZED else columns.LOWER


def loose(answers, level, words=None):
    found = []
    for (row, name), answer in answers.items():
        verdict = ROWS[row].judge(name, answer, level, words)
        if verdict.state not in ("held", "listed"):
            found.append(f"row {row} {name}: {answer} {verdict.reason} ({ROWS[row].title})")
    return found


def test_the_table_has_every_row_and_the_probe_tries_it():
    assert list(ROWS) == list(range(1, 66))
    assert all(row.rules for row in ROWS.values())


def test_the_table_tells_answers_apart():
    rows = table.parse("1 one\n    a-* = EPERM EACCES\n    a-b @ filter = done : nobody is there\n"
                       "2 two\n    * = $word\n")
    states = [rows[1].judge(name, answer, level).state for name, answer, level in (
        ("a-x", "EPERM", "full"), ("a-x", "EPERM+EACCES", "full"), ("a-x", "EPERM+EINVAL", "full"),
        ("a-x", "done", "filter"), ("a-b", "done", "filter"), ("a-b", "done", "user"),
        ("a-b", "done:/etc", "filter"), ("b", "EPERM", "full"), ("a-x", "untold", "full"))]
    assert states == ["held", "held", "loose", "loose", "listed", "loose", "loose", "loose", "absent"]
    assert rows[2].judge("x", "names:A", "full", {"word": "names:A"}).state == "held"
    assert rows[2].judge("x", "names:B", "full", {"word": "names:A"}).state == "loose"
    for text in ("1 one\n    a : b\n", "1 one\n    a @ nowhere = done : why\n", "1 one\n    a @ user = done\n"):
        with pytest.raises(ValueError):
            table.parse(text)


@pytest.mark.users("root", "user", *(() if SANITIZED else ("subuid",)))
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_holds_inside(place, kind):
    run = inside.Inside(place, kind).everything()
    assert not run.touched
    assert not loose(run.answers, LEVELS[place.who.kind], run.words)
    assert {row for row, _ in run.answers} == set(ROWS) - OUTSIDE


@pytest.mark.users("root" if os.geteuid() == 0 else "user")
def test_every_row_holds_outside(place):
    # The others are tried with sanitizers by the tests of hostile applications.
    answers = outside.prepared_roots(place) if SANITIZED else outside.everything(place)
    assert not loose(answers, LEVELS[place.who.kind])
    assert {row for row, _ in answers} == ({24} if SANITIZED else OUTSIDE)


@pytest.mark.users("user")
@pytest.mark.parametrize("column", LOWER, ids=lambda column: column.name)
def test_lower_levels_hold_what_they_can(place, column):
    """At each level below, on a host that allows no more: what is not held is listed, with the reason."""
    run = column.run(place)
    assert run.level == column.level
    assert not run.touched
    assert not loose(run.answers, column.level, run.words)


# --- a test that cannot fail is a defect ------------------------------------------------------------


def unconfined(prefix=(), environment=None, **parameters):
    """The probe without anything around it, as somebody who has no rights on this machine."""
    become = {"user": clade.STRANGER, "group": clade.STRANGER, "extra_groups": []} if os.geteuid() == 0 else {}
    arguments = [f"{name}={value}" for name, value in parameters.items()]
    result = subprocess.run([*prefix, inside.PROGRAM, "skip=tmp-full,tmp-inodes,tasks", *arguments],
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=True, cwd="/",
                            timeout=60, env=environment or {}, **become)
    return inside.parse(result.stdout.splitlines())


def noticed(answers):
    rows = collections.Counter()
    for (row, name), answer in answers.items():
        rows[row] += ROWS[row].judge(name, answer, "full").state == "loose"
    return {row for row, count in rows.items() if count}


# What an ordinary user, and root of nothing but its own namespaces, is refused by the kernel itself.
KERNEL_HOLDS = {5, 6, 14, 15, 18, 19, 20, 36, 37, 42}
# Planted, below; or brought about from outside, where the tests of hostile applications prove the same.
ELSEWHERE = {16, 17, 52, 53, 54, 55, 56, 57, 61, 62, 64, 65}


def test_the_probe_and_the_canaries_notice_when_nothing_is_held(tmp_path):
    """Two runs without clade: an ordinary user beside a process of its own, and root of namespaces of its own."""
    uid, gid = (clade.STRANGER, clade.STRANGER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    with canaries.Canaries(tmp_path, uid, gid, become=os.geteuid() == 0) as outside_of_it:
        assert not outside_of_it.touched()
        ours = unconfined(sibling=outside_of_it.victim.pid, **outside_of_it.parameters())
        touched = " ".join(outside_of_it.touched())
    for what in ("a connection to", "a datagram", "a process of the same id"):
        assert what in touched
    assert ours[47, "sysv-memory"] == "done" and ours[47, "posix-memory"] == "done"
    root = unconfined(prefix=["unshare", "-Urmpf", "--mount-proc", "-n", "-u", "-i", "-C", "--",
                              "sh", "-c", '"$@"; exit $?', "sh"])
    seen = noticed(ours) | noticed(root)
    assert not set(ROWS) - OUTSIDE - KERNEL_HOLDS - ELSEWHERE - seen


def test_the_probe_finds_what_is_planted():
    """A secret in its own environment, a descriptor too many, a directory among them."""
    fd = os.open("/", os.O_RDONLY)
    try:
        os.set_inheritable(fd, True)
        become = {"user": clade.STRANGER, "group": clade.STRANGER, "extra_groups": []} \
            if os.geteuid() == 0 else {}
        result = subprocess.run([inside.PROGRAM, f"veiled={clade.veiled(inside.SECRET)}",
                                 "names=secret,descriptors,directories,chdir-descriptors,above-descriptors"],
                                pass_fds=[fd], env={"PASSWORD": inside.SECRET}, check=True, text=True,
                                stdout=subprocess.PIPE, cwd="/", **become)
    finally:
        os.close(fd)
    answers = inside.parse(result.stdout.splitlines())
    assert answers[55, "secret"].startswith("found:")
    assert answers[16, "descriptors"] == f"{fd}=/" and answers[16, "directories"] == f"{fd}=/"
    assert answers[17, "chdir-descriptors"].startswith("done:")
    assert answers[17, "above-descriptors"].startswith("done:")
