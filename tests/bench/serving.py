"""Requests per second and latencies, beside Debian's servers for WSGI."""

import contextlib

import load
import paired
import servers

CONNECTIONS, PROCESSES = 32, 2

# {title: (the application's module, who else, {our name: what its configuration has more})}
CASES = {
    "trivial WSGI": ("hello", servers.PEERS, {"clade": {}}),
    "Flask": ("flasked", servers.PEERS, {"clade": {}}),
    "a 20 ms handler": ("slow", servers.WAITING, {"clade": {}, "clade threads": {"threads": 4}}),
}


def measure(place, title, seconds, rounds, ours=True):
    module, peers, mine = CASES[title]
    with contextlib.ExitStack() as stack:
        running = {}
        for name, more in mine.items() if ours else ():
            running[name] = servers.Ours(place, module, PROCESSES, **more)
            stack.callback(running[name].close)
        for name in peers:
            running[name] = servers.Peer(place, name, peers, module, PROCESSES)
            stack.callback(running[name].close)
        parts = {name: lambda server=server: load.wrk(server.port, seconds, CONNECTIONS)
                 for name, server in running.items()}
        for part in parts.values():  # once for nothing: what is made on first use
            part()
        return paired.Paired(parts).run(rounds)


def report(title, found, seconds, rounds):
    names = list(found.parts)
    base = names[0]
    print(f"\n{title}: {PROCESSES} workers, {CONNECTIONS} connections, median of {rounds} interleaved runs of {seconds} s; "
          f"ratios are {base}'s to that server's of the same round\n")
    rows = []
    for name in names:
        low, middle, high = paired.quartiles(found.values(name, "rate"))
        rows.append([name, f"{middle:.0f}", f"{low:.0f} - {high:.0f}", f"{found.ratio(base, name, 'rate'):.2f}x",
                     *(word for metric in ("p50", "p99")
                       for word in (f"{found.median(name, metric):.2f}", f"{found.ratio(base, name, metric):.2f}x")),
                     sum(found.values(name, "failed"))])
    paired.table(["", "requests/s", "quartiles", "ratio", "p50 ms", "ratio", "p99 ms", "ratio", "failed"], rows)
    return {"seconds": seconds, "rounds": rounds, "results": found.results,
            "rate_ratios": {name: found.ratio(base, name, "rate") for name in names[1:]}}


def run(place, options, record):
    for title in CASES:
        found = measure(place, title, options.seconds, options.rounds, servers.available())
        record.add("serving", **{title: report(title, found, options.seconds, options.rounds)})
