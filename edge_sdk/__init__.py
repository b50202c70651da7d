"""Edge SDK, the device runtime: the cloud ranks the offers, the phone re-ranks them from events that never leave it."""

from edge_sdk.client import Client
from edge_sdk.decision import Decision, RankedOffer
from edge_sdk.engine import Engine
from edge_sdk.errors import EdgeError, ErrorCode
from edge_sdk.explanation import Explanation, Explanations
from edge_sdk.hooks import Hook
from edge_sdk.reasons import Reason
from edge_sdk.terms import Term
from edge_sdk.types import BaseDecision, Status

__all__ = [
    "BaseDecision",
    "Client",
    "Decision",
    "EdgeError",
    "Engine",
    "ErrorCode",
    "Explanation",
    "Explanations",
    "Hook",
    "RankedOffer",
    "Reason",
    "Status",
    "Term",
    "__version__",
]

__version__ = "0.1.0"
