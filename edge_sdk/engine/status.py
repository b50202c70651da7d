"""The status of an engine: what is installed, the health of its log, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_sdk.bundle.bundle import Bundle
    from edge_sdk.engine.counts import Counts
    from edge_sdk.state.durability import Durability
    from edge_sdk.state.folder import StateFolder


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


def status_of(bundle: Bundle, state: StateFolder, durability: Durability, policy_error: str, counts: Counts) -> Status:
    """Returns the status of an engine from its parts."""
    return Status(
        scene=bundle.scene,
        model_version=bundle.model_version,
        events=state.log.count,
        capacity=state.log.capacity,
        log_bytes=state.log.size_bytes,
        encrypted=state.log.cipher is not None,
        durability=durability,
        disk_failures=state.disk_failures,
        damaged=state.log.damaged,
        unknown_items=len(counts.unknown_ids),
        decisions=counts.decisions,
        errors=sum(counts.errors.values()),
        errors_by_code={code.name: count for code, count in counts.errors.items()},
        policy_version=bundle.policy.version,
        policy_error=policy_error,
    )
