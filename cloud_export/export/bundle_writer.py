"""Packs a bundle's payload: the scene, the layout and its policy, the two graphs, the tables, the golden vectors.

The reader is edge_sdk/bundle/reader.py; both follow edge_sdk/bundle/format/edge.fbs, and docs/format.md explains it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import flatbuffers
import numpy as np
import numpy.typing as npt

import edge_sdk
from cloud_export.features.layout import DeviceLayout
from cloud_export.scene.load import Scene
from cloud_export.scene.policy_table import policy_table
from cloud_export.scene.texts import merged_texts
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.golden import Golden
from edge_sdk.limits import FORMAT_VERSION
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.model.projection import ModelTables
from edge_sdk.policy.rules import Policy
from edge_sdk.types import I64
from edge_sdk.vocabulary import HIGH_AT, LOW_WORD, Vocabulary, kind_id


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """The content of a bundle."""

    scene: Scene
    layout: DeviceLayout
    model: bytes  # ONNX, the graph that ranks
    explainer: bytes  # ONNX, the graph that explains
    tables: ModelTables
    golden: tuple[Golden, ...]
    known_until_ms: int = 0  # newest event or decision in the log; 0 = not known


def model_version(model: bytes, explainer: bytes, tables: ModelTables) -> str:
    """Returns the first 12 hex digits of the SHA-256 of the two graphs and the tables, in the order of their fields."""
    digest = hashlib.sha256(model + explainer)
    for table in tables:
        digest.update(table.tobytes())
    return digest.hexdigest()[:12]


def pack_payload(content: Content) -> bytes:
    """Returns the unsigned bundle; the same content gives the same bytes.

    `edge_sdk.bundle.reader.unpack_payload` is the inverse.
    """
    scene, layout = content.scene, content.layout
    memory, policy = layout.memory, layout.policy
    bundle = fb.BundleT(
        formatVersion=FORMAT_VERSION,
        scene=scene.name,
        createdBy=f"cloud-export {edge_sdk.__version__}",
        window=memory.window,
        kinds=[_kind(layout, name) for name in layout.kinds],
        items=_vocabulary(memory.items),
        offers=_offers(memory.offers, policy),
        categories=list(layout.categories),
        context=[fb.ContextFieldT(name=field.name, values=list(field.values)) for field in policy.context],
        counterKinds=memory.counter_kinds,
        decays=[_decay(decay) for decay in memory.decays],
        machines=[_machine(rule) for rule in memory.machines] or None,
        policy=policy_table(scene),
        channels=_channels(policy) or None,
        variants=list(policy.variants) or None,
        attributes=list(policy.attributes) or None,
        knownUntilS=content.known_until_ms // 1000,
    )
    _add_derived(bundle, memory.derived)
    _add_feedback_and_texts(bundle, scene)
    _add_model(bundle, content)
    builder = flatbuffers.Builder(len(content.model) + len(content.explainer) + 65536)
    builder.Finish(bundle.Pack(builder))
    return bytes(builder.Output())


# ---- groups of fields ----


def _add_derived(bundle: fb.BundleT, rules: DerivedRules) -> None:
    bundle.session = _session(rules.session) if rules.session else None
    bundle.dwell = [_dwell(rule) for rule in rules.dwell] or None
    bundle.ignored = [_ignored(rule) for rule in rules.ignored] or None


def _add_feedback_and_texts(bundle: fb.BundleT, scene: Scene) -> None:
    events = scene.events
    bundle.shownKind = kind_id(events.shown) if events.shown else 0
    bundle.feedback = [fb.FeedbackT(outcome=name, kind=kind_id(kind)) for name, kind in events.feedback.items()]
    bundle.texts = [
        fb.TextsT(language=language, keys=list(texts), texts=list(texts.values()))
        for language, texts in merged_texts(scene).items()
    ]


def _add_model(bundle: fb.BundleT, content: Content) -> None:
    bundle.modelVersion = model_version(content.model, content.explainer, content.tables)
    bundle.model = np.frombuffer(content.model, np.uint8)
    bundle.explainer = np.frombuffer(content.explainer, np.uint8)
    bundle.tables = _tables(content.tables)
    bundle.golden = [_golden(golden) for golden in content.golden]


# ---- one table each ----


def _offers(offers: Vocabulary, policy: Policy) -> fb.OffersT:
    return fb.OffersT(
        names=_vocabulary(offers),
        validFromS=_seconds(policy.valid_from_ms),
        validUntilS=_seconds(policy.valid_until_ms),
        costs=policy.offer_costs[1:] if policy.offer_costs.any() else None,
    )


def _channels(policy: Policy) -> list[fb.ChannelT]:
    """All channels but the first, which is the app itself."""
    return [fb.ChannelT(name=one.name, shownKind=one.shown_kind, cost=one.cost) for one in policy.channels[1:]]


def _kind(layout: DeviceLayout, name: str) -> fb.KindT:
    identifier = kind_id(name)
    rule = layout.memory.kinds[identifier]
    return fb.KindT(
        name=name,
        id=identifier,
        inWindow=rule.in_window,
        counter=rule.counter + 1,
        keepS=rule.keep_s,
        derived=identifier in layout.memory.derived.kinds,
    )


def _tables(tables: ModelTables) -> fb.ModelTablesT:
    return fb.ModelTablesT(
        items=tables.items.reshape(-1),
        value=tables.value,
        kindScale=tables.kind_scale.reshape(-1),
        kindShift=tables.kind_shift.reshape(-1),
        kindFading=tables.kind_fading,
        context=tables.context.reshape(-1),
        offers=tables.offers.reshape(-1),
        query=tables.query.reshape(-1),
        readout=tables.readout.reshape(-1),
    )


def _session(rule: SessionRule) -> fb.SessionRuleT:
    return fb.SessionRuleT(
        startKind=rule.start_kind, endKind=rule.end_kind, activity=_ids(rule.activity), gapS=rule.gap_s
    )


def _dwell(rule: DwellRule) -> fb.DwellRuleT:
    return fb.DwellRuleT(kind=rule.kind, of=_ids(rule.of), activity=_ids(rule.activity), longestS=rule.longest_s)


def _ignored(rule: IgnoredRule) -> fb.IgnoredRuleT:
    return fb.IgnoredRuleT(kind=rule.kind, seen=_ids(rule.seen), resetBy=_ids(rule.reset_by), count=rule.count)


def _ids(kinds: frozenset[int]) -> npt.NDArray[np.uint16]:
    return np.array(sorted(kinds), np.uint16)


def _vocabulary(vocabulary: Vocabulary) -> fb.VocabularyT:
    return fb.VocabularyT(
        ids=vocabulary.lows,
        highs=vocabulary.highs,
        names="\n".join(vocabulary.names()),
        categories=vocabulary.row_category[1:].astype(np.uint16),
    )


def _seconds(times_ms: I64) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return (times_ms[1:] // 1000).astype(np.uint32)


def _decay(decay: DecayTables) -> fb.DecayT:
    return fb.DecayT(
        halfLifeS=decay.half_life_s,
        tickMs=decay.tick_ms,
        growCoarse=decay.grow_coarse,
        growFine=decay.grow_fine,
        fadeCoarse=decay.fade_coarse,
        fadeFine=decay.fade_fine,
    )


def _machine(rule: MachineRule) -> fb.MachineT:
    return fb.MachineT(
        name=rule.name, per=int(rule.per), states=list(rule.states), steps=[_step(step) for step in rule.steps]
    )


def _step(step: MachineStep) -> fb.MachineStepT:
    return fb.MachineStepT(
        from_=np.array(sorted(step.sources), np.uint8) if step.sources else None,
        on=step.kind,
        count=step.count,
        afterS=step.after_s,
        to=step.target,
    )


def _golden(golden: Golden) -> fb.GoldenT:
    events = [
        fb.EventT(
            seq=seq,
            timeS=time_ms // 1000,
            timeMs=time_ms % 1000,
            kind=kind,
            item=item & LOW_WORD,
            itemHigh=item >> HIGH_AT,
            value=value,
        )
        for seq, (time_ms, kind, item, value) in enumerate(
            zip(golden.times_ms, golden.kinds, golden.items, golden.values, strict=True), 1
        )
    ]
    return fb.GoldenT(
        events=events,
        nowS=golden.now_ms // 1000,
        nowMs=golden.now_ms % 1000,
        context=golden.context,
        candidates=golden.candidates,
        baseLogits=golden.base_logits.reshape(-1),
        eventItem=golden.event_item,
        eventKind=golden.event_kind,
        eventAgeS=golden.event_age_s,
        eventValue=golden.event_value,
        counters=golden.counters.reshape(-1),
        logits=golden.logits.reshape(-1),
    )
