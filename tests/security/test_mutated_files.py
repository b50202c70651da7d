"""Mutated, rightly sealed bundles and policy files are refused with a typed error, or they open and work.

`make deep` plays tens of thousands more, in processes with limits.
"""

from __future__ import annotations

import collections
import random
import warnings

import pytest

from edge_sdk.errors import ErrorCode
from tests.deep.mutated_bundles import Player, sources


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(tmp_path_factory.mktemp("mutated"), sources())


@pytest.mark.parametrize("part", range(4))
def test_every_mutated_file_is_refused_or_works(player: Player, part: int) -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    for number in range(100 * part, 100 * part + 100):
        chance = random.Random(f"tests/{number}")
        content, is_policy = player.content(chance)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcomes[player.play(number, content, chance, is_policy=is_policy)] += 1
    assert 10 < outcomes["opened"] < 60, outcomes
    assert outcomes["BundleDamagedError"] > 5, outcomes
    assert outcomes["BundleInvalidError"] > 5, outcomes
    assert len(ErrorCode) > len(outcomes)
