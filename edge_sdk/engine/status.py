"""The status of an engine: what is installed, the health of its log, and counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """What an embedder logs at start."""

    scene: str
    model_version: str
    events: int  # records in the log
    capacity: int  # records that fit
    log_bytes: int  # size of the log's file
    encrypted: bool
    durability: str
    disk_failures: int  # writes that nobody waited for and the disk refused, since opening
    damaged: int  # records found damaged when the log was opened
    unknown_items: int  # different items given to `record` that the bundle lacks, since opening or `erase`; up to 4,096
    decisions: int  # decisions made since opening
    errors: int  # of these, how many had an error code
    errors_by_code: dict[str, int]  # name of the code -> how many
    policy_version: int  # of the policy in force
    policy_error: str  # why an installed policy is not in force, with the fix; "" = nothing is wrong
