"""Scores the cycle model and its baseline on the same points."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from device_sim.validation.predictions import Pair
from device_sim.validation.results import Compared, score


def compared(pairs: Iterable[Pair]) -> Compared:
    """Scores the predictions of several devices together, and the baseline's on the same points."""
    known = list(pairs)
    model = score(np.concatenate([pair.model.ratio for pair in known]))
    return Compared(**model.model_dump(), baseline=score(np.concatenate([pair.baseline.ratio for pair in known])))


def compared_where_known(pairs: Iterable[Pair | None]) -> Compared | None:
    """Scores the known pairs like `compared`; None where there are none."""
    known = [pair for pair in pairs if pair is not None]
    return compared(known) if known else None
