"""What one application's excess costs another: row 53."""

import statistics

import pytest

import clade
import groups

PAIRS = 5
SECONDS = 1.5
WITHIN = 3.0
LIMITS = {"memory": "48M", "cpu": 0.5, "tasks": 40,
          "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 256}]}


def latency(place, group, loud):
    """The neighbour's p99 in ms."""
    port = clade.free_port()
    applications = {"neighbour": clade.native("greedy", symbol="takes", processes=2)}
    if loud:
        # Its lines go to a file: events would be read by the very process that measures.
        applications["bomb"] = clade.native("greedy", symbol="takes_everything", limits=LIMITS,
                                            stdout=str(place.path / "files" / "bomb.log"))
    server = place.run(applications, {f"127.0.0.1:{port}": "neighbour"}, {"cgroup": str(group)})
    server.wait_ready(*applications)
    if loud:
        bomb = groups.application_group(server, "bomb")
        clade.wait_until(lambda: int(groups.events(bomb, "pids.events")["max"]) > 0, 10, "tasks")
        clade.wait_until(lambda: int(groups.events(bomb, "memory.events")["oom_kill"]) > 0, 10, "memory")
    with clade.Load([port], clients=1, rate=150) as load:
        load.over.wait(SECONDS)
    assert load.failures == 0 and load.answers > 30, (load.answers, load.failures)
    if loud:
        assert int(groups.events(bomb, "cpu.stat")["nr_throttled"]) > 0
        log = place.path / "files" / "bomb.log"
        assert log.stat().st_size > 100000
        log.unlink()
    assert server.stop(3) == 0  # SIGQUIT: at once
    return load.worst(0.99) * 1000


@pytest.mark.users("root")
def test_a_neighbour_hardly_notices(place):
    group = groups.make("neighbours")
    pairs = [(latency(place, group, False), latency(place, group, True)) for _ in range(PAIRS)]
    ratios = [loud / quiet for quiet, loud in pairs]
    print("\nneighbour's p99, ms, quiet and beside an application at all of its limits:",
          ", ".join(f"{quiet:.1f} {loud:.1f}" for quiet, loud in pairs),
          f"; median of the ratios {statistics.median(ratios):.2f}")
    groups.remove(group)
    assert statistics.median(ratios) <= WITHIN, ratios
