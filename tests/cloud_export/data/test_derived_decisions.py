"""Decisions are made from events where there is no decision log; the bank's loan log is read as a whole."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.data.read_log import Log, read_log, summarise
from cloud_export.errors import LogContentError
from cloud_export.scene.load import Scene, load_scene, scene_from_table
from tests.support.paths import LOAN_LOG

SHOP = scene_from_table(
    {
        "scene": {"name": "shop", "objective_order": ["click", "buy"]},
        "columns": {"offers": {"rankable": "rankable"}},
        "events": {"kinds": ["view", "click"]},
        "context": {"stage": ["new", "old"], "page": ["home", "cart"]},
        "decisions": {"positive_kinds": ["click"], "objective": "buy"},
    }
)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _read(scene: Scene, events: Path, offers: Path | None = None) -> Log:
    log, bad = read_log(scene, events=events, offers=offers)
    assert bad == ()
    return log


def test_derived_decisions(tmp_path: Path) -> None:
    text = "user,time,kind,item\nu1,1000,click,c\nu1,1000,view,a\nu1,1000,click,b\nu1,4000,click,c\nu2,7,click,b\n"
    events = _write(tmp_path / "events.csv", text)
    log = _read(SHOP, events)
    decisions = log.decisions
    assert log.catalogue.offers == ("b", "c")
    assert decisions.decision_id == ("u1/2", "u1/3")
    assert decisions.position.tolist() == [2, 3]  # after the event before it, though all carry the same time
    assert decisions.time_ms.tolist() == [1000, 1000]
    assert decisions.candidate.tolist() == [1, 2, 1, 2]
    nan = np.nan
    expected = np.array([[nan, 1.0], [nan, 0.0], [nan, 0.0], [nan, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(decisions.outcome, expected)
    assert decisions.shown.all()
    assert decisions.context.tolist() == [[-1, -1], [-1, -1]]


def test_derived_candidates_are_rankable(tmp_path: Path) -> None:
    events = _write(tmp_path / "e.csv", "user,time,kind,item\nu,1,click,a\nu,2,click,a\nu,3,click,b\n")
    offers = _write(tmp_path / "o.csv", "offer,rankable\na,false\nb,true\n")
    log = _read(SHOP, events, offers)
    assert log.decisions.decision_id == ("u/2",)
    assert log.decisions.candidate.tolist() == [1]


def test_nothing_to_derive(tmp_path: Path) -> None:
    only = _write(tmp_path / "one.csv", "user,time,kind,item\nu,1,click,a\n")
    with pytest.raises(LogContentError, match=r"; name other kinds in decisions.positive_kinds of the scene$"):
        read_log(SHOP, events=only)


_moments = st.lists(st.tuples(st.sampled_from("uvw"), st.integers(0, 5)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(events=_moments, decisions=_moments.filter(len))
def test_position_counts_the_events_before_the_decision(
    events: list[tuple[str, int]], decisions: list[tuple[str, int]]
) -> None:
    events = [*events, ("x", 0)]
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{user},{time},view,a" for user, time in events]
        event_file = _write(Path(folder) / "e.csv", "\n".join(["user,time,kind,item", *lines]))
        lines = [f'{index},{user},{time},[5],"[0,1]"' for index, (user, time) in enumerate(decisions)]
        decision_file = _write(Path(folder) / "d.csv", "\n".join(["decision,user,time,candidates,outcomes", *lines]))
        log, _ = read_log(SHOP, events=event_file, decisions=decision_file)
    logged = log.decisions
    order = sorted(range(len(decisions)), key=lambda index: decisions[index])  # stable: file order within a moment
    assert [int(name) for name in logged.decision_id] == order
    expected = [sum(user == decisions[d][0] and time < decisions[d][1] for user, time in events) for d in order]
    assert logged.position.tolist() == expected


@pytest.mark.skipif(not LOAN_LOG.is_file(), reason=f"the loan log is not at {LOAN_LOG}; put it there")
def test_the_loan_log() -> None:
    log = _read(load_scene("loan"), LOAN_LOG)
    summary = summarise(log)
    assert (summary["events"], summary["users"], summary["offers"]) == (262_200, 13_087, 24)
    assert (summary["decisions"], summary["positive next"]) == (249_113, 249_113)
    assert summary["events SCHEDULE"] == 26_318
    assert log.catalogue.categories == ("A", "O", "W")
    first = log.users.index("173688")
    assert log.events.time_ms[log.events.offsets[first]] == 1_317_422_324_546  # 2011-09-30 22:38:44.546
    assert np.all(np.diff(log.events.time_ms)[np.diff(log.events.user) == 0] >= 0)
    assert np.all(log.decisions.outcome.reshape(-1, 24).sum(axis=1) == 1.0)
