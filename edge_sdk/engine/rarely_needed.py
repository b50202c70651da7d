"""Modules that few calls need, imported when an engine opens: once no file can be opened, no module can be imported.

They stay out of the import of `edge_sdk.Engine`, which an app waits for. Explanations and messages, which not every app
asks for, are imported when first asked for.
"""

from typing import Final

from edge_sdk.decision import fallback
from edge_sdk.engine import status
from edge_sdk.memory import derived_bulk, erasure, migration
from edge_sdk.policy import suppressions
from edge_sdk.state import replacement

MODULES: Final = (fallback, status, derived_bulk, erasure, migration, suppressions, replacement)
