"""What an engine says about a decision: explanations and messages, whose modules are imported when first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.errors import NotLoadedError

if TYPE_CHECKING:
    from edge_sdk.explain.explainer import Explainer
    from edge_sdk.explain.messages import Messenger


class Texts:
    """The explainer and the messenger of one engine."""

    def __init__(self, bundle: Bundle) -> None:
        """Loads nothing yet."""
        self._bundle = bundle
        self._explainer: Explainer | None = None
        self._messenger: Messenger | None = None

    def use(self, bundle: Bundle) -> None:
        """Goes on with another policy of the same bundle."""
        self._bundle, self._messenger = bundle, None

    def explainer(self) -> Explainer:
        """Returns the explainer.

        Raises:
            NotLoadedError: its modules cannot be loaded.
        """
        if self._explainer is None:
            with _as_not_loaded():
                from edge_sdk.explain.explainer import Explainer  # 4 ms that an app without explanations saves

            self._explainer = Explainer(self._bundle)
        return self._explainer

    def messenger(self) -> Messenger:
        """Returns the messenger.

        Raises:
            NotLoadedError: its modules cannot be loaded.
        """
        if self._messenger is None:
            with _as_not_loaded():
                from edge_sdk.explain.messages import Messenger

            self._messenger = Messenger(self._bundle)
        return self._messenger


@contextmanager
def _as_not_loaded() -> Iterator[None]:
    try:
        yield
    except Exception as problem:  # without memory, Python's parser even finds an error of syntax
        raise NotLoadedError(problem) from problem
