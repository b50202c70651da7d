"""A separate Python process owns a folder, meets a limit, or is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

OWNER: Final = """
import sys
from pathlib import Path
from edge_sdk.state.lock import HeldFolder
lock = HeldFolder(Path(sys.argv[1]))
print("owned", flush=True)
sys.stdin.read()
"""  # locks its folder until it is killed


def python(program: str, folder: Path) -> subprocess.Popen[bytes]:
    """Starts a separate Python with `program`; the end of the `with` kills the process if it still runs."""
    return _Process([sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class _Process(subprocess.Popen[bytes]):
    def __exit__(self, *problem: object) -> None:
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)
        super().__exit__(None, None, None)
