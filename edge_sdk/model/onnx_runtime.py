"""Imports onnxruntime with its telemetry switched off.

From 1.29 on, the Linux wheels of onnxruntime report usage to their vendor: a thread that starts at the import, with a
database below the user's cache folder (seen with 1.31.1). An environment variable stops both, but is read only at the
import: `import edge_sdk` sets it. The whole project imports onnxruntime from here.
"""

from __future__ import annotations

from edge_sdk._ort_telemetry import VARIABLE, came_too_late  # isort: skip  # before onnxruntime, also if this module is imported alone

import onnxruntime

if came_too_late:  # the thread runs already; what the thread reports can still be reduced
    import logging  # 2 ms, and only if there is something to log

    onnxruntime.disable_telemetry_events()
    logging.getLogger("edge_sdk").warning(
        "onnxruntime was imported before edge_sdk, so its own telemetry is on; import edge_sdk first, or start the app "
        "with %s=1",
        VARIABLE,
    )

__all__ = ["onnxruntime"]
