"""10 000 starts and stops of an application, and 1 000 applications at once: what grows, and how long it takes.

The application is a static program that waits. A start is counted when its worker has exec'd and the supervisor
knows; a stop is the death of its prototype, with all that was below. Exits with 1 when something has grown.
"""

import argparse
import sys
import time

import bench
import endurance


def churn(place, starts, copies):
    run = endurance.Churn(place, copies)
    warm = max(copies, starts // 10)
    before = run.run(warm)
    begin = time.monotonic()
    after = run.run(starts - warm)
    seconds = time.monotonic() - begin
    print(f"\n{starts} starts and stops as {place.who.kind}, {copies} in turns: "
          f"{(starts - warm) / seconds:.0f} per second")
    print(f"  start_us, median: first tenth {endurance.median_of_part(run.took, 0):.0f}, "
          f"last tenth {endurance.median_of_part(run.took, 9):.0f}")
    print(f"  {'':<24}{f'after {warm}':>12}{f'after {starts}':>12}")
    for name, old, new in zip(endurance.State._fields, before, after):
        unit = " KiB" if name.endswith("rss") else ""
        print(f"  {name.replace('_', ' '):<24}{old:>12}{new:>12}{unit}")
    found = endurance.growth(before, after)
    run.server.stop(timeout=60)
    left = run.server.left()
    if left:
        found.append(f"{len(left)} processes are left at the end")
    for line in found:
        print(f"  GROWN: {line}")
    return not found


def crowd(place, count):
    result = endurance.crowd(place, count)
    print(f"\n{count} applications at once as {place.who.kind}: all ready {result.seconds:.1f} s after the exec of "
          f"clade run, stopped within {result.stop_seconds:.1f} s")
    print(f"  supervisor: {result.supervisor_rss} KiB resident, {result.supervisor_pss} KiB proportional, "
          f"{result.descriptors} descriptors, {result.cpu * 100:.2f} % of a CPU while idle (with its watcher)")
    print(f"  {result.processes} processes below it; all together {result.all_pss} KiB proportional, "
          f"{result.all_pss / count:.0f} KiB for each application")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=10000)
    parser.add_argument("--copies", type=int, default=150)
    parser.add_argument("--applications", type=int, default=1000)
    parser.add_argument("--user", choices=("root", "user"), action="append", help="both")
    options, _ = parser.parse_known_args()
    reason = bench.unsuitable()
    if reason:
        print(f"endurance: {reason}")
        return 0
    good = True
    for who in options.user or bench.kinds():
        with bench.somebody(who) as place:
            if options.applications:
                crowd(place, options.applications)
            if options.starts:
                good = churn(place, options.starts, options.copies) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
