"""The base of the records that the commands read and write as JSON files: checked when read, whole when written."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cloud_export.atomic_write import write_whole


class Frozen(BaseModel):
    """A record that never changes, has no fields besides those that it declares, and has no infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class JsonFile(Frozen):
    """A record that is one whole JSON file.

    Attributes:
        file_error: The exception of an unusable file; its one argument is the message.
        file_fix: How the user gets a usable file: the end of the message.
        file_format: The value that the file's field `format` must have; None = the file has no such field.
    """

    file_error: ClassVar[type[Exception]]
    file_fix: ClassVar[str]
    file_format: ClassVar[int | None] = None

    @classmethod
    def read_json(cls, path: Path) -> Self:
        """Reads the record from a file.

        Raises:
            Exception: `file_error`: the file is not readable or not in the format. The message names the file, the
                field, the problem and the fix.
        """
        try:
            content = cls.model_validate_json(path.read_bytes())
        except OSError as problem:
            raise cls.file_error(f"{path}: {problem.strerror or problem}; {cls.file_fix}") from problem
        except ValidationError as problem:
            raise cls.file_error(f"{path}: {first_error(problem, 'the file')}; {cls.file_fix}") from problem
        found = getattr(content, "format", None)
        if found != cls.file_format:
            raise cls.file_error(f"{path}: format {found}, this program reads {cls.file_format}; {cls.file_fix}")
        return content

    def write_json(self, path: Path) -> None:
        """Writes the record to a file. A process that is killed leaves the old file or the new one.

        Raises:
            OSError: The file cannot be written.
        """
        write_whole(path, self.model_dump_json(indent=1) + "\n")


def first_error(problem: ValidationError, whole: str) -> str:
    """Returns the first problem of a validation, as `field: problem`; `whole` is the name where no field is wrong."""
    first = problem.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or whole
    return f"{field}: {first['msg']}"
