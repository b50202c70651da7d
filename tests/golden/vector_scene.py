"""The bundle and the policy files of the golden decisions: a small scene with every feature and a random model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cloud_export.export.bundle_writer import Content, pack_payload
from cloud_export.export.container_writer import development_key, sign_container
from cloud_export.export.golden import make_golden
from cloud_export.export.onnx_graphs import export_explainer, export_ranker, export_tables
from cloud_export.export.policy_file import sign_policy_file
from cloud_export.features.layout import build_layout
from cloud_export.scene.load import scene_from_table
from tests.support.scene import DERIVED_SCENE, random_model, small_log

KEY = development_key("golden decisions")

COSTS = (0.5, 0.25, 1.0, 0.0, 0.75, 0.125)  # of OFFERS

SCENE: dict[str, Any] = {
    **DERIVED_SCENE,
    "scene": {"name": "golden", "objective_order": ["click", "convert"]},
    "events": {**DERIVED_SCENE["events"], "kinds": [*DERIVED_SCENE["events"]["kinds"], "push_shown", "sms_shown"]},
    "channels": {"push": {"shown": "push_shown", "cost": 0.25}, "sms": {"shown": "sms_shown", "cost": 0.5}},
    "variants": ["short", "long"],
    "attributes": {"names": ["balance", "age"]},
    "machines": [
        {
            "name": "stage",  # sets the context field of this name where the app passes none
            "states": ["new", "active"],
            "steps": [
                {"from": "new", "on": "click", "count": 3, "to": "active"},
                {"from": "active", "after_s": 7200, "to": "new"},
            ],
        },
        {
            "name": "holding",
            "per": "offer",
            "states": ["before", "during", "after"],
            "steps": [
                {"from": "before", "on": "convert", "to": "during"},
                {"from": "during", "after_s": 600, "to": "after"},
                {"from": "after", "after_s": 1200, "to": "before"},
            ],
        },
        {
            "name": "interest",
            "per": "category",
            "states": ["cold", "warm"],
            "steps": [{"on": "view", "count": 2, "to": "warm"}, {"from": "warm", "after_s": 900, "to": "cold"}],
        },
        {
            "name": "mood",
            "states": ["fresh", "tired"],
            "steps": [{"on": "dismiss", "to": "tired"}, {"from": "tired", "after_s": 1200, "to": "fresh"}],
        },
    ],
    "texts": {"en": {"offer": {"fund_a": "Fund A"}}},
    "policy": {**DERIVED_SCENE["policy"], "version": 1},
}

# The policy of each file by name. Each version is above the former ones, so a policy can follow any earlier one.
POLICIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "states": {
        "eligibility": [
            {"category": "coupon", "when": {"stage": "new"}},
            {"offers": ["fund_a", "fund_b"], "when": {"holding": ["before", "after"]}},
            {"name": "rich", "offers": "fund_c", "when": {"balance": {"at_least": 100, "below": 1000}}},
        ],
        "blocks": [
            {"name": "no pushes", "channel": "push", "when": {"mood": "tired"}},
            {"name": "cold funds", "category": "fund", "when": {"interest": "warm", "surface": "wealth"}},
            {"name": "not this", "offers": "coupon_b", "by": "user"},
        ],
    },
    "counts": {
        "caps": [
            {"kind": ["impression", "push_shown"], "per": "user", "limit": 4, "within_s": 3600},
            {"name": "few pushes", "per": "channel", "limit": 2, "within_s": 7200},
            {"kind": "impression", "per": "category", "limit": 3, "within_s": 1800},
            {"kind": "impression", "limit": 2, "within": "total"},
        ],
        "cooldowns": [{"kind": "dismiss", "rest_s": 1800}, {"kind": "convert", "per": "category", "rest_s": 600}],
        "quiet_hours": [
            {"name": "night", "channel": ["push", "sms"], "from": "22:00", "until": "08:30"},
            {"name": "lunch", "from": "12:30", "until": "13:00"},
        ],
    },
    "money": {
        "cost": {"weight": 0.5},
        "budget": {"amount": 2.5, "period": "hour", "pacing_gain": 0.5},
    },
    "trust": {"warm_up": {"min_events": 2, "full_events": 6}, "model_bounds": {"max_score_change": 0.4}},
    "scores": {
        "weights": [{"name": "at home", "when": {"surface": "home"}, "weights": {"convert": 2.0, "click": 0.25}}],
        "boosts": [
            {"category": "fund", "add": -0.25, "when": {"balance": {"at_least": 10, "below": 20.5}}},
            {"offers": "coupon_b", "add": 0.75},
            {"channel": "push", "add": -0.125, "when": {"mood": "tired"}},
            {"offers": ["fund_a", "fund_b"], "add": 0.5, "when": {"holding": "during"}},
        ],
        "cost": {"weight": 0.25},
        "model_bounds": {"max_rank_change": 1},
        "diversity": 0.3,
    },
    "slate": {
        "pins": [
            {"offers": "fund_d", "place": 2, "by": "user"},
            {"category": "fund", "place": 1, "count": 2, "when": {"surface": "wealth"}},
            {"offers": "coupon_b", "place": 9, "when": {"interest": "warm"}},
        ],
        "category_limits": {"fund": 2, "*": 1},
        "minimum": {"score": -0.5, "retry_after_s": 600},
    },
    "epsilon": {
        "exploration": {"mode": "epsilon_greedy", "epsilon": 0.5},
        "category_limits": {"fund": 2},
        "pins": [{"offers": "fund_d", "place": 2, "when": {"surface": "wealth"}}],
    },
    "softmax": {
        "exploration": {"mode": "softmax", "temperature": 0.5},
        "category_limits": {"fund": 2},
        "pins": [{"offers": "fund_d", "place": 2, "when": {"surface": "wealth"}}],
    },
    "worthless": {"minimum": {"score": 99, "retry_after_s": 600}},
}


def bundle_payload() -> bytes:
    """Returns the unsigned bundle. The bytes of its graphs depend on the version of torch; their results do not."""
    scene = scene_from_table(SCENE)
    log = small_log()
    log = replace(log, catalogue=replace(log.catalogue, cost=np.array(COSTS, np.float32)))
    layout = build_layout(scene, log, training_events=np.ones(len(log.events.item), np.bool_))
    model = random_model(layout)
    ranker, tables = export_ranker(model), export_tables(model)
    chosen = np.arange(len(log.decisions.time_ms))
    logits = np.random.default_rng(3).normal(size=(len(chosen), len(COSTS), 2)).astype(np.float32)
    golden = make_golden(log, layout, ranker, tables, chosen, logits, 2)
    return pack_payload(Content(scene, layout, ranker, export_explainer(model), tables, golden))


def bundle_file() -> bytes:
    """Returns the signed bundle."""
    return sign_container(bundle_payload(), [KEY])


def policy_files() -> dict[str, bytes]:
    """Returns the signed policies by the name of their file."""
    files = {}
    for version, (name, policy) in enumerate(POLICIES.items(), 2):
        scene = scene_from_table({**SCENE, "policy": {**policy, "version": version}})
        files[f"{name}.policy"] = sign_policy_file(scene, KEY)
    return files
