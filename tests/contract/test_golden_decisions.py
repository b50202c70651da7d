"""The golden decisions are what this runtime gives, and the generator writes exactly these files."""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.bundle.container import POLICY, check_container, open_container
from edge_sdk.bundle.format.generated.edge_generated import BundleT, PolicyFileT
from edge_sdk.errors import ErrorCode
from edge_sdk.reasons import Reason
from tests.golden.make_decisions import laid_out, with_expectations, write_all
from tests.golden.vector_compare import comparable, decision_differences, differences
from tests.golden.vector_play import BUNDLE, TRUSTED_KEY, Player, Scenario
from tests.golden.vector_scenarios import scenarios
from tests.support.paths import DOCS, GOLDEN

NAMES = sorted(path.stem for path in (GOLDEN / "decisions").glob("*.json"))

# The reasons that the decisions of each scenario must have.
REASONS = {
    "silent_device": Reason.KEPT,
    "window_and_counters": Reason.RAISED | Reason.LOWERED | Reason.EXPIRED,
    "log_wraps": Reason.CAPPED | Reason.RAISED,
    "erasures": Reason.COOLING_DOWN | Reason.KEPT,
    "dates_and_stage": Reason.NOT_YET_VALID | Reason.EXPIRED | Reason.NOT_ELIGIBLE,
    "states": Reason.NOT_ELIGIBLE | Reason.BLOCKED | Reason.HIDDEN | Reason.OTHER_TREATMENT,
    "caps_and_cooldowns": Reason.CAPPED | Reason.COOLING_DOWN,
    "quiet_hours": Reason.QUIET,
    "budget": Reason.OVER_BUDGET | Reason.PRICED,
    "warm_up_and_max_score_change": Reason.TOO_FEW_EVENTS | Reason.BOUNDED,
    "weights_boosts_and_rank_bound": Reason.BOOSTED | Reason.PRICED | Reason.BOUNDED | Reason.DIVERSIFIED,
    "slate": Reason.PINNED | Reason.CATEGORY_FULL | Reason.BELOW_MINIMUM,
    "epsilon_greedy": Reason.EXPLORED | Reason.PINNED | Reason.CATEGORY_FULL,
    "softmax": Reason.EXPLORED | Reason.PINNED | Reason.CATEGORY_FULL,
    "another_policy": Reason.COOLING_DOWN | Reason.BELOW_MINIMUM,
    "unknown_offers": Reason.UNKNOWN_OFFER | Reason.COOLING_DOWN | Reason.OTHER_TREATMENT,
    "error_answers": Reason.BASE_ORDER | Reason.UNKNOWN_OFFER | Reason.COOLING_DOWN | Reason.OTHER_TREATMENT,
}
NOT_IN_FILES = {
    ErrorCode.TOO_MANY_CANDIDATES: "its base decision has 4,097 offers, more text than all files together",
    ErrorCode.MODEL_FAILED: "it needs a model that gives NaN, and the bundle's does not",
    ErrorCode.NOT_READY: "a client gives it while no engine is open; `rank` does not",
    ErrorCode.LOCAL_TIME_FAILED: "it needs a function of the app that fails; a file gives the offset",
    ErrorCode.CLOCK_FAILED: "it needs a function of the app that fails; a file gives the time",
}


def stored(name: str) -> Scenario:
    found: Scenario = json.loads((GOLDEN / "decisions" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def requests() -> list[dict[str, Any]]:
    return [request for name in NAMES for request in stored(name)["requests"]]


def bits(asked: list[dict[str, Any]]) -> Reason:
    """All reasons of some requests."""
    expected = [request["expect"] for request in asked]
    return Reason(reduce(or_, (bit for one in expected for bit in one["reasons"] + one["dropped_reasons"])))


@pytest.mark.parametrize("name", NAMES)
def test_this_runtime_decides_as_the_file_states(name: str, tmp_path: Path) -> None:
    scenario = stored(name)
    player = Player(scenario, GOLDEN, tmp_path / "state")

    for request, (decision, found, outcomes) in zip(scenario["requests"], player.play(), strict=True):
        expected = request["expect"]
        at = f"{name}, decision at {request['now_ms']}"
        assert decision_differences(expected, found) == [], at
        assert differences([act["expect"] for act in request["then"]], outcomes) == [], at
        # The probabilities are functions of the scores: from the file's own scores they are nearly bits.
        final = np.array(expected["scores"]["final"], np.float32)
        draw = decision.trace.result.draw._replace(scores=final)
        np.testing.assert_allclose(draw.first_propensity(), expected["propensity"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(draw.inclusion(decision.trace.limit), expected["inclusion"], rtol=0, atol=1e-9)

    assert player.close() == scenario["log"]


def test_the_generator_gives_the_files(tmp_path: Path) -> None:
    write_all(tmp_path)

    assert sorted(path.name for path in tmp_path.glob("*.*")) == sorted(
        path.name for path in GOLDEN.glob("*.*") if path.name == BUNDLE or path.suffix == ".policy"
    )
    assert sorted(path.stem for path in (tmp_path / "decisions").iterdir()) == NAMES
    assert differences(bundle_content(GOLDEN / BUNDLE), bundle_content(tmp_path / BUNDLE)) == []
    for policy in GOLDEN.glob("*.policy"):
        assert policy_content(policy) == policy_content(tmp_path / policy.name), policy.name
    for name in NAMES:
        made = json.loads((tmp_path / "decisions" / f"{name}.json").read_text(encoding="utf-8"))
        assert scenario_differences(stored(name), made) == [], name


def bundle_content(path: Path) -> dict[str, Any]:
    """Returns the content of a bundle without the parts that change no decision.

    Tables, graphs and their hash depend on the version of torch (what they compute is compared by the decisions), texts
    on nobody's decision, logits of the self-tests on the processor.
    """
    payload = open_container(path, trusted_keys=[TRUSTED_KEY], allow_unsigned=False)
    bundle = BundleT.InitFromPackedBuf(payload)
    for field in ("model", "explainer", "tables", "modelVersion", "createdBy", "texts"):
        setattr(bundle, field, None)
    for golden in bundle.golden or ():
        golden.logits = None
    return fields(bundle)


def policy_content(path: Path) -> dict[str, Any]:
    """Returns the content of a policy file without the version that made it."""
    payload = check_container(
        str(path), memoryview(path.read_bytes()), identifier=POLICY, trusted_keys=[TRUSTED_KEY], allow_unsigned=False
    )
    file = PolicyFileT.InitFromPackedBuf(payload)
    file.createdBy = None
    return fields(file)


def fields(table: object) -> dict[str, Any]:
    """A FlatBuffers object as plain values."""
    return {name: plain(value) for name, value in vars(table).items()}


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return fields(value) if hasattr(value, "__dict__") else value


def scenario_differences(expected: Scenario, found: Scenario) -> list[str]:
    """Where two files of a scenario differ."""
    lines = differences({**expected, "requests": 0}, {**found, "requests": 0})
    assert len(expected["requests"]) == len(found["requests"])
    for one, other in zip(expected["requests"], found["requests"], strict=True):
        lines += differences({**one, "expect": 0}, {**other, "expect": 0})
        lines += decision_differences(one["expect"], other["expect"])
    return lines


@pytest.mark.parametrize("name", NAMES)
def test_a_file_shows_what_it_is_about(name: str) -> None:
    assert REASONS[name] & ~bits(stored(name)["requests"]) == Reason(0)


def test_together_they_show_every_reason_and_every_error_of_a_ranking() -> None:
    codes = {request["expect"]["error"] for request in requests()}
    rankings = {int(code) for code in ErrorCode if code >= 400}

    assert sorted(REASONS) == NAMES
    assert bits(requests()) == reduce(or_, Reason)
    assert codes == (rankings | {0}) - {int(code) for code in NOT_IN_FILES}


def test_together_they_show_every_source_of_a_score_and_everything_that_may_happen_in_between() -> None:
    explanations = [request["expect"]["explanation"] or [] for request in requests()]
    acts = {act for request in requests() for then in request["then"] for act in then} - {"expect", "at_ms"}

    assert {term[0] for contributions in explanations for term in contributions} == {
        "bias",
        "context",
        "event",
        "counter",
        "policy",
    }
    assert acts == {"record", "shown", "feedback", "erase", "install", "reopen", "is_still_valid"}
    assert any(request["expect"]["retry_at_ms"] for request in requests())
    assert any(-1 in ends_ms for request in requests() for ends_ms in request["expect"]["capped_until_ms"].values())


def test_every_place_can_be_compared() -> None:
    for request in requests():
        assert all(comparable(request["expect"]))


def test_the_document_names_every_field_every_act_and_the_key() -> None:
    text = (DOCS / "golden.md").read_text(encoding="utf-8")
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    acts = {act for request in requests() for then in request["then"] for act in then} - {"expect", "at_ms"}

    assert sorted(named) == sorted(acts | set(requests()[0]["expect"]))
    assert TRUSTED_KEY.hex() in text


def test_files_stay_small() -> None:
    assert (GOLDEN / BUNDLE).stat().st_size <= 60_000
    assert sum(path.stat().st_size for path in (GOLDEN / "decisions").iterdir()) <= 400_000


# ---- how they are compared ----


def test_places_nearer_than_the_gap_are_not_compared() -> None:
    scores = {"base": [0, 0, 0, 0], "adjusted": [3, 1, 1.00009, 2], "final": [3, 1, 1.00009, 2]}
    stated: dict[str, Any] = {"eligible_order": [0, 3, 2, 1], "keys": None, "scores": scores}
    assert comparable(stated) == [True, True, False, False]
    other = {**stated, "eligible_order": [0, 3, 1, 2]}
    assert decision_differences(stated, other) == []
    assert decision_differences(stated, {**stated, "eligible_order": [3, 0, 2, 1]}) == [
        "eligible_order[0]",
        "eligible_order[1]",
    ]

    assert comparable({**stated, "keys": [0, 0.00005, 1, 2]}) == [False, True, True, False]
    assert comparable({**stated, "scores": {**scores, "base": scores["adjusted"]}}) == [True] * 4


def test_scores_are_compared_to_1e_5_and_counters_to_the_bit() -> None:
    stated: dict[str, Any] = {"scores": {"final": [1.0, None]}, "counters": [[1.0]]}
    near = {**stated, "scores": {"final": [1.000009, None]}}
    far = {**stated, "scores": {"final": [1.00002, None]}, "counters": [[1.0000001]]}

    assert decision_differences(stated, near) == []
    assert sorted(decision_differences(stated, far)) == [
        "counters[0][0]: 1.0 and 1.0000001", "scores.final[0]: 1.0 and 1.00002",
    ]  # fmt: skip


def test_terms_of_one_subject_are_added_up_and_a_missing_one_is_0() -> None:
    expected = [["policy", -1, "", "", 0.5], ["policy", -1, "", "", 0.25], ["counter", -1, "click", "fund", 9e-6]]

    assert decision_differences({"explanation": expected}, {"explanation": [["policy", -1, "", "", 0.750009]]}) == []
    assert decision_differences({"explanation": expected}, {"explanation": []}) == [
        "explanation: ['policy', -1, '', ''] 0.75 and 0.0"
    ]
    assert decision_differences({"explanation": None}, {"explanation": []}) == ["explanation: None and []"]


def test_the_generator_refuses_scores_that_a_port_may_order_otherwise() -> None:
    near = scenarios()["slate"]
    near["requests"] = [{**near["requests"][0], "base": {"offers": ["fund_a", "fund_a"], "logits": [0.5, 0.50001],
                                                         "variants": ["", "short"]}}]  # fmt: skip
    with pytest.raises(ValueError, match="adjusted of all"):
        with_expectations(near, GOLDEN)


def test_whatever_fits_on_a_line_is_on_one() -> None:
    assert laid_out({"a": [1, 2], "b": None}) == '{"a": [1, 2], "b": null}'
    assert laid_out({"a": ["x" * 70], "b": ["y" * 70]}).splitlines() == [
        "{", ' "a": ["' + "x" * 70 + '"],', ' "b": ["' + "y" * 70 + '"]', "}",
    ]  # fmt: skip
    assert "\n" not in laid_out([0.125] * 40)
