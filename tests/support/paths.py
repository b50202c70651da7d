"""Where the checkout keeps what tests read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
GOLDEN: Final = ROOT / "tests" / "golden"
SHARED: Final = ROOT.parent / "shared"  # real data and studies beside the checkout; absent elsewhere
