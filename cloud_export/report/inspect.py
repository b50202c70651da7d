"""Describes a bundle in rows of text, for `cloud-export inspect`."""

from __future__ import annotations

from collections.abc import Iterable

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.policy.rules import Explore, Policy


def bundle_rows(content: Bundle, *, size_bytes: int) -> dict[str, str]:
    """Returns label -> value of each row, in printing order."""
    layout, policy = content.layout, content.policy
    derived = [name for name in content.kind_names if name not in content.kind_ids]
    return {
        "scene": content.scene,
        "model version": content.model_version,
        "made by": content.created_by,
        "file": f"{size_bytes:,} bytes",
        "model": f"{len(content.model):,} bytes (explainer {len(content.explainer):,}, {_tables_place(content)})",
        "window": f"{layout.window} events",
        "kinds": _listed(content.kind_ids),
        "derived kinds": _listed(derived),
        "items": f"{len(layout.items):,}",
        "offers": f"{len(layout.offers):,} in {len(content.categories)} categories",
        "half-lives": _listed(f"{decay.half_life_s} s" for decay in layout.decays),
        "objectives": _listed(f"{n} × {w:g}" for n, w in zip(policy.objectives, policy.weights, strict=True)),
        "context": "; ".join(f"{field.name}: {', '.join(field.values)}" for field in policy.context) or "none",
        "attributes": _listed(policy.attributes),
        "machines": _listed(f"{rule.name} per {rule.per.name.lower()}" for rule in layout.machines),
        "channels": _listed(channel.name for channel in content.channels[1:]),
        "variants": _listed(policy.variants),
        **policy_rows(content),
        "texts": _listed(content.languages),
        "golden vectors": f"{len(content.golden)}, all reproduced on this machine",
    }


def _tables_place(content: Bundle) -> str:
    """Names where the tables are, and their size."""
    if content.tables is None:
        return "tables in both"
    return f"tables {sum(table.nbytes for table in content.tables):,}"


def policy_rows(content: Bundle) -> dict[str, str]:
    """Returns the rules in short: their names, and the numbers that are set."""
    policy = content.policy
    return {
        "policy version": str(policy.version),
        "eligibility": _listed(rule.name for rule in policy.drops if not rule.drops_when),
        "blocks": _listed(rule.name for rule in policy.drops if rule.drops_when),
        "caps": _listed(cap.name for cap in policy.caps if not cap.counted.cooldown),
        "cooldowns": _listed(cap.name for cap in policy.caps if cap.counted.cooldown),
        "quiet hours": _listed(
            f"{rule.name} {_clock(rule.from_minute)}–{_clock(rule.until_minute)}" for rule in policy.quiet_hours
        ),
        "weights": _listed(rule.name for rule in policy.weight_rules),
        "boosts": _listed(f"{rule.name} {rule.add:+g}" for rule in policy.boosts),
        "pins": _listed(f"{rule.name} at {rule.place + 1}" for rule in policy.pins),
        "numbers": _listed(_numbers(policy)),
    }


def _numbers(policy: Policy) -> list[str]:
    exploring = policy.exploration
    budget = policy.budget
    rows = {
        f"{policy.min_events} to {policy.full_events} events for the model's full weight": policy.full_events > 0,
        f"max score change {policy.max_score_change}": policy.max_score_change is not None,
        f"max rank change {policy.max_rank_change}": policy.max_rank_change is not None,
        f"cost weight {policy.cost_weight:g}": policy.cost_weight > 0,
        f"budget {budget.amount:g} in {budget.periods.length_s} s" if budget else "": budget is not None,
        f"diversity {policy.diversity:g}": policy.diversity > 0,
        "category limits": policy.category_limits is not None,
        f"minimum score {policy.minimum_score}": policy.minimum_score is not None,
        f"epsilon {exploring.epsilon:g}": exploring.mode == Explore.EPSILON_GREEDY,
        f"temperature {exploring.temperature:g}": exploring.mode == Explore.SOFTMAX,
    }
    return [text for text, is_set in rows.items() if is_set]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
