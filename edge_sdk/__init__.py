"""The device runtime: the cloud ranks the offers, and the phone re-ranks them by events that never leave it.

Each public name is imported at its first use, so that an app which only ranks does not load the client, explanations
and texts (docs/performance.md).
"""

from types import ModuleType
from typing import TYPE_CHECKING

from edge_sdk import _ort_telemetry as _telemetry  # noqa: F401 - must run before any import of onnxruntime

if TYPE_CHECKING:
    from edge_sdk.base_decision import BaseDecision
    from edge_sdk.client.client import Client
    from edge_sdk.client.hooks import Hook, RankRequest
    from edge_sdk.client.states import ClientState, Problem
    from edge_sdk.decision.decision import Decision, RankedOffer
    from edge_sdk.engine.engine import Engine
    from edge_sdk.engine.local_time import utc_offset_of
    from edge_sdk.engine.status import Status
    from edge_sdk.errors import EdgeError, ErrorCode
    from edge_sdk.explain.contribution import Contribution
    from edge_sdk.explain.explainer import Explanations
    from edge_sdk.explain.explanation import Explanation
    from edge_sdk.explain.rank_changes import RankChange
    from edge_sdk.policy.conditions import ContextField
    from edge_sdk.policy.suppressions import Suppression
    from edge_sdk.reasons import Reason

__all__ = [
    "BaseDecision",
    "Client",
    "ClientState",
    "ContextField",
    "Contribution",
    "Decision",
    "EdgeError",
    "Engine",
    "ErrorCode",
    "Explanation",
    "Explanations",
    "Hook",
    "Problem",
    "RankChange",
    "RankRequest",
    "RankedOffer",
    "Reason",
    "Status",
    "Suppression",
    "__version__",
    "utc_offset_of",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Imports a public name at its first use (PEP 562)."""
    home: ModuleType
    match name:
        case "Engine":
            from edge_sdk.engine import engine as home
        case "utc_offset_of":
            from edge_sdk.engine import local_time as home
        case "BaseDecision":
            from edge_sdk import base_decision as home
        case "Decision" | "RankedOffer":
            from edge_sdk.decision import decision as home
        case "EdgeError" | "ErrorCode":
            from edge_sdk import errors as home
        case "Status":
            from edge_sdk.engine import status as home
        case "Reason":
            from edge_sdk import reasons as home
        case "Explanation":
            from edge_sdk.explain import explanation as home
        case "Explanations":
            from edge_sdk.explain import explainer as home
        case "Contribution":
            from edge_sdk.explain import contribution as home
        case "ContextField":
            from edge_sdk.policy import conditions as home
        case "RankChange":
            from edge_sdk.explain import rank_changes as home
        case "Suppression":
            from edge_sdk.policy import suppressions as home
        case "Client":
            from edge_sdk.client import client as home
        case "ClientState" | "Problem":
            from edge_sdk.client import states as home
        case "Hook" | "RankRequest":
            from edge_sdk.client import hooks as home
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
