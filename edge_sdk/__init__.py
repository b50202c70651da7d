"""Edge SDK, the device runtime: the cloud ranks the offers, the phone re-ranks them from events that never leave it."""

from edge_sdk.client import Client
from edge_sdk.decision import Decision, RankedOffer
from edge_sdk.engine import Engine
from edge_sdk.errors import EdgeError, ErrorCode
from edge_sdk.explanation import Explanation, Explanations
from edge_sdk.hooks import Hook, RankRequest, Trouble
from edge_sdk.readiness import ClientState
from edge_sdk.reasons import Reason
from edge_sdk.terms import Term
from edge_sdk.types import BaseDecision, Status

__all__ = [
    "BaseDecision",
    "Client",
    "ClientState",
    "Decision",
    "EdgeError",
    "Engine",
    "ErrorCode",
    "Explanation",
    "Explanations",
    "Hook",
    "RankRequest",
    "RankedOffer",
    "Reason",
    "Status",
    "Term",
    "Trouble",
    "__version__",
]

__version__ = "0.1.0"
