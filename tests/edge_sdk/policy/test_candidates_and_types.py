"""A decision's offers: places, reasons and their texts; also orders, ids, vocabularies and error codes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Decision, EdgeError, ErrorCode, RankedOffer, Reason, errors
from edge_sdk.decision.decision import Trace
from edge_sdk.policy.exploration import Draw
from edge_sdk.policy.pipeline import PolicyResult
from edge_sdk.policy.rules import Exploration
from edge_sdk.policy.slate import Slate
from edge_sdk.policy.stages import Stages
from edge_sdk.types import I64, Mask, by_score

SCORES = np.array([1.0, 0.5, 2.0], np.float32)


def decision(**changes: object) -> Decision:
    """Three candidates; the model moved the last one to the top, a rule suppresses the middle one."""
    fields: dict[str, object] = {
        "dropped_bits": np.array([0, int(Reason.CAPPED), 0]),
        "eligible_order": np.array([2, 0]),
        "known": None,
        "limit": None,
        "error": ErrorCode.NONE,
    }
    fields |= changes
    eligible: I64 = fields["eligible_order"]  # type: ignore[assignment]
    stages = Stages.of_base(SCORES)
    draw = Draw(Exploration(), SCORES, Slate(eligible, (), (), None, None), eligible)
    dropped: I64 | None = fields["dropped_bits"]  # type: ignore[assignment]
    error: ErrorCode = fields["error"]  # type: ignore[assignment]
    known: Mask | None = fields["known"]  # type: ignore[assignment]
    limit: int | None = fields["limit"]  # type: ignore[assignment]
    return Decision(
        id=7,
        time_ms=0,
        scene="small",
        model_version="0" * 12,
        policy_version=0,
        error=error,
        detail="",
        base=BaseDecision(("a", "b", "c"), SCORES),
        retry_at_ms=None,
        trace=Trace(
            result=PolicyResult(stages, dropped, eligible, (), draw),
            base_order=np.array([0, 1, 2]),
            costs=np.zeros(3, np.float32),
            known=known,
            limit=limit,
        ),
    )


def test_offers_and_dropped_offers() -> None:
    made = decision()
    assert made.offers == (
        RankedOffer("c", 2.0, place=1, base_place=3, reasons=Reason.RAISED),
        RankedOffer("a", 1.0, place=2, base_place=1, reasons=Reason.LOWERED),
    )
    assert made.dropped == (RankedOffer("b", 0.5, place=0, base_place=2, reasons=Reason.CAPPED),)


def test_a_limit_hides_offers_and_no_dropped_offer() -> None:
    made = decision(limit=1)
    assert [offer.id for offer in made.offers] == ["c"]
    assert [offer.id for offer in made.dropped] == ["b"]


def test_without_rules_all_candidates_are_listed() -> None:
    made = decision(dropped_bits=None, eligible_order=np.array([2, 0, 1]))
    assert [offer.id for offer in made.offers] == ["c", "a", "b"]
    assert made.dropped == ()


def test_the_base_order_has_its_reason_and_marks_unknown_offers() -> None:
    made = decision(
        error=ErrorCode.UNKNOWN_OFFER, dropped_bits=None, eligible_order=np.array([0, 1, 2]),
        known=np.array([True, False, True]),
    )  # fmt: skip
    assert [offer.reasons for offer in made.offers] == [
        Reason.BASE_ORDER,
        Reason.BASE_ORDER | Reason.UNKNOWN_OFFER,
        Reason.BASE_ORDER,
    ]


@pytest.mark.parametrize(
    ("reason", "bit", "text"),
    [
        (Reason.BASE_ORDER, 1, "as the cloud ranked it"),
        (Reason.RAISED, 2, "raised by recent events"),
        (Reason.LOWERED, 4, "lowered by recent events, or overtaken"),
        (Reason.KEPT, 8, "recent events leave it where the cloud put it"),
        (Reason.NOT_YET_VALID, 16, "not on offer yet"),
        (Reason.EXPIRED, 32, "no longer on offer"),
        (Reason.NOT_ELIGIBLE, 64, "its conditions do not hold for this user"),
        (Reason.CAPPED, 128, "shown often enough"),
        (Reason.COOLING_DOWN, 256, "resting after the user's answer"),
        (Reason.UNKNOWN_OFFER, 512, "not in the installed bundle"),
        (Reason.BLOCKED, 1024, "blocked by the operator"),
        (Reason.HIDDEN, 2048, "hidden by the user"),
        (Reason.QUIET, 4096, "quiet hours"),
        (Reason.OVER_BUDGET, 8192, "costs more than is left to spend"),
        (Reason.BELOW_MINIMUM, 16_384, "below the minimum score"),
        (Reason.CATEGORY_FULL, 32_768, "enough of its category on the list"),
        (Reason.OTHER_TREATMENT, 65_536, "shown in another way"),
        (Reason.TOO_FEW_EVENTS, 131_072, "too few events for the model's full weight"),
        (Reason.BOUNDED, 262_144, "held near its place in the cloud's order"),
        (Reason.BOOSTED, 524_288, "moved by a rule of the operator"),
        (Reason.PRICED, 1_048_576, "charged for its cost"),
        (Reason.DIVERSIFIED, 2_097_152, "made way for other categories"),
        (Reason.PINNED, 4_194_304, "given its place by a rule"),
        (Reason.EXPLORED, 8_388_608, "given a chance by exploration"),
    ],
)
def test_reason_bits_and_texts(reason: Reason, bit: int, text: str) -> None:
    assert reason == bit
    assert reason.text == text


def test_every_reason_has_a_text_and_several_are_joined() -> None:
    assert all(reason.text for reason in Reason)
    assert (Reason.LOWERED | Reason.CAPPED).text == "lowered by recent events, or overtaken; shown often enough"
    assert Reason(0).text == ""


@given(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), max_size=30))
def test_order_is_by_score_then_by_index(scores: list[float]) -> None:
    found = by_score(np.array(scores, np.float32)).tolist()
    assert found == sorted(range(len(scores)), key=lambda index: (-scores[index], index))


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EdgeError)]
    codes = [kind.code for kind in kinds if kind is not EdgeError]
    assert len(codes) > 12
    assert len(set(codes)) == len(codes)
    assert ErrorCode.NONE not in codes
