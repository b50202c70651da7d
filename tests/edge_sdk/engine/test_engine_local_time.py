"""Quiet hours and budgets go by local time, on the nights of clock changes too; what fails later stops no decision."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import TZPATH, ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, ErrorCode, utc_offset_of
from edge_sdk.clock import LocalTime
from edge_sdk.engine.local_time import LocalClock, SystemZone
from edge_sdk.errors import InvalidValueError
from edge_sdk.log.local_field import local_field
from edge_sdk.log.record import BACK_FILLED
from edge_sdk.policy.rules import QuietHours
from edge_sdk.policy.suppressions import quiet_until_ms
from edge_sdk.policy.targeting import is_quiet
from edge_sdk.testing.white_box import internals
from tests.support.rich_engine import rich as rich
from tests.support.rich_engine import signed
from tests.support.scene import HOME, OFFERS, SettableClock, Small

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
NIGHT = {"quiet_hours": [{"name": "night", "from": "22:00", "until": "08:00"}]}
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns",
         "Africa/Casablanca", "Pacific/Apia"]  # fmt: skip
WRONG: dict[str, Callable[[int], Any]] = {
    "a timedelta": lambda ms: timedelta(hours=2),
    "None": lambda ms: None,
    "NaN": lambda ms: float("nan"),
    "a text": lambda ms: "7200",
    "True": lambda ms: True,
    "a day": lambda ms: 86_400,
    "an error": lambda ms: 1 // 0,
}


def opened(rich: Small, folder: Path, clock: Any, **options: Any) -> Engine:
    return Engine.open(folder / "s", bundle=rich.bundle, trusted_keys=[rich.public_key], clock=clock, **options)


@given(
    st.sampled_from(ZONES), st.integers(1_262_304_000, 1_893_456_000),
    st.sampled_from([(1320, 480), (60, 150), (0, 1439), (130, 120)]),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(zone: str, now_s: int, hours: tuple[int, int]) -> None:
    """Against `zoneinfo`, minute by minute."""
    rule, rules = QuietHours("night", None, *hours), ZoneInfo(zone)

    def quiet(at_s: int) -> bool:
        at = datetime.fromtimestamp(at_s, rules)
        minute = at.hour * 60 + at.minute
        return hours[0] <= minute < hours[1] if hours[0] < hours[1] else minute >= hours[0] or minute < hours[1]

    local = LocalClock(utc_offset_of(zone)).at(now_s * 1000)
    assert is_quiet(rule, now_s * 1000, local.offset_at(now_s * 1000)) == quiet(now_s)
    if quiet(now_s):
        minutes = range(now_s // 60 * 60 + 60, now_s + 2 * 86_400, 60)
        assert quiet_until_ms(rule, now_s * 1000, local) == 1000 * next(at for at in minutes if not quiet(at))


@pytest.mark.parametrize(
    ("zone", "evening", "morning"),
    [
        ("Europe/Berlin", "2026-03-28T22:30", "2026-03-29T06:00"),  # an hour less: 08:00 is 06:00 UTC
        ("Europe/Berlin", "2026-10-24T21:30", "2026-10-25T07:00"),
        ("Australia/Lord_Howe", "2026-04-04T12:00", "2026-04-04T21:30"),  # half an hour more
    ],
)
def test_on_the_night_of_a_clock_change_eight_is_eight(
    rich: Small, tmp_path: Path, zone: str, evening: str, morning: str
) -> None:
    at_ms, until_ms = (
        int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000 for text in (evening, morning)
    )
    clock = SettableClock(at_ms)
    with opened(rich, tmp_path, clock, utc_offset_s=utc_offset_of(zone)) as engine:
        engine.install_policy(signed(NIGHT, 1))
        assert engine.rank(BASE, context=HOME).retry_at_ms == until_ms
        clock.now_ms = until_ms - 1
        assert engine.rank(BASE, context=HOME).is_empty
        clock.now_ms = until_ms
        assert not engine.rank(BASE, context=HOME).is_empty


@pytest.mark.parametrize("name", WRONG)
def test_what_gives_no_offset_is_refused_at_opening_whatever_the_rules(rich: Small, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidValueError, match="total_seconds"):
        opened(rich, tmp_path, SettableClock(), utc_offset_s=WRONG[name])
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", WRONG)
def test_what_gives_no_offset_later_leaves_the_last_one(rich: Small, tmp_path: Path, name: str) -> None:
    clock = SettableClock(1_768_692_600_000)  # 23:30 UTC
    ask: list[Callable[[int], Any]] = [lambda ms: 7200]
    with opened(rich, tmp_path, clock, utc_offset_s=lambda ms: ask[0](ms)) as engine:
        assert not engine.rank(BASE, context=HOME).error
        ask[0] = WRONG[name]
        assert engine.rank(BASE, context=HOME).error is ErrorCode.NONE  # no rule reads local time
        engine.install_policy(signed(NIGHT, 1))
        decision = engine.rank(BASE, context=HOME)
        assert (decision.error, decision.is_empty) == (ErrorCode.LOCAL_TIME_FAILED, True)
        assert decision.retry_at_ms == clock.now_ms + 6.5 * 3_600_000  # 08:00 two hours ahead of UTC
        assert not engine.is_still_valid(decision)
        clock.now_ms += 60_000
        engine.record("view", item="fund_a")
        assert internals(engine).state.log.read()["local"].tolist() == [local_field(7200)]
        ask[0] = lambda ms: 0
        assert not engine.rank(BASE, context=HOME).error


def test_a_clock_that_fails_later_leaves_its_last_time(rich: Small, tmp_path: Path) -> None:
    now_ms, readings = 1_768_651_200_000, list[Any]()

    def clock() -> Any:
        found = readings.pop(0) if readings else now_ms
        if isinstance(found, Exception):
            raise found
        return found

    with opened(rich, tmp_path, clock) as engine:
        engine.record("view", item="fund_a")
        for failing in (OSError("no clock"), None, "late", timedelta(1)):
            readings.append(failing)
            decision = engine.rank(BASE, context=HOME)
            assert (decision.error, decision.time_ms) == (ErrorCode.CLOCK_FAILED, now_ms)
            assert not engine.rank(BASE, context=HOME).error
            readings.append(failing)
            engine.record("view", item="fund_a")
        records = internals(engine).state.log.read()
        assert (records["time_s"].astype(np.int64) * 1000 + records["time_ms"]).tolist() == [now_ms] * 5
        assert engine.status().errors_by_code == {"CLOCK_FAILED": 8}


def test_the_log_keeps_where_each_event_happened(rich: Small, tmp_path: Path) -> None:
    clock, offset_s = SettableClock(), [3600]
    with opened(rich, tmp_path, clock, utc_offset_s=lambda ms: offset_s[0]) as engine:
        engine.record("view")
        clock.now_ms += 60_000  # an event asks once a minute
        offset_s[0] = -12_600
        engine.record("view")
        times_ms = [clock.now_ms - 5000, clock.now_ms]
        engine.record_many(times_ms, [0, 0], kind_names=["view"])
        engine.record_many(times_ms, [0, 0], kind_names=["view"], utc_offsets_s=[20_700, 0])
        expected = [local_field(3600), local_field(-12_600), *[local_field(-12_600) | BACK_FILLED] * 2]
        expected += [local_field(20_700) | BACK_FILLED, local_field(0) | BACK_FILLED]
        assert internals(engine).state.log.read()["local"].tolist() == expected
        for wrong in ([0], [0.5, 0], [86_400, 0], ["0", "0"]):
            with pytest.raises(InvalidValueError, match="utc_offsets_s"):
                engine.record_many(times_ms, [0, 0], kind_names=["view"], utc_offsets_s=wrong)


def test_an_event_notices_a_new_zone_within_a_minute_and_a_clock_change_at_once(rich: Small, tmp_path: Path) -> None:
    clock, zone = SettableClock(1_774_745_999_000), ["Europe/Berlin"]  # a second before summer time
    zones = {name: utc_offset_of(name) for name in ("Europe/Berlin", "America/New_York")}
    with opened(rich, tmp_path, clock, utc_offset_s=lambda ms: zones[zone[0]](ms)) as engine:
        engine.install_policy(signed(NIGHT, 1))
        for wait_ms, of_zone in ((0, "Europe/Berlin"), (1000, "Europe/Berlin"), (60_000, "America/New_York")):
            zone[0], clock.now_ms = of_zone, clock.now_ms + wait_ms
            engine.record("view")
        assert internals(engine).state.log.read()["local"].tolist() == [*map(local_field, (3600, 7200, -14_400))]


def test_a_policy_that_names_a_zone_goes_by_it(rich: Small, tmp_path: Path) -> None:
    clock = SettableClock(1_768_651_200_000)  # 12:00 UTC, 01:00 in Auckland
    with opened(rich, tmp_path, clock) as engine:
        engine.install_policy(signed(NIGHT, 1))
        assert not engine.rank(BASE, context=HOME).is_empty
        engine.install_policy(signed(NIGHT | {"time_base": "Pacific/Auckland"}, 2))
        engine.record("view")  # in the same millisecond
        assert engine.rank(BASE, context=HOME).is_empty
        assert internals(engine).state.log.read()["local"].tolist() == [local_field(13 * 3600)]
    with opened(rich, tmp_path, clock) as engine:
        assert engine.rank(BASE, context=HOME).is_empty
    with opened(rich, tmp_path, clock, utc_offset_s=lambda ms: 0) as engine:
        assert not engine.rank(BASE, context=HOME).is_empty


@pytest.fixture
def zone_file(tmp_path: Path) -> Iterator[Path]:
    """A file that TZ names, as /etc/localtime."""
    former = os.environ.get("TZ")
    os.environ["TZ"] = f":{tmp_path / 'localtime'}"
    yield tmp_path / "localtime"
    os.environ.pop("TZ")
    if former is not None:
        os.environ["TZ"] = former
    time.tzset()


def test_a_zone_that_changes_while_the_process_runs_is_noticed(
    zone_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_zone = {name: next(path for root in TZPATH if (path := Path(root) / name).exists()) for name in ZONES[:3]}
    now_ms, ticks = 1_768_651_200_000, iter(range(0, 10**12, 10**9))
    monkeypatch.setattr("edge_sdk.engine.local_time.time.monotonic_ns", lambda: next(ticks))
    zone_file.symlink_to(of_zone["Europe/Berlin"])
    system = SystemZone()
    assert system(now_ms) == 3600
    for name, offset_s in (("America/New_York", -18_000), ("Australia/Lord_Howe", 39_600)):
        (zone_file.parent / "new").symlink_to(of_zone[name])
        (zone_file.parent / "new").replace(zone_file)
        assert system(now_ms) == offset_s
    zone_file.unlink()
    assert system(now_ms) == 39_600  # as it was
    os.environ["TZ"] = "EST5"
    assert system(now_ms) == -18_000


def test_the_next_change_is_found_to_the_second() -> None:
    berlin = LocalClock(utc_offset_of("Europe/Berlin"))
    assert berlin.at(1_774_600_000_000) == LocalTime(3600, 1_774_746_000_000, 7200)  # 2026-03-29 01:00 UTC
    assert berlin.at(1_774_746_000_000) == LocalTime(7200)
    assert berlin.at(1_768_651_200_000) == LocalTime(3600)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd", "Europe", None])
def test_an_unknown_zone_is_refused(zone: Any) -> None:
    with pytest.raises(InvalidValueError, match="install the package tzdata"):
        utc_offset_of(zone)
