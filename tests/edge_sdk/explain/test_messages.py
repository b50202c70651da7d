"""Messages filled from local state: every slot, and the text that is used where a slot cannot be filled."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk import BaseDecision
from edge_sdk.explain.messages import LocalState, Messenger, SeenEvent, refused_slots, render
from edge_sdk.explain.wording import Phrasebook
from edge_sdk.testing.white_box import internals
from tests.support.scene import SettableClock, Small

TEXTS = {
    "offer.fund_017": "Harvest Fund",
    "category.fund": "funds",
    "kind.item_view": "a look at",
    "event.item_view": "you looked at {item}",
    "state.stage.new": "newcomer",
    "age.min": "{number} min",
}
STATE = LocalState(
    events=(
        SeenEvent("item_view", "fund_017", 300.0, 1200.0),
        SeenEvent("search", "", 400.0, 0.0),
        SeenEvent("item_view", "fund_002", 7200.0, 0.0),
    ),
    states={"stage": "new"},
    attributes={"balance": 2500.0},
)
NOTHING = LocalState((), {}, {})


def message(template: str, state: LocalState = STATE, *, plain: str | None = None, category: str = "fund") -> str:
    texts = TEXTS | {"variant.warm": template} | ({} if plain is None else {"variant.warm.plain": plain})
    return render(Phrasebook(texts), "warm", "fund_017", category, state)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{offer} of {category}", "Harvest Fund of funds"),
        ("{event} {age} ago", "you looked at Harvest Fund 5 min ago"),
        ("{kind} {item} ({value})", "a look at Harvest Fund (1200)"),
        ("{count:item_view} times", "2 times"),
        ("{last:item_view}, {since:item_view}", "Harvest Fund, 5 min"),
        ("{since:search}", "7 min"),
        ("dear {state:stage}, {attribute:balance}", "dear newcomer, 2500"),
        ("{{offer}} {} {Offer} {offer:}", "Harvest Fund"),  # {offer:} has no value
        ("50% of {offer} {0} {a.b}", "50% of Harvest Fund {0} {a.b}"),
    ],
)
def test_slots(template: str, expected: str) -> None:
    assert message(template) == expected


@pytest.mark.parametrize(
    "template",
    ["{item}", "{kind}", "{age}", "{value}", "{event}", "{count:click}", "{last:search}", "{since:click}",
     "{state:holding}", "{attribute:income}", "{mood}", "{secret:x}"],
)  # fmt: skip
def test_a_slot_that_cannot_be_filled_gives_the_plain_text(template: str) -> None:
    state = NOTHING if ":" not in template else STATE
    assert message(template, state, plain="Look: {offer}") == "Look: Harvest Fund"
    assert message(template, state) == "Harvest Fund"
    assert message(template, state, plain="{mood}") == "Harvest Fund"


def test_an_offer_without_a_category_or_a_variant() -> None:
    assert message("{category}", category="", plain="{offer}!") == "Harvest Fund!"
    assert render(Phrasebook(TEXTS), "", "fund_017", "fund", STATE) == "Harvest Fund"
    assert render(Phrasebook(TEXTS), "cold", "fund_099", "fund", STATE) == "fund_099"


def test_an_event_about_no_item() -> None:
    state = LocalState((SeenEvent("search", "", 60.0, 0.0),), {}, {})
    assert message("{item}", state, plain="plain") == "plain"
    assert message("{kind}", state) == "search"


def test_each_user_gets_another_message() -> None:
    other = LocalState((SeenEvent("item_view", "fund_002", 60.0, 0.0),), {}, {})
    template = "{offer}: {event}"
    assert message(template) == "Harvest Fund: you looked at Harvest Fund"
    assert message(template, other) == "Harvest Fund: you looked at fund_002"


def test_slots_that_the_exporter_refuses() -> None:
    template = "{offer} {item} {count:click} {state:stage} {mood} {offer:x} {last}"
    assert refused_slots(template, is_plain=False) == ("{mood}", "{offer:x}", "{last}")
    assert refused_slots(template, is_plain=True) == ("{item}", "{count:click}", "{mood}", "{offer:x}", "{last}")


@given(st.text(alphabet="{}:offeritmcuntaglsd_ %\\"), st.text(), st.text())
def test_no_value_raises_or_is_read_as_a_template(template: str, item: str, kind: str) -> None:
    state = LocalState((SeenEvent(kind, item, 1.0, 0.0),), {"stage": "{offer}"}, {})
    assert isinstance(message(template, state), str)
    assert message("{state:stage}", state) == "{offer}"


def test_a_message_from_a_bundle(small: Small, clock: SettableClock, tmp_path: Path) -> None:
    base = BaseDecision(["fund_a", "fund_b"], [1.0, 0.0])
    with small.open(tmp_path / "state", clock) as engine:
        engine.record("click", item="fund_b")
        messenger, memory = Messenger(internals(engine).bundle), internals(engine).state.memory
        decision = engine.rank(base)
        assert messenger.message(decision, "fund_a", "en", memory, clock.now_ms) == "fund_a"
        assert messenger.message(decision, "\ud800", "zh", memory, clock.now_ms) == "\ud800"
