"""Switches off onnxruntime's usage reports before its import; see `model/onnx_runtime.py`. Imports nothing large."""

from __future__ import annotations

import os
import sys
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
came_too_late: Final = "onnxruntime" in sys.modules and os.environ.get(VARIABLE) != "1"
os.environ[VARIABLE] = "1"  # onnxruntime reads it once, when it is imported
