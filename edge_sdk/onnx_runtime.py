"""onnxruntime, imported so that it sends nothing.

From 1.29 on its wheels for Linux report usage to their maker: a thread that starts at the import, with a database below
the user's cache folder (seen with 1.31.1). The variable below stops both, and is read at the import only. All of this
project imports onnxruntime from here.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

_VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
_came_too_late = "onnxruntime" in sys.modules and os.environ.get(_VARIABLE) != "1"
os.environ[_VARIABLE] = "1"

import onnxruntime  # noqa: E402

if _came_too_late:  # its thread runs already; what it would report can still be cut down
    onnxruntime.disable_telemetry_events()
    logging.getLogger("edge_sdk").warning(
        "onnxruntime was imported before edge_sdk, so its own telemetry is on; import edge_sdk first, or start the app "
        "with %s=1",
        _VARIABLE,
    )

__all__ = ["onnxruntime"]
