"""Layout + policy + graphs + self-tests -> a signed `.edge` file; and the base decisions as Parquet.

The reader is edge_sdk/bundle/bundle.py; both follow edge_sdk/bundle/format/edge.fbs, and docs/format.md explains it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import flatbuffers
import numpy as np
import numpy.typing as npt
import polars as pl

import edge_sdk
from cloud_export.atomic_write import write_whole
from cloud_export.export.container_writer import development_key, public_bytes, sign_container
from cloud_export.features.layout import DeviceLayout
from cloud_export.scene.load import Scene
from cloud_export.scene.policy_table import policy_table
from cloud_export.scene.texts import merged_texts
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.golden import Golden
from edge_sdk.limits import FORMAT_VERSION
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.model.projection import ModelTables
from edge_sdk.types import F32, I64
from edge_sdk.vocabulary import Vocabulary, kind_id

__all__ = [
    "Content",
    "development_key",
    "model_version",
    "pack_payload",
    "public_bytes",
    "sign_container",
    "write_base_decisions",
]


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What goes into a bundle."""

    scene: Scene
    layout: DeviceLayout
    model: bytes  # ONNX, the graph that ranks
    explainer: bytes  # ONNX, the graph that explains
    tables: ModelTables
    golden: tuple[Golden, ...]
    known_until_ms: int = 0  # newest event or decision in the log; 0 = not known


def model_version(model: bytes, explainer: bytes, tables: ModelTables) -> str:
    """First 12 hex digits of the SHA-256 of the two graphs and the tables, in the order of their fields."""
    digest = hashlib.sha256(model + explainer)
    for table in tables:
        digest.update(table.tobytes())
    return digest.hexdigest()[:12]


def pack_payload(content: Content) -> bytes:
    """The unsigned bundle, as bytes; the same content gives the same bytes."""
    scene, layout = content.scene, content.layout
    memory, policy = layout.memory, layout.policy
    bundle = fb.BundleT(
        formatVersion=FORMAT_VERSION,
        scene=scene.name,
        modelVersion=model_version(content.model, content.explainer, content.tables),
        createdBy=f"cloud-export {edge_sdk.__version__}",
        window=memory.window,
        kinds=[_kind(layout, name) for name in layout.kinds],
        items=_vocabulary(memory.items),
        offers=fb.OffersT(
            names=_vocabulary(memory.offers),
            validFromS=_seconds(policy.valid_from_ms),
            validUntilS=_seconds(policy.valid_until_ms),
            costs=policy.offer_costs[1:] if policy.offer_costs.any() else None,
        ),
        categories=list(layout.categories),
        context=[fb.ContextFieldT(name=field.name, values=list(field.values)) for field in policy.context],
        counterKinds=memory.counter_kinds,
        decays=[_decay(decay) for decay in memory.decays],
        policy=policy_table(scene),
        shownKind=kind_id(scene.events.shown) if scene.events.shown else 0,
        feedback=[fb.FeedbackT(outcome=name, kind=kind_id(kind)) for name, kind in scene.events.feedback.items()],
        model=np.frombuffer(content.model, np.uint8),
        explainer=np.frombuffer(content.explainer, np.uint8),
        golden=[_golden(golden) for golden in content.golden],
        session=_session(memory.derived.session) if memory.derived.session else None,
        dwell=[_dwell(rule) for rule in memory.derived.dwell] or None,
        ignored=[_ignored(rule) for rule in memory.derived.ignored] or None,
        channels=[
            fb.ChannelT(name=channel.name, shownKind=channel.shown_kind, cost=channel.cost)
            for channel in policy.channels[1:]
        ]
        or None,
        variants=list(policy.variants) or None,
        machines=[_machine(rule) for rule in memory.machines] or None,
        attributes=list(policy.attributes) or None,
        texts=[
            fb.TextsT(language=language, keys=list(texts), texts=list(texts.values()))
            for language, texts in merged_texts(scene).items()
        ],
        knownUntilS=content.known_until_ms // 1000,
        tables=_tables(content.tables),
    )
    builder = flatbuffers.Builder(len(content.model) + len(content.explainer) + 65536)
    builder.Finish(bundle.Pack(builder))
    return bytes(builder.Output())


def write_base_decisions(
    path: Path, users: Sequence[str], layout: DeviceLayout, logits: F32, refreshed_ms: int
) -> None:
    """Write one row a user: offers best first (by the policy's weights), and a list of base logits an objective.

    Args:
        path: the Parquet file; columns user, refreshed, offers, and logits_<objective> each.
        users: U names.
        layout: the scene's offers and policy.
        logits: (U, O, K).
        refreshed_ms: the moment that the logits know everything up to, ms since 1970.
    """
    policy = layout.policy
    order = np.argsort(-(logits @ policy.weights), axis=1, kind="stable")
    names = np.array(layout.memory.offers.names(), dtype=object)
    columns: dict[str, pl.Series] = {
        "user": pl.Series(users, dtype=pl.String),
        "refreshed": pl.Series([refreshed_ms] * len(users), dtype=pl.Int64).cast(pl.Datetime("ms")),
        "offers": pl.Series(names[order].tolist(), dtype=pl.List(pl.String)),
    }
    for index, objective in enumerate(policy.objectives):
        ordered = np.take_along_axis(logits[..., index], order, axis=1)
        columns[f"logits_{objective}"] = pl.Series(ordered.tolist(), dtype=pl.List(pl.Float32))
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    write_whole(path, buffer.getvalue())


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
    return fb.IgnoredRuleT(kind=rule.kind, seen=_ids(rule.seen), touched=_ids(rule.touched), count=rule.count)


def _ids(kinds: frozenset[int]) -> npt.NDArray[np.uint16]:
    return np.array(sorted(kinds), np.uint16)


def _vocabulary(vocabulary: Vocabulary) -> fb.VocabularyT:
    return fb.VocabularyT(
        ids=vocabulary.ids,
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
        fb.EventT(seq=seq, timeS=time_ms // 1000, timeMs=time_ms % 1000, kind=kind, item=item, value=value)
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
