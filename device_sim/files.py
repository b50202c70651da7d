"""Reading and writing the JSON files that the commands hand to each other: checked when read, whole when written."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cloud_export.atomic_write import write_whole

_Model = TypeVar("_Model", bound=BaseModel)


def read_json(
    path: Path, kind: type[_Model], error: type[Exception], *, fix: str, version: int | None = None
) -> _Model:
    """Read a file as a model.

    Args:
        path: The file.
        kind: What it holds.
        error: What to raise; it is given one message: the file, the field, what is wrong, and the fix.
        fix: How to get a usable file.
        version: What the file's `format` must be; None = it has none.

    Raises:
        Exception: `error`; the file is not readable or not in the format.
    """
    try:
        content = kind.model_validate_json(path.read_bytes())
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}; {fix}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise error(f"{path}: {field}: {first['msg']}; {fix}") from problem
    if version is not None and (found := getattr(content, "format", None)) != version:
        raise error(f"{path}: format {found}, this program reads {version}; {fix}")
    return content


def write_json(content: BaseModel, path: Path) -> None:
    """Write a model; whoever is killed leaves the old file or the new one.

    Raises:
        OSError: The file cannot be written.
    """
    write_whole(path, content.model_dump_json(indent=1) + "\n")
