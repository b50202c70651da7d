"""The guest's program of `reference_models`: runs one ncnn model once to warm up, then under marks. Also runs natively.

Called as: reference_guest.py PARAM INPUT_SIZE RUNS; prints the processor time of each marked run in milliseconds, one a
line. With one thread that is the time of a run on a quiet machine. The settings are those of ncnn's
benchmark/benchncnn.cpp; all weights are zero.
"""

from __future__ import annotations

import sys
import time

import ncnn

from device_sim.emulation import markers

MODEL_REGION = 1


def main() -> None:
    """Runs the model that the command line names."""
    param, size, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # The allocators must outlive the network, whose memory is theirs.
    allocators = (ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator())
    measure(param, size, runs, *allocators)


def measure(param: str, size: int, runs: int, blobs: ncnn.UnlockedPoolAllocator, workspace: ncnn.PoolAllocator) -> None:
    """Loads the model, runs it once to warm up, then marks and times each run."""
    net = ncnn.Net()
    set_options(net.opt, blobs, workspace)
    if net.load_param(param) != 0:
        raise SystemExit(f"{param}: ncnn cannot read this graph")
    net.load_model(ncnn.DataReaderFromEmpty())
    picture = ncnn.Mat(size, size, 3)
    picture.fill(0.01)
    run(net, picture)
    for _ in range(runs):
        markers.enter(MODEL_REGION)
        start_s = time.process_time()
        run(net, picture)
        taken_s = time.process_time() - start_s
        markers.enter(0)
        sys.stdout.write(f"{1e3 * taken_s:.4f}\n")


def set_options(options: ncnn.Option, blobs: ncnn.UnlockedPoolAllocator, workspace: ncnn.PoolAllocator) -> None:
    """Sets the options of benchncnn with one thread and no GPU; ncnn drops those that the core does not support."""
    options.lightmode = True
    options.num_threads = 1
    options.use_vulkan_compute = False
    options.blob_allocator = blobs
    options.workspace_allocator = workspace
    options.use_winograd_convolution = True
    options.use_sgemm_convolution = True
    options.use_int8_inference = True
    options.use_fp16_packed = True
    options.use_fp16_storage = True
    options.use_fp16_arithmetic = True
    options.use_int8_storage = True
    options.use_int8_arithmetic = True
    options.use_packing_layout = True


def run(net: ncnn.Net, picture: ncnn.Mat) -> None:
    """Computes all outputs for one picture."""
    extractor = net.create_extractor()
    for name in net.input_names():
        extractor.input(name, picture)
    for name in net.output_names():
        extractor.extract(name)


if __name__ == "__main__":
    main()
