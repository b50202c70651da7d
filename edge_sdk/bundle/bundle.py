"""A bundle as read and checked; its model stays a part of the file in memory until a session loads it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edge_sdk.bundle.golden import Golden
from edge_sdk.bundle.policy_symbols import PolicySymbols
from edge_sdk.bundle.texts import BundleTexts
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.model.projection import ModelTables
from edge_sdk.policy.conditions import MachineField
from edge_sdk.policy.rules import Channel, Policy
from edge_sdk.types import F32


class Bundle(NamedTuple):
    """Everything that all devices of a scene share."""

    path: Path
    scene: str
    model_version: str
    created_by: str
    known_until_ms: int  # time of the newest event or decision in the training log, ms since 1970; 0 = not known
    layout: MemoryLayout
    kind_names: tuple[str, ...]  # all kinds in row order, row 1 first
    kind_ids: dict[str, int]  # of the kinds that an app may record, which the derived ones are not
    categories: tuple[str, ...]  # row order, row 1 first
    policy: Policy  # in force: the bundle's own, or one installed later
    symbols: PolicySymbols  # what a policy may refer to
    machine_fields: tuple[MachineField, ...]
    shown_kind: int  # 0 = the scene declares none
    feedback: dict[str, int]  # outcome -> kind id
    model: memoryview
    explainer: memoryview
    tables: ModelTables | None  # None = the graphs contain them, as up to format 2
    stand_ins: F32 | None  # (categories, d) rows of offers that the bundle does not know; None = likewise
    golden: tuple[Golden, ...]
    text_tables: BundleTexts

    @property
    def objectives(self) -> tuple[str, ...]:
        """Names of the K objectives, in the order of every (…, K) array."""
        return self.policy.objectives

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Channels to the user; the first is the app itself, named ""."""
        return self.symbols.channels

    @property
    def languages(self) -> tuple[str, ...]:
        """BCP 47 tags of the languages with texts."""
        return self.text_tables.languages

    def texts(self, language: str) -> dict[str, str]:
        """Returns the texts of one language by key, read from the file at each call; empty where there are none."""
        return self.text_tables.read(language)


def with_policy(bundle: Bundle, policy: Policy) -> Bundle:
    """Returns the bundle with another policy in force."""
    return bundle._replace(policy=policy, layout=policy.counted_in(bundle.layout))
