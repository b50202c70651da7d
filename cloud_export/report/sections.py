"""Builds the sections of the report page: each returns its HTML, or "" where its block of the report is missing.

Every text of the report is escaped here by ``html.escape``.
"""

from __future__ import annotations

from html import escape

from cloud_export.html.markup import definitions, figure, section, table
from cloud_export.json_types import Report
from cloud_export.report import plots
from cloud_export.report.words import (
    METRICS,
    MISSING,
    RANKINGS,
    block,
    metric,
    number,
    plain,
    ranking_label,
    rankings_of,
    rows,
    share,
    size,
    span,
    text,
)

# key in the report, label, unit (bytes are written as KB); every target is "at most"
SPEED = (
    ("record_us_p50", "Record an event, median", "µs"),
    ("record_us_p99", "Record an event, 99th percentile", "µs"),
    ("rank_us_p50", "Rank a decision, median", "µs"),
    ("rank_us_p99", "Rank a decision, 99th percentile", "µs"),
    ("rank_new_base_us_p50", "Rank with a base decision not seen before, median", "µs"),
    ("rank128_us_p50", "Rank over a window of 128 events, median", "µs"),
    ("rank128_us_p99", "Rank over a window of 128 events, 99th percentile", "µs"),
    ("open_ms", "Open the engine", "ms"),
    ("extra_memory_mb", "Extra memory", "MB"),
    ("bundle_bytes", "Bundle on disk", "bytes"),
)


def tiles(report: Report) -> str:
    """Returns the main figures."""
    change = block(block(block(report, "quality"), "device_minus_base"), "ndcg5")
    speed, same = block(report, "speed"), block(report, "empty_log_is_base_order")
    rank, closed, bundle = number(speed, "rank_us_p50"), number(report, "oracle_gap_closed"), _bundle_bytes(report)
    shown = []
    if (mean := number(change, "mean")) is not None:
        shown.append((metric(mean, signed=True), f"NDCG@5 against the cloud's ranking ({span(change, signed=True)})"))
    if closed is not None:
        shown.append((share(closed), "of the gap between the cloud's ranking and the best possible one closed"))
    if rank is not None:
        shown.append((f"{plain(rank)} µs", "to re-rank a decision (median)"))
    if bundle is not None:
        shown.append((size(bundle), "on the phone, model and policy together"))
    if (identical := number(same, "identical")) is not None:
        words = f"of {plain(number(same, 'decisions'))} decisions keep the cloud's exact order with no events"
        shown.append((plain(identical), words))
    cells = "".join(f"<div><b>{escape(figure)}</b><span>{escape(words)}</span></div>" for figure, words in shown)
    return f'<div class="tiles">{cells}</div>' if cells else ""


def quality(report: Report) -> str:
    """Returns the comparison of the rankings: three charts, all figures, and the meaning of each ranking."""
    measured = block(report, "quality")
    names = rankings_of(measured)
    if not names:
        return ""
    charts = [
        (label, means, plots.ranking_bars(measured, key, f"{label} of each ranking with 95% intervals"))
        for key, (label, means) in METRICS.items()
        if any(number(block(block(measured, name), key), "mean") is not None for name in names)
    ]
    shown = [(ranking_label(name), block(measured, name), False) for name in names]
    if change := block(measured, "device_minus_base"):
        shown.append(("Device − base, paired by user", change, True))
    cells = [[label, *(_measured(block(row, key), signed) for key in METRICS)] for label, row, signed in shown]
    meanings = [(ranking_label(name), RANKINGS[name][1]) for name in names if name in RANKINGS]
    return section(
        "How good the rankings are",
        f'<div class="charts three">{"".join(figure(*chart) for chart in charts)}</div>'
        "<p class=note>Lines on the bars are 95% intervals; the dashed line is the base.</p>"
        + table(["Ranking", *(label for label, _ in METRICS.values())], cells, marked=len(cells) if change else 0)
        + definitions("What each ranking is", meanings),
    )


def freshness(report: Report) -> str:
    """Returns the share of the gap to the oracle that is closed with fresh events and with late ones."""
    bars = [
        ("Events count at once (device)", number(report, "oracle_gap_closed")),
        ("The same model, events 60 s late", number(report, "oracle_gap_closed_60s_late")),
        ("The cloud's ranker alone, seeing every event at once", number(report, "oracle_gap_closed_base_realtime")),
    ]
    drawn = "".join(
        f"<dt>{escape(label)}</dt><dd><i style='width:{75 * min(max(value, 0.0), 1.0):.1f}%'></i>"
        f"<b>{share(value)}</b></dd>"
        for label, value in bars
        if value is not None
    )
    words = (
        "Between the cloud's ranking (0%) and the oracle, which knows the true probabilities (100%), in NDCG@5. "
        "The first two rows have the same model: what differs is only how soon it sees what the user did."
    )
    return section("What fresh events are worth", f'<p>{words}</p><dl class="meter">{drawn}</dl>') if drawn else ""


def session_events(report: Report) -> str:
    """Returns the quality by the number of events in the session so far."""
    groups = rows(report, "quality_by_events")
    if not groups:
        return ""
    picture = plots.by_events(groups, "NDCG@5 of base and device by the number of events in the session so far")
    cells = [
        [
            text(row, "events"),
            metric(number(row, "base")),
            metric(number(row, "device")),
            plain(number(row, "decisions")),
        ]
        for row in groups
    ]
    return section(
        "Quality by events in the session",
        f'<div class="charts two">{figure("NDCG@5", "by events in the session before the decision", picture)}'
        f"<div>{table(['Events', 'Base', 'Device', 'Decisions'], cells)}</div></div>",
    )


def explanations(report: Report) -> str:
    """Returns one decision explained contribution by contribution, and the other examples folded."""
    examples = rows(report, "explanation_examples")
    if not examples:
        return ""
    faithful = number(report, "explanation_faithfulness")
    check = (
        f" When an event is removed, the score changes as explained: rank correlation {faithful:.2f}."
        if faithful is not None
        else ""
    )
    others = "".join(f'<div class="charts two">{_explained(example)}</div>' for example in examples[1:])
    folded = f"<details><summary>More examples: {len(examples) - 1}</summary>{others}</details>" if others else ""
    return section(
        "Why an offer's rank changed",
        f"<p>The phone explains each score exactly: the contributions below add up to the score.{check}</p>"
        f'<div class="charts two">{_explained(examples[0])}</div>{folded}',
    )


def calibration_and_training(report: Report) -> str:
    """Returns the calibration of the predicted probabilities, and the losses of the training."""
    charts = [
        figure(
            f"Calibration: {objective}",
            "on the dashed line, predicted and observed rate are equal",
            plots.calibration(bins, f"Observed rate against predicted probability of {objective}"),
        )
        for objective in block(report, "calibration")
        if (bins := rows(block(report, "calibration"), objective))
    ]
    if epochs := rows(report, "training"):
        picture = plots.training_curve(epochs, "Training and validation loss by epoch")
        charts.append(figure("Training", "loss by epoch", picture))
    return section("Calibration and training", f'<div class="charts three">{"".join(charts)}</div>') if charts else ""


def speed(report: Report) -> str:
    """Returns the measured times and sizes beside their targets."""
    timed = {**block(report, "speed")}
    if "bundle_bytes" not in timed and timed:
        timed["bundle_bytes"] = report.get("bundle_bytes")
    targets = block(timed, "targets")
    cells = []
    for key, label, unit in SPEED:
        value, target = number(timed, key), number(targets, key)
        if value is not None:
            aim = MISSING if target is None else f"≤ {_with_unit(target, unit)}"
            verdict = "" if target is None else "✓ met" if value <= target else "✗ missed"
            cells.append([label, _with_unit(value, unit), aim, verdict])
    machine = f"<p class=note>Measured on {escape(text(timed, 'machine'))}.</p>" if text(timed, "machine") else ""
    return section("Speed and size", table(["", "Measured", "Target", ""], cells) + machine) if cells else ""


def facts(report: Report) -> str:
    """Returns facts about the model, the data and the run, as lists."""
    data, same = block(report, "data"), block(report, "empty_log_is_base_order")
    model = [
        ("Parameters", plain(number(report, "parameters"))),
        ("Bundle", size(_bundle_bytes(report))),
        ("Exported against trained model, at most", plain(number(report, "parity_max_abs"))),
        ("Training", f"{plain(number(report, 'train_seconds'))} s"),
        (
            "No events: the base order, exactly",
            f"{plain(number(same, 'identical'))} of {plain(number(same, 'decisions'))}",
        ),
    ]
    names = {"first": "First event", "last": "Last event"}
    about = [(names.get(key, _titled(key)), text(data, key).replace("T", " ")) for key in data if key != "split"]
    run = [(_titled(key), f"{plain(number(block(report, 'seconds'), key))} s") for key in block(report, "seconds")]
    lists = [("Model", model), ("Data", about), ("Run time", run)]
    columns = "".join(definitions(title, _known(pairs), kind="facts") for title, pairs in lists if _known(pairs))
    return section("The facts", f'<div class="charts three">{columns}</div>') if columns else ""


def method(report: Report) -> str:
    """Returns the method, its limits, and the command that makes the page again."""
    split, created = text(block(report, "data"), "split"), block(report, "created_with")
    parts = [f"<p><b>What was held back.</b> {escape(split)}</p>"] if split else []
    if block(report, "quality"):
        defined = "; ".join(f"<b>{label}</b>: {escape(means)}" for label, means in METRICS.values())
        parts.append(
            f"<p>{defined}. NDCG has linear gain and the discount log₂(place + 1) (Järvelin &amp; Kekäläinen 2002); "
            "GAUC is weighted by known candidates (Zhou et al. 2018). Candidates of unknown outcome are left out, "
            "ties go to the earlier candidate, as on the phone. Intervals are 95% percentile bootstraps over whole "
            "users.</p>"
        )
    notes = report.get("notes")
    listed = [str(note) for note in notes] if isinstance(notes, list | tuple) else []
    if listed:
        parts.append("<h3>Limits and notes</h3><ul>" + "".join(f"<li>{escape(note)}</li>" for note in listed) + "</ul>")
    if command := text(created, "command"):
        parts.append(f"<h3>Make this page again</h3><pre>{escape(command)}</pre>")
    if made := [f"{_titled(key)} {text(created, key)}" for key in created if key != "command"]:
        parts.append(f"<p class=note>Made with {escape(' · '.join(made))}.</p>")
    return section("How it was measured", "".join(parts)) if parts else ""


def _explained(example: Report) -> str:
    """Returns one offer's waterfall beside the same contributions in words."""
    offer, place, before = text(example, "offer"), number(example, "place"), number(example, "base_place")
    change = f"from place {plain(before)} to place {plain(place)}" if place is not None and before is not None else ""
    words = ""
    for direction, sign in (("Raised by", 1), ("Lowered by", -1)):
        strengths = [
            (sign * (number(row, "value") or 0.0), text(row, "label")) for row in rows(example, "contributions")
        ]
        listed = "".join(f"<li>{escape(label)}</li>" for strength, label in sorted(strengths)[::-1] if strength > 0)
        words += f"<h3>{direction}</h3><ul>{listed}</ul>" if listed else ""
    base, score = (metric(number(example, key), signed=True) for key in ("base_logit", "score"))
    words += f"<p class=note>From {base}, the cloud's logit, to {score}, the score on the phone. Strongest first.</p>"
    picture = plots.waterfall(example, f"Contributions to the score of {offer} {change}")
    return figure(offer, change, picture) + f"<div>{words}</div>"


def _known(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(term, words) for term, words in pairs if words and MISSING not in words]


def _measured(interval: Report, signed: bool) -> str:
    mean = number(interval, "mean")
    return MISSING if mean is None else f"{metric(mean, signed=signed)} ({span(interval, signed=signed)})"


def _with_unit(value: float, unit: str) -> str:
    return size(value) if unit == "bytes" else f"{plain(value)} {unit}"


def _bundle_bytes(report: Report) -> float | None:
    value = number(report, "bundle_bytes")
    return number(block(report, "speed"), "bundle_bytes") if value is None else value


def _titled(key: str) -> str:
    words = key.replace("_", " ").replace("sdk", "SDK")
    return words[:1].upper() + words[1:]
