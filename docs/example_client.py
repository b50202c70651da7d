# ruff: noqa: T201
"""A client, as an app keeps it; runs after `make demo`: python docs/example_client.py"""

from pathlib import Path

from edge_sdk import BaseDecision, Client, Engine

demo = Path("build/demo")
base = BaseDecision(["cash_001", "pension_001", "insurance_001", "fund_001"], [0.9, 0.8, 0.7, 0.6])  # from your cloud


def open_engine() -> Engine:  # runs in the background; its exception becomes `client.error`
    return Engine.open("build/state", bundle=demo / "scene.edge", trusted_keys=[(demo / "scene.pub").read_bytes()])


with Client(open_engine, cache_s=2.0, stale_after_s=2 * 86_400) as client:
    client.record("item_view", item="fund_001", value=1200.0)  # queued until the engine is open
    print("at once:", [offer.id for offer in client.offers(base, limit=3, default=["cash_001"])])
    client.wait(timeout_s=10.0)
    decision = client.rank(base, context={"surface": "home", "stage": "active"}, limit=3)
    print(client.state.name, decision.error.name, [offer.id for offer in decision.offers], decision.detail)
    client.shown(decision)  # ranking records nothing; this call does
    client.feedback(decision, decision.offers[0].id, "click")
    print(client.diagnostics()["client"])
