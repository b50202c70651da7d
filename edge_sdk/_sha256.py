"""SHA-256 from the interpreter's own code, where the standard `random` also gets its SHA-512.

`hashlib` loads the OpenSSL library, which takes 2.7 ms and 3.4 MB. Hashing a bundle of 136 KB takes 0.5 ms here and
0.1 ms with OpenSSL. An interpreter that was built without its own code uses `hashlib`.
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
