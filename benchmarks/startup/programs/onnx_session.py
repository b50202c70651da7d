"""A process that runs the naive export in ONNX Runtime and does nothing else: no events, no rules, no checks."""

import sys
from time import perf_counter_ns, process_time_ns


def main() -> None:
    """Arguments: the graph, the number of runs after the first, and an empty folder, which stays empty."""
    begun = perf_counter_ns()
    import numpy

    onnxruntime = __import__("onnxruntime")  # by name: this project's own modules must not be loaded here
    imported = perf_counter_ns()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    opened = perf_counter_ns()
    types = {"tensor(int32)": numpy.int32, "tensor(float)": numpy.float32}
    inputs = {given.name: numpy.zeros(given.shape, types[given.type]) for given in session.get_inputs()}
    session.run(None, inputs)
    ran = perf_counter_ns()
    cpu = process_time_ns()
    for _ in range(int(sys.argv[2])):
        session.run(None, inputs)
    from device_sim.bench.programs.report import report

    report(cpu, start=begun, imports=imported, open=opened, rank=ran)


if __name__ == "__main__":
    main()
