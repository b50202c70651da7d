"""A tiny fleet runs whole: real engines, a trained cloud, every arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cloud_export.scene.load import Scene, load_scene
from device_sim.fleet import cloud, phone, run
from device_sim.fleet.arms import ARMS, ArmRules
from device_sim.fleet.closed_loop import Row
from device_sim.fleet.event_routing import EventRouter
from device_sim.fleet.network_watch import watching
from device_sim.fleet.phone import Phone
from device_sim.fleet.result import FleetResult
from device_sim.fleet.rule_audit import RuleAudit
from device_sim.fleet.run import ArmRun, Fleet, live_arm, prepare_fleet, run_fleet
from device_sim.fleet.settings import checked_settings
from edge_sdk import BaseDecision, Engine
from tests.support.paths import ROOT

SETTINGS = checked_settings(devices=10, days=2, seed=5, panel_users=60, panel_days=4)


def quick() -> Scene:
    """The wealth scene, trained for one epoch."""
    scene = load_scene("wealth")
    return scene.model_copy(update={"model": scene.model.model_copy(update={"epochs": 1})})


def silent(_name: str) -> Callable[[int, int], None]:
    return lambda _done, _total: None


@dataclass(frozen=True)
class Whole:
    """One fleet and its arms."""

    fleet: Fleet
    runs: dict[str, ArmRun]
    result: FleetResult


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The fleet trained once; `run_fleet` gets it in place of training again."""
    fleet = prepare_fleet(SETTINGS, quick(), tmp_path_factory.mktemp("fleet"), silent, {})
    runs: dict[str, ArmRun] = {}

    def kept(*arguments: object) -> ArmRun:
        found = live_arm(*arguments)  # type: ignore[arg-type]
        runs[found.arm.name] = found
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "prepare_fleet", lambda *_arguments: fleet)
        patch.setattr(run, "live_arm", kept)
        result = run_fleet(SETTINGS, quick(), fleet.devices.parent, silent)
    return Whole(fleet, runs, result)


def lived(fleet: Fleet, name: str, devices: Path) -> ArmRun:
    """One arm again, its phones elsewhere."""
    arm = next(arm for arm in ARMS if arm.name == name)
    with watching() as watch:
        return live_arm(replace(fleet, devices=devices), arm, watch, lambda _done, _total: None)


# ---- the result ----


def test_no_rule_is_broken_nothing_is_sent_and_no_decision_fails(whole: Whole) -> None:
    result = whole.result
    assert result.cap_violations == 0
    assert result.runtime.withheld == 0
    assert result.uploaded_bytes == 0
    assert (result.traffic.sockets_created, result.traffic.connections, result.traffic.foreign_sockets) == (0, 0, 0)
    assert dict(result.runtime.errors) == {}
    assert list(result.arm("device").rules_broken) == [
        "validity dates",
        "vouchers",
        "seen often",
        "dismissed",
        "bought",
    ]
    assert sum(result.arm("base").rules_broken.values()) > 0  # an arm that counts nothing breaks rules: the audit works


def test_every_decision_of_the_device_arm_came_from_an_engine(whole: Whole) -> None:
    runtime, total = whole.result.runtime, whole.result.arm("device").total
    assert runtime.decisions == total.decisions > 10
    assert runtime.engines_opened >= total.sessions
    folders = [path for path in whole.fleet.devices.iterdir() if path.is_dir()]
    assert 0 < len(folders) <= SETTINGS.devices
    recorded, end_ms = 0, whole.fleet.epoch_ms + (SETTINGS.panel_days + SETTINGS.days) * 86_400_000
    for folder in folders:
        packed = whole.fleet.cloud.packed
        keys = [packed.public_key]
        with Engine.open(folder, bundle=packed.path, trusted_keys=keys, clock=lambda: end_ms) as engine:
            recorded += engine.status().events
    assert recorded == runtime.events_recorded  # every one survived the app's death, in the user's own log
    assert runtime.disk_bytes_total >= len(folders) * phone.LOG_BYTES


def test_the_oracle_has_no_regret_and_nobody_a_negative_one(whole: Whole) -> None:
    assert whole.result.arm("oracle").total.cumulative_regret == 0.0
    for name, arm in whole.runs.items():
        assert all(row.value <= row.oracle_value + 1e-12 for row in arm.log.rows), name


def test_the_arms_share_users_and_sessions(whole: Whole) -> None:
    def first_of_each(name: str) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for row in whole.runs[name].log.rows:
            found.setdefault(row.user, (row.day, row.seen))
        return found

    for name in whole.runs:
        assert first_of_each(name) == first_of_each("base"), name


def test_before_anything_happened_all_pages_have_the_same_best(whole: Whole) -> None:
    """Each user's first decision: the same user in the same mood, so the same true values whatever the arm."""

    def firsts(name: str) -> dict[int, Row]:
        found: dict[int, Row] = {}
        for row in whole.runs[name].log.rows:
            found.setdefault(row.user, row)
        return found

    base = firsts("base")
    for name in whole.runs:
        for user, row in firsts(name).items():
            assert row.oracle_value == pytest.approx(base[user].oracle_value, abs=1e-12), (name, user)


def test_the_totals_add_up(whole: Whole) -> None:
    for arm in whole.result.arms:
        for field in ("sessions", "decisions", "seen", "clicks", "conversions"):
            assert getattr(arm.total, field) == sum(getattr(day, field) for day in arm.days), (arm.name, field)
        assert arm.total.value == pytest.approx(sum(day.value for day in arm.days))
        assert arm.total.cumulative_regret == arm.days[-1].cumulative_regret


def test_the_base_arm_is_an_engine_without_events(whole: Whole, tmp_path: Path) -> None:
    trained, router = whole.fleet.cloud, EventRouter([], (), 0, uploads=False)
    midnight_ms = whole.fleet.epoch_ms + SETTINGS.panel_days * 86_400_000
    bases = trained.refresh(whole.fleet.users, router.known(), midnight_ms)
    assert len(bases) == SETTINGS.devices
    context = {"surface": "home", "stage": "active"}
    key = trained.packed.public_key
    with Engine.open(tmp_path, bundle=trained.packed.path, trusted_keys=[key], clock=lambda: midnight_ms) as engine:
        for base in bases:
            assert base.refreshed_ms == midnight_ms
            decision = engine.rank(base, context=context)
            free = [name for name in base.offers if not RuleAudit(whole.fleet.rules).broken(name, midnight_ms, context)]
            assert [offer.id for offer in decision.offers] == free


def test_the_cloud_learned_from_nobody_in_the_fleet(whole: Whole) -> None:
    panel = set(pl.read_parquet(whole.fleet.devices.parent / "panel" / "users.parquet")["user"])
    assert len(panel) == SETTINGS.panel_users
    assert not panel & set(whole.fleet.users["user"])
    assert not panel & {path.name for path in whole.fleet.devices.iterdir()}
    assert set(whole.fleet.cloud.log.users) <= panel


def test_the_cloud_learns_from_purchases_and_notices_alone(whole: Whole) -> None:
    log = whole.fleet.cloud.log
    less = cloud.only_kinds(log, cloud.KNOWN_KINDS)
    assert {less.kinds[code] for code in np.unique(less.events.kind)} <= {"convert", "price_change", "due_date"}
    for user in range(len(log.users)):
        part = slice(log.events.offsets[user], log.events.offsets[user + 1])
        wanted = np.isin(log.events.kind[part], [log.kinds.index(kind) for kind in cloud.KNOWN_KINDS])
        left = slice(less.events.offsets[user], less.events.offsets[user + 1])
        assert np.array_equal(less.events.time_ms[left], log.events.time_ms[part][wanted])
        assert np.array_equal(less.events.item[left], log.events.item[part][wanted])
    assert less.decisions is log.decisions


def test_a_purchase_is_known_after_midnight_and_not_before(whole: Whole) -> None:
    fleet, day_ms = whole.fleet, 86_400_000
    midnight_ms = fleet.epoch_ms + SETTINGS.panel_days * day_ms
    bought = cloud.KnownEvents([3], [midnight_ms], ["convert"], ["cash_001"], [100.0])
    nothing = cloud.KnownEvents([], [], [], [], [])

    def order(known: cloud.KnownEvents, now_ms: int) -> list[bytes]:
        return [base.logits.tobytes() for base in fleet.cloud.refresh(fleet.users, known, now_ms)]

    assert order(bought, midnight_ms) == order(nothing, midnight_ms)
    later, without = order(bought, midnight_ms + day_ms), order(nothing, midnight_ms + day_ms)
    assert [number for number in range(SETTINGS.devices) if later[number] != without[number]] == [3]


def test_one_seed_gives_the_same_lives(whole: Whole, tmp_path: Path) -> None:
    for name in ("device", "uploaded"):
        again = lived(whole.fleet, name, tmp_path / name)
        assert again.log == whole.runs[name].log, name
        assert again.tally.events == whole.runs[name].tally.events


def test_a_failed_decision_is_counted_and_shown_in_base_order(whole: Whole, tmp_path: Path) -> None:
    def broken(day: int, _router: object) -> list[BaseDecision]:
        names = whole.fleet.world.catalogue.names[:60]
        return [BaseDecision(names, np.full((60, 2), np.nan)) for _ in range(SETTINGS.devices)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_refresh", lambda _fleet, _arm: broken)
        found = lived(whole.fleet, "device", tmp_path)
    assert found.tally.errors == {"BAD_BASE_LOGITS": len(found.log.rows)}
    assert sum(found.log.broken.values()) == 0  # no rule is broken


def test_an_engine_that_breaks_a_rule_is_found_out(whole: Whole, tmp_path: Path) -> None:
    """A phone that forgets what it was told shows what was dismissed and bought."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Phone, "feedback", lambda *_arguments: None)
        patch.setattr(Phone, "shown", lambda *_arguments: None)
        found = lived(whole.fleet, "device", tmp_path)
    assert sum(found.log.broken.values()) > 0


def test_the_arms_are_named_once() -> None:
    assert [arm.name for arm in ARMS] == ["base", "rules", "uploaded", "device", "oracle", "random"]
    assert [arm for arm in ARMS if arm.order is None] == [ArmRules("device", None)]
    page = (ROOT / "docs" / "fleet.md").read_text()
    assert all(f"| `{arm.name}` |" in page for arm in ARMS)
