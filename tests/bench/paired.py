"""Comparing: runs that take turns, medians, ratios of the same round, a table, a file with the raw numbers.

Whatever else a machine does meets all parts of a round alike, so a ratio within a round says more than either of its
figures. The order within a round changes from one to the next.
"""

import collections
import json
import os
import random
import statistics
import time

import bench


class Paired:
    """Parts are {name: function}; each returns {metric: number} whenever it is its turn."""

    def __init__(self, parts):
        self.parts = dict(parts)
        self.results = {name: [] for name in self.parts}

    def run(self, rounds, pause=0.0):
        names = list(self.parts)
        for _ in range(rounds):
            random.shuffle(names)
            for name in names:
                self.results[name].append(self.parts[name]())
                time.sleep(pause)
        return self

    def values(self, name, metric):
        return [result[metric] for result in self.results[name]]

    def median(self, name, metric):
        return statistics.median(self.values(name, metric))

    def ratios(self, name, base, metric):
        """One for each round; what cannot be divided is left out."""
        return [mine / its for mine, its in zip(self.values(name, metric), self.values(base, metric)) if its]

    def ratio(self, name, base, metric):
        found = self.ratios(name, base, metric)
        return statistics.median(found) if found else float("nan")


def quartiles(values):
    """(first, median, third), also of a single one."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    middle, first, third = bench.spread(values)
    return first, middle, third


def table(columns, rows):
    """Lines of text: the first column to the left, the others to the right."""
    cells = [list(columns)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        words = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(words).rstrip())


def circumstances():
    """What a reader of figures wants to know of the machine first."""
    return {"processors": os.cpu_count(), "load": round(os.getloadavg()[0], 2),
            "kernel": os.uname().release, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


class Record:
    """Everything that was measured, for a file: {section: {...}}."""

    def __init__(self):
        self.sections = collections.OrderedDict(machine=circumstances())

    def add(self, section, **content):
        self.sections.setdefault(section, {}).update(content)

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.sections, file, indent=1)
