"""Limits and defaults, each with its unit."""

from __future__ import annotations

from typing import Final

FORMAT_VERSION: Final = 4  # newest `.edge` format that this runtime reads
POLICY_VERSION: Final = 2  # newest format of a policy file
LOG_VERSION: Final = 1  # event log format

LOG_BYTES: Final = 1 << 20  # default size of the event log file: 32,766 records
LOG_BYTES_MIN: Final = 4096
LOG_BYTES_MAX: Final = 1 << 30
PENDING_MAX: Final = 1024  # events that wait in the log for memory to take them in
RECORD_MANY_MAX: Final = 1 << 31  # events in one call
SYNC_INTERVAL_S: Final = 1.0  # default of durability="power"

CANDIDATES_MAX: Final = 4096  # more in one decision: base order, TOO_MANY_CANDIDATES
PREPARED_BASES: Final = 4  # base decisions whose rows are kept ready
CONTEXTS_KEPT: Final = 16  # contexts that are kept encoded, and evaluated against a base decision's rules
BOUND_SIZES: Final = 4  # candidate counts whose tensors are kept bound
EXPLAINABLE_DECISIONS: Final = 256  # that the app holds; older ones can no longer be explained
MOMENTS_LOOKED_AT: Final = 16  # at which rules let go, one after the other, to say when to ask again
NAMES_CACHED: Final = 4096  # item names whose id and row are kept ready

WAITING_MAX: Final = 4096  # events that a client keeps until its engine is open
RESULTS_KEPT: Final = 16  # answers that a client with cache_s keeps
LATENCIES_KEPT: Final = 256  # decisions over which a client's diagnostics give the time of rank

TIME_MS_MAX: Final = 0xFFFFFFFF * 1000 + 999  # 2106-02-07, the end of u32 seconds

LOGIT_TOLERANCE: Final = 1e-5  # golden logits, absolute; DESIGN: ports agree within this
