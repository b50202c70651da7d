"""Limits and defaults, each with its unit."""

from __future__ import annotations

from typing import Final

FORMAT_VERSION: Final = 4  # newest format of an `.edge` file that this runtime reads
POLICY_VERSION: Final = 2  # newest format of a policy file that this runtime reads
LOG_VERSION: Final = 1  # format of the event log

BUNDLE_BYTES_MAX: Final = (1 << 31) - 1  # of an `.edge` file: offsets in it have 31 bits
POLICY_BYTES_MAX: Final = 1 << 26  # of a policy file; the largest of this project's scenes has 20 KB
SNAPSHOT_BYTES_MAX: Final = 1 << 30  # of `memory.bin` with another bundle's tables; a larger file is not read
LOG_BYTES: Final = 1 << 20  # default size of the event log file: 32,766 records
LOG_BYTES_MIN: Final = 4096
LOG_BYTES_MAX: Final = 1 << 30
PENDING_MAX: Final = 1024  # events in the log that memory has not ingested yet
RECORD_MANY_MAX: Final = 1 << 31  # events in one call of `record_many`
SYNC_INTERVAL_S: Final = 1.0  # default of durability="power"

CANDIDATES_MAX: Final = 4096  # in one decision; with more the answer is the base order and TOO_MANY_CANDIDATES
PREPARED_BASES: Final = 4  # base decisions whose candidate set is cached
CONTEXTS_KEPT: Final = 16  # contexts whose encoding and evaluated rules are cached, for each base decision
BOUND_SIZES: Final = 4  # numbers of candidates whose bound tensors are cached
EXPLAINABLE_DECISIONS: Final = 256  # newest decisions of those that the app keeps; older ones cannot be explained
MOMENTS_LOOKED_AT: Final = 16  # ends of suppressions that are tried, one after the other, to find `retry_at_ms`
NAMES_CACHED: Final = 4096  # item names whose id is cached; also the most unknown items that `status` counts

CLIENT_PENDING_MAX: Final = 4096  # events that a client queues until its engine is open
RESULTS_KEPT: Final = 16  # answers in the cache of a client with cache_s
LATENCIES_KEPT: Final = 256  # latest decisions behind the latency of rank in a client's diagnostics

TIME_MS_MAX: Final = 0xFFFFFFFF * 1000 + 999  # 2106-02-07, the end of u32 seconds

LOGIT_TOLERANCE: Final = 1e-5  # golden logits, absolute: the agreement that is asked of a port
