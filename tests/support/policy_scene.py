"""The small scene with one rule of every sort, for tests of packing and of reading."""

from __future__ import annotations

from typing import Any

from tests.support.scene import SCENE

POLICY: dict[str, Any] = {
    "version": 7,
    "eligibility": [
        {"category": "coupon", "when": {"stage": "new"}},
        {
            "name": "calm",
            "offers": ["fund_a", "fund_z"],
            "when": {"holding": ["before", "during"], "balance": {"at_least": 100}},
        },
    ],
    "blocks": [
        {"name": "no pushes", "channel": "push", "when": {"mood": "tired"}},
        {"name": "not this", "offers": "fund_b", "by": "user"},
    ],
    "pins": [{"category": ["fund", "coupon"], "place": 2, "count": 3, "by": "user", "when": {"surface": "wealth"}}],
    "weights": [{"name": "at home", "when": {"surface": "home"}, "weights": {"convert": 2.0, "click": 0.25}}],
    "boosts": [
        {
            "category": "fund",
            "channel": ["", "sms"],
            "add": -0.5,
            "when": {"balance": {"at_least": 10, "below": 20.5}},
        },
    ],
    "caps": [
        {"kind": ["impression", "push_shown"], "per": "user", "limit": 9, "within": "week"},
        {"name": "few pushes", "per": "channel", "limit": 2, "within": "day"},
        {"kind": "convert", "per": "category", "limit": 3, "within_s": 7200, "channel": "sms"},
    ],
    "cooldowns": [{"kind": "dismiss", "rest_s": 1800}],
    "quiet_hours": [{"name": "night", "channel": ["push"], "from": "22:00", "until": "08:30"}],
    "warm_up": {"min_events": 2, "full_events": 8},
    "model_bounds": {"max_rank_change": 3, "max_score_change": 0.75},
    "cost": {"weight": 0.5},
    "budget": {"amount": 10, "period": "day", "pacing_gain": 0.25},
    "diversity": 0.125,
    "category_limits": {"fund": 2, "*": 3, "unheard of": 1},
    "minimum": {"score": -1.5, "retry_after_s": 600},
    "exploration": {"mode": "epsilon_greedy", "epsilon": 0.25},
}

POLICY_SCENE: dict[str, Any] = {
    **SCENE,
    "events": {**SCENE["events"], "kinds": [*SCENE["events"]["kinds"], "push_shown", "sms_shown"]},
    "channels": {"push": {"shown": "push_shown", "cost": 0.25}, "sms": {"shown": "sms_shown"}},
    "variants": ["short", "long"],
    "attributes": {"names": ["balance"]},
    "machines": [
        {
            "name": "stage",
            "states": ["new", "active"],
            "steps": [
                {"from": "new", "on": "click", "count": 3, "to": "active"},
                {"from": ["active"], "after_s": 86_400, "to": "new"},
            ],
        },
        {
            "name": "holding",
            "per": "offer",
            "states": ["before", "during"],
            "steps": [{"on": "convert", "to": "during"}],
        },
        {"name": "mood", "states": ["fresh", "tired"], "steps": [{"on": "dismiss", "to": "tired"}]},
    ],
    "texts": {
        "en": {"offer": {"fund_a": "Fund A"}, "variant.short": "Look!"},
        "zh": {"state.mood.tired": "累了"},
        "zh-Hant": {"kind.view": "瀏覽"},
    },
    "policy": POLICY,
}
