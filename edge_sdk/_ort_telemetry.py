"""Keeps onnxruntime from reporting to its maker; see `model/onnx_runtime.py`. Imports neither it nor anything large."""

from __future__ import annotations

import os
import sys
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
came_too_late: Final = "onnxruntime" in sys.modules and os.environ.get(VARIABLE) != "1"
os.environ[VARIABLE] = "1"  # read when onnxruntime is imported, and then only
