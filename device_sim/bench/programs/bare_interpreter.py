"""A process that does nothing: the floor of all others."""

from time import perf_counter_ns, process_time_ns


def main() -> None:
    """Takes no arguments."""
    begun = perf_counter_ns()
    cpu = process_time_ns()
    from device_sim.bench.programs.report import report

    report(cpu, start=begun)


if __name__ == "__main__":
    main()
