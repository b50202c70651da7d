"""Edge SDK, the device runtime: the cloud ranks the offers, the phone re-ranks them from events that never leave it.

A public name is loaded when it is first used, so that an app which only ranks does not pay for the client, explanations
and sentences (docs/startup.md).
"""

from types import ModuleType
from typing import TYPE_CHECKING

from edge_sdk import telemetry as _telemetry  # noqa: F401 - sets what onnxruntime reads at its import, whoever imports it

if TYPE_CHECKING:
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


def __getattr__(name: str) -> object:
    """Import a public name (PEP 562); Python asks here for what the module has not got yet."""
    home: ModuleType
    match name:
        case "Engine":
            from edge_sdk import engine as home
        case "BaseDecision" | "Status":
            from edge_sdk import types as home
        case "Decision" | "RankedOffer":
            from edge_sdk import decision as home
        case "EdgeError" | "ErrorCode":
            from edge_sdk import errors as home
        case "Reason":
            from edge_sdk import reasons as home
        case "Explanation" | "Explanations":
            from edge_sdk import explanation as home
        case "Term":
            from edge_sdk import terms as home
        case "Client":
            from edge_sdk import client as home
        case "ClientState":
            from edge_sdk import readiness as home
        case "Hook" | "RankRequest" | "Trouble":
            from edge_sdk import hooks as home
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
