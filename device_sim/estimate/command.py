"""The command `device-sim estimate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cloud_export.console import print_line, print_problem, print_table, results

if TYPE_CHECKING:
    from device_sim.estimate.choose_counts import BundleIdentity
    from device_sim.estimate.device_estimates import Answer

COUNT_REPETITIONS: Final = 64  # the default of `device-sim count`


def estimate(
    *,
    bundle: Annotated[Path | None, typer.Argument(help="The .edge file.", show_default=False)] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Further devices: --device pi-4 pi-5.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="A shipped profile, a profile file.toml of yours, or `all`; may be given again."),
    ] = None,
    counts: Annotated[
        list[Path] | None, typer.Option(help="Files of `device-sim count`; without them the shipped ones.")
    ] = None,
    count: Annotated[
        bool, typer.Option("--count", help="Count the bundle first, here, as `device-sim count` does: minutes a core.")
    ] = False,
    scenario: Annotated[
        list[str] | None, typer.Option(help="Only these beside `typical`; may be given again. Default: all.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the figures with all their evidence here, too.")] = None,
    list_devices: Annotated[bool, typer.Option("--list", help="Show the shipped profiles and stop.")] = False,
) -> None:
    """Estimate how long record and rank take on a phone: an interval with its evidence, not a measurement."""
    from device_sim.estimate.as_json import write_answer
    from device_sim.estimate.profile import shipped_profiles
    from device_sim.estimate.tables import profile_table, show_answer

    with _errors():
        if list_devices:
            print_table(results(), profile_table(shipped_profiles()))
            return
        if bundle is None or not device:
            raise typer.BadParameter("give a bundle and --device NAME; `device-sim estimate --list` shows the names")
        if json is not None and not json.parent.is_dir():  # before the work: with --count it takes minutes
            raise typer.BadParameter(f"--json {json}: no folder {json.parent}; make it, or give another file")
        if count and counts:
            raise typer.BadParameter("give --count or --counts FILE, not both")
        answer = _answer(bundle, [*device, *(more or [])], counts or [], scenario or [], count_first=count)
        show_answer(answer, results())
        if json is not None:
            write_answer(answer, json)
            print_line(results(), f"written: {json}")


def _answer(bundle: Path, devices: list[str], files: list[Path], names: list[str], *, count_first: bool) -> Answer:
    from device_sim.counts.counts import BundleCounts
    from device_sim.estimate.choose_counts import identify, shipped_counts
    from device_sim.estimate.cycle_model import read_calibration
    from device_sim.estimate.device_estimates import answer, kernels_of
    from device_sim.estimate.profile import find_profiles
    from device_sim.estimate.scalar_ipc import read_scalar_ipc
    from device_sim.estimate.scenarios import find_scenarios

    profiles = find_profiles(devices)
    scenarios = find_scenarios(names)
    identity = identify(bundle)
    if count_first:
        files = _count(identity, kernels_of(profiles, scenarios))
    counted = tuple(BundleCounts.read_json(file) for file in files) or shipped_counts()
    return answer(
        identity,
        profiles,
        counted,
        scenarios,
        calibration=read_calibration(),
        scalar_ipc=read_scalar_ipc(),
        any_scene=bool(files),
    )


def _count(bundle: BundleIdentity, cores: tuple[str, ...]) -> list[Path]:
    """Counts into files of the current folder, as `device-sim count` names them.

    Raises:
        typer.Exit: Counting failed, after a message.
    """
    from device_sim.emulation.count_command import CountRequest, run_count

    run_count(CountRequest(bundle.path, cores, repetitions=COUNT_REPETITIONS))
    return [Path(f"{bundle.scene}.{core}.json") for core in cores]


@contextmanager
def _errors() -> Iterator[None]:
    """Prints the known errors as one line; any other exception is a defect and keeps its traceback."""
    from device_sim.cores import UnknownCoreError
    from device_sim.counts.counts import CountsFileError
    from device_sim.estimate.choose_counts import NoCountsError
    from device_sim.estimate.cycle_model import CalibrationError
    from device_sim.estimate.estimate import CountsWithoutCachesError
    from device_sim.estimate.profile import ProfileError
    from device_sim.estimate.scalar_ipc import ScalarIpcError
    from device_sim.estimate.scenarios import UnknownScenarioError
    from edge_sdk.errors import EdgeError

    known = (CountsFileError, UnknownCoreError, NoCountsError, CalibrationError, CountsWithoutCachesError)
    try:
        yield
    except (*known, ProfileError, ScalarIpcError, UnknownScenarioError, EdgeError, OSError) as problem:
        print_problem(problem)
        raise typer.Exit(2) from None
