"""The arms of the experiment: each is one way to order the eligible offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from device_sim.population.catalogue import Floats
from edge_sdk import BaseDecision


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The inputs of one decision. Offers are numbers in the catalogue, 0 to O − 1.

    Attributes:
        user: The user's number.
        time_ms: Milliseconds since 1970.
        context: The context that the app passes.
        base: The cloud's ranking of last midnight.
        base_order: The offers of `base`, best first.
        value: (O,) true click + 0.5 · conversion of each offer if it is shown now.
        free: The offers that no rule suppresses, ascending.
        generator: The arm's own random stream, so that the users' luck is the same in all arms.
    """

    user: int
    time_ms: int
    context: Mapping[str, str]
    base: BaseDecision
    base_order: Sequence[int]
    value: Floats
    free: Sequence[int]
    generator: np.random.Generator


@dataclass(frozen=True, slots=True)
class ArmRules:
    """One arm.

    Attributes:
        name: The arm's name in the result.
        order: Returns the offers of the page, best first; None = the phone's engine orders them.
        counted: Whether the phone counts events for caps and cooldowns; else only dates and eligibility apply.
        uploads: Whether the cloud gets every event, at midnight.
    """

    name: str
    order: Callable[[Moment], Sequence[int]] | None
    counted: bool = True
    uploads: bool = False


def cloud_order(moment: Moment) -> list[int]:
    """Returns the cloud's order of last midnight."""
    free = set(moment.free)
    return [offer for offer in moment.base_order if offer in free]


def oracle_order(moment: Moment) -> list[int]:
    """Returns the order by the true values at this moment."""
    return sorted(moment.free, key=lambda offer: (-moment.value[offer], offer))


def random_order(moment: Moment) -> list[int]:
    """Returns a random order, all orders equally likely."""
    drawn: list[int] = moment.generator.permutation(np.array(moment.free, np.int64)).tolist()
    return drawn


ARMS: Final = (
    ArmRules("base", cloud_order, counted=False),
    ArmRules("rules", cloud_order),
    ArmRules("uploaded", cloud_order, uploads=True),
    ArmRules("device", None),
    ArmRules("oracle", oracle_order),
    ArmRules("random", random_order),
)
