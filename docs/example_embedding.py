# ruff: noqa: T201
"""Embedding in fifteen lines; runs after `make demo`: python docs/example_embedding.py"""

from pathlib import Path

from edge_sdk import BaseDecision, Engine

demo = Path("build/demo")
key = (demo / "scene.pub").read_bytes()
base = BaseDecision(["cash_001", "pension_001", "insurance_001", "fund_001"], [0.9, 0.8, 0.7, 0.6])  # from your cloud
with Engine.open("build/state", bundle=demo / "scene.edge", trusted_keys=[key]) as engine:
    engine.record("item_view", item="fund_001", value=1200.0)  # events never leave the phone
    engine.record("click", item="fund_001")
    decision = engine.rank(base, context={"surface": "home", "stage": "active"}, limit=3)
    for offer in decision.offers:
        print(offer.place, offer.id, round(offer.score, 3), offer.reasons.text)
    engine.shown(decision)
    engine.feedback(decision, decision.offers[0].id, "click")
    for contribution in engine.explain(decision)[0].contributions:
        print(f"{contribution.value:+.3f}  {contribution.label}")
