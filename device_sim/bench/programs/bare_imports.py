"""A process that imports numpy and onnxruntime and does nothing with them."""

from time import perf_counter_ns, process_time_ns


def main() -> None:
    """Takes no arguments."""
    begun = perf_counter_ns()
    __import__("numpy")
    __import__("onnxruntime")  # by name: this project's own modules must not be loaded here
    imported = perf_counter_ns()
    cpu = process_time_ns()
    from device_sim.bench.programs.report import report

    report(cpu, start=begun, imports=imported)


if __name__ == "__main__":
    main()
