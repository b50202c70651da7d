"""The installed policy: a signed file in the state folder that replaces the policy of the bundle.

Every opening reads the file and checks the signature again, so a file that was changed never comes into force. Where
the file does not fit a new bundle, or the bundle's own policy is as new, the bundle's policy is in force.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from edge_sdk.bundle.bundle import Bundle, with_policy
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.errors import EdgeError, PolicyNotNewerError, StateUnusableError
from edge_sdk.limits import POLICY_BYTES_MAX
from edge_sdk.log import atomic_file
from edge_sdk.log.directory import FILE_MODE, Directory, as_state_error, restrict, state_error
from edge_sdk.policy.rules import Policy


class Trust(NamedTuple):
    """Which signatures are accepted."""

    keys: tuple[bytes, ...]
    allow_unsigned: bool


class PolicyStore:
    """The file of the installed policy. After a crash it contains either the former or the new policy, complete."""

    def __init__(self, directory: Directory, trust: Trust) -> None:
        """Of an open folder; reads nothing."""
        self._entry, self._trust = directory.entry("policy.edgp"), trust
        self.path = self._entry.path

    def in_force(self, bundle: Bundle) -> tuple[Bundle, str]:
        """Returns the bundle with the installed policy if that is newer, and the problem of the file ("" = none)."""
        try:
            data = self._entry.read(POLICY_BYTES_MAX)
            read = self._read(str(self.path), data, bundle)
        except FileNotFoundError:
            return bundle, ""
        except (OSError, EdgeError) as problem:  # the engine must start all the same
            return bundle, str(problem)
        return (with_policy(bundle, read), "") if read.version > bundle.policy.version else (bundle, "")

    def check(self, data: bytes, bundle: Bundle) -> Policy:
        """Reads a policy that is to replace the policy in force.

        Raises:
            EdgeError: the policy is not signed, is damaged, does not fit the bundle, or is not newer.
        """
        read = self._read("policy", data, bundle)
        if read.version <= bundle.policy.version:
            raise PolicyNotNewerError(read.version, bundle.policy.version)
        return read

    def prepare(self, data: bytes) -> None:
        """Writes a policy beside the installed one; `activate` installs it.

        Raises:
            StateUnusableError: the disk refuses; nothing has changed.
        """
        with as_state_error(self.path):
            atomic_file.recover(self._entry)
            atomic_file.stage(self._entry, len(data), [data])

    def activate(self) -> None:
        """Installs the prepared policy by a rename, which needs no room on the disk.

        Where the disk renames the file but does not confirm that, the new policy is installed; a power loss may bring
        the former one back.

        Raises:
            StateUnusableError: the disk refuses; the former policy stays installed.
        """
        try:
            atomic_file.install(self._entry)
        except OSError as problem:
            with as_state_error(self.path):
                if not self._entry.with_suffix(".new").exists():
                    return
            raise state_error(self.path, problem) from problem

    def restrict(self) -> None:
        """Lets only the user of the file in; does nothing if no policy is installed, or the file cannot be opened."""
        with suppress(OSError, StateUnusableError):
            file = self._entry.open()
            restrict(file, FILE_MODE)
            file.close()

    def _read(self, source: str, data: bytes, bundle: Bundle) -> Policy:
        trust = self._trust
        return read_policy_file(
            source, data, bundle.scene, bundle.symbols, trusted_keys=trust.keys, allow_unsigned=trust.allow_unsigned
        )
