"""The reasons for an offer's place, or for its suppression: stable bits, each with a text."""

from __future__ import annotations

from enum import IntFlag


class Reason(IntFlag):
    """Reason bits, which a port can carry as one integer. Their meaning never changes."""

    BASE_ORDER = 1  # the answer is the base order: the device adjusted nothing
    RAISED = 2  # the user's events moved it up from its place in the base order
    LOWERED = 4  # they moved it down
    KEPT = 8  # the user's events left its place unchanged
    # why it is suppressed
    NOT_YET_VALID = 16
    EXPIRED = 32
    NOT_ELIGIBLE = 64
    CAPPED = 128
    COOLING_DOWN = 256
    UNKNOWN_OFFER = 512  # not in the bundle
    BLOCKED = 1024  # by the operator
    HIDDEN = 2048  # by the user
    QUIET = 4096  # quiet hours of its channel
    OVER_BUDGET = 8192
    BELOW_MINIMUM = 16384  # its score is below the policy's minimum
    CATEGORY_FULL = 32768
    OTHER_TREATMENT = 65536  # another treatment of the same offer is listed
    # what the policy did to its score or place
    TOO_FEW_EVENTS = 1 << 17  # too few events: the model's adjustment is still scaled down
    BOUNDED = 1 << 18
    BOOSTED = 1 << 19
    PRICED = 1 << 20
    DIVERSIFIED = 1 << 21
    PINNED = 1 << 22
    EXPLORED = 1 << 23

    @property
    def text(self) -> str:
        """The reasons in words, such as ``raised by recent events``."""
        return "; ".join(text for bit, text in REASON_TEXTS.items() if bit in self)


REASON_TEXTS = {
    Reason.BASE_ORDER: "as the cloud ranked it",
    Reason.RAISED: "raised by recent events",
    Reason.LOWERED: "lowered by recent events, or overtaken",
    Reason.KEPT: "recent events leave it where the cloud put it",
    Reason.NOT_YET_VALID: "not on offer yet",
    Reason.EXPIRED: "no longer on offer",
    Reason.NOT_ELIGIBLE: "its conditions do not hold for this user",
    Reason.CAPPED: "shown often enough",
    Reason.COOLING_DOWN: "resting after the user's answer",
    Reason.UNKNOWN_OFFER: "not in the installed bundle",
    Reason.BLOCKED: "blocked by the operator",
    Reason.HIDDEN: "hidden by the user",
    Reason.QUIET: "quiet hours",
    Reason.OVER_BUDGET: "costs more than is left to spend",
    Reason.BELOW_MINIMUM: "below the minimum score",
    Reason.CATEGORY_FULL: "enough of its category on the list",
    Reason.OTHER_TREATMENT: "shown in another way",
    Reason.TOO_FEW_EVENTS: "too few events for the model's full weight",
    Reason.BOUNDED: "held near its place in the cloud's order",
    Reason.BOOSTED: "moved by a rule of the operator",
    Reason.PRICED: "charged for its cost",
    Reason.DIVERSIFIED: "made way for other categories",
    Reason.PINNED: "given its place by a rule",
    Reason.EXPLORED: "given a chance by exploration",
}
