"""The shipped profiles are readable, and a wrong profile is refused with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.cores import core_named
from device_sim.estimate.cycle_model import read_calibration
from device_sim.estimate.profile import (
    CLASSES,
    SHIPPED,
    Core,
    Figure,
    ProfileFileError,
    UnknownDeviceError,
    find_profiles,
    profile_names,
    read_profile,
    shipped_profiles,
)
from device_sim.estimate.scalar_ipc import read_scalar_ipc
from tests.support.simulator.estimate_cases import profile, profile_table

CORES = [
    pytest.param(core, id=f"{one.name}-{place}")
    for one in shipped_profiles()
    for place, core in (("main", one.main), ("little", one.little))
    if core is not None
]
FIGURES = ("clock_ghz", "l1i_kib", "l1d_kib", "l2_kib", "memory_ns")


def test_there_are_devices_from_the_cheapest_to_the_dearest() -> None:
    profiles = shipped_profiles()
    assert len(profiles) >= 14
    assert {one.device_class for one in profiles} == set(CLASSES)
    assert [one.device_class for one in profiles] == sorted((one.device_class for one in profiles), key=CLASSES.index)
    cores = {one.main.name for one in profiles}
    assert {"cortex-a53", "cortex-a55", "cortex-a72", "cortex-a73", "cortex-a76", "cortex-a77"} < cores
    assert {"cortex-a78", "cortex-a720", "cortex-x1", "cortex-x2", "cortex-x3", "cortex-x4", "cortex-x925"} < cores


@pytest.mark.parametrize("core", CORES)
def test_every_figure_has_a_source_and_is_plausible(core: Core) -> None:
    for field in FIGURES:
        figure: Figure = getattr(core, field)
        assert len(figure.source) > 20, field
    assert len(core.core.source) > 20
    assert 1.0 <= core.clock_ghz.low <= core.clock_ghz.high <= 4.5
    assert core.l1d_kib.high <= core.l2_kib.high
    assert core.l3_kib is None or core.l2_kib.high <= core.l3_kib.high
    assert 50 <= core.memory_ns.low < core.memory_ns.high <= 400


@pytest.mark.parametrize("core", CORES)
def test_every_core_has_a_cycle_model_and_a_range_for_scalar_code(core: Core) -> None:
    model, _ = read_calibration().for_core(core.name)
    assert model.cycles_per
    ipc = read_scalar_ipc().of(core_named(core.core.value))
    assert 0.3 < ipc.low < ipc.high < 4.0


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.toml")), ids=lambda file: file.stem)
def test_a_figure_that_was_not_found_is_marked(file: Path) -> None:
    """A range without a word on why it is one would pass for knowledge."""
    read = read_profile(file)
    for core in (read.main, read.little):
        for field in ("l1i_kib", "l1d_kib", "l2_kib", "l3_kib"):
            figure = None if core is None else getattr(core, field)
            assert figure is None or figure.low == figure.high or "not found" in figure.source


def test_the_slowest_core_is_not_faster_than_the_main_one() -> None:
    for one in shipped_profiles():
        assert one.little is None or one.little.clock_ghz.high <= one.main.clock_ghz.high


def test_value_is_short_for_low_and_high() -> None:
    figure = Figure.model_validate({"value": 2, "source": "a source of some length"})
    assert (figure.low, figure.high) == (2.0, 2.0)
    assert str(figure) == "2"
    assert str(Figure(low=0.4642, high=1.04286, source="a source of some length")) == "0.464–1.04"


def test_variants_of_a_core_are_that_core() -> None:
    assert profile(core="cortex-a78c").main.name == "cortex-a78"


@pytest.mark.parametrize(
    ("name", "near"), [("pi5", "pi-5"), ("snapdragon-8-gen3", "snapdragon-8-gen-3"), ("helio-85", "helio-g85")]
)
def test_an_unknown_device_suggests_near_ones(name: str, near: str) -> None:
    with pytest.raises(UnknownDeviceError, match=rf"^{name}: no such device; did you mean .*\b{near}\b.*--list"):
        find_profiles([name])


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(UnknownDeviceError, match=r"^qqqqq: no such device; `device-sim estimate --list` shows all"):
        find_profiles(["qqqqq"])


def test_all_is_every_device_and_none_twice() -> None:
    names = [one.name for one in find_profiles(["pi-5", "all", "pi-4"])]
    assert names[0] == "pi-5"
    assert sorted(names) == list(profile_names())


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "my-phone.toml"
    file.write_text((SHIPPED / "pi-5.toml").read_text(encoding="utf-8").replace('"pi-5"', '"my-phone"'), "utf-8")
    (mine,) = find_profiles([str(file)])
    assert (mine.name, mine.main.name) == ("my-phone", "cortex-a76")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[main]", "[main", "the file: it is not TOML"),
        ('class = "box"', 'class = "toaster"', "class: input should be 'box', 'entry'"),
        ('value = "cortex-a76"', 'value = "cortex-a67"', "main: core cortex-a67 is not known: cortex-a7"),
        ("value = 2.4,", "value = 2400,", "main: clock_ghz is 2400 GHz: plausible is 0.1 to 6"),
        ("low = 119, high = 138", "low = 138, high = 119", "main.memory_ns: low is 138.0, high is 119.0"),
        ("low = 119, high = 138", "value = -1", "main.memory_ns.low: input should be greater than 0"),
        ("low = 119, high = 138, ", "low = 119, ", "main.memory_ns.high: field required"),
        ("clock_ghz = {", "clock_mhz = {", "main.clock_ghz: field required"),
        ('name = "pi-5"', 'name = "pi-6"', "name: pi-6 in a file named pi-5; make the two agree"),
        ('name = "pi-5"', 'name = "Pi 5"', "name: string should match pattern"),
    ],
)
def test_a_wrong_file_is_refused_with_file_field_and_fix(old: str, new: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "pi-5.toml"
    text = (SHIPPED / "pi-5.toml").read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ProfileFileError) as caught:
        read_profile(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "; " in str(caught.value)


def test_a_figure_without_a_source_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pi-5.toml"
    kept = [line for line in (SHIPPED / "pi-5.toml").read_text("utf-8").splitlines() if not line.startswith("l2_kib")]
    file.write_text("\n".join([*kept, "l2_kib = { value = 512 }"]), encoding="utf-8")
    with pytest.raises(ProfileFileError, match=r"main\.l2_kib\.source: field required; a figure is \{ value"):
        read_profile(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match=r"none\.toml: the file: No such file or directory; give a"):
        find_profiles([str(tmp_path / "none.toml")])


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "pi-5.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileFileError, match="it is not TOML"):
        read_profile(file)


def test_a_core_may_bring_its_own_range() -> None:
    table = profile_table()
    main = table["main"]
    assert isinstance(main, dict)
    main["scalar_ipc"] = {"low": 0.7, "high": 0.8, "source": "measured with perf"}
    assert type(profile()).model_validate(table).main.scalar_ipc == Figure(
        low=0.7, high=0.8, source="measured with perf"
    )
