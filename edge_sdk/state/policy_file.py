"""The policy that was installed without a new bundle: a signed file in the state folder.

It is read and checked again at every opening, so nothing unsigned comes into force from a file that was changed. Where
it does not fit a new bundle, or the bundle's own policy is as new, the bundle's holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edge_sdk.bundle.bundle import Bundle, with_policy
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.errors import EdgeError, PolicyNotNewerError, StateUnusableError
from edge_sdk.log import atomic_file as replacing
from edge_sdk.policy.rules import Policy


class Trust(NamedTuple):
    """Whose signature counts."""

    keys: tuple[bytes, ...]
    allow_unsigned: bool


class PolicyStore:
    """The file, beside the event log. Killed at any point, it is the former policy or the new one, whole."""

    def __init__(self, folder: Path, trust: Trust) -> None:
        self.path, self._trust = folder / "policy.edgp", trust

    def in_force(self, bundle: Bundle) -> tuple[Bundle, str]:
        """The bundle with the installed policy if that is newer, and what is wrong with it ("" = nothing)."""
        try:
            data = self.path.read_bytes()
            read = self._read(str(self.path), data, bundle)
        except FileNotFoundError:
            return bundle, ""
        except (OSError, EdgeError) as problem:  # a phone must start with what it has
            return bundle, str(problem)
        return (with_policy(bundle, read), "") if read.version > bundle.policy.version else (bundle, "")

    def check(self, data: bytes, bundle: Bundle) -> Policy:
        """Read a policy that is to replace the one in force.

        Raises:
            EdgeError: it is not signed, damaged, does not fit the bundle, or is not newer.
        """
        read = self._read("policy", data, bundle)
        if read.version <= bundle.policy.version:
            raise PolicyNotNewerError(read.version, bundle.policy.version)
        return read

    def prepare(self, data: bytes) -> None:
        """Write a policy out beside the one that stands; `activate` lets it take its place.

        Raises:
            StateUnusableError: the disk refuses; nothing has changed.
        """
        try:
            replacing.finish(self.path)
            replacing.create(self.path, len(data), data)
        except OSError as problem:
            raise StateUnusableError(self.path, problem.strerror or str(problem)) from problem

    def activate(self) -> None:
        """Let what was prepared take its place: a rename, which needs no room.

        Where the disk renames and does not confirm it, the new policy stands; power loss may bring the former one back.

        Raises:
            StateUnusableError: the disk refuses; the former policy stands.
        """
        try:
            replacing.put_in_place(self.path)
        except OSError as problem:
            if not self.path.with_suffix(".new").exists():
                return
            raise StateUnusableError(self.path, problem.strerror or str(problem)) from problem

    def _read(self, source: str, data: bytes, bundle: Bundle) -> Policy:
        trust = self._trust
        return read_policy_file(
            source, data, bundle.scene, bundle.symbols, trusted_keys=trust.keys, allow_unsigned=trust.allow_unsigned
        )
