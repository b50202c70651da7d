"""A Python process of its own, to own a folder, meet a limit, or be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path


def python(program: str, folder: Path) -> subprocess.Popen[bytes]:
    """A Python of its own running `program`; it is killed at the end of the `with` if it still lives."""
    return _Process([sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class _Process(subprocess.Popen[bytes]):
    def __exit__(self, *problem: object) -> None:
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)
        super().__exit__(None, None, None)
