"""What a bundle and a policy may ask for is computed before anything is allocated, and refused beyond a bound."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from cloud_export.errors import SceneError
from cloud_export.export.container_writer import sign_container
from cloud_export.features.layout import build_layout
from cloud_export.scene.load import scene_from_table
from edge_sdk import limits
from edge_sdk.bundle.bounds import check_caps, check_counts, check_vectors
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import POLICY
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleDamagedError, BundleInvalidError, PolicyInvalidError
from edge_sdk.memory.caps import CapCounts, CapRule
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.model.projection import Projection
from edge_sdk.policy.frequency_caps import FrequencyCap
from edge_sdk.vocabulary import kind_id
from tests.support import bundle_changes
from tests.support.policy_files import KEY, changed, read
from tests.support.policy_files import raw as raw
from tests.support.policy_refusals import bundle as bundle
from tests.support.policy_refusals import payload as payload
from tests.support.policy_refusals import payload_of
from tests.support.policy_refusals import scene as scene
from tests.support.policy_scene import POLICY_SCENE
from tests.support.scene import SettableClock, Small

CLICK = kind_id("click")


class Refusal(Exception):  # noqa: N818
    pass


def fail(field: str, found: str) -> NoReturn:
    raise Refusal(f"{field}: {found}")


def cap(limit: int, per: Scope = Scope.OFFER) -> FrequencyCap:
    return FrequencyCap(CapRule((CLICK,), per, limit, 60, cooldown=False), "cap", frozenset())


# ---- memory ----


def test_caps_are_counted_to_the_byte() -> None:
    """The bound holds what `CapCounts` allocates, and the least that is more is refused."""
    offers, limit = 1024, 61
    a_cap = offers * (limit + 3) * 8  # 512 KiB
    most = limits.CAPS_BYTES_MAX // a_cap
    check_caps([cap(limit)] * most, offers, 3, fail)
    with pytest.raises(Refusal, match=r"policy\.caps\[\d+\]\.limit: 67\d{6} bytes .* at most 67108864; 524288 of them"):
        check_caps([*[cap(limit)] * most, cap(1, Scope.USER)], offers, 3, fail)
    tracemalloc.start()
    counts = CapCounts([cap(limit).counted], np.zeros(offers, np.int64), 3)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert a_cap <= taken < 1.05 * a_cap
    assert len(counts.dump()) <= a_cap


def test_counts_are_counted_to_the_byte(bundle: Bundle) -> None:
    steps = tuple(MachineStep(frozenset({0}), CLICK, 2, 0, 1) for _ in range(8))
    machine = MachineRule("m", Scope.OFFER, ("a", "b"), steps)
    layout = bundle.layout._replace(caps=(), machines=(machine,) * 64, decays=bundle.layout.decays[:1] * 350_000)
    rows = 7 + layout.category_rows
    counters, machines = 8 * rows * layout.counter_kinds * 350_000, 64 * 7 * (25 + 16)
    with pytest.raises(Refusal) as caught:
        check_counts(layout, fail)
    assert f"{counters} bytes for {layout.counter_kinds} kinds, 350000 half-lives and 6 offers" in str(caught.value)
    assert f"{machines} for 64 machines; at most 67108864 together" in str(caught.value)
    small = layout._replace(decays=layout.decays[:400])
    check_counts(small, fail)
    tracemalloc.start()
    memory = Memory(small)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    computed = 8 * rows * layout.counter_kinds * 400
    assert computed < taken < 4 * computed + (1 << 20)
    assert memory.counters.sums.nbytes == computed


def test_vectors_are_counted_to_the_byte(bundle: Bundle) -> None:
    """The bound holds what `Projection` allocates, of the stand-ins too; a row more is refused."""
    assert bundle.tables is not None
    d, categories, readouts = bundle.tables.dimension, 500, 7
    rows = limits.VECTORS_BYTES_MAX // (4 * (readouts + 1) * d)
    offers = np.broadcast_to(np.float32(0), (rows - categories, d))  # takes no memory
    tables = bundle.tables._replace(offers=offers, readout=np.zeros((readouts, d, d), np.float32))
    check_vectors(tables, categories + 1, fail)
    with pytest.raises(Refusal) as caught:
        check_vectors(tables, categories + 2, fail)
    assert str(caught.value).startswith(
        f"tables.readout: {4 * (readouts + 1) * (rows + 1) * d} bytes of vectors for {len(offers) - 1} offers"
        f" and {categories + 1} categories, at most 268435456"
    )
    few = tables._replace(offers=tables.offers[:2000])
    projection = Projection(few, np.zeros((categories, d), np.float32))
    assert projection.queries.nbytes + projection.readouts.nbytes == 4 * (readouts + 1) * (2000 + categories) * d


def test_a_bundle_is_refused_for_the_vectors_of_its_stand_ins(
    payload: bytes, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bundle.tables is not None
    rows = len(bundle.layout.offers) + 1 + len(bundle.categories)
    size = 4 * (len(bundle.tables.readout) + 1) * rows * bundle.tables.dimension
    monkeypatch.setattr("edge_sdk.bundle.bounds.VECTORS_BYTES_MAX", size)
    read_bundle(Path("a.edge"), memoryview(payload))
    monkeypatch.setattr("edge_sdk.bundle.bounds.VECTORS_BYTES_MAX", size - 1)
    with pytest.raises(BundleInvalidError, match=rf"tables\.readout: {size} bytes of vectors for 6 offers and 2 categ"):
        read_bundle(Path("a.edge"), memoryview(payload))


def test_caps_of_a_small_file_that_would_take_gigabytes(payload: bytes) -> None:
    """12 KB of caps are refused before a byte of them is allocated."""

    def many(tree: Any) -> None:
        tree.policy.caps = [fb.CapT(kind=CLICK, per=0, limit=65_535, withinS=60) for _ in range(300)]

    raw = bundle_changes.changed(payload, many)
    tracemalloc.start()
    with pytest.raises(BundleInvalidError, match=r"policy\.caps\[0\]\.limit: 11\d{8} bytes .* lower it, or count per"):
        read_bundle(Path("a.edge"), memoryview(payload_of(raw)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_packing_refuses_the_same_caps(scene: Small) -> None:
    caps = [{"kind": "click", "per": "offer", "limit": 65_535, "within_s": 60 + number} for number in range(40)]
    table = POLICY_SCENE | {"policy": POLICY_SCENE["policy"] | {"caps": caps}}
    with pytest.raises(SceneError, match=r"policy\.caps\[0\]\.limit: 14\d{7} bytes"):
        build_layout(scene_from_table(table), scene.log, training_events=np.ones(len(scene.log.events.item), np.bool_))


# ---- lists ----


def times(field: str, count: int, **shared: Any) -> Callable[[Any], object]:
    """Makes a list of a policy that long: copies of its first entry."""
    return lambda policy: setattr(policy, field, [getattr(policy, field)[0]] * count)


def test_rules_of_all_kinds_are_bounded_together(bundle: Bundle, raw: bytes) -> None:
    file = fb.PolicyFileT.InitFromPackedBuf(raw)
    lists = ("rules", "blocks", "quietHours", "weightRules", "boosts", "pins", "caps")
    others = sum(len(getattr(file.policy, name) or ()) for name in lists) - len(file.policy.boosts)
    room = limits.RULES_MAX - others
    assert len(read(changed(raw, lambda f: times("boosts", room)(f.policy)), bundle).boosts) == room
    with pytest.raises(PolicyInvalidError, match="policy, rules of all kinds: 513, at most 512"):
        read(changed(raw, lambda f: times("boosts", room + 1)(f.policy)), bundle)


def test_conditions_and_kinds_of_a_rule_are_bounded(bundle: Bundle, raw: bytes) -> None:
    condition = fb.ConditionT(source=0, name="stage", values=["new"])

    def conditions(count: int) -> bytes:
        return changed(raw, lambda f: setattr(f.policy.boosts[0], "when", [condition] * count))

    assert len(read(conditions(64), bundle).boosts[0].when.of_user) == 64
    with pytest.raises(PolicyInvalidError, match=r"policy\.boosts\[0\]\.when: 65 conditions, at most 64"):
        read(conditions(65), bundle)
    kinds = np.full(1025, CLICK, np.uint16)
    with pytest.raises(PolicyInvalidError, match=r"policy\.caps\[0\]\.more_kinds: 1025, at most 1024"):
        read(changed(raw, lambda f: setattr(f.policy.caps[0], "moreKinds", kinds)), bundle)


def test_selections_are_bounded(bundle: Bundle, raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fb.PolicyFileT.InitFromPackedBuf(raw)
    rules = [*(file.policy.rules or ()), *file.policy.blocks, *file.policy.boosts, *file.policy.pins]
    listed = [rule.selection for rule in rules if rule.selection is not None]
    selecting = sum(selection.offers is not None or selection.categories is not None for selection in listed)
    a_mask = len(bundle.layout.offers) + len(bundle.categories) + 1
    monkeypatch.setattr("edge_sdk.bundle.policy_symbols.SELECTED_BYTES_MAX", a_mask * selecting)
    read(changed(raw, lambda f: None), bundle)
    monkeypatch.setattr("edge_sdk.bundle.policy_symbols.SELECTED_BYTES_MAX", a_mask * selecting - 1)
    with pytest.raises(PolicyInvalidError, match=r"the rules until here select among 6 offers and 2 categories"):
        read(changed(raw, lambda f: None), bundle)


def test_a_policy_file_is_bounded(bundle: Bundle) -> None:
    data = sign_container(bytes(limits.POLICY_BYTES_MAX), [KEY], POLICY)
    with pytest.raises(BundleDamagedError, match=r"size: 4\d{6} bytes, at most 4194304; .*`cloud-export policy`"):
        read(data, bundle)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: setattr(p, "exploration", fb.ExplorationT(mode=2, temperature=9e-7)), "temperature: 9e-07, below"),
        (lambda p: setattr(p.boosts[0], "add", 1.1e12), r"boosts\[0\]\.add: 1\.1e\+12, beyond 1e\+12"),
        (lambda p: setattr(p.boosts[0], "add", -1.1e12), r"boosts\[0\]\.add: -1\.1e\+12, beyond 1e\+12"),
    ],
)
def test_numbers_beyond_their_bounds(bundle: Bundle, raw: bytes, change: Callable[[Any], object], words: str) -> None:
    with pytest.raises(PolicyInvalidError, match=words):
        read(changed(raw, lambda f: change(f.policy)), bundle)


def twice(field: str) -> Callable[[Any], object]:
    return lambda b: getattr(b, field).append(getattr(b, field)[0])


BUNDLES: dict[str, tuple[Callable[[Any], object], str]] = {
    "kinds": (lambda b: setattr(b, "kinds", b.kinds * 300), "kinds: [0-9]+, at most 1024"),
    "machines": (lambda b: setattr(b, "machines", b.machines * 30), "machines: 90, at most 64"),
    "steps": (
        lambda b: setattr(b.machines[0], "steps", b.machines[0].steps * 200),
        r"machines\[0\]\.steps: 400",
    ),
    "golden": (lambda b: setattr(b, "golden", b.golden * 40), "golden: [0-9]+, at most 64"),
    "values": (
        lambda b: setattr(b.context[0], "values", list(map(str, range(4097)))),
        "context, values: 40..",
    ),
    "values of one": (
        lambda b: setattr(b.context[0], "values", list(map(str, range(1025)))),
        r"context\[0\]\.values: 10",
    ),
    "attributes": (lambda b: setattr(b, "attributes", list(map(str, range(1025)))), "attributes: 1025, at most 1024"),
    "a value twice": (
        lambda b: b.context[0].values.append(b.context[0].values[0]),
        r"context\[0\]\.values: a name",
    ),
    "an attribute twice": (twice("attributes"), "attributes: a name that is listed twice"),
    "an outcome twice": (twice("feedback"), "feedback: a name that is listed twice"),
    "no kind for an outcome": (
        lambda b: setattr(b.feedback[0], "kind", 0),
        r"shown_kind or feedback: kinds \[0\]",
    ),
    "a decay of NaN": (lambda b: factor(b, "fadeFine", float("nan")), "decays: half_life_s 60 has a factor"),
    "a decay that grows": (
        lambda b: factor(b, "fadeCoarse", 1.5),
        "decays: half_life_s 60 has a factor that",
    ),
    "a table of NaN": (lambda b: number(b.tables, "query", float("nan")), "tables.query: NaN or infinite"),
    "an infinite table": (lambda b: number(b.tables, "items", float("inf")), "tables.items: NaN or infinite"),
}


def number(owner: Any, field: str, value: float) -> None:
    array = getattr(owner, field).copy()
    array[3] = value
    setattr(owner, field, array)


def factor(tree: Any, field: str, value: float) -> None:
    number(tree.decays[0], field, value)


@pytest.mark.parametrize("case", BUNDLES)
def test_a_list_or_number_of_a_bundle_beyond_its_bound(payload: bytes, case: str) -> None:
    change, words = BUNDLES[case]
    raw = bundle_changes.changed(payload, change)
    with pytest.raises(BundleInvalidError, match=rf"^a\.edge: ({words})"):
        read_bundle(Path("a.edge"), memoryview(payload_of(raw)))


# ---- an engine ----


def test_an_engine_refuses_a_policy_that_asks_for_too_much(scene: Small, tmp_path: Path, raw: bytes) -> None:
    """Installing refuses it, and an engine that finds it installed starts without it."""
    huge = [fb.CapT(kind=CLICK, per=0, limit=65_535, withinS=60) for _ in range(40)]
    data = changed(raw, lambda f: vars(f.policy).update(caps=huge, version=99))
    with scene.open(tmp_path, SettableClock()) as engine:
        version = engine.status().policy_version
        with pytest.raises(PolicyInvalidError, match=r"policy\.caps\[0\]\.limit: 146\d{6} bytes"):
            engine.install_policy(data)
        assert engine.status().policy_version == version
    (tmp_path / "policy.edgp").write_bytes(data)
    with scene.open(tmp_path, SettableClock()) as engine:
        status = engine.status()
        assert status.policy_version == version
        assert "policy.caps[0].limit: 146" in status.policy_error
