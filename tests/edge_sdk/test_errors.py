"""Each error has a code of its own, and its message ends with the fix."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk import errors
from edge_sdk.errors import EdgeError, ErrorCode, InvalidValueError
from tests.support.sdk_sources import sources

PATH = Path("file")
SAMPLES = [
    errors.BundleUnreadableError(PATH, FileNotFoundError(2, "No such file or directory")),
    errors.BundleDamagedError(PATH, "size", "0 bytes"),
    errors.BundleDamagedError(PATH, "size", "0 bytes", is_policy=True),
    errors.BundleTooNewError(PATH, 9, 3),
    errors.BundleUntrustedError(PATH, ()),
    errors.BundleUntrustedError(PATH, ("a key",), is_policy=True),
    errors.BundleInvalidError(PATH, "caps", "no kind"),
    errors.SelfTestError(PATH, "rank", 1),
    errors.PolicyInvalidError(PATH, "caps", "no kind"),
    errors.PolicyNotNewerError(1, 2),
    errors.StateOwnedError(PATH, "process 7"),
    errors.StateFullError(PATH, 4096),
    errors.StateUnusableError(PATH, "no space left"),
    errors.LogVersionError(PATH, "version 2", 1),
    errors.WrongKeyError(PATH, "encrypted", "pass its key"),
    errors.UnknownKindError("vieuw", ("view",)),
    errors.UnknownKindError("vieuw", ()),
    errors.InvalidValueError("item", 3),
    errors.UnknownOutcomeError("clack", ("click",)),
    errors.UnknownOutcomeError("clack", ()),
    errors.ExplanationGoneError(5),
    errors.NotLoadedError(OSError(24, "Too many open files")),
    errors.NestedCallError(),
    errors.ForkedError(7),
]
FIXES = {
    "open",
    "ship",
    "fetch",
    "update",
    "sign",
    "pass",
    "rebuild",
    "keep",
    "make",
    "raise",
    "close",
    "free",
    "give",
    "use",
    "call",
}


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_a_message_ends_with_the_fix(error: EdgeError) -> None:
    found, fix = str(error).split("; ", 1)

    assert found
    assert fix.split()[0] in FIXES
    assert "one of ," not in fix


def test_every_class_is_among_the_samples_and_has_a_code_of_its_own() -> None:
    classes = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, EdgeError)}

    assert {type(error) for error in SAMPLES} == classes - {EdgeError}
    codes = [thing.code for thing in classes - {EdgeError}]
    assert len(set(codes)) == len(codes)
    assert ErrorCode.NONE not in codes


def test_every_field_that_the_sources_refuse_has_a_fix() -> None:
    nodes = [node for path in sources() for node in ast.walk(ast.parse(path.read_text()))]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    first = [
        call.args[0] for call in calls if getattr(call.func, "id", "") in ("InvalidValueError", "listed", "as_whole")
    ]
    fields = {node.value for node in first if isinstance(node, ast.Constant)}

    assert {"item", "value", "decision", "before", "kind_names"} <= fields
    for field in fields:
        assert re.fullmatch(r".*=0 is not usable; pass .+", str(InvalidValueError(str(field), 0)))


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_is_copied_and_pickled(error: EdgeError, copied: Callable[[EdgeError], EdgeError]) -> None:
    error.add_note("while opening")

    again = copied(error)

    assert type(again) is type(error)
    assert (str(again), again.code, again.args, vars(again)) == (str(error), error.code, error.args, vars(error))
