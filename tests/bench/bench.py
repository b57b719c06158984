"""What the benchmarks share: somebody who runs clade, medians, tables.

Times depend on the machine and on what else it does, so what is printed are medians of interleaved runs, their
spread, and ratios. Nothing here is asserted as a time.
"""

import contextlib
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import clade  # pylint: disable=wrong-import-position

TOOLS = clade.BUILD / "tests" / "bench"


@contextlib.contextmanager
def somebody(kind):
    who = clade.person(kind)
    if isinstance(who, str):
        raise SystemExit(f"{kind}: {who}")
    place = clade.Place(who)
    try:
        yield place
    finally:
        place.close()


def kinds():
    return ("root", "user") if os.geteuid() == 0 else ("user",)


def ready_application(**more):
    """The smallest one, static and quiet."""
    return {"type": "external", "executable": str(TOOLS / "ready"), "arguments": ["stay"], **more}


def spread(values):
    """(median, first quartile, third quartile)"""
    first, middle, third = statistics.quantiles(values, n=4)
    return middle, first, third


def unsuitable():
    """Why nothing can be measured in this build; None where it can."""
    if clade.sanitized():
        return "this build is sanitized, which is what would be measured"
    if not (TOOLS / "floor").exists():
        return "there is no static libc here, so no floor was built"
    return None
