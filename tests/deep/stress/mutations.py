"""Part 6: mutated bundles and policies with a right hash, as a faulty exporter or an attacker with a key makes them."""

from __future__ import annotations

import hashlib
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge_sdk import EdgeError, Engine
from tests.deep.stress.isolate import limit_memory, place_of, told
from tests.deep.stress.kit import OFFERS, Kit, Sealed
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

CASE_S: Final = 6.0  # then no further file is begun
SLOW_S: Final = 5.0  # a file that takes longer is a fault
ADDRESS_BYTES: Final = 3 << 30
_EXTREME: Final = (0, 1, 2, 4, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7FC00000, 0xFF800000)


def mutated(sealed: Sealed, random: random.Random) -> bytes:
    """Returns the file with a changed payload and the hash of that."""
    content = bytearray(sealed.content)
    start, end = sealed.payload_at, sealed.payload_at + sealed.payload_bytes
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(start, min(end, start + random.choice((256, 4096, sealed.payload_bytes))) - 4)
        match random.randrange(5):
            case 0:
                content[at] ^= 1 << random.randrange(8)
            case 1:
                content[at & ~3 : (at & ~3) + 4] = struct.pack("<I", random.choice(_EXTREME))
            case 2:
                content[at & ~3 : (at & ~3) + 4] = struct.pack("<I", random.randrange(sealed.payload_bytes))
            case 3:
                content[at] = random.choice((0, 0x80, 0xC3, 0xFF))
            case _:
                size = random.choice((2, 4, 8, 32, 256))
                source = random.randrange(start, end - size)
                target = min(at, end - size)
                content[target : target + size] = content[source : source + size]
    digest = hashlib.sha256(content[start:end]).digest()
    content[sealed.digest_at : sealed.digest_at + 32] = digest
    return bytes(content)


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: as many mutated files as fit in its time, all bundles or all policies."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        limit_memory(ADDRESS_BYTES)
        until = time.monotonic() + CASE_S
        number = 0
        while time.monotonic() < until:
            number += 1
            begun = time.monotonic()
            teller.doing(f"mutated file {number}")
            _policy(world) if seed % 3 == 0 else _bundle(world, number)
            teller.count("files")
            if (took_s := time.monotonic() - begun) > SLOW_S:
                teller.fault("a mutated file is refused or opened soon", f"file {number} took {took_s:.1f} s")

    return play


def _bundle(world: World, number: int) -> None:
    """Opens a mutated bundle; what opens must rank, explain and write messages."""
    path, state = world.folder / "mutated.edge", world.folder / f"s{number % 3}"
    path.write_bytes(mutated(world.kit.sealed_bundle, world.random))
    is_there = state.exists()
    try:
        engine = world.open(state, bundle=path, trusted_keys=(), allow_unsigned=True)
    except BaseException as problem:
        _judge(world, "open", problem)
        if not is_there and state.exists():
            world.teller.fault("a bundle that does not open leaves the folder as it was", told(problem))
        return
    with engine:
        _use(world, engine)


def _policy(world: World) -> None:
    """Installs a mutated policy, and opens the folder again under it."""
    content = mutated(world.kit.sealed_policy, world.random)
    options: dict[str, Any] = {"trusted_keys": (), "allow_unsigned": True}
    with world.open(**options) as engine:
        try:
            engine.install_policy(content)
        except BaseException as problem:
            _judge(world, "install_policy", problem)
            return
        _use(world, engine)
    with world.open(**options) as engine:
        _use(world, engine)
        engine.erase()
    (world.state / "policy.edgp").unlink(missing_ok=True)


def _use(world: World, engine: Engine) -> None:
    """Records, ranks, explains and writes messages."""
    base, context = world.base(), world.context()
    decision = None
    for kind in ("view", "click", "push_shown"):
        try:
            engine.record(kind, item="fund_a", value=1.0)
        except BaseException as problem:
            _judge(world, "record", problem)
    try:
        decision = engine.rank(base, context=context)
        decision.offers, decision.dropped, decision.inclusion  # noqa: B018
    except BaseException as problem:
        _judge(world, "rank", problem)
    if decision is None:
        return
    for name, call in (
        ("explain", lambda: [explanation.text("zh") for explanation in engine.explain(decision)]),
        (
            "message",
            lambda: [engine.message(decision, offer, language="en") for offer in OFFERS if offer in base.offers],
        ),
        ("shown", lambda: engine.shown(decision)),
        ("feedback", lambda: engine.feedback(decision, base.offers[0], "click")),
        ("is_still_valid", lambda: engine.is_still_valid(decision)),
        ("erase", lambda: engine.erase(items=["fund_a"])),
    ):
        try:
            call()
        except BaseException as problem:
            _judge(world, name, problem)


def _judge(world: World, verb: str, problem: BaseException) -> None:
    if not isinstance(problem, EdgeError):
        world.teller.fault(
            f"untyped {type(problem).__name__} of {verb} for a mutated file in {place_of(problem)}", told(problem)
        )
