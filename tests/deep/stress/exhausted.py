"""Part 4, for real: a full disk, no descriptors left, no memory left."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from edge_sdk import EdgeError, Engine
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import FAR_VERSION, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

DISK_KB = (40, 80, 160, 300)


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: what is short follows from the seed."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        ways = (_full_disk, _no_descriptors, _little_memory, _no_descriptors_to_open)
        ways[seed % len(ways)](world)

    return play


def _act(world: World, engine: Engine, also: tuple[type[BaseException], ...] = ()) -> None:
    """Makes a random call; only typed errors may come."""
    world.clock.now_ms += 5000
    what = world.random.choice(
        ("record", "record", "rank", "resize", "rotate", "install", "erase", "sync", "explain", "status")
    )
    world.teller.doing(f"{what} with too little of everything")
    version = min(world.version + 1, FAR_VERSION)
    base = world.base()
    calls: dict[str, Callable[[], object]] = {
        "record": lambda: world.record_some(engine, world.random.choice((1, 30, 300)), 100),
        "rank": lambda: engine.rank(base, context=world.context()),
        "resize": lambda: engine.storage.resize(world.random.choice((1 << 15, 1 << 16, 1 << 18))),
        "rotate": lambda: _rotate(world, engine),
        "install": lambda: engine.install_policy(world.kit.policies[version].read_bytes()),
        "erase": lambda: engine.erase(items=["nobody"]),
        "sync": engine.storage.sync,
        "explain": lambda: engine.explain(engine.rank(base, context=world.context())),
        "status": engine.status,
    }
    try:
        calls[what]()
        world.version = version if what == "install" else world.version
        world.note_capacity(engine)
    except EdgeError:
        world.teller.count("injected")
    except BaseException as problem:
        world.untyped(f"{what} with nothing left", problem, also)


def _rotate(world: World, engine: Engine) -> None:
    key = world.random.choice((None, b"k" * 16, b"o" * 32))
    engine.storage.rotate_key(key)
    world.key = key


def _full_disk(world: World) -> None:
    """A disk of a few kilobytes of its own, which another file fills from time to time."""
    disk = world.folder / "disk"
    disk.mkdir()
    size = world.random.choice(DISK_KB)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        world.teller.doing("skipped: a disk of its own needs root")
        return
    try:
        _on_full_disk(world, disk)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


def _on_full_disk(world: World, disk: Path) -> None:
    world.state = disk / "state"
    for _ in range(3):
        if world.random.random() < 0.5:
            _restore_with_holes(world, disk)
        try:
            engine = world.open()
        except EdgeError:
            world.teller.count("injected")
            (disk / "fill").unlink(missing_ok=True)
            continue
        for _ in range(15):
            if world.random.random() < 0.3:
                _fill(disk)
            if world.random.random() < 0.2:
                (disk / "fill").unlink(missing_ok=True)
            _act(world, engine)
        with contextlib.suppress(EdgeError):
            engine.close()
    (disk / "fill").unlink(missing_ok=True)
    if (world.state / "events.log").exists():
        world.check_opens()


def _restore_with_holes(world: World, disk: Path) -> None:
    """Writes the log anew as a backup does: zeros become holes; then the disk is full."""
    log = world.state / "events.log"
    if not log.exists():
        return
    content = log.read_bytes()
    log.unlink()
    with log.open("wb", buffering=0) as file:
        for at in range(0, len(content), 4096):
            page = content[at : at + 4096]
            if any(page):
                file.seek(at)
                file.write(page)
        file.truncate(len(content))
    _fill(disk)


def _fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "fill").open("ab", buffering=0) as file:
        while file.write(bytes(1024)):
            pass


@contextlib.contextmanager
def _without_descriptors(left: int) -> Iterator[None]:
    """Leaves this many descriptors for the body."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir("/proc/self/fd")}
    limit, free = 0, left
    while limit in used or free:
        free -= limit not in used
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _no_descriptors(world: World) -> None:
    """Descriptors run out after the engine was opened."""
    engine = world.open()
    if world.random.random() < 0.5:
        world.record_some(engine, 30)
    policies = {version: path.read_bytes() for version, path in world.kit.policies.items()}
    left = world.random.choice((0, 0, 0, 1, 2))
    with _without_descriptors(left):
        _first_calls(world, engine)
        for _ in range(15):
            _act_with(world, engine, policies)
        try:
            engine.close()
        except EdgeError:
            world.teller.count("injected")
        except BaseException as problem:
            world.untyped("close without descriptors", problem)
    world.check_opens()


def _first_calls(world: World, engine: Engine) -> None:
    """The first decisions of a process, which may import what they need."""
    world.rank(engine)
    world.record(engine)
    base = world.base()
    try:
        decision = engine.rank(base, context=world.context())
        engine.is_still_valid(decision)
        if decision.error and decision.error.name == "MODEL_FAILED":
            world.teller.fault("rank needs no descriptor after opening", decision.detail)
        decision.offers, decision.dropped, decision.propensity, decision.inclusion  # noqa: B018
        engine.shown(decision, count=0)
    except BaseException as problem:
        world.untyped("a decision without descriptors", problem)


def _act_with(world: World, engine: Engine, policies: dict[int, bytes]) -> None:
    """As `_act`, with policies that were read before descriptors ran out."""
    if world.random.random() < 0.2 and world.version < FAR_VERSION:
        try:
            engine.install_policy(policies[world.version + 1])
            world.version += 1
        except BaseException as problem:
            world.untyped("install_policy without descriptors", problem)
        return
    state = world.random.getstate()
    world.clock.now_ms += 1000
    world.random.setstate(state)
    what = world.random.choice(("record", "rank", "resize", "rotate", "erase", "sync", "explain", "status"))
    base = world.base()
    calls: dict[str, Callable[[], object]] = {
        "record": lambda: world.record_some(engine, world.random.choice((1, 30, 300)), 100),
        "rank": lambda: world.check_decision(engine, engine.rank(base, context=world.context())),
        "resize": lambda: engine.storage.resize(world.random.choice((1 << 16, 1 << 18))),
        "rotate": lambda: _rotate(world, engine),
        "erase": lambda: engine.erase(items=["nobody"]),
        "sync": engine.storage.sync,
        "explain": lambda: engine.explain(engine.rank(base, context=world.context())),
        "status": engine.status,
    }
    try:
        calls[what]()
        world.note_capacity(engine)
    except EdgeError:
        world.teller.count("injected")
    except BaseException as problem:
        world.untyped(f"{what} without descriptors", problem)


def _no_descriptors_to_open(world: World) -> None:
    """Opening itself has too few descriptors: a typed error, and the folder is free afterwards."""
    world.record_some(engine := world.open(), 20)
    engine.close()
    for left in range(12):
        with _without_descriptors(left):
            try:
                engine = world.open()
            except BaseException as problem:
                world.untyped(f"open with {left} descriptors", problem)
                world.teller.count("injected")
                continue
        engine.close()
        break
    try:
        world.check_opens()
    except EdgeError as problem:
        world.teller.fault("the folder is free after an opening without descriptors", told(problem))


def _little_memory(world: World) -> None:
    """The address space ends a little above what is in use: MemoryError and typed errors are right."""
    engine = world.open()
    world.record_some(engine, 30)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + world.random.choice((0, 1 << 16, 1 << 20, 8 << 20)), hard))
    for _ in range(12):
        _act(world, engine, (MemoryError,))
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    engine.close()
    world.check_opens()
