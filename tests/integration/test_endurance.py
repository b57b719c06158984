"""Many starts, many applications: nothing grows. What ./dev bench does at length (tests/bench/bench_endurance.py)."""

import pathlib
import sys

import pytest

import clade

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import bench  # pylint: disable=wrong-import-position
import endurance  # pylint: disable=wrong-import-position


@pytest.fixture(autouse=True)
def static(refuse):
    if not (bench.TOOLS / "ready").exists():
        refuse("no static libc, so tests/bench/ready was not built: install libc6-dev")


def test_starts_and_stops_leave_nothing(place):
    copies, starts = (20, 40) if clade.sanitized() else (60, 180)
    run = endurance.Churn(place, copies)
    before = run.run(copies)
    after = run.run(starts - copies)
    assert run.count == starts
    assert not endurance.growth(before, after)
    assert run.server.stop() == 0
    assert not run.server.left()


def test_many_applications_at_once(place):
    count = 20 if clade.sanitized() else 100
    result = endurance.crowd(place, count, idle=1.0)
    # Each has its share, and no more: all of the others' grow with the count, these would with its square.
    assert result.descriptors < 64 + 16 * count
    assert result.cpu < 0.05
    if not clade.sanitized():
        assert result.supervisor_rss < 12 * 1024 + 40 * count
