"""A process that runs the converted module in LiteRT and does nothing else: no events, no rules, no checks."""

import sys
from time import perf_counter_ns, process_time_ns


def main() -> None:
    """Arguments: the .tflite file, the number of runs after the first, and an empty folder, which stays empty."""
    begun = perf_counter_ns()
    interpreters = __import__("ai_edge_litert.interpreter", fromlist=["Interpreter"])
    imported = perf_counter_ns()
    interpreter = interpreters.Interpreter(sys.argv[1], num_threads=1)
    interpreter.allocate_tensors()
    opened = perf_counter_ns()
    interpreter.invoke()
    ran = perf_counter_ns()
    cpu = process_time_ns()
    for _ in range(int(sys.argv[2])):
        interpreter.invoke()
    from device_sim.bench.programs.report import report

    report(cpu, start=begun, imports=imported, open=opened, rank=ran)


if __name__ == "__main__":
    main()
