"""A process that uses the runtime as an app does: from the import to the first decision, then some more work."""

import sys
from time import perf_counter_ns, process_time_ns


def main() -> object:
    """Arguments: the file of the order (`fresh_process.write_order`) and the state folder.

    Reading the order is not part of any figure: an app has its events and its base decision from elsewhere.

    Returns:
        The engine, still open: what it uses is resident while the process is measured.
    """
    begun, begun_cpu = perf_counter_ns(), process_time_ns()
    import marshal  # built in: `json` would be loaded here, and then cost the runtime nothing

    with open(sys.argv[1], "rb") as file:
        order = marshal.load(file)
    read_ns, read_cpu = perf_counter_ns() - begun, process_time_ns() - begun_cpu
    from edge_sdk import BaseDecision, Engine

    imported = perf_counter_ns() - read_ns
    engine = Engine.open(
        sys.argv[2],
        bundle=order["bundle"],
        trusted_keys=[order["key"]],
        clock=iter(range(order["start_ms"], sys.maxsize, order["step_ms"])).__next__,
    )
    opened = perf_counter_ns() - read_ns
    calls = order["calls"]
    kind, item, value, decision = calls[0]
    engine.record(kind, item=item, value=value, decision=decision)
    recorded = perf_counter_ns() - read_ns
    base = BaseDecision(order["offers"], order["logits"])
    ranked = engine.rank(base, limit=5)
    decided = perf_counter_ns() - read_ns
    offers = ranked.offers
    read = perf_counter_ns() - read_ns
    cpu = process_time_ns() - read_cpu
    if ranked.error or not offers:
        raise SystemExit(f"the first decision has no offers: {ranked.error.name} {ranked.detail}")
    for number in range(1, order["events"]):
        kind, item, value, decision = calls[number % len(calls)]
        engine.record(kind, item=item, value=value, decision=decision)
    for _ in range(order["ranks"]):
        engine.rank(base, limit=5)
    from device_sim.bench.programs.report import report

    report(cpu, start=begun, imports=imported, open=opened, record=recorded, rank=decided, offers=read)
    return engine


if __name__ == "__main__":
    main()
