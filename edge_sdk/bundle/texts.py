"""A bundle's texts, which stay in the file until somebody reads them: opening must not pay for sentences."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.bundle.format.generated.edge_generated import Bundle as Table


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
