"""Edge SDK, the device runtime: the cloud ranks the offers, the phone re-ranks them from events that never leave it."""

from edge_sdk.engine import Engine
from edge_sdk.errors import EdgeError, ErrorCode
from edge_sdk.types import BaseDecision, Decision, Explanation, RankedOffer, Reason, Status, Term

__all__ = [
    "BaseDecision",
    "Decision",
    "EdgeError",
    "Engine",
    "ErrorCode",
    "Explanation",
    "RankedOffer",
    "Reason",
    "Status",
    "Term",
    "__version__",
]

__version__ = "0.1.0"
