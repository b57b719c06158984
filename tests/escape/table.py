"""The list of what may be answered: expected.txt, read and applied."""

import collections
import fnmatch
import pathlib
import re

LEVELS = ("full", "user", "shared-proc", "confine", "filter")
Rule = collections.namedtuple("Rule", "names levels answers reason")
# held: as the list asks. listed: not held, and expected.txt says why at this level. loose: neither. absent: not tried.
Verdict = collections.namedtuple("Verdict", "state answer reason")


class Row:
    def __init__(self, number, title):
        self.number, self.title, self.rules = number, title, []

    def judge(self, name, answer, level, words=None):
        """What an attempt's answer means at a level. `words` gives $names their meaning."""
        rules = [rule for rule in self.rules
                 if any(fnmatch.fnmatchcase(name, pattern) for pattern in rule.names)]
        if not any(not rule.levels for rule in rules):
            return Verdict("loose", answer, f"expected.txt does not know row {self.number} {name}")
        if answer == "untold":
            return Verdict("absent", answer, "")
        general = [rule for rule in rules if not rule.levels]
        # The rule that names it most closely is the one that counts.
        general = [max(general, key=lambda rule: max(
            len(pattern) - 100 * ("*" in pattern) for pattern in rule.names
            if fnmatch.fnmatchcase(name, pattern)))]
        if matches(answer, general, words):
            return Verdict("held", answer, "")
        for rule in rules:
            if level in rule.levels and matches(answer, [*general, rule], words):
                return Verdict("listed", answer, rule.reason)
        return Verdict("loose", answer, "")


def matches(answer, rules, words):
    patterns = []
    for rule in rules:
        for pattern in rule.answers:
            expanded = re.sub(r"\$(\w+)", lambda match: (words or {}).get(match[1], match[0]), pattern)
            patterns += expanded.split(" ")
    # What was found may hold any character; several answers are joined.
    parts = [answer] if ":" in answer else answer.split("+")
    return all(any(fnmatch.fnmatchcase(part, pattern) for pattern in patterns) for part in parts)


def parse(text):
    rows = {}
    row = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.strip().startswith("#"):
            continue
        if not line.startswith(" "):
            head, title = line.split(" ", 1)
            row = rows[int(head)] = Row(int(head), title)
            continue
        left, found, right = line.partition(" = ")
        names, _, levels = left.partition(" @ ")
        answers, _, reason = right.partition(" : ")
        levels = tuple(levels.split())
        if not found or not answers.split() or bool(levels) != bool(reason) or set(levels) - set(LEVELS):
            raise ValueError(f"expected.txt:{number}: {line.strip()}")
        row.rules.append(Rule(names.split(), levels, answers.split(), reason))
    return rows


def load():
    return parse((pathlib.Path(__file__).parent / "expected.txt").read_text(encoding="utf-8"))
