"""Runs the stress harness: `python -m tests.deep.stress --minutes 60`, or one case: `--part calls --seed 7`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Final

from tests.deep.stress import kit
from tests.deep.stress.isolate import Case, run_case
from tests.deep.stress.liars import undetected
from tests.deep.stress.parts import PARTS
from tests.deep.stress.report import Tally, repeat

TABLE_EVERY_S: Final = 300.0
LIMIT_S: Final = 15.0  # of a case


def main() -> int:
    """Returns the exit status: 0 = every promise held, 1 = faults, 2 = the harness cannot find faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.deep.stress", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cases", type=int, help="of each part, instead of minutes")
    parser.add_argument("--part", choices=sorted(PARTS), action="append")
    parser.add_argument("--seed", type=int, help="run this one case")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/stress"))
    given = parser.parse_args()
    made = kit.made(given.out.resolve() / "kit")  # a case works in another current directory
    if missed := undetected(made):
        sys.stdout.write("The harness does not find what it should:\n" + "\n".join(missed) + "\n")
        return 2
    cases = {name: PARTS[name](made) for name in given.part or PARTS}
    tally = Tally()
    if given.seed is not None:
        for name, case in cases.items():
            run_case(name, case, given.seed, tally, LIMIT_S)
    else:
        _rounds(cases, tally, given)
    sys.stdout.write(tally.table() + "\n")
    for fault in tally.faults.values():
        sys.stdout.write(f"\n--- {repeat(fault)}: {fault.promise}\n{fault.found}\n")
    tally.write(given.out / "faults")
    return 1 if tally.faults else 0


def _rounds(cases: dict[str, Case], tally: Tally, given: argparse.Namespace) -> None:
    """Plays one case of each part in turn, with the next seed, until the time is over."""
    until, seed = time.monotonic() + given.minutes * 60, given.first_seed
    table_at = time.monotonic() + TABLE_EVERY_S
    while seed - given.first_seed < given.cases if given.cases is not None else time.monotonic() < until:
        for name, case in cases.items():
            run_case(name, case, seed, tally, LIMIT_S)
        seed += 1
        if time.monotonic() > table_at:
            table_at += TABLE_EVERY_S
            sys.stderr.write(tally.table() + "\n")


if __name__ == "__main__":
    sys.exit(main())
