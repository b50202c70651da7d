"""The errors of the cloud exporter: one tree, whose messages name the place and end with the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NAMES_SHOWN = 20
_ROWS_SHOWN = 20
_VALUE_CHARACTERS = 80


class CloudError(Exception):
    """The root of the errors of `cloud-export`; each message ends with the fix."""


@dataclass(frozen=True, slots=True)
class SceneProblem:
    """One wrong field of a scene file.

    Attributes:
        field: Dotted path, such as `policy.caps[0].kind`; empty for the file as a whole.
        value: The value of the field; `None` where the field has none.
        reason: Why the value is refused.
        fix: What to write instead.
    """

    field: str
    value: object
    reason: str
    fix: str

    def __str__(self) -> str:
        place = self.field or "the file"
        shown = "" if self.value is None else f" = {short(self.value)}"
        return f"{place}{shown}: {self.reason}; {self.fix}"


class SceneError(CloudError):
    """A scene file has wrong fields; `problems` has one entry for each."""

    def __init__(self, file: str, problems: Sequence[SceneProblem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{file}: {problem}" for problem in self.problems))


class LogError(CloudError):
    """A log cannot be used."""


class LogFileError(LogError):
    """A file or folder of the log cannot be read."""

    def __init__(self, file: str, reason: str, fix: str) -> None:
        self.file, self.reason, self.fix = file, reason, fix
        super().__init__(f"{file}: {reason.rstrip('.')}; {fix}")


class LogColumnError(LogError):
    """A column that the scene maps is not in the file."""

    def __init__(self, file: str, section: str, word: str, column: str, present: Sequence[str]) -> None:
        self.file, self.section, self.word, self.column, self.present = file, section, word, column, tuple(present)
        super().__init__(
            f'{file}: no column "{column}" for `{word}`; the columns present are {quoted(present)}; '
            f"{suggestion(column, present)}map `{word}` to one of them in [{section}] of the scene, or add the column"
        )


class LogTypeError(LogError):
    """A mapped column has a type that its field does not accept."""

    def __init__(self, file: str, section: str, word: str, column: str, found: str, wanted: str) -> None:
        self.file, self.section, self.word, self.column = file, section, word, column
        super().__init__(
            f'{file}: column "{column}" for `{word}` has the type {found}; '
            f"store it as {wanted}, or map `{word}` to another column in [{section}] of the scene"
        )


class LogContentError(LogError):
    """The files are readable but have no usable content, or a required input is missing."""

    def __init__(self, reason: str, fix: str) -> None:
        self.reason, self.fix = reason, fix
        super().__init__(f"{reason}; {fix}")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A refused row.

    Attributes:
        file: The file of the row.
        row: 1-based data row in that file; the header is not counted, empty lines are.
        reason: Why, with the offending value.
    """

    file: str
    row: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file} row {self.row}: {self.reason}"


class BadRowsError(LogError):
    """A log has bad rows and the caller asked to stop at them; `rows` has all of them."""

    def __init__(self, rows: Sequence[BadRow]) -> None:
        self.rows = tuple(rows)
        shown = [str(row) for row in self.rows[:_ROWS_SHOWN]]
        left = len(self.rows) - len(shown)
        more = [f"… and {left} more"] if left else []
        total = f"{len(self.rows)} bad row{'s' if len(self.rows) > 1 else ''}:"
        fix = 'fix them, or set them aside with bad_rows="skip" (`--bad-rows skip`)'
        super().__init__("\n".join([total, *shown, *more, fix]))


def short(value: object) -> str:
    """Returns `value` as people write it, cut to one line of at most 80 characters."""
    text = f'"{value}"' if isinstance(value, str) else repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"


def quoted(names: Iterable[str]) -> str:
    """Returns the names in quotes, at most 20 of them; "none" if there are none."""
    listed = [f'"{name}"' for name in names]
    left = len(listed) - _NAMES_SHOWN
    return (", ".join(listed[:_NAMES_SHOWN]) + (f" and {left} more" if left > 0 else "")) or "none"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns `did you mean "…"? ` (with the blank) if one of the known names is similar, else an empty text."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), list(by_fold), n=1)
    return f'did you mean "{by_fold[close[0]]}"? ' if close else ""
