"""Checked files become arrays: order, codes, logged decisions, catalogue and attributes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cloud_export.data.read_log import Log, read_log, summarise
from cloud_export.errors import BadRowsError, LogContentError
from cloud_export.scene.load import Scene, scene_from_table
from edge_sdk.log.local_field import local_field

SHOP: dict[str, Any] = {
    "scene": {"name": "shop", "objective_order": ["click", "buy"]},
    "columns": {
        "events": {"value": "value"},
        "decisions": {"shown": "shown", "propensities": "propensities", "context": {"page": "page"}},
        "offers": {"category": "category", "rankable": "rankable", "valid_from": "from", "valid_until": "until"},
        "users": {"attributes": ["age", "city"]},
    },
    "events": {"kinds": ["view", "click"]},
    "context": {"stage": ["new", "old"], "page": ["home", "cart"]},
}


def _scene(**sections: object) -> Scene:
    return scene_from_table({**copy.deepcopy(SHOP), **sections})


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return _write(
        tmp_path / "events.csv",
        "user,time,kind,item,value\n"
        "u2,2000,view,b,1.5\n"
        "u1,3000,click,a,\n"
        "u1,1000,view,a,2\n"
        "u1,3000,view,page,4\n",
    )  # fmt: skip


DECISIONS = {
    "decision": ["d1", "d0", "d2"],
    "user": ["u1", "u1", "u3"],
    "time": [3000, 2999, 5000],
    "candidates": [["b", "a"], ["a"], ["a", "b"]],
    "outcomes": [[[0.0, 1.0], [1.0, None]], [[1.0, 0.0]], None],
    "shown": [["b", "a"], [], ["b"]],
    "propensities": [[0.5, 1.0], None, [None, 0.25]],
    "page": ["cart", None, "home"],
}


def _decisions(folder: Path, **changed: object) -> Path:
    pl.DataFrame({**DECISIONS, **changed}).write_parquet(folder / "decisions.parquet")
    return folder / "decisions.parquet"


def _read(
    scene: Scene, *, events: Path, decisions: Path | None = None, offers: Path | None = None, users: Path | None = None
) -> Log:
    log, bad = read_log(scene, events=events, decisions=decisions, offers=offers, users=users)
    assert bad == ()
    return log


def test_events_are_sorted_by_user_time_and_file_order(tmp_path: Path, events: Path) -> None:
    log = _read(_scene(), events=events, decisions=_decisions(tmp_path))
    assert log.users == ("u1", "u2", "u3")
    assert log.items == ("a", "b", "page")
    assert log.events.user.tolist() == [0, 0, 0, 1]
    assert log.events.time_ms.tolist() == [1000, 3000, 3000, 2000]
    assert log.events.kind.tolist() == [0, 1, 0, 0]
    assert log.events.item.tolist() == [0, 0, 2, 1]
    assert log.events.value.tolist() == [2.0, 0.0, 4.0, 1.5]
    assert log.events.offsets.tolist() == [0, 3, 4, 4]
    names = ["user", "time_ms", "kind", "item", "value", "offsets"]
    types = [str(getattr(log.events, name).dtype) for name in names]
    assert types == ["int32", "int64", "int16", "int32", "float32", "int64"]


def test_logged_decisions(tmp_path: Path, events: Path) -> None:
    decisions = _read(_scene(), events=events, decisions=_decisions(tmp_path)).decisions
    assert decisions.decision_id == ("d0", "d1", "d2")
    assert decisions.user.tolist() == [0, 0, 2]
    assert decisions.time_ms.tolist() == [2999, 3000, 5000]
    assert decisions.position.tolist() == [1, 1, 0]  # an event at the decision's own millisecond may be its answer
    assert decisions.offsets.tolist() == [0, 1, 3, 5]
    assert decisions.candidate.tolist() == [0, 1, 0, 0, 1]
    assert decisions.shown.tolist() == [False, True, True, False, True]
    nan = np.nan
    expected = [[nan, nan], [0.0, 1.0], [1.0, nan], [nan, nan], [nan, nan]]  # d0 was not shown, d2 is unknown
    np.testing.assert_array_equal(decisions.outcome, np.array(expected, dtype=np.float32))
    np.testing.assert_array_equal(decisions.propensity, np.array([nan, 0.5, 1.0, nan, 0.25], dtype=np.float32))
    assert decisions.context.tolist() == [[-1, -1], [-1, 1], [-1, 0]]  # `stage` has no column
    names = ["user", "position", "candidate", "outcome", "context"]
    types = [str(getattr(decisions, name).dtype) for name in names]
    assert types == ["int32", "int64", "int32", "float32", "int16"]


def test_json_lists_in_csv_read_like_parquet(tmp_path: Path, events: Path) -> None:
    from_parquet = _read(_scene(), events=events, decisions=_decisions(tmp_path)).decisions
    text = (
        "decision,user,time,candidates,outcomes,shown,propensities,page\n"
        'd1,u1,3000,"[""b"",""a""]","[[0,1],[1,null]]","[""b"",""a""]","[0.5,1]",cart\n'
        'd0,u1,2999,"[""a""]","[1,0]",[],,\n'
        'd2,u3,5000,"[""a"",""b""]",,"[""b""]","[null,0.25]",home\n'
    )
    from_csv = _read(_scene(), events=events, decisions=_write(tmp_path / "d.csv", text)).decisions
    for name in from_csv.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(from_csv, name), getattr(from_parquet, name))


@pytest.mark.parametrize(
    "outcomes",
    [
        pl.Series([[0.0, 1.0, 1.0, 0.0]], dtype=pl.List(pl.Float32)),
        pl.Series([[[0, 1], [1, 0]]], dtype=pl.List(pl.List(pl.Int8))),
        pl.Series([[[0, 1], [1, 0]]], dtype=pl.List(pl.Array(pl.Float64, 2))),
        pl.Series([[[False, True], [True, False]]]),
        pl.Series(["[0, 1, 1, 0]"]),
        pl.Series(["[[0, 1], [1, 0]]"]),
    ],
    ids=["flat", "integers", "arrays", "booleans", "flat json", "json"],
)
def test_forms_of_outcomes(tmp_path: Path, events: Path, outcomes: pl.Series) -> None:
    row = {"decision": [1], "user": ["u1"], "time": [5], "candidates": [["a", "b"]], "outcomes": outcomes}
    pl.DataFrame(row).write_parquet(tmp_path / "d.parquet")
    log = _read(_scene(columns={"events": {"value": "value"}}), events=events, decisions=tmp_path / "d.parquet")
    assert log.decisions.outcome.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("candidates", "outcomes", "reason"),
    [
        ("a", "[1,0]", "candidates is not a list of names"),
        ("[true]", "[1,0]", "candidates is not a list of names"),
        ("{}", "[1,0]", "candidates is not a list of names"),
        ("[1", "[1,0]", "candidates is not a list of names"),
        ('[""a""]', '[""x"",0]', "outcomes is not a list of 2 numbers per candidate"),
        ('[""a""]', "[[1]]", "outcomes is not a list of 2 numbers per candidate"),
        ('[""a""]', "[[1,0],0]", "outcomes is not a list of 2 numbers per candidate"),
        ('[""a""]', "[1,0,0]", "outcomes does not have 2 numbers per candidate"),
        ('[""a""]', "[1,1e999]", "an outcome is infinite"),
    ],
)
def test_bad_json_lists(tmp_path: Path, events: Path, candidates: str, outcomes: str, reason: str) -> None:
    rows = f'd1,u1,5,"{candidates}","{outcomes}"\nd2,u1,5,"[7]","[1,NaN]"\n'
    path = _write(tmp_path / "d.csv", f"decision,user,time,candidates,outcomes\n{rows}")
    scene = _scene(columns={"events": {"value": "value"}})
    log, bad = read_log(scene, events=events, decisions=path, bad_rows="skip")
    assert [(row.row, row.reason) for row in bad] == [(1, reason)]
    assert log.catalogue.offers == ("7",)
    np.testing.assert_array_equal(log.decisions.outcome, np.array([[1.0, np.nan]], dtype=np.float32))


def test_bad_offers_and_users(tmp_path: Path, events: Path) -> None:
    text = "offer,category,rankable,from,until\na,,,,\nb,,,,\na,,,,\n,x,,,\nc,,maybe,,\nd,,,9,8\ne,,,soon,\nf,,,,-1\n"
    offers = _write(tmp_path / "offers.csv", text)
    users = _write(tmp_path / "users.csv", "user,age,city\nu1,1,x\nu1,2,x\n,,\n")
    log, bad = read_log(
        _scene(), events=events, decisions=_decisions(tmp_path), offers=offers, users=users, bad_rows="skip"
    )
    assert [(Path(row.file).name, row.row, row.reason) for row in bad] == [
        ("offers.csv", 4, "no offer"),
        ("offers.csv", 5, 'rankable is neither true nor false: "maybe"'),
        ("offers.csv", 6, "valid_from is after valid_until"),
        ("offers.csv", 7, 'valid_from is not a time: "soon"'),
        ("offers.csv", 8, 'valid_until is before 1970: "-1"'),
        ("offers.csv", 3, 'offer "a" occurs in an earlier row'),
        ("users.csv", 3, "no user"),
        ("users.csv", 2, 'user "u1" occurs in an earlier row'),
    ]
    assert log.catalogue.offers == ("a", "b")
    assert log.attribute_values == (("1",), ("x",))


def test_without_shown_all_candidates_count_as_shown(tmp_path: Path, events: Path) -> None:
    scene = _scene(columns={"events": {"value": "value"}})
    decisions = _read(scene, events=events, decisions=_decisions(tmp_path)).decisions
    assert decisions.shown.all()
    assert np.isnan(decisions.propensity).all()
    assert decisions.outcome[0].tolist() == [1.0, 0.0]


def test_catalogue_of_an_offers_file(tmp_path: Path, events: Path) -> None:
    text = "offer,category,rankable,from,until\nb,fund,true,,2024-01-02\nz,,1,5,7\na,loan,,,\npage,,no,,\n"
    offers = _write(tmp_path / "offers.csv", text)
    scene = _scene(catalog={"category_pattern": "^(p).*"})
    log = _read(scene, events=events, decisions=_decisions(tmp_path), offers=offers)
    assert log.items == ("a", "b", "page", "z")
    assert log.catalogue.offers == ("a", "b", "z")
    assert log.catalogue.offer_item.tolist() == [0, 1, 3]
    assert log.catalogue.categories == ("fund", "loan", "p")
    assert log.catalogue.item_category.tolist() == [1, 0, 2, -1]
    assert log.catalogue.valid_from_ms.tolist() == [0, 0, 5]
    assert log.catalogue.valid_until_ms.tolist() == [0, 1704153600000, 7]


def test_costs_of_offers(tmp_path: Path, events: Path) -> None:
    text = "offer,fee,rankable\nb,0.25,\na,,\nz,1,\npage,9,no\nx,dear,\ny,-1,\n"
    offers = _write(tmp_path / "offers.csv", text)
    columns = {**SHOP["columns"], "offers": {"cost": "fee", "rankable": "rankable"}}
    log, bad = read_log(
        _scene(columns=columns), events=events, decisions=_decisions(tmp_path), offers=offers, bad_rows="skip"
    )
    assert [(row.row, row.reason) for row in bad] == [
        (5, 'cost is not a finite number: "dear"'), (6, 'cost is below 0: "-1"'),
    ]  # fmt: skip
    assert log.catalogue.offers == ("a", "b", "z")
    assert log.catalogue.cost is not None
    assert log.catalogue.cost.tolist() == [0.0, 0.25, 1.0]


def test_catalogue_without_an_offers_file_is_the_candidates(tmp_path: Path, events: Path) -> None:
    catalogue = _read(_scene(), events=events, decisions=_decisions(tmp_path)).catalogue
    assert catalogue.offers == ("a", "b")
    assert catalogue.categories == ()
    assert catalogue.item_category.tolist() == [-1, -1, -1]
    assert catalogue.valid_until_ms.tolist() == [0, 0]
    assert catalogue.cost is None


def test_attributes(tmp_path: Path, events: Path) -> None:
    users = _write(tmp_path / "users.csv", "user,city,age\nu2,Rome,30\nu1,,20\nu9,Oslo,30\n")
    log = _read(_scene(), events=events, decisions=_decisions(tmp_path), users=users)
    assert log.attribute_values == (("20", "30"), ("Oslo", "Rome"))
    assert log.attributes.tolist() == [[1, 0], [2, 2], [0, 0]]
    assert str(log.attributes.dtype) == "int32"


def test_attributes_without_a_users_file_are_unknown(tmp_path: Path, events: Path) -> None:
    log = _read(_scene(), events=events, decisions=_decisions(tmp_path))
    assert log.attributes.tolist() == [[0, 0], [0, 0], [0, 0]]
    assert log.attribute_values == ((), ())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"decision": ["d1", "d0", "d1"]}, 'decision "d1" occurs in an earlier row'),
        ({"decision": ["d1", "d0", ""]}, "no decision"),
        ({"user": ["u1", "u1", " "]}, "no user"),
        ({"time": [3000, 2999, None]}, "no time"),
        ({"candidates": [["b", "a"], ["a"], []]}, "no candidates"),
        ({"candidates": [["b", "a"], ["a"], None]}, "no candidates"),
        ({"candidates": [["b", "a"], ["a"], ["b", None]]}, "a candidate has no name"),
        ({"candidates": [["b", "a"], ["a"], ["b", "b"]]}, "a candidate occurs in the list twice"),
        ({"candidates": [["b", "a"], ["a"], ["b", "x"]]},
         'a candidate is not a rankable offer of the catalogue: "x"'),
        ({"shown": [[], [], ["page"]]}, "shown has an offer that is not a candidate"),
        ({"shown": [[], [], None]}, "no shown (write [] where nothing was shown)"),
        ({"propensities": [[0.5, 1.0], None, [0.5]]}, "propensities does not have one number per candidate"),
        ({"propensities": [[0.5, 1.0], None, [0.5, 0.0]]}, "a propensity is not above 0 and at most 1"),
        ({"propensities": [[0.5, 1.0], None, [0.5, 1.5]]}, "a propensity is not above 0 and at most 1"),
        ({"outcomes": [None, None, [[1.0, 1.0]]]}, "outcomes does not have 2 numbers per candidate"),
        ({"outcomes": [None, None, [[1.0], [1.0, 1.0, 1.0]]]}, "outcomes is not a list of 2 numbers per candidate"),
        ({"outcomes": [None, None, [[1.0, 1.0], [float("inf"), 0.0]]]}, "an outcome is infinite"),
        ({"page": ["cart", None, "basket"]}, 'page is not in context.page: "basket"'),
    ],
)  # fmt: skip
def test_bad_decisions(tmp_path: Path, events: Path, changed: dict[str, object], reason: str) -> None:
    decisions = _decisions(tmp_path, **changed)
    offers = _write(tmp_path / "offers.csv", "offer,category,rankable,from,until\na,,,,\nb,,,,\npage,,0,,\n")
    log, bad = read_log(_scene(), events=events, decisions=decisions, offers=offers, bad_rows="skip")
    assert [(row.file, row.row, row.reason) for row in bad] == [(str(decisions), 3, reason)]
    assert log.decisions.decision_id == ("d0", "d1")
    with pytest.raises(BadRowsError, match=r"^1 bad row:\n"):
        read_log(_scene(), events=events, decisions=decisions, offers=offers)


def test_summary(tmp_path: Path, events: Path) -> None:
    summary = summarise(_read(_scene(), events=events, decisions=_decisions(tmp_path)))
    assert summary == {
        "events": 4, "users": 3, "items": 3, "offers": 2, "categories": 0,
        "first event": "1970-01-01T00:00:01.000+00:00", "last event": "1970-01-01T00:00:03.000+00:00",
        "events view": 3, "events click": 1, "decisions": 3, "candidates per decision": 1.67, "shown candidates": 3,
        "known click": 2, "positive click": 1, "known buy": 1, "positive buy": 1,
    }  # fmt: skip


def test_decisions_must_come_from_somewhere(events: Path) -> None:
    with pytest.raises(LogContentError, match=r"; give the decision log, or name the positive events in \[decisions\]"):
        read_log(_scene(), events=events)


def test_a_catalogue_without_a_rankable_offer(tmp_path: Path, events: Path) -> None:
    offers = _write(tmp_path / "offers.csv", "offer,category,rankable,from,until\na,,no,,\n")
    with pytest.raises(
        LogContentError, match=r"^no offer may be ranked; give the catalogue an offer whose rankable is"
    ):
        read_log(_scene(), events=events, decisions=_decisions(tmp_path), offers=offers, bad_rows="skip")


OFFSETS = copy.deepcopy(SHOP)
OFFSETS["columns"]["events"]["utc_offset_s"] = "offset"


def test_an_offset_of_local_time_is_kept_as_the_device_keeps_it(tmp_path: Path) -> None:
    events = _write(
        tmp_path / "events.csv",
        "user,time,kind,item,value,offset\nu1,2000,view,b,1, 20700\nu1,1000,view,b,1,\nu1,3000,view,b,1,-12600\n",
    )
    decisions = tmp_path / "decisions.parquet"
    pl.DataFrame(DECISIONS).write_parquet(decisions)
    log, _ = read_log(scene_from_table(OFFSETS), events=events, decisions=decisions)
    expected = [0, local_field(20_700, is_back_filled=True), local_field(-12_600, is_back_filled=True)]
    assert log.events.local.tolist() == expected


@pytest.mark.parametrize("offset", ["61201", "-61201", "1.5", "CET"])
def test_what_is_no_offset_is_a_bad_row(tmp_path: Path, offset: str) -> None:
    events = _write(tmp_path / "events.csv", f"user,time,kind,item,value,offset\nu1,2000,view,b,1,{offset}\n")
    decisions = tmp_path / "decisions.parquet"
    pl.DataFrame(DECISIONS).write_parquet(decisions)
    with pytest.raises(BadRowsError, match=f'within 61200 either way: "{offset}"'):
        read_log(scene_from_table(OFFSETS), events=events, decisions=decisions)
