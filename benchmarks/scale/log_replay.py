"""Measures the speed and the memory with which `cloud-export` turns a log into training examples."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes import figures_of, run_command
from benchmarks.scale.bundles import Bundles
from benchmarks.scale.curve import Curve, Row, fitted
from benchmarks.scale.rounds import row
from benchmarks.scale.settings import Settings

_OVER = "events_in_log"
_FITTED = ("read_s", "replay_s", "peak_mb")


def log_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Reads and replays logs of `device-sim population` in fresh processes, in turns."""
    logs = {users: bundles.folder / f"log-{users}" for users in settings.log_users}
    for users, log in logs.items():
        days = str(settings.log_days)
        run_command("device_sim", ["population", "--users", str(users), "--days", days, "--out", str(log)])
    found: dict[int, list[Row]] = {users: [] for users in logs}
    for number in range(settings.log_rounds):
        for users, log in logs.items():
            if number == 0 or users <= settings.log_once_above_users:
                found[users].append(_figures(log))
    rows = tuple(_row(rounds) for rounds in found.values())
    return Curve(
        name="log",
        title="Log size in the cloud",
        over=_OVER,
        each="event",
        figures=("events_per_s", "read_per_s", "replay_per_s", "read_s", "replay_s", "peak_mb"),
        rows=rows,
        fits=fitted(rows, _OVER, _FITTED),
        notes=tuple(
            f"{one[_OVER]:,.0f} events were read and replayed once, the others {settings.log_rounds} times."
            for one in rows
            if one["runs"] < settings.log_rounds
        ),
        method=f"`device-sim population`, {settings.log_days} days of more and more users; `cloud-export`'s own "
        "reading, checks and layout (read), then the replay of all events into one example a decision (replay); each "
        "in a fresh process, one thread except for polars' reading. peak is the process's largest memory.",
        plots=(("events_per_s", "read_per_s", "replay_per_s"), ("peak_mb",)),
    )


def _figures(log: Path) -> Row:
    figures = figures_of("benchmarks.scale.replay_child", [str(log)])
    read_s, replay_s, events = figures["read_s"], figures["replay_s"], figures["events"]
    return {
        **figures,
        "read_per_s": events / read_s,
        "replay_per_s": events / replay_s,
        "events_per_s": events / (read_s + replay_s),
    }


def _row(rounds: list[Row]) -> Row:
    """Returns the row of one log; a figure that is the same in every round is in it once."""
    constant = {"decisions": rounds[0]["decisions"], "runs": float(len(rounds))}
    measured = [{name: one[name] for name in one if name not in ("events", "decisions")} for one in rounds]
    return {**row(_OVER, rounds[0]["events"], measured), **constant}
