#!/usr/bin/env bash
# onnxruntime 1.31.1's Linux wheel starts a telemetry thread at its import, and the API of that name does not end it.
#
# Versions: onnxruntime 1.28.0 and 1.31.1 from PyPI, Linux, CPU, Python 3.11.
# Expected by most: telemetry exists on Windows alone, and `onnxruntime.disable_telemetry_events()` switches it off.
# Seen: `import onnxruntime` starts one more thread in 1.31.1, none in 1.28.0. After `disable_telemetry_events()` the
# thread is still there. The environment variable ORT_DISABLE_TELEMETRY=1 prevents it, if it is set before the import;
# set after the import it changes nothing. So a library has to set it before anything imports onnxruntime.
#
# Output seen:
#   1.28.0 import +0
#   1.31.1 import +1, after disable_telemetry_events +1, after the variable +1
#   1.31.1 variable first +0
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/threads.py" <<'PY'
import os
import sys
import time


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def more() -> str:
    time.sleep(1)
    return f"+{threads() - before}"


import numpy  # noqa: its own threads are none of this

before = threads()
if sys.argv[1] == "variable first":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

line = f"{onnxruntime.__version__} {sys.argv[1]} {more()}"
if sys.argv[1] == "import" and len(sys.argv) > 2:
    onnxruntime.disable_telemetry_events()
    line += f", after disable_telemetry_events {more()}"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    line += f", after the variable {more()}"
print(line)
PY

seen() {
    env -u ORT_DISABLE_TELEMETRY OPENBLAS_NUM_THREADS=1 "$folder/$1/bin/python" "$folder/threads.py" "${@:2}"
}

for version in 1.28.0 1.31.1; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet numpy==2.4.6 "onnxruntime==$version"
done

output=$(
    seen 1.28.0 import
    seen 1.31.1 import later
    seen 1.31.1 "variable first"
)
echo "$output"
[ "$output" = "1.28.0 import +0
1.31.1 import +1, after disable_telemetry_events +1, after the variable +1
1.31.1 variable first +0" ] || { echo "this has changed" >&2; exit 1; }
