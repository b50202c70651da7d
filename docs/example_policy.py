# ruff: noqa: T201
"""An operator turns a scene from clicks to purchases, runnable after `make demo`: python docs/example_policy.py"""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk.testing import SettableClock

demo, folder = Path("build/demo"), TemporaryDirectory()

# The operator's side: the scene file with other objectives and a few rules becomes a policy file.
edited = """\
click = 0.1
convert = 1.0

[policy]
version = 1                    # above that of the policy in force

[policy.model_bounds]
max_rank_change = 1            # the model moves an offer one place at most

[[policy.weights]]             # users about to leave get what they tap, as before
name = "win back"
when = { stage = ["at_risk", "lost"] }
weights = { click = 1.0, convert = 0.5 }

[[policy.boosts]]              # this week's campaign
name = "pension week"
category = "pension"
add = 0.8
"""
scene, policy = Path(folder.name, "scene.toml"), Path(folder.name, "new.policy")
text = Path("cloud_export/scenes/wealth.toml").read_text(encoding="utf-8")
scene.write_text(text.replace("click = 1.0\nconvert = 0.5\n", edited), encoding="utf-8")
cloud_export = Path(sys.executable).with_name("cloud-export")
command: list[str | Path] = [cloud_export, "policy", scene, "--out", policy, "--bundle", demo / "scene.edge"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

# The phone's side. From the cloud: offers, and for each a logit of a click and one of a purchase.
base = BaseDecision(
    ["deposit_005", "cash_001", "credit_005", "pension_003", "instalment_003", "fund_018", "fund_024", "voucher_004"],
    [[-2.1, -3.5], [-2.1, -3.7], [-2.3, -4.2], [-2.7, -4.2], [-2.7, -3.6], [-3.0, -4.29], [-3.0, -4.3], [-3.1, -4.9]],
    variants=["", "", "", "", "", "", "noticed", ""],
)
events = (
    ("session_start", ""),
    ("item_view", "instalment_003"),
    ("click", "instalment_003"),
    ("dismiss", "credit_005"),
    ("item_view", "fund_024"),
)


def ranked(engine: Engine) -> Decision:
    decision = engine.rank(base, context={"surface": "home"}, limit=5)  # the app passes no stage: the device knows it
    print(f"\npolicy {decision.policy_version}")
    for offer in decision.offers:
        print(f"{offer.place} {offer.id:<15} {offer.score:+.2f}  {offer.reasons.text}")
    return decision


def until(time_ms: int | None) -> str:
    return str(datetime.fromtimestamp(time_ms / 1000, UTC)) if time_ms else "something happens"


clock = SettableClock(1_768_651_200_000)  # 2026-01-17 12:00 UTC
with (
    folder,
    Engine.open(
        Path(folder.name, "state"),
        bundle=demo / "scene.edge",
        trusted_keys=[(demo / "scene.pub").read_bytes()],
        clock=clock,
        utc_offset_s=lambda now_ms: 8 * 3600,
        seed=1,
    ) as engine,
):
    engine.record("convert", item="deposit_005")
    clock.advance(3 * 86_400)
    for kind, item in events:
        engine.record(kind, item=item)
        clock.advance(180)
    ranked(engine)
    engine.install_policy(policy.read_bytes())
    decision = ranked(engine)

    explanations = engine.explain(decision)
    first = explanations[0]
    print(f"\n{first.text('en')}\n\n{first.text('zh')}\n")
    total = first.base + sum(contribution.value for contribution in first.contributions)
    print(f"base {first.base:.4f} and {len(first.contributions)} contributions: {total:.4f}; score: {first.score:.4f}")
    print(f"\n{explanations.of('credit_005').text('en')}\n\n{explanations.of('credit_005').text('zh')}\n")
    for why in explanations:
        for rule in why.suppressions:
            print(f"{why.offer}: {rule.reason.name}, {rule.rule or 'no rule'}, until {until(rule.until_ms)}")
    print(f"\n{engine.message(decision, 'fund_024', language='en')}")
    print(engine.message(decision, "fund_024", language="zh"))
