"""The benchmark of a decision measures every figure it names under its full policy; no test here depends on time."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from benchmarks.decision import __main__ as decision
from benchmarks.decision.bundles import decision_bundles
from benchmarks.scale.bundles import Sizes, pack_bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.format.generated.edge_generated import BundleT


def test_every_figure_is_measured_in_every_round(tmp_path: Path) -> None:
    packed = pack_bundle(tmp_path / "bundle", Sizes(items=400, offers=60))
    figures = decision.measure(packed.path, packed.public_key, rounds=2, calls=2)
    assert decision.__doc__ is not None
    assert set(figures) == set(re.findall(r"^\| `(\w+)` \|", decision.__doc__, re.MULTILINE))
    assert all(len(values) == 2 for values in figures.values())
    assert all(value > 0 for name, values in figures.items() if name != "policy_adds_us" for value in values)


def test_the_two_bundles_differ_in_their_rules_alone(tmp_path: Path) -> None:
    packed = pack_bundle(tmp_path / "bundle", Sizes(items=400, offers=60))
    both = decision_bundles(packed.path, packed.public_key, tmp_path / "both")
    full, bare = (
        BundleT.InitFromPackedBuf(open_container(path, trusted_keys=[both.public_key], allow_unsigned=False))
        for path in (both.full, both.bare)
    )
    assert bytes(full.model) == bytes(bare.model) != b""
    assert (full.modelVersion, full.window) == (bare.modelVersion, bare.window)
    rules = tomllib.loads(Path(decision.__file__).with_name("full_policy.toml").read_text())["policy"]
    assert len(full.policy.caps) == len(rules["caps"]) + len(rules["cooldowns"])
    assert not bare.policy.caps
