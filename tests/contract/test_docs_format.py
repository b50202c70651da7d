"""The worked examples, the tables of codes and the embedding example of the documents agree with the code."""

from __future__ import annotations

import inspect
import json
import math
import re
import struct
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from cloud_export.scene.load import load_scene
from edge_sdk import EdgeError, ErrorCode, Reason, errors
from edge_sdk import limits as config
from edge_sdk.clock import NEVER_MS
from edge_sdk.log.encrypted_record import EncryptedRecords
from edge_sdk.log.encryption import Cipher
from edge_sdk.log.event_log import EventLog
from edge_sdk.log.header import LogHeader
from edge_sdk.log.record import items_of
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_events import Deriver
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory, replay
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.model.operators import FORMER_OPERATORS, OPERATORS, Operator
from edge_sdk.model.projection import ModelTables, Projection
from edge_sdk.policy.exploration import Draw, drawn_order, uniforms
from edge_sdk.policy.rank_bound import bounded_order
from edge_sdk.policy.rules import NO_LIMIT, Budget, Exploration, Explore, Policy
from edge_sdk.policy.scoring import current_cost_weight, warm_up_weight
from edge_sdk.policy.slate import Slate, pin_places
from edge_sdk.testing.white_box import internals
from edge_sdk.types import by_score
from edge_sdk.vocabulary import Vocabulary, item_id, item_words, kind_id, words_of
from tests.support.cap_answers import cap_bits
from tests.support.paths import DOCS, ROOT
from tests.support.places import entry
from tests.support.scene import SettableClock, Small

CLICK, FUND = kind_id("click"), item_id("fund_001")
TABLES = ("grow_coarse", "grow_fine", "fade_coarse", "fade_fine")


def example(name: str) -> Any:
    """The JSON in the block ```json <name> of format.md."""
    return json.loads(block(f"json {name}"))


def block(label: str, document: str = "format.md") -> str:
    found = re.findall(rf"^```{label}\n(.*?)^```$", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{document}: {len(found)} blocks {label!r}"
    return str(found[0])


def table(name: str) -> list[list[str]]:
    """Rows of the table below `<!-- name -->` in embedding.md, without its two head lines."""
    text = (DOCS / "embedding.md").read_text().split(f"<!-- {name} -->\n")[1].split("\n\n")[0]
    return [[plain(cell.strip()) for cell in line[2:-2].split(" | ")] for line in text.splitlines()[2:]]


def plain(cell: str) -> str:
    """A cell without the backticks around it, where they are all that it has."""
    return cell[1:-1] if re.fullmatch(r"`[^`]*`", cell) else cell


def layout(tables: DecayTables, caps: tuple[CapRule, ...] = ()) -> MemoryLayout:
    """One offer in one category, one counted kind, one half-life."""
    lows, highs = words_of(np.array([FUND]))
    offers = Vocabulary(lows, b"fund_001", np.array([1], np.uint16), highs)
    kinds = {CLICK: KindRule(row=1, in_window=True, counter=0)}
    return MemoryLayout(2, kinds, offers, offers, category_rows=2, counter_kinds=1, decays=(tables,), caps=caps)


def test_every_field_of_the_schema_is_on_the_page() -> None:
    schema = re.sub(r"//.*", "", (ROOT / "edge_sdk" / "bundle" / "format" / "edge.fbs").read_text(encoding="utf-8"))
    page = (DOCS / "format.md").read_text(encoding="utf-8")
    fields = {
        f"{table}.{field}"
        for table, body in re.findall(r"^table (\w+) \{(.*?)^\}", schema, re.MULTILINE | re.DOTALL)
        for field in re.findall(r"^\s*(\w+)\s*:", body, re.MULTILINE)
    }
    assert len(fields) > 150
    assert {name for name in fields if not re.search(rf"\b{name.partition('.')[2]}\b", page)} == set()


def test_ids() -> None:
    ids = example("ids")

    assert {name: item_id(name) if name else 0 for name in ids["item"]} == ids["item"]
    assert {name: kind_id(name) for name in ids["kind"]} == ids["kind"]


def test_header_and_record(tmp_path: Path) -> None:
    documented = example("record")
    event = documented["event"]
    log = EventLog.open(entry(tmp_path / "events.log"), config.LOG_BYTES)
    number = log.append(
        event["time_ms"],
        kind_id(event["kind"]),
        item_words(event["item"])[0],
        event["value"],
        event["decision"],
        item_words(event["item"])[1],
    )
    log.close()

    written = (tmp_path / "events.log").read_bytes()

    assert (number, log.capacity) == (1, documented["capacity"])
    assert LogHeader(32, log.capacity, 1, bytes.fromhex(documented["log_id"])).pack() == bytes.fromhex(
        documented["header"]
    )
    assert written[:64] == LogHeader(32, log.capacity, 1, log.log_id).pack()
    assert written[64:96] == bytes.fromhex(documented["record"])
    assert not any(written[96:])


def test_encryption() -> None:
    documented, record = example("sealed"), example("record")
    key, slot = bytes.fromhex(documented["key"]), bytes.fromhex(documented["slot"])
    body = bytes.fromhex(record["record"])[:28]
    nonce = bytes.fromhex(documented["salt"]) + body[:4]

    assert slot == nonce + AESGCM(key).encrypt(nonce, body, None) + bytes(8)
    sealed = EncryptedRecords(Cipher(Path("events.log"), key))
    found, intact = sealed.decode(np.frombuffer(slot, np.uint8).reshape(1, 64), np.array([True]))
    assert intact.all()
    assert found.tobytes()[:28] == body
    tag = AESGCM(key).encrypt(bytes.fromhex(record["log_id"]) + bytes(4), b"", b"event log")
    assert tag == bytes.fromhex(documented["key_tag"])


def test_documented_tables_are_those_that_the_packer_makes() -> None:
    documented = example("decay")
    tables = DecayTables.of(documented["half_life_s"])

    assert tables.tick_ms == documented["tick_ms"]
    for name in TABLES:
        for index, bits in documented[name].items():
            # One unit in the last place: exp2 is the library's, which is why bundles ship the tables.
            np.testing.assert_array_max_ulp(getattr(tables, name)[int(index)], double(bits), maxulp=1)


def test_decayed_counter() -> None:
    documented = example("decay")
    tables = DecayTables.of(documented["half_life_s"])
    for name in TABLES:
        for index, bits in documented[name].items():
            getattr(tables, name)[int(index)] = double(bits)
    plan = layout(tables)
    tick = documented["event_ms"] // documented["tick_ms"]

    assert (tick, *divmod(tick, 16384)) == (documented["tick"], documented["period"], documented["since"])
    assert tables.grow_coarse[67] * tables.grow_fine[120] == double(documented["sum"])
    for read in documented["reads"]:
        memory = replay(plan, [documented["event_ms"]], [CLICK], [FUND], [0.0])
        found = np.zeros((1, 2), np.float32)
        memory.counters.fill(read["now_ms"], plan.counter_slots(np.array([1])), found)
        assert struct.pack(">f", found[0, 0]).hex() == read["value"]
        assert found[0, 1] == found[0, 0]  # the offer is alone in its category
        assert read["now_ms"] // documented["tick_ms"] % 16384 == read.get("since", documented["since"])
        assert float(found[0, 0]) == pytest.approx(read["decimal"], rel=1e-7)


class PortedCounter:
    """One counter of one half-life, written from the pseudo-code of format.md alone."""

    def __init__(self, tables: DecayTables) -> None:
        self.tick_ms = tables.tick_ms
        self.grow = (tables.grow_coarse.tolist(), tables.grow_fine.tolist())
        self.fade = (tables.fade_coarse.tolist(), tables.fade_fine.tolist())
        self.latest, self.sum = 0, 0.0

    @staticmethod
    def factor(pair: tuple[list[float], list[float]], tick: int) -> float:
        s = tick % 16384
        return pair[0][s >> 7] * pair[1][s & 127]

    def add(self, time_ms: int) -> None:
        tick = time_ms // self.tick_ms
        if self.latest - 16384 < tick < self.latest:
            tick = self.latest
        elif tick > self.latest:
            p = tick // 16384 - self.latest // 16384
            if p > 0:
                self.sum *= 2.0 ** (-16 * min(p, 64))
            self.latest = tick
        elif tick <= self.latest - 16384:
            self.sum *= self.factor(self.fade, self.latest)
            self.sum *= self.factor(self.grow, tick)
            self.latest = tick
        self.sum += self.factor(self.grow, tick)

    def read(self, now_ms: int) -> np.float32:
        tick = max(now_ms // self.tick_ms, self.latest)
        k = min(tick // 16384 - self.latest // 16384, 60)
        return np.float32(self.sum * (self.factor(self.fade, tick) * 2.0 ** (-16 * k)))


@given(half_life_s=st.sampled_from([1, 60, 300, 21600]), steps_ms=st.lists(st.integers(-40_000_000, 60_000_000)))
def test_a_port_from_the_document_counts_the_same_bits(half_life_s: int, steps_ms: list[int]) -> None:
    tables = DecayTables.of(half_life_s)
    plan = layout(tables)
    memory, ported = Memory(plan), PortedCounter(tables)
    now_ms = 1_768_761_638_641

    for step_ms in steps_ms:  # forwards and backwards, across many periods
        now_ms += step_ms
        memory.add(now_ms, CLICK, FUND, 0.0)
        ported.add(now_ms)
        for read_ms in (now_ms, now_ms + 12_345, now_ms - 123_456):
            found = np.zeros((1, 2), np.float32)
            memory.counters.fill(read_ms, plan.counter_slots(np.array([1])), found)
            assert found[0, 0].tobytes() == ported.read(read_ms).tobytes()


def test_cap() -> None:
    documented = example("cap")
    rule = CapRule((CLICK,), Scope.OFFER, documented["limit"], documented["within_s"], cooldown=False)
    memory = Memory(layout(DecayTables.of(300), (rule,)))

    for step in documented["steps"]:
        if "event_ms" in step:
            memory.add(step["event_ms"], CLICK, FUND, 0.0)
        else:
            bits = cap_bits(memory, np.array([1]), None, step["now_ms"])
            assert (bits is not None and bool(bits[0])) == step["out"], step


def test_machine() -> None:
    documented = example("machine")
    steps = tuple(
        MachineStep(frozenset(step["from"]), kind_id(step["on"]) if step["on"] else 0, step["count"], step["after_s"],
                    step["to"])
        for step in documented["steps"]
    )  # fmt: skip
    rule = MachineRule("stage", Scope.USER, tuple(documented["states"]), steps)
    memory = Memory(layout(DecayTables.of(300))._replace(machines=(rule,)))

    for step in documented["walk"]:
        if "event_ms" in step:
            memory.add(step["event_ms"], CLICK, 0, 0.0)
        else:
            changes_ms = memory.machines.user_changes_at(0, step["now_ms"])
            found = (memory.machines.state(0, step["now_ms"]), None if changes_ms == NEVER_MS else changes_ms)
            assert found == (step["state"], step["changes_ms"]), step


def test_budget() -> None:
    documented = example("budget")
    rule = SpendingRule(frozenset({CLICK}), Periods(documented["period_s"]))
    memory = Memory(layout(DecayTables.of(300))._replace(spending=rule))

    for step in documented["walk"]:
        if "event_ms" in step:
            memory.add(step["event_ms"], CLICK, FUND, step["value"])
        else:
            assert memory.spent(step["now_ms"]) == step["spent"], step


def test_derived_events() -> None:
    documented = example("derived")
    deriver = Deriver(
        DerivedRules(
            SessionRule(**with_ids(documented["session"])),
            tuple(DwellRule(**with_ids(rule)) for rule in documented["dwell"]),
            tuple(IgnoredRule(**with_ids(rule)) for rule in documented["ignored"]),
        )
    )

    for step in documented["steps"]:
        time_ms, kind, item, _ = step["event"]
        found = deriver.feed(time_ms, kind_id(kind), item)
        assert [list(map(list, events)) for events in found] == [
            [[time_ms, kind_id(kind), item, value] for time_ms, kind, item, value in step[place]]
            for place in ("before", "after")
        ], step


def with_ids(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule in which kinds are ids."""
    ids: dict[str, Any] = {field: kind_id(value) for field, value in rule.items() if isinstance(value, str)}
    ids |= {field: frozenset(map(kind_id, value)) for field, value in rule.items() if isinstance(value, list)}
    return rule | ids


class PortedDeriver:
    """Derived events, written from the pseudo-code of format.md alone."""

    def __init__(self, rules: DerivedRules) -> None:
        self.rules = rules
        self.last: int | None = None
        self.begun = 0
        self.stays = [[0, 0] for _ in rules.dwell]  # item, since
        self.n = [0 for _ in rules.ignored]

    def take_in(self, t: int, k: int, about: int) -> list[tuple[int, int, int, float]]:
        derived = []
        for d, stay in zip(self.rules.dwell, self.stays, strict=True):
            if k in d.activity and stay[0] != 0:
                if 0 <= t - stay[1] <= d.longest_s * 1000:
                    derived.append((t, d.kind, stay[0], seconds(t - stay[1])))
                stay[0] = 0
            if k in d.of and about != 0:
                stay[:] = about, t
        session = self.rules.session
        if session and k in session.activity:
            if self.last is None or t - self.last > session.gap_s * 1000:
                if self.last is not None and session.end_kind:
                    derived.append((self.last, session.end_kind, 0, seconds(max(0, self.last - self.begun))))
                if session.start_kind:
                    derived.append((t, session.start_kind, 0, 0.0 if self.last is None else seconds(t - self.last)))
                self.begun = t
            self.last = t
        derived.append((t, k, about, 0.0))
        for index, p in enumerate(self.rules.ignored):
            if k in p.reset_by:
                self.n[index] = 0
            elif k in p.seen:
                self.n[index] += 1
                if self.n[index] == p.count:
                    derived.append((t, p.kind, 0, float(p.count)))
                    self.n[index] = 0
        return derived


def seconds(milliseconds: int) -> float:
    """f32 through the bytes of the number, as another language would round."""
    return float(struct.unpack("<f", struct.pack("<f", milliseconds / 1000))[0])


@given(steps=st.lists(st.tuples(st.integers(-90_000, 90_000), st.integers(1, 4), st.integers(0, 2)), max_size=50))
def test_a_port_from_the_document_derives_the_same_events(steps: list[tuple[int, int, int]]) -> None:
    rules = DerivedRules(
        SessionRule(11, 12, frozenset({1, 2, 3}), 30),
        (DwellRule(13, frozenset({1}), frozenset({1, 2}), 60), DwellRule(14, frozenset({3}), frozenset({1}), 1)),
        (IgnoredRule(15, frozenset({2, 3}), frozenset({1}), 3),),
    )
    deriver, ported = Deriver(rules), PortedDeriver(rules)
    now_ms = 10_000_000

    for step_ms, kind, item in steps:
        now_ms += step_ms
        before, after = deriver.feed(now_ms, kind, item)
        assert [*before, (now_ms, kind, item, 0.0), *after] == ported.take_in(now_ms, kind, item)


def test_warm_up_and_pacing() -> None:
    documented = example("policy")
    warm_up, pacing = documented["warm_up"], documented["pacing"]
    policy = bare_policy(min_events=warm_up["min_events"], full_events=warm_up["full_events"])
    budget = Budget(pacing["amount"], Periods(pacing["period_s"]), pacing["pacing_gain"])

    weights = [warm_up_weight(policy, events) for events in range(len(warm_up["by_events"]))]
    assert weights == warm_up["by_events"]
    for step in pacing["walk"]:
        elapsed = budget.periods.elapsed(step["now_ms"], 0)
        assert current_cost_weight(pacing["cost_weight"], budget, step["spent"], elapsed) == step["λ"], step


def test_rank_bound() -> None:
    for case in example("policy")["rank_bound"]:
        order = bounded_order(np.array(case["wanted"]), np.array(case["home"]), case["max_rank_change"], 5)
        assert order.tolist() == case["order"]


@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 2**32 - 1))
def test_noise_from_the_document(seed: int, number: int) -> None:
    documented = example("policy")["noise"]

    def h(x: int) -> int:
        x = (x + 0x9E3779B9) % 2**32
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        return x ^ x >> 16

    def numbers(seed: int, decision: int) -> list[int]:
        return [h(h(h(seed) ^ decision) ^ index) >> 8 for index in range(6)]

    assert numbers(documented["seed"], documented["decision"]) == documented["numbers"]
    assert uniforms(seed, number, 6).tolist() == [(found + 0.5) / 2**24 for found in numbers(seed, number)]


def test_slate() -> None:
    documented = example("policy")
    slate, pins = documented["slate"], documented["pins"]
    given_places = pin_places([(candidate, place - 1) for candidate, place in pins["requested"]])
    assert list(zip(*given_places, strict=True)) == [(candidate, place - 1) for candidate, place in pins["given"]]
    scores = np.array(slate["final"], np.float32)
    limits = np.array([limit or NO_LIMIT for limit in slate["limits"]])
    pinned = [tuple(column) for column in zip(*slate["pinned"], strict=True)]
    pin_at = tuple(place - 1 for place in pinned[1])
    rules = Slate(np.arange(4), pinned[0], pin_at, np.array(slate["categories"]), limits)
    seed, number = documented["noise"]["seed"], documented["noise"]["decision"]
    noise = uniforms(seed, number, 6)
    softmax, greedy = slate["softmax"], slate["epsilon_greedy"]

    assert softmax["keys"] == pytest.approx(scores / softmax["temperature"] - np.log(-np.log(noise[2:])), rel=1e-14)
    for drawn, exploration in (
        (softmax, Exploration(Explore.SOFTMAX, temperature=softmax["temperature"])),
        (greedy, Exploration(Explore.EPSILON_GREEDY, epsilon=greedy["epsilon"])),
    ):
        draw = Draw(exploration, scores, rules, drawn_order(exploration, scores, rules, seed, number))
        assert draw.order.tolist() == drawn["drawn"]
        assert rules.listed(draw.order).tolist() == drawn["list"]
        assert draw.first_propensity().tolist() == pytest.approx(drawn["first"], abs=1e-10)
        assert draw.inclusion(drawn["limit"]).tolist() == pytest.approx(drawn["within"], abs=1e-10)


@given(
    far=st.lists(st.sampled_from([0.0, 0.7, -3.0, -39.0, -70.0, -900.0, -1e30]), min_size=1, max_size=4),
    places=st.integers(1, 6),
)
def test_probabilities_under_softmax_from_the_document(far: list[float], places: int) -> None:
    """Step 15: the sum over c's own time, and all sets of candidates that may have come before."""
    documented = example("policy")["far_apart"]
    limits = [limit or NO_LIMIT for limit in documented["limits"]]
    for finals, categories, limit, expected in (
        (documented["final"], documented["categories"], documented["limit"], documented["within"]),
        (far, [number % 3 for number in range(len(far))], places, None),
    ):
        scores = np.array(finals, np.float32)
        x = [float(final) / documented["temperature"] for final in scores]
        order = by_score(scores)
        draw = Draw(
            Exploration(Explore.SOFTMAX, temperature=documented["temperature"]),
            scores,
            Slate(order, (), (), np.array(categories), np.array(limits)),
            order,
        )
        if expected is None:
            expected = ported_inclusion(x, categories, limits, limit)
        else:
            assert ported_inclusion(x, categories, limits, limit) == pytest.approx(expected, abs=1e-10)
            assert draw.first_propensity().tolist() == pytest.approx(documented["first"], abs=1e-10)
        assert draw.inclusion(limit).tolist() == pytest.approx(expected, abs=1e-9)


def ported_inclusion(x: list[float], categories: list[int], limits: list[int], places: int) -> list[float]:
    """Step 15 for a draw without pins, with no thought of speed."""
    step, found = min(0.2, 0.75 / math.sqrt(places)), []
    for c, own in enumerate(x):
        others = [j for j in range(len(x)) if j != c]
        total = 0.0
        for number in range(int((32.24 + 3.48) / step) + 1):
            s = -32.24 + number * step  # + x(c) of the document
            come = {j: -math.expm1(-math.exp(min(s + (x[j] - own), 700.0))) for j in others}
            density = math.exp(s) * math.exp(-math.exp(s)) * step
            for earlier in (set(of) for size in range(len(x)) for of in combinations(others, size)):
                probability = math.prod(come[j] if j in earlier else 1 - come[j] for j in others)
                counts = Counter(categories[j] for j in earlier)
                taken = sum(min(count, limits[category]) for category, count in counts.items())
                if taken < places and counts[categories[c]] < limits[categories[c]]:
                    total += density * probability
        found.append(min(total, 1.0))
    return found


def bare_policy(**fields: int) -> Policy:
    """One objective, one offer, no rules."""
    nothing = np.zeros(2, np.int64)
    return Policy(("click",), np.ones(1, np.float32), (), nothing, nothing, np.zeros(2, np.float32), **fields)  # type: ignore[arg-type]


def test_projection() -> None:
    documented = example("projection")
    tables = ModelTables._make(np.array(documented[name], np.float32) for name in ModelTables._fields)
    projection = Projection(tables)
    events = documented["events"]
    item, kind = (np.array([event[name] for event in events], np.int32) for name in ("item", "kind"))
    values = np.array([event["value"] for event in events], np.float32)

    for name, found in zip(("term", "scale", "fading"), projection.events(item, kind, values), strict=True):
        np.testing.assert_allclose(found, [event[name] for event in events], rtol=0, atol=1e-6)
    np.testing.assert_allclose(projection.queries, documented["queries"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(projection.readouts, documented["readouts"], rtol=0, atol=1e-6)
    one_hot = np.array(documented["one_hot"], np.float32)
    np.testing.assert_allclose(projection.context_row(one_hot), [documented["context_row"]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "operators"), [("operators", OPERATORS), ("former operators", FORMER_OPERATORS)])
def test_operators(name: str, operators: dict[str, Operator]) -> None:
    documented = {}
    for line in block(f"text {name}").splitlines():
        operator, _, attributes = line.partition(" ")
        documented[operator] = {
            attribute: tuple(float(value) for value in values) or None
            for attribute, *values in (entry.split() for entry in attributes.split(",") if entry.strip())
        }
    assert documented == {operator: dict(attributes) for operator, (_, attributes, _) in operators.items()}
    assert list(documented) == sorted(documented)


def test_error_codes_are_complete() -> None:
    classes = {
        found.code: found
        for found in vars(errors).values()
        if inspect.isclass(found) and issubclass(found, EdgeError) and found is not EdgeError
    }
    rows = table("errors")

    assert [(int(row[0]), row[1]) for row in rows] == [(code.value, code.name) for code in ErrorCode]
    for code, row in zip(ErrorCode, rows, strict=True):
        if code in classes:
            assert row[2:4] == [classes[code].__name__, (inspect.getdoc(classes[code]) or "").splitlines()[0]]
        else:
            assert row[2] == ("decision" if code else "")
        assert len(row) == 5
        assert all(row[3:])


def test_reasons_are_complete() -> None:
    assert table("reasons") == [[str(reason.value), str(reason.name), reason.text] for reason in Reason]


def test_limits_are_complete() -> None:
    limits = {name: value for name, value in vars(config).items() if name.isupper()}

    assert {row[0]: row[1] for row in table("limits")} == {name: str(value) for name, value in limits.items()}


def test_the_bulk_example_records_the_events_that_it_lists(small: Small, tmp_path: Path) -> None:
    code = block("python bulk", "embedding.md").replace("item_view", "view").replace("fund_001", "fund_a")
    with small.open(tmp_path, SettableClock()) as engine:
        exec(code, {"engine": engine})
        records = internals(engine).state.log.read()
    assert records["kind"].tolist() == [kind_id("click"), kind_id("view")]
    assert items_of(records).tolist() == [item_id("fund_a")] * 2
    assert records["value"].tolist() == [0.0, 1200.0]
    assert records["time_s"].tolist() == [1768761638, 1768761639]
    assert records["time_ms"].tolist() == [641, 0]


def test_example_is_the_file_and_has_fifteen_lines() -> None:
    code = (DOCS / "example_embedding.py").read_text()
    body = code.split('"""')[2]

    assert block("python", "embedding.md") == code
    assert len([line for line in body.splitlines() if line.strip()]) <= 15


def test_example_speaks_the_words_of_the_wealth_scene() -> None:
    code = (DOCS / "example_embedding.py").read_text()
    scene = load_scene("wealth")

    assert set(re.findall(r'record\("(\w+)"', code)) <= set(scene.events.kinds)
    assert scene.events.shown
    assert "click" in scene.events.feedback
    assert "home" in scene.context["surface"]
    assert "active" in scene.context["stage"]


def test_example_runs(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = tmp_path / "build" / "demo"
    demo.mkdir(parents=True)
    (demo / "scene.edge").write_bytes(small.bundle.read_bytes())
    (demo / "scene.pub").write_bytes(small.public_key)
    code = (DOCS / "example_embedding.py").read_text()
    # The same program in the words of the small scene.
    words = {"item_view": "view", "cash_001": "fund_a", "pension_001": "fund_b", "insurance_001": "fund_c",
             "fund_001": "fund_d"}  # fmt: skip
    for ours, theirs in words.items():
        code = code.replace(f'"{ours}"', f'"{theirs}"')
    monkeypatch.chdir(tmp_path)

    exec(compile(code, "example_embedding.py", "exec"), {})

    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:3]] == ["1", "2", "3"]
    assert all(line[0] in "+-" for line in printed[3:])


def double(bits: str) -> float:
    return float(struct.unpack(">d", bytes.fromhex(bits))[0])
