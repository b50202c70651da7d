"""Limits and defaults, each with its unit."""

from __future__ import annotations

from typing import Final

FORMAT_VERSION: Final = 5  # newest format of an `.edge` file that this runtime reads
POLICY_VERSION: Final = 3  # newest format of a policy file that this runtime reads
LOG_VERSION: Final = 2  # format of the event log; one of version 1 opens, and is upgraded

READS_A_BYTE: Final = 2  # of a bundle or policy: parts that several places share are read again at each
TABLES_MAX: Final = 1 << 16  # tables in a bundle or policy file: each becomes an object of some 300 bytes
POLICY_BYTES_MAX: Final = 1 << 22  # of a policy file
COUNTS_BYTES_MAX: Final = 1 << 26  # of memory for a bundle's window, counters and machines
CAPS_BYTES_MAX: Final = 1 << 26  # of memory for a policy's caps and cooldowns; each target's newest `limit` times
VECTORS_BYTES_MAX: Final = 1 << 28  # of memory for the vectors that are computed once from a bundle's tables
RULES_MAX: Final = 512  # of one policy: eligibility, blocks, quiet hours, weights, boosts, pins, caps and cooldowns
SELECTED_BYTES_MAX: Final = 1 << 26  # of memory for which offers the rules of a policy select: a byte a rule and offer
CONDITIONS_MAX: Final = 64  # of one rule
KINDS_MAX: Final = 1024  # of a scene
MACHINES_MAX: Final = 64  # of a scene
STEPS_MAX: Final = 256  # of one machine
DERIVED_MAX: Final = 64  # rules of derived events
FEATURES_MAX: Final = 4096  # values of all context fields together
NAMES_MAX: Final = 1024  # objectives, context fields, attributes, channels, wordings, outcomes: of each
GOLDEN_MAX: Final = 64  # golden vectors
NUMBER_MAX: Final = 1e12  # of a policy's weights, boosts, amounts and other numbers: scores stay finite
TEMPERATURE_MIN: Final = 1e-6  # of softmax

BUNDLE_BYTES_MAX: Final = (1 << 31) - 1  # of an `.edge` file: offsets in it have 31 bits
SNAPSHOT_BYTES_MAX: Final = 1 << 30  # of `memory.bin` with another bundle's tables; a larger file is not read
LOG_BYTES: Final = 1 << 20  # default size of the event log file: 32,766 records
LOG_BYTES_MIN: Final = 4096
LOG_BYTES_MAX: Final = 1 << 30
PENDING_MAX: Final = 1024  # events in the log that memory has not ingested yet
RECORD_MANY_MAX: Final = 1 << 31  # events in one call of `record_many`
SYNC_INTERVAL_S: Final = 1.0  # default of durability="power"

NODES_MAX: Final = 256  # operators in one graph
TENSORS_MAX: Final = 1 << 27  # numbers that all operators of a graph give together, for `CANDIDATES_MAX`: 512 MiB
PRODUCTS_MAX: Final = 1 << 33  # multiplications of all products of matrices of a graph, for `CANDIDATES_MAX`

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

UTC_OFFSET_S_MAX: Final = 17 * 3600  # of local time, either way; no zone was ever further from UTC than 15:14
TIME_MS_MAX: Final = 0xFFFFFFFF * 1000 + 999  # 2106-02-07, the end of u32 seconds

LOGIT_TOLERANCE: Final = 1e-5  # golden logits, absolute: the agreement that is asked of a port
