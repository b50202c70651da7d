"""`cloud-export`: check a log, train and pack a scene, look into a bundle."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cloud_export.errors import CloudError
from cloud_export.json_types import JsonValue
from cloud_export.report.words import block, number
from edge_sdk import EdgeError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
_out = Console()
_err = Console(stderr=True)

EventsOption = Annotated[Path, typer.Option(help="Events: a Parquet or CSV file, or a folder of them.")]
DecisionsOption = Annotated[Path | None, typer.Option(help="Decisions; absent = derived as [decisions] says.")]
OffersOption = Annotated[Path | None, typer.Option(help="Offers: categories, validity dates.")]
UsersOption = Annotated[Path | None, typer.Option(help="User attributes; they stay in the cloud.")]
SceneArgument = Annotated[str, typer.Argument(help="A scene file, or the name of a shipped one: wealth, loan.")]


class BadRows(StrEnum):
    """What to do about rows that cannot be used."""

    STOP = "stop"
    SKIP = "skip"


BadRowsOption = Annotated[BadRows, typer.Option(help="Name them and stop, or set them aside.")]


@app.command()
def check(
    scene: SceneArgument,
    events: EventsOption,
    decisions: DecisionsOption = None,
    offers: OffersOption = None,
    users: UsersOption = None,
) -> None:
    """Check a scene and its log: every bad row with file, row and reason. Exit code 1 if there is one."""
    from cloud_export.data.log import summarise
    from cloud_export.data.read_log import read_log
    from cloud_export.scene.load import load_scene

    with _errors():
        log, bad_rows = read_log(
            load_scene(scene), events=events, decisions=decisions, offers=offers, users=users, bad_rows="skip"
        )
        table = Table("", "", title=f"{scene}: the log", show_header=False)
        for label, value in summarise(log).items():
            table.add_row(label, f"{value:,}" if isinstance(value, int) else str(value))
        _out.print(table)
        for row in bad_rows[:_BAD_ROWS_SHOWN]:
            _err.print(f"{row.file}, row {row.row}: {row.reason}", markup=False, highlight=False)
        if bad_rows:
            _err.print(f"{len(bad_rows)} bad rows; fix them, or run with --bad-rows skip", style="bold")
            raise typer.Exit(1)


@app.command()
def run(
    scene: SceneArgument,
    events: EventsOption,
    out: Annotated[Path, typer.Option(help="Folder for scene.edge, scene.pub, base.parquet and the report.")],
    decisions: DecisionsOption = None,
    offers: OffersOption = None,
    users: UsersOption = None,
    truth: Annotated[Path | None, typer.Option(help="A simulator's true probabilities: adds the oracle.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Same seed, same machine: same bundle.")] = 1,
    bad_rows: BadRowsOption = BadRows.STOP,
    key: Annotated[Path | None, typer.Option(help="Ed25519 private key (PEM) that signs the bundle.")] = None,
) -> None:
    """Train, export, test and pack a scene."""
    from cloud_export.pipeline import run as run_pipeline
    from cloud_export.report.report import summary_table
    from cloud_export.run_types import Inputs, StageTimer
    from cloud_export.scene.load import load_scene

    with _errors(), _progress() as progress:

        def stage(name: str) -> Callable[[int, int], None]:
            task = progress.add_task(name, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        inputs = Inputs(
            scene=load_scene(scene),
            events=events,
            decisions=decisions,
            offers=offers,
            users=users,
            truth=truth,
            out=out,
            seed=seed,
            bad_rows=bad_rows.value,
            key=_load_key(key),
            command=_command(),
        )
        report = run_pipeline(inputs, StageTimer(stage))
    _out.print(summary_table(report))
    _print_facts(report)
    _out.print(f"wrote {out}/scene.edge, scene.pub, base.parquet, report.json, report.html", highlight=False)
    if key is None:
        _out.print("signed with the development key, which anyone can make; use --key for a bundle that ships")


@app.command()
def inspect(bundle: Annotated[Path, typer.Argument(help="A .edge file.")]) -> None:
    """Say what is in a bundle, without asking who signed it, and run its golden vectors."""
    from cloud_export.report.inspect import bundle_rows
    from edge_sdk.bundle.container import open_container
    from edge_sdk.bundle.reader import read_bundle
    from edge_sdk.bundle.selftest import tested_session

    with _errors():
        content = read_bundle(bundle, open_container(bundle, trusted_keys=(), allow_unsigned=True))
        tested_session(content)
        table = Table("", "", title=str(bundle), show_header=False)
        for label, value in bundle_rows(content, size_bytes=bundle.stat().st_size).items():
            table.add_row(label, value)
        _out.print(table)


@app.command()
def policy(
    scene: SceneArgument,
    out: Annotated[Path, typer.Option(help="The policy file to write.")],
    key: Annotated[Path | None, typer.Option(help="Ed25519 private key (PEM) that signs it.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="A bundle that it must fit.")] = None,
) -> None:
    """Pack a scene's objectives and policy alone: they replace those of an installed bundle, without a new model."""
    from cloud_export.atomic_write import write_whole
    from cloud_export.export.container_writer import development_key
    from cloud_export.export.policy_file import check_policy_file, sign_policy_file
    from cloud_export.scene.load import load_scene

    with _errors():
        checked = load_scene(scene)
        content = sign_policy_file(checked, _load_key(key) or development_key(checked.name))
        notes = check_policy_file(checked, str(out), content, bundle) if bundle else []
        write_whole(out, content)
    for note in notes:
        _err.print(note, markup=False, highlight=False)
    fits = f", which fits {bundle}" if bundle else ""
    _out.print(f"wrote {out}: {len(content):,} bytes, version {checked.policy.version}{fits}", highlight=False)
    if key is None:
        _out.print("signed with the development key, which anyone can make; use --key for a policy that ships")


_BAD_ROWS_SHOWN = 100


def _print_facts(report: Mapping[str, JsonValue]) -> None:
    """What is not a ranking: size, parity, explanations, speed."""
    speed = block(report, "speed")

    def figures(source: Mapping[str, JsonValue], form: str, *keys: str) -> str:
        values = [number(source, key) for key in keys]
        return " / ".join("–" if value is None else format(value, form) for value in values)

    window = figures(speed, ".0f", "window")
    rows = {
        "base → oracle gap closed / events 60 s late": figures(
            report, ".1%", "oracle_gap_closed", "oracle_gap_closed_60s_late"
        ),
        "parameters": figures(report, ",.0f", "parameters"),
        "torch against ONNX Runtime, at most": figures(report, ".1e", "parity_max_abs"),
        "explanations against true deletion (Spearman)": figures(report, ".3f", "explanation_faithfulness"),
        "bundle, bytes": figures(report, ",.0f", "bundle_bytes"),
        "record, µs, p50 / p99": figures(speed, ".2f", "record_us_p50", "record_us_p99"),
        f"rank, µs, p50 / p99, window of {window}": figures(speed, ".1f", "rank_us_p50", "rank_us_p99"),
        "the same with a new base decision each time": figures(
            speed, ".1f", "rank_new_base_us_p50", "rank_new_base_us_p99"
        ),
        "rank, µs, p50 / p99, window of 128": figures(speed, ".1f", "rank128_us_p50", "rank128_us_p99"),
        "open to first decision, ms": figures(speed, ".1f", "open_ms"),
        "memory over numpy + onnxruntime, MB": figures(speed, ".1f", "extra_memory_mb"),
        "training of the device model, s": figures(report, ".0f", "train_seconds"),
    }
    table = Table("", "", show_header=False)
    for label, value in rows.items():
        table.add_row(label, value)
    _out.print(table)


@contextmanager
def _errors() -> Iterator[None]:
    """Known troubles in one clear message; anything else is a defect and keeps its traceback."""
    try:
        yield
    except (CloudError, EdgeError, OSError) as problem:
        _err.print(f"{type(problem).__name__}: {problem}", style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    return Progress(*columns, TimeElapsedColumn(), console=_err)


def _load_key(path: Path | None) -> Ed25519PrivateKey | None:
    if path is None:
        return None
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as problem:
        raise typer.BadParameter(f"{path}: {problem}; make one with: openssl genpkey -algorithm ed25519") from problem
    if not isinstance(key, Ed25519PrivateKey):
        raise typer.BadParameter(f"{path}: not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519")
    return key


def _command() -> str:
    return "cloud-export " + shlex.join(sys.argv[1:])
