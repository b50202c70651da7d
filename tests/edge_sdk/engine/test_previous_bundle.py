"""Where a new bundle does not open, the previous one does, on the same folder: docs/embedding.md, "New bundles"."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, EdgeError, Engine
from edge_sdk.errors import (
    BundleDamagedError,
    BundleInvalidError,
    BundleTooNewError,
    BundleUnreadableError,
    BundleUntrustedError,
    InvalidValueError,
    SelfTestError,
)
from edge_sdk.testing.white_box import internals
from tests.support import bundle_refusals
from tests.support.bundle_changes import Change, changed, put
from tests.support.scene import HOME, SettableClock, Small

payload = bundle_refusals.payload


def misjudged(bundle: Any) -> None:
    bundle.golden[0].logits = np.asarray(bundle.golden[0].logits) + 1


def without_kinds(bundle: Any) -> None:
    bundle.kinds = []


REFUSED: dict[str, tuple[Change | None, type[EdgeError]]] = {
    "absent": (None, BundleUnreadableError),
    "cut": (None, BundleDamagedError),
    "of a stranger": (None, BundleUntrustedError),
    "later format": (lambda bundle: put(bundle, "formatVersion", 6), BundleTooNewError),
    "contradicts itself": (without_kinds, BundleInvalidError),
    "another result": (misjudged, SelfTestError),
    "unknown zone": (lambda bundle: put(bundle.policy, "timeZone", "Mars/Base"), InvalidValueError),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_previous_file_opens_with_everything(
    small: Small, payload: bytes, tmp_path: Path, base: BaseDecision, case: str
) -> None:
    change, error = REFUSED[case]
    path, clock, new = tmp_path / "state", SettableClock(), tmp_path / "new.edge"
    with small.open(path, clock, log_bytes=4096) as engine:
        for number in range(300):
            engine.record("click", item=f"fund_{'abcd'[number % 4]}")
        memory, order = internals(engine).state.memory.dump(), engine.rank(base, context=HOME).order.tolist()
    keys = [small.public_key] if case != "of a stranger" else [b"k" * 32]
    if change is not None:
        new.write_bytes(changed(payload, change))
    elif case != "absent":
        whole = small.bundle.read_bytes()
        new.write_bytes(whole[:-9] if case == "cut" else whole)
    files = bundle_refusals.snapshot(path)

    with pytest.raises(error) as caught:
        Engine.open(path, bundle=new, trusted_keys=keys, clock=clock)

    assert type(caught.value) is error
    assert bundle_refusals.snapshot(path) == files
    with small.open(path, clock) as previous:
        assert internals(previous).state.memory.dump() == memory
        assert previous.rank(base, context=HOME).order.tolist() == order
