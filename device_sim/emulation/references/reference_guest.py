"""The guest's side of `reference_models`: one ncnn model, warmed up, then one marked run. Also runs natively.

Called as: reference_guest.py PARAM INPUT_SIZE RUNS; prints the processor time of each run after the first, in
milliseconds, one a line: with one thread that is the time it takes where nothing else runs.
Settings as in ncnn's benchmark/benchncnn.cpp, weights all zero.
"""

from __future__ import annotations

import sys
import time

import ncnn

from device_sim.emulation import markers

MODEL_REGION = 1


def main() -> None:
    """Run the model that the command line names."""
    param, size, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # They must outlive all that they gave memory to.
    allocators = (ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator())
    measure(param, size, runs, *allocators)


def measure(param: str, size: int, runs: int, blobs: ncnn.UnlockedPoolAllocator, workspace: ncnn.PoolAllocator) -> None:
    """Load, run once to warm up, then mark and time each run."""
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
    """What benchncnn sets with one thread and without a GPU; ncnn itself leaves out what the core cannot do."""
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
    """All outputs for one picture."""
    extractor = net.create_extractor()
    for name in net.input_names():
        extractor.input(name, picture)
    for name in net.output_names():
        extractor.extract(name)


if __name__ == "__main__":
    main()
