"""Reads published single-thread timings, a JSON list of runs; one unusable entry does not affect the others.

An unusable file is an error. An unusable run or figure is left out and listed with the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import ConfigDict, Field, ValidationError

from device_sim.cores import UnknownCoreError, core_named
from device_sim.files import Frozen

LARGEST_FILE_BYTES: Final = 16 << 20
CLOCK_GHZ: Final = (0.1, 6.0)
TIME_MS: Final = (0.001, 600_000.0)  # a microsecond to ten minutes: no inference takes less or more

_LARGEST_REASON: Final = 300
_Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")]


class PublishedTableError(Exception):
    """A published table is not usable as a whole."""

    def __init__(self, file: Path, entry: str, field: str, problem: str, fix: str) -> None:
        """Names the file, the entry, the field, the problem and the fix."""
        super().__init__(f"{file}: {entry}: {field}: {problem}; {fix}")


class Exclusion(Frozen):
    """A device or model that was not scored, or was scored separately.

    Attributes:
        entry: The device, or the entry's place in the file when it has no usable name; `all` = any.
        model: The model; None = the whole entry.
    """

    entry: str
    model: str | None
    reason: str


class PublishedRun(Frozen):
    """One device's published times.

    Attributes:
        core: The core, as `core_named` spells it.
        note: The table's own warning of the run; None = there is none.
        least_ms: The least of the runs, by model, in milliseconds.
    """

    device: str
    core: str
    clock_ghz: float
    note: str | None
    least_ms: Mapping[str, float]


class PublishedTable(Frozen):
    """A file's usable runs, and the exclusions."""

    file: str
    sha256: str
    sources: tuple[str, ...]
    runs: tuple[PublishedRun, ...]
    exclusions: tuple[Exclusion, ...]


class _Entry(Frozen):
    """An entry of the file; other fields are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)

    device: _Name
    core: _Name
    clock_ghz: Annotated[float, Field(ge=CLOCK_GHZ[0], le=CLOCK_GHZ[1])]
    threads: int
    source: str = "not named"
    note: str | None = None
    ms_min_max_avg: dict[_Name, object]


def read_published(path: Path) -> PublishedTable:
    """Reads a published table.

    Raises:
        PublishedTableError: The file is not readable, too large, not a JSON list, or empty.
    """
    content = _content(path)
    runs: list[PublishedRun] = []
    exclusions: list[Exclusion] = []
    sources: list[str] = []
    for number, raw in enumerate(_entries(path, content)):
        name = _name(raw, number)
        try:
            entry = _Entry.model_validate(raw)
            run, unusable = _run(entry, taken={(run.device, run.core) for run in runs})
        except ValidationError as error:
            exclusions.append(Exclusion(entry=name, model=None, reason=_first(error)))
            continue
        except (UnknownCoreError, _UnusableError) as error:
            exclusions.append(Exclusion(entry=name, model=None, reason=_shown(str(error))))
            continue
        runs.append(run)
        exclusions.extend(unusable)
        sources.append(entry.source)
    return PublishedTable(
        file=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        sources=tuple(sorted(set(sources))),
        runs=tuple(runs),
        exclusions=tuple(exclusions),
    )


class _UnusableError(Exception):
    """An entry or a figure that cannot be scored."""


def _content(path: Path) -> bytes:
    fix = "give a JSON list of published runs"
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise PublishedTableError(path, "the file", "path", error.strerror or "not readable", fix) from error
    if len(content) > LARGEST_FILE_BYTES:
        raise PublishedTableError(path, "the file", "size", f"more than {LARGEST_FILE_BYTES >> 20} MiB", fix)
    return content


def _entries(path: Path, content: bytes) -> list[object]:
    fix = "give a JSON list of runs, each with device, core, clock_ghz, threads and ms_min_max_avg"
    try:
        entries = json.loads(content, object_pairs_hook=_unrepeated)
    except (ValueError, RecursionError) as error:  # ValueError: also not UTF-8, and integers of thousands of digits
        problem = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise PublishedTableError(path, "the file", "JSON", problem, fix) from error
    if not isinstance(entries, list):
        raise PublishedTableError(path, "the file", "JSON", f"a {type(entries).__name__}, not a list", fix)
    if not entries:
        raise PublishedTableError(path, "the file", "JSON", "an empty list", fix)
    return entries


def _unrepeated(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{repeated[:60]!r} stands twice in one object: keep one of them")
    return dict(pairs)


def _name(raw: object, number: int) -> str:
    device = raw.get("device") if isinstance(raw, dict) else None
    return _shown(device[:60]) if isinstance(device, str) and device.strip() else f"entry {number}"


def _shown(text: str) -> str:
    """Returns a file's text without control characters and lone surrogates, so that it can be stored and printed."""
    return "".join(character if character.isprintable() else "?" for character in text)[:_LARGEST_REASON]


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part)[:60] for part in first["loc"]) or "the entry"
    return _shown(f"{field}: {first['msg']}; fix this field of the entry")


def _run(entry: _Entry, taken: set[tuple[str, str]]) -> tuple[PublishedRun, list[Exclusion]]:
    core = core_named(entry.core)
    if entry.threads != 1:
        raise _UnusableError(f"threads: {entry.threads}, and only single-thread runs can be compared; give threads = 1")
    if (entry.device, core) in taken:
        raise _UnusableError(f"device: a second run of {entry.device} on {core}; give each device once, or a new name")
    least_ms: dict[str, float] = {}
    unusable = []
    for model, figures in entry.ms_min_max_avg.items():
        try:
            least_ms[model] = _least(figures)
        except _UnusableError as error:
            unusable.append(Exclusion(entry=entry.device, model=model, reason=str(error)))
    if not least_ms:
        raise _UnusableError("ms_min_max_avg: no usable figure; give [min, max, avg] in milliseconds for each model")
    note = _shown(entry.note.strip()) if entry.note else None
    return PublishedRun(
        device=entry.device, core=core, clock_ghz=entry.clock_ghz, note=note or None, least_ms=least_ms
    ), unusable


def _least(figures: object) -> float:
    fix = "give [min, max, avg] in milliseconds"
    if not isinstance(figures, list) or len(figures) != 3:
        raise _UnusableError(f"ms_min_max_avg: not three figures; {fix}")
    if any(isinstance(figure, bool) or not isinstance(figure, int | float) for figure in figures):
        raise _UnusableError(f"ms_min_max_avg: a figure that is no number; {fix}")
    # Compared before any conversion: an integer of hundreds of digits does not fit a float.
    if not all(TIME_MS[0] <= figure <= TIME_MS[1] for figure in figures):  # NaN compares false
        raise _UnusableError(f"ms_min_max_avg: not between {TIME_MS[0]} and {TIME_MS[1]:.0f} ms; {fix}")
    least, most, average = (float(figure) for figure in figures)
    rounding = 0.011  # published figures have two decimals; an average may be rounded past a neighbour
    if least > most or not least - rounding <= average <= most + rounding:
        raise _UnusableError(f"ms_min_max_avg: min {least}, max {most}, avg {average} are not in order; {fix}")
    return least
