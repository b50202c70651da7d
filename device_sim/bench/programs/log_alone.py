"""A process that writes events with a peer of the event log and does nothing else."""

import sys
from time import perf_counter_ns, process_time_ns


def main() -> None:
    """Arguments: the peer, "sqlite" or "lmdb"; how many events are written after the first; an empty folder.

    The settings are those of `device_sim.bench.log_peers`, which is not imported here: it would load the runtime.
    """
    name, events, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    begun = perf_counter_ns()
    if name == "sqlite":
        import sqlite3

        imported = perf_counter_ns()
        database = sqlite3.connect(f"{folder}/events.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.execute(
            "CREATE TABLE events (time_ms INTEGER, kind INTEGER, item INTEGER, value REAL, decision INTEGER)"
        )

        def write(number: int) -> None:
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?)", (number, 1, 2, 1.0, 0))
    else:
        import struct

        lmdb = __import__("lmdb")
        imported = perf_counter_ns()
        environment = lmdb.open(f"{folder}/events.lmdb", map_size=64 << 20, writemap=True, sync=False)

        def write(number: int) -> None:
            with environment.begin(write=True) as transaction:
                entry = struct.pack("<QIQfI", number, 1, 2, 1.0, 0)
                transaction.put(number.to_bytes(8, "big"), entry, append=True)

    opened = perf_counter_ns()
    write(0)
    recorded = perf_counter_ns()
    cpu = process_time_ns()
    for number in range(1, events + 1):
        write(number)
    from device_sim.bench.programs.report import report

    report(cpu, start=begun, imports=imported, open=opened, record=recorded)


if __name__ == "__main__":
    main()
