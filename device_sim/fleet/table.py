"""The tables of a fleet's result for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from device_sim.fleet.result import FleetResult, Range


def tables_of(result: FleetResult) -> tuple[Table, ...]:
    """Returns tables of the arms, of the device's lift by day, and of the engines."""
    return _arms(result), _days(result), _engines(result)


def _arms(result: FleetResult) -> Table:
    settings = result.settings
    title = f"{settings.devices} phones, {settings.days} days, seed {settings.seed}; value and regret a decision"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", min_width=8, no_wrap=True)
    for name in ("value", "over base", "regret", "clicks", "buys", "broken"):
        table.add_column(name, justify="right", no_wrap=True)
    for arm in result.arms:
        total = arm.total
        over = "" if arm.name == "base" else _lift(result, arm.name, None)
        broken = sum(arm.rules_broken.values())
        figures = f"{total.value_per_decision:.3f}", over, f"{total.regret_per_decision:.3f}"
        table.add_row(arm.name, *figures, f"{total.clicks:,}", f"{total.conversions:,}", f"{broken:,}")
    return table


def _days(result: FleetResult) -> Table:
    table = Table("day", title="device by day", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("decisions", "base", "device", "lift", "cumulative regret"):
        table.add_column(name, justify="right", no_wrap=True)
    for base, device in zip(result.arm("base").days, result.arm("device").days, strict=True):
        values = f"{base.value_per_decision:.3f}", f"{device.value_per_decision:.3f}"
        lift = _lift(result, "device", device.day)
        table.add_row(str(device.day), f"{device.decisions:,}", *values, lift, f"{device.cumulative_regret:.1f}")
    return table


def _engines(result: FleetResult) -> Table:
    runtime, traffic, closed = result.runtime, result.traffic, result.gap_closed
    table = Table("what", "how much", title="the phones", show_header=False, box=SIMPLE_HEAD, pad_edge=False)
    rows = {
        "share of the base→oracle gap closed": _percent(closed) if closed else "no gap",
        "offers shown against a rule": f"{result.cap_violations:,}",
        "offers withheld without a rule": f"{runtime.withheld:,}",
        "bytes sent; sockets, connections, native ones": (
            f"{traffic.bytes_sent:,}; {traffic.sockets_created}, {traffic.connections}, {traffic.foreign_sockets}"
        ),
        "decisions with an error code": ", ".join(f"{n} × {code}" for code, n in runtime.errors.items()) or "0",
        "decisions a second, Engine.rank alone": f"{runtime.rank_decisions_per_s:,.0f}",
        "decisions a second, the whole loop": f"{runtime.loop_decisions_per_s:,.0f}",
        "Engine.rank, Engine.open, median": f"{runtime.rank_us_median:.0f} µs, {runtime.open_ms_median:.1f} ms",
        "engines opened, events recorded": f"{runtime.engines_opened:,}, {runtime.events_recorded:,}",
        "disk of a phone: median, most": f"{runtime.disk_bytes_median:,.0f}, {runtime.disk_bytes_max:,} bytes",
        "seconds": ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.seconds.items()),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _lift(result: FleetResult, arm: str, day: int | None) -> str:
    try:
        return _percent(result.lift(arm, day=day).relative)
    except KeyError:
        return "nobody came"


def _percent(figure: Range) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.mean:+.1%}"
    return f"{figure.mean:+.1%} ({100 * figure.low:+.1f} to {100 * figure.high:+.1f})"
