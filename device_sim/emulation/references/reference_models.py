"""Counts ncnn's benchmark models on an emulated core: the data that the cycle model is fitted on.

    python -m device_sim.emulation.references.reference_models --params FOLDER --core cortex-a53 --out FILE

FOLDER contains the `.param` graphs of ncnn's benchmark/ folder. The file is written after every model. Models that the
file contains are not counted again, so an interrupted run can be continued.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from device_sim.counts.counts import Counts, CountsFileError, ReferenceCounts
from device_sim.emulation import machine, qemu, sysroot, tools, wheels
from device_sim.emulation.errors import EmulationError, PluginOutputError
from device_sim.emulation.installation import Installation, installed
from device_sim.emulation.staging import tree

NCNN_VERSION: Final = "1.0.20261020"
GUEST: Final = Path(__file__).with_name("reference_guest.py")
MODEL_REGION: Final = 1  # that of reference_guest.py, which cannot be imported here without ncnn
TIMEOUT_S: Final = 4 * 3600.0
# Model → side of its square input, as in ncnn's benchmark/benchncnn.cpp. Quick ones first, so that most are counted
# early.
INPUT_SIZES: Final[Mapping[str, int]] = {
    "blazeface": 128,
    "shufflenet_v2": 224,
    "shufflenet": 224,
    "yolo-fastest-1.1": 320,
    "FastestDet": 352,
    "yolo-fastestv2": 352,
    "squeezenet": 227,
    "squeezenet_int8": 227,
    "mobilenet_v3": 224,
    "mobilenet_int8": 224,
    "mobilenet_v2": 224,
    "mnasnet": 224,
    "proxylessnasnet": 224,
    "mobilenet": 224,
    "regnety_400m": 224,
    "efficientnet_b0": 224,
    "nanodet_m": 320,
    "googlenet_int8": 224,
    "resnet18_int8": 224,
    "mobilenet_ssd_int8": 300,
    "squeezenet_ssd_int8": 300,
    "resnet18": 224,
    "googlenet": 224,
    "mobilenet_ssd": 300,
    "squeezenet_ssd": 300,
    "alexnet": 227,
    "efficientnetv2_b0": 224,
    "mobilenetv2_yolov3": 352,
    "mobilenet_yolo": 416,
    "yolov4-tiny": 416,
    "resnet50_int8": 224,
    "resnet50": 224,
    "vgg16_int8": 224,
    "vgg16": 224,
    "vision_transformer": 384,
}


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; errors are one line and exit code 1."""
    parser = argparse.ArgumentParser(description="Count ncnn's benchmark models on an emulated core.")
    parser.add_argument("--params", type=Path, required=True, help="folder of .param graphs")
    parser.add_argument("--core", required=True, help=f"one of {', '.join(machine.CORES)}")
    parser.add_argument("--out", type=Path, required=True, help="counts file; its models are kept")
    options = parser.parse_args(arguments)
    try:
        count_all(options.params, options.core, options.out)
    except (EmulationError, CountsFileError) as error:
        raise SystemExit(f"reference_models: {error}") from None


def count_all(params: Path, core_name: str, out: Path) -> None:
    """Counts every model of INPUT_SIZES whose graph is in the folder, and writes `out` after each.

    Raises:
        EmulationError: The emulator is not set up, or a model's guest failed.
        CountsFileError: `out` exists but is no counts file.
    """
    installation = installed()
    site = wheels.target({"ncnn": NCNN_VERSION})
    caches = machine.core_named(core_name).caches
    versions = {"ncnn": NCNN_VERSION, "python": sysroot.PYTHON, "qemu": tools.emulator_version() or "unknown"}
    counted = dict(ReferenceCounts.read_json(out).models) if out.exists() else {}
    for model, size in INPUT_SIZES.items():
        graph = (params / f"{model}.param").absolute()
        if model in counted or not graph.is_file():
            continue
        start_s = time.monotonic()
        counted[model] = count_model(graph, size, core_name, installation, site)
        ReferenceCounts(core=core_name, caches=caches, models=counted, versions=versions).write_json(out)
        taken = f"{counted[model].instructions:.4g} instructions, {time.monotonic() - start_s:.0f} s"
        print(f"{core_name} {model}: {taken}", file=sys.stderr, flush=True)  # noqa: T201


def count_model(graph: Path, input_size: int, core_name: str, installation: Installation, site: Path) -> Counts:
    """Counts one inference of one model after one to warm up, with simulated caches.

    Args:
        graph: The `.param` file.
        input_size: The side of the square input of three channels.
        core_name: One of `machine.CORES`.
        installation: The result of `device-sim setup`.
        site: The folder of the arm64 `ncnn` wheel.

    Raises:
        EmulationError: The guest failed, or its run was not counted once.
    """
    done = qemu.count(
        GUEST,
        [str(graph), str(input_size), "1"],
        core_name=core_name,
        installation=installation,
        python_path=[tree(), site / "ncnn"],
        caches=machine.core_named(core_name).caches,
        timeout_s=TIMEOUT_S,
    )
    region = done.dumps[-1].region(MODEL_REGION)
    if region.visits != 1:
        raise PluginOutputError(f"the counts of {graph.stem}", f"{region.visits} runs were counted instead of one")
    return region.total()


if __name__ == "__main__":
    main()
