"""SHA-256 by the interpreter's own code, as the standard `random` takes its SHA-512.

`hashlib` loads OpenSSL's library: 2.7 ms and 3.4 MB, where hashing a bundle of 136 KB here takes 0.5 ms (there 0.1 ms).
An interpreter that was built without its own code has `hashlib`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["sha256"]

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:
            from hashlib import sha256
