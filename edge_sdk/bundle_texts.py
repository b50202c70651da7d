"""A bundle's texts, which stay in the file until somebody reads them: opening must not pay for sentences."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.format.generated.edge_generated import Bundle as Table


class _WithoutTexts(Table):  # type: ignore[misc]  # generated code has no types
    """The table as if it had no texts: the generated code unpacks every vector that is there."""

    def TextsIsNone(self) -> bool:  # noqa: N802 - the generated code's name
        return True


def without_texts(payload: memoryview) -> Table:
    """The bundle's root table, for unpacking."""
    root, table = Table.GetRootAs(payload), _WithoutTexts()
    table.Init(root._tab.Bytes, root._tab.Pos)
    return table


class BundleTexts(NamedTuple):
    """Where the texts of a bundle lie."""

    payload: memoryview

    @property
    def languages(self) -> tuple[str, ...]:
        """BCP 47 tags, in the file's order."""
        table = Table.GetRootAs(self.payload)
        return tuple((table.Texts(index).Language() or b"").decode() for index in range(table.TextsLength()))

    def read(self, language: str) -> dict[str, str]:
        """The texts of a language by key; empty where there is none."""
        languages = self.languages
        if language not in languages:
            return {}
        table = Table.GetRootAs(self.payload).Texts(languages.index(language))
        keys, texts = table.KeysLength(), table.TextsLength()
        if keys != texts:
            raise ValueError(f"{keys} keys, {texts} texts")
        return {table.Keys(index).decode(): table.Texts(index).decode() for index in range(keys)}
