"""Packs the bundle and the policies that the stress harness plays with, and reads them again without the exporter.

A child of the harness must not load torch. So a separate process packs (`python -m tests.deep.stress.kit FOLDER`), and
the children read what it wrote.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

OFFERS: Final = ("coupon_a", "coupon_b", "fund_a", "fund_b", "fund_c", "fund_d")
ITEMS: Final = (*OFFERS, "page_coupons", "page_home", "rare_fund_page")
CATEGORY: Final = {**{offer: offer.split("_")[0] for offer in OFFERS}, "page_coupons": "coupon"}
CHANNELS: Final = ("", "push", "sms")
CHANNEL_COSTS: Final = {"": 0.0, "push": 0.25, "sms": 0.75}
SHOWN: Final = {"": "impression", "push": "push_shown", "sms": "sms_shown"}
KINDS: Final = ("view", "click", "impression", "dismiss", "convert", "note", "push_shown", "sms_shown")
OUTCOMES: Final = ("click", "convert", "dismiss")
NOW_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC
BUDGET: Final = 10.0  # a day
FAR_VERSION: Final = 40  # policies have versions 2 to this one

_DERIVED: Final[dict[str, Any]] = {
    "session": {"gap_s": 300, "start": "visit", "end": "visit_end", "activity": ["view", "click", "impression"]},
    "dwell": [{"kind": "stay", "of": ["view"], "longest_s": 240, "activity": ["view", "click", "dismiss"]}],
    "ignored": [{"kind": "passed_over", "seen": ["impression"], "reset_by": ["click", "convert"], "count": 2}],
}


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap or cooldown of the policy, as the oracle counts it."""

    kinds: tuple[str, ...]
    per: str  # "offer", "category" or "user"
    limit: int
    within_s: int
    channels: tuple[str, ...] = CHANNELS  # of the candidates that it suppresses


CAPS: Final = (
    Cap(("impression", "push_shown", "sms_shown"), "offer", 3, 3600),
    Cap(("impression",), "category", 12, 7200),
    Cap(("push_shown",), "user", 12, 43_200, ("push",)),
    Cap(("dismiss",), "offer", 1, 1800),  # the cooldown
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed file, and where its payload and the payload's hash are."""

    content: bytes
    payload_at: int
    payload_bytes: int
    digest_at: int


@dataclass(frozen=True, slots=True)
class Kit:
    """What a child needs to open an engine."""

    bundle: Path
    other_bundle: Path  # of the same scene, with another model
    public_key: bytes
    policies: dict[int, Path]  # by version
    sealed_bundle: Sealed
    sealed_policy: Sealed  # of the highest version


def policy_table(version: int) -> dict[str, Any]:
    """Returns the [policy] table: a rule of every sort. Odd versions count one kind more."""
    return {
        "version": version,
        "eligibility": [{"category": "coupon", "when": {"mood": ["fresh", "tired"]}}],
        "blocks": [{"channel": "sms", "when": {"mood": "tired"}}],
        "caps": [
            {"name": "each", "kind": list(CAPS[0].kinds), "per": "offer", "limit": 3, "within_s": 3600},
            {"name": "group", "kind": "impression", "per": "category", "limit": 12, "within_s": 7200},
            {"name": "pushes", "kind": "push_shown", "per": "user", "limit": 12, "within_s": 43_200, "channel": "push"},
            *([{"kind": "click", "per": "offer", "limit": 90 + version, "within_s": 900 + version}] * (version % 2)),
        ],
        "cooldowns": [{"kind": "dismiss", "per": "offer", "rest_s": 1800}],
        "quiet_hours": [{"channel": ["push"], "from": "22:00", "until": "08:00"}],
        "budget": {"amount": BUDGET, "period": "day", "pacing_gain": 0.25},
        "boosts": [{"category": "fund", "add": 0.25, "when": {"holding": ["before", "during"]}}],
        "warm_up": {"min_events": version % 8, "full_events": 8},
        "model_bounds": {"max_rank_change": 4, "max_score_change": 1.5},
        "cost": {"weight": 0.5},
        "diversity": 0.125,
        "category_limits": {"fund": 3, "*": 4},
        "pins": [{"category": ["coupon"], "place": 2, "count": 1, "by": "operator", "when": {"surface": "wealth"}}],
        "exploration": {"mode": "softmax", "temperature": 0.5},
    }


def made(folder: Path) -> Kit:
    """Returns the kit in this folder; a separate process packs it if it is not there."""
    if not (folder / "kit.json").exists():
        subprocess.run([sys.executable, "-m", "tests.deep.stress.kit", str(folder)], check=True)
    found = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    policies = {version: folder / f"{version}.edgp" for version in range(2, FAR_VERSION + 1)}
    bundle = folder / "one" / "scene.edge"
    return Kit(
        bundle=bundle,
        other_bundle=folder / "two" / "scene.edge",
        public_key=bytes.fromhex(found["public_key"]),
        policies=policies,
        sealed_bundle=Sealed(bundle.read_bytes(), *found["bundle"]),
        sealed_policy=Sealed(policies[FAR_VERSION].read_bytes(), *found["policy"]),
    )


def _places(content: bytes, payload: bytes) -> list[int]:
    """Returns where the payload is, its size, and where its hash is."""
    return [content.index(payload), len(payload), content.index(hashlib.sha256(payload).digest())]


def _pack(folder: Path) -> None:
    import numpy as np

    from cloud_export.export.bundle_writer import Content, pack_payload
    from cloud_export.export.container_writer import development_key, sign_container
    from cloud_export.export.golden import make_golden
    from cloud_export.export.onnx_graphs import export_explainer, export_ranker, export_tables
    from cloud_export.export.policy_file import pack_policy_file, sign_policy_file
    from cloud_export.scene.load import scene_from_table
    from tests.support.random_policies import RICH
    from tests.support.scene import DERIVED_SCENE, packed, random_model

    table = {
        **RICH,
        "events": {**RICH["events"], **_DERIVED},
        "model": DERIVED_SCENE["model"],
        "policy": policy_table(1),
    }
    (folder / "one").mkdir(parents=True, exist_ok=True)
    (folder / "two").mkdir(exist_ok=True)
    small, key = packed(folder / "one", table), development_key("small")
    model = random_model(small.layout, seed=6)
    ranker, tables = export_ranker(model), export_tables(model)
    chosen = np.arange(len(small.log.decisions.time_ms))
    logits = np.random.default_rng(4).normal(size=(len(chosen), len(OFFERS), 2)).astype(np.float32)
    golden = make_golden(small.log, small.layout, ranker, tables, chosen, logits, 4)
    content = Content(small.scene, small.layout, ranker, export_explainer(model), tables, golden)
    (folder / "two" / "scene.edge").write_bytes(sign_container(pack_payload(content), [key]))
    for version in range(2, FAR_VERSION + 1):
        scene = scene_from_table({**table, "policy": policy_table(version)})
        (folder / f"{version}.edgp").write_bytes(sign_policy_file(scene, key))
    found = {
        "public_key": small.public_key.hex(),
        "bundle": _places(small.bundle.read_bytes(), pack_payload(small.content)),
        "policy": _places((folder / f"{FAR_VERSION}.edgp").read_bytes(), pack_policy_file(scene)),
    }
    (folder / "kit.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _pack(Path(sys.argv[1]))
