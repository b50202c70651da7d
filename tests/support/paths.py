"""The paths of the checkout that tests read are named here."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
GOLDEN: Final = ROOT / "tests" / "golden"
SIMULATOR: Final = ROOT / "tests" / "support" / "simulator"  # programs that tests of the simulator run
SHARED: Final = ROOT.parent / "shared"  # real data and studies beside the checkout; absent elsewhere
LOAN_LOG: Final = SHARED / "data" / "bpi2012" / "bpi2012_events.csv.gz"
