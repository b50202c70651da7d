"""`device_sim.files` reads JSON files, and names the fix for an unusable file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from device_sim.files import Frozen, JsonFile


class FileProblemError(Exception):
    """The file is not usable."""


class Inner(Frozen):
    size: float = 1.0


class Whole(JsonFile):
    file_error: ClassVar = FileProblemError
    file_fix: ClassVar = "write it again"
    file_format: ClassVar = 3

    format: int = 3
    inner: Inner


class WithoutFormat(JsonFile):
    file_error: ClassVar = FileProblemError
    file_fix: ClassVar = "write it again"

    inner: Inner


def test_a_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for content in (Whole(inner=Inner(size=2.5)), WithoutFormat(inner=Inner())):
        content.write_json(tmp_path / "a.json")
        assert type(content).read_json(tmp_path / "a.json") == content
    assert list(tmp_path.iterdir()) == [tmp_path / "a.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "the file: Invalid JSON"),
        ("{}", "inner: Field required"),
        ('{"inner": {"size": "x"}}', "inner.size: Input should be a valid number"),
        ('{"inner": {}, "more": 1}', "more: Extra inputs are not permitted"),
        ('{"inner": {}, "format": 2}', "format 2, this program reads 3"),
    ],
)
def test_an_unusable_file_is_one_message_with_file_field_and_fix(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(FileProblemError) as caught:
        Whole.read_json(tmp_path / "a.json")
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: {words}")
    assert str(caught.value).endswith("; write it again")


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblemError, match=r"a\.json: No such file or directory; write it again"):
        Whole.read_json(tmp_path / "a.json")
    with pytest.raises(FileProblemError, match="Is a directory; write it again"):
        Whole.read_json(tmp_path)


def test_a_record_never_changes() -> None:
    inner = Inner()
    with pytest.raises(ValidationError, match="frozen"):
        inner.size = 3.0
    with pytest.raises(ValidationError, match="finite"):
        Inner(size=float("inf"))
