"""The value types of the fields of a scene file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_SECONDS = 315_360_000  # ten years of 365 days

Word = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]  # also a name in the ONNX graph
Text = Annotated[str, Field(min_length=1, max_length=256)]
Texts = Annotated[tuple[Text, ...], Field(min_length=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]


class Section(BaseModel):
    """A section of the file: frozen, without unknown fields, with strict types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _listed(value: object) -> object:
    """Returns a single name as a list."""
    return (value,) if isinstance(value, str) else value


def flat(table: Mapping[str, object]) -> dict[str, object]:
    """Returns nested tables as one, with keys joined by dots: `[offer] a = "…"` is `"offer.a" = "…"`."""
    found: dict[str, object] = {}
    for key, entry in table.items():
        if isinstance(entry, Mapping):
            found |= {f"{key}.{below}": text for below, text in flat(entry).items()}
        else:
            found[str(key)] = entry
    return found


def _flat(value: object) -> object:
    return flat(value) if isinstance(value, Mapping) else value


Names = Annotated[tuple[Text, ...], BeforeValidator(_listed)]  # a text, or a list of texts
ChannelNames = Annotated[tuple[Annotated[str, Field(max_length=256)], ...], BeforeValidator(_listed)]  # "" = the app
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]  # BCP 47
Translations = Annotated[dict[str, Annotated[str, Field(max_length=2000)]], BeforeValidator(_flat)]
