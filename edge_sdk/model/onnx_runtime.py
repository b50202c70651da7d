"""onnxruntime, imported so that it sends nothing.

From 1.29 on its wheels for Linux report usage to their maker: a thread that starts at the import, with a database below
the user's cache folder (seen with 1.31.1). A variable of the environment stops both, and is read at the import only:
`import edge_sdk` sets it. All of this project imports onnxruntime from here.
"""

from __future__ import annotations

from edge_sdk._ort_telemetry import VARIABLE, came_too_late  # isort: skip  # before onnxruntime, also if used on its own

import onnxruntime

if came_too_late:  # its thread runs already; what it would report can still be cut down
    import logging  # 2 ms, and only where there is something to say

    onnxruntime.disable_telemetry_events()
    logging.getLogger("edge_sdk").warning(
        "onnxruntime was imported before edge_sdk, so its own telemetry is on; import edge_sdk first, or start the app "
        "with %s=1",
        VARIABLE,
    )

__all__ = ["onnxruntime"]
