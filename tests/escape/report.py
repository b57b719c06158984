"""./dev escape: every row of the list by every level, by who starts clade, by type of application; and beside them the
same probe in other sandboxes, and in none at all."""

import argparse
import os
import pathlib
import platform
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import clade
import columns
import inside
import outside
import peers
import table

# What other sandboxes are not asked: what only clade's own runs bring about.
NOT_PEERS = {(20, "set-uid-root"), (20, "set-uid-stranger"), (56, "getrandom"), (56, "arc4random")}
MARKS = {"held": "+", "listed": "~", "loose": "!", "absent": "."}
ORDER = ("loose", "listed", "held", "absent")
LEGEND = """+  every attempt was answered as the list asks
~  not held at this level, or on this kernel: the reason is below
!  an attempt was answered more loosely than the list asks (n: how many)
.  not tried here"""


class Column:
    """One run: its verdicts by row, or why there are none."""

    def __init__(self, name, level, peer=False):
        self.name, self.level, self.peer = name, level, peer
        self.verdicts = {}  # row: {attempt: verdict}
        self.missing = None
        self.touched = []

    def add(self, rows, answers, words):
        for (row, name), answer in answers.items():
            if row not in rows or (self.peer and (row, name) in NOT_PEERS):
                continue
            self.verdicts.setdefault(row, {})[name] = rows[row].judge(name, answer, self.level, words)

    def cell(self, row):
        states = [verdict.state for verdict in self.verdicts.get(row, {}).values()]
        state = next((state for state in ORDER if state in states), "absent")
        return f"!{states.count('loose')}" if state == "loose" else MARKS[state]

    def loose(self):
        return [(row, name, verdict) for row, found in sorted(self.verdicts.items())
                for name, verdict in found.items() if verdict.state == "loose"]

    def listed(self):
        return {(row, verdict.reason) for row, found in self.verdicts.items()
                for verdict in found.values() if verdict.state == "listed"}


def tell(text):
    print(text, file=sys.stderr, flush=True)


def with_place(who, function):
    place = clade.Place(who)
    try:
        return function(place)
    finally:
        place.close()


def attempt(column, function):
    """Whatever goes wrong in one column is told in it, and the others go on."""
    tell(f"  {column.name}")
    try:
        return function()
    except (AssertionError, OSError, ValueError) as error:
        column.missing = (str(error).splitlines() or [repr(error)])[0]
        return None


def ours(rows):
    """clade at the levels that this machine and this user allow."""
    made = []
    for kind in clade.KINDS:
        who = clade.person(kind)
        if isinstance(who, str):
            tell(f"  {kind}: left out: {who}")
            continue
        level = "user" if kind == "user" else "full"
        around = Column(kind, level)
        answers = attempt(around, lambda who=who: with_place(who, outside.everything)) or {}
        for application in inside.TYPES:
            column = Column(f"{level}, {kind}, {application}", level)
            column.missing = around.missing
            run = attempt(column, lambda who=who, application=application: with_place(
                who, lambda place: inside.Inside(place, application).everything()))
            if run:
                column.add(rows, {**answers, **run.answers}, run.words)
                column.touched = run.touched
            made.append(column)
    return made


def lower(rows):
    who = clade.person("user")
    made = []
    for below in columns.LOWER:
        column = Column(below.name.replace("-external", ", external").replace("-native", ", native"), below.level)
        run = attempt(column, lambda below=below: with_place(who, below.run))
        if run:
            column.add(rows, run.answers, run.words)
            column.touched = run.touched
            if run.level != below.level:
                column.missing = f"clade says that this is {run.level}"
        made.append(column)
    return made


def others(rows):
    made = []
    parameters = {"skip": inside.FILLING}
    for peer in peers.PEERS:
        column = Column(peer.name, "full", peer=True)
        found = attempt(column, lambda peer=peer: peer.run(parameters))
        if isinstance(found, str):
            column.missing = found
        elif found:
            column.add(rows, found, {"environment": "names:ONE,TWO", "started_with": "names:ONE,TWO",
                                     "executable": "/escape", "mdwe": "*"})
        made.append(column)
    return made


def render(rows, made):
    """Markdown that is as readable as it is."""
    present = [column for column in made if column.verdicts]
    lines = ["# Escapes", "",
             f"Linux {platform.release()}, {platform.machine()}; as {'root' if os.geteuid() == 0 else 'a user'}.", "",
             "What each row asks, and what each attempt may answer, is in tests/escape/expected.txt.", ""]
    lines += [f"    {line}" for line in LEGEND.splitlines()] + [""]
    lines += [f"{number}. {column.name}" for number, column in enumerate(present, 1)] + [""]
    heads = [str(number) for number in range(1, len(present) + 1)]
    lines.append("| row | " + " | ".join(f"{head:>3}" for head in heads) + " | attempt |")
    lines.append("|---:|" + "---:|" * len(present) + "---|")
    for number, row in rows.items():
        cells = " | ".join(f"{column.cell(number):>3}" for column in present)
        lines.append(f"| {number:>3} | {cells} | {row.title} |")
    counts = " | ".join(f"{len(column.loose()):>3}" for column in present)
    lines += [f"|     | {counts} | attempts answered more loosely than the list asks |", ""]
    lines += ["## Not held, and why", ""]
    for column in present:
        lines += [f"- {column.name}: row {row}: {reason}" for row, reason in sorted(column.listed())]
    lines += ["", "## Looser than asked", ""]
    for column in present:
        found = column.loose()
        if column.peer:
            # Theirs are many, and known to them.
            by_row = {}
            for row, name, verdict in found:
                by_row.setdefault(row, []).append(f"{name} ({verdict.answer[:30]})")
            lines += [f"- {column.name}: row {row}: {', '.join(names)}" for row, names in by_row.items()]
        else:
            lines += [f"- **{column.name}: row {row}, {name}: {verdict.answer}** {verdict.reason}"
                      for row, name, verdict in found]
        lines += [f"- **{column.name}: outside: {what}**" for what in column.touched]
    lines += ["", "## Left out", ""]
    lines += [f"- {column.name}: {column.missing}" for column in made if column.missing]
    lines.append("- limits of memory and cpu by control groups (row 53): measured in a virtual machine, tests/vm")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(prog="./dev escape", description=__doc__)
    parser.add_argument("--no-peers", action="store_true", help="clade alone")
    parser.add_argument("--output", type=pathlib.Path, default=clade.BUILD / "escape.md",
                        help="where the report goes, too (%(default)s)")
    options = parser.parse_args()
    rows = table.load()
    tell("what is tried:")
    mine = [*ours(rows), *lower(rows)]
    made = [*mine, *([] if options.no_peers else others(rows))]
    text = render(rows, made)
    options.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    tell(f"the same is in {options.output}")
    bad = [column.name for column in mine if column.loose() or column.touched or column.missing]
    if bad:
        tell(f"not as the list asks: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
