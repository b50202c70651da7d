"""Part 5: links, pipes, folders, odd modes, damage and swaps in the state folder, and files that change while open."""

from __future__ import annotations

import os
import resource
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_sdk import EdgeError, Engine
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

NAMES: Final = ("events.log", "memory.bin", "policy.edgp", "owner.lock")
SIDES: Final = ("events.new", "events.old", "memory.new", "memory.old", "policy.new", "policy.old", "owner.new")
CACHES: Final = ("memory.bin", "owner.lock", "memory.new", "memory.old", "policy.new", "owner.new")  # hold no event
FILES_A_CASE: Final = 12
SECRET: Final = b"another file's content\n" * 100


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: several odd files, each in a fresh copy of a folder; or a file that changes while open."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        first = _lived_in(World(folder, seed, teller, kit_made))
        if seed % 4 == 0:
            _change_while_open(first)
        elif seed % 4 == 1:
            _from_another_place(first)
        else:
            for number in range(FILES_A_CASE):
                _odd(first, number)

    return play


def _lived_in(world: World) -> World:
    """Makes a folder with a snapshot, a policy and an older copy of itself."""
    engine = world.open()
    world.record_some(engine, 40, step_ms=30_000)
    engine.close()
    shutil.copytree(world.state, world.folder / "older")
    engine = world.open()
    engine.install_policy(world.kit.policies[2].read_bytes())
    world.record_some(engine, 40, step_ms=30_000)
    engine.close()
    return world


def _copy(first: World, number: int) -> World:
    folder = first.folder / f"copy {number}"
    folder.mkdir()
    world = World(folder, first.seed * 100 + number, first.teller, first.kit)
    shutil.copytree(first.state, world.state)
    world.ledger.events, world.ledger.numbers = list(first.ledger.events), first.ledger.numbers
    world.clock.now_ms = first.clock.now_ms
    (folder / "victim").write_bytes(SECRET)
    return world


def _odd(first: World, number: int) -> None:
    """Puts one odd file in place, opens, and checks what may not happen."""
    world = _copy(first, number)
    name = world.random.choice((*NAMES, *NAMES, *SIDES))
    change = world.random.choice((*_REPLACED, *_DAMAGED, *_DAMAGED))
    path = world.state / name
    if change in _DAMAGED and not path.exists():
        shutil.copy(world.state / world.random.choice(NAMES[:2]), path)
    world.teller.doing(f"{change.__name__.strip('_')} in the place of {name}")
    change(world, first, path)
    world.teller.count("files")
    what = f"{change.__name__.strip('_')} as {name}"
    engine = _opened(world, what)
    if engine is not None:
        _use(world, engine, what)
    if (world.folder / "victim").read_bytes() != SECRET:
        world.teller.fault(f"another file is untouched: {what}", "it was changed")
    if engine is not None and name in CACHES and change is not _nothing_readable:
        world.check_log()
    if engine is not None:
        _check_modes(world, what)


def _opened(world: World, what: str) -> Engine | None:
    try:
        return world.open()
    except EdgeError:
        return None
    except BaseException as problem:
        world.untyped(f"open, {what},", problem)
        return None


def _use(world: World, engine: Engine, what: str) -> None:
    """Ranks, records, resizes, erases and closes: typed errors are right, everything else is not."""
    calls: tuple[Callable[[], object], ...] = (
        lambda: engine.rank(world.base(), context=world.context()),
        lambda: world.record(engine),
        lambda: engine.storage.resize(1 << 17),
        engine.status,
        lambda: engine.erase(items=["nobody"]),
        engine.close,
    )
    for call in calls:
        try:
            call()
        except BaseException as problem:
            world.untyped(f"a verb, {what},", problem)


def _check_modes(world: World, what: str) -> None:
    """Checks that only the user can read the folder's files once it was opened."""
    for path in world.state.iterdir():
        if (
            path.is_file()
            and not path.is_symlink()
            and path.stat().st_mode & 0o077
            and path.name in NAMES
            and path.stat().st_nlink == 1
        ):
            world.teller.fault(
                f"files are readable by their owner alone: {path.name}", f"{oct(path.stat().st_mode)} {what}"
            )


# ---- in the place of a file ----


def _link(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(world.folder / "victim")


def _hard_link(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.link(world.folder / "victim", path)


def _loop(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def _dangling(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(world.folder / "nowhere")


def _pipe(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _folder(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def _socket(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    place = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    socket.socket(socket.AF_UNIX).bind(path.name)
    os.chdir(place)


def _device(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")


def _missing(world: World, first: World, path: Path) -> None:
    path.unlink(missing_ok=True)


_REPLACED = (_link, _hard_link, _loop, _dangling, _pipe, _folder, _socket, _device, _missing)

# ---- damage of a file ----


def _empty(world: World, first: World, path: Path) -> None:
    path.write_bytes(b"")


def _cut(world: World, first: World, path: Path) -> None:
    os.truncate(path, world.random.randrange(path.stat().st_size + 1))


def _longer(world: World, first: World, path: Path) -> None:
    with path.open("ab") as file:
        file.write(world.random.randbytes(world.random.choice((1, 32, 4096))))


def _sparse(world: World, first: World, path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.truncate(path, 1 << 40)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, resource.RLIM_INFINITY))  # nobody shall fill it with zeros


def _holes(world: World, first: World, path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    with path.open("wb") as file:
        file.write(content[:64])
        file.truncate(len(content))


def _flipped(world: World, first: World, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(world.random.choice((1, 1, 8, 200))):
        if content:
            content[world.random.randrange(min(len(content), world.random.choice((64, 256, 1 << 20))))] ^= (
                1 << world.random.randrange(8)
            )
    path.write_bytes(content)


def _noise(world: World, first: World, path: Path) -> None:
    path.write_bytes(world.random.randbytes(world.random.choice((1, 64, 5000, 1 << 16))))


def _older(world: World, first: World, path: Path) -> None:
    old = first.folder / "older" / path.name
    if old.exists():
        shutil.copy(old, path)


def _swapped(world: World, first: World, path: Path) -> None:
    other = world.state / world.random.choice(NAMES)
    if other.exists() and other != path:
        shutil.copy(other, path)


def _open_mode(world: World, first: World, path: Path) -> None:
    path.chmod(0o666)


def _nothing_readable(world: World, first: World, path: Path) -> None:
    path.chmod(0)


_DAMAGED = (_empty, _cut, _longer, _sparse, _holes, _flipped, _noise, _older, _swapped, _open_mode, _nothing_readable)

# ---- while open ----


def _change_while_open(first: World) -> None:
    """Another process shortens or replaces files, or overwrites the bundle, while the engine is open."""
    for number in range(4):
        world = _copy(first, number)
        bundle = world.folder / "own.edge"
        shutil.copy(world.kit.bundle, bundle)
        engine = world.open(bundle=bundle)
        world.record_some(engine, 3)
        what = world.random.choice(
            (
                "the log is cut",
                "the log is emptied",
                "memory is cut",
                "the bundle is emptied",
                "the bundle is overwritten",
            )
        )
        world.teller.doing(what)
        world.teller.count("files")
        target = bundle if "bundle" in what else world.state / ("memory.bin" if "memory" in what else "events.log")
        size = world.random.choice((64, 4096, 8192)) if "cut" in what else 0
        if "overwritten" in what:
            target.write_bytes(world.random.randbytes(target.stat().st_size))
        else:
            os.truncate(target, size)
        before = engine.status().errors
        world.clock.now_ms += 5000
        _use_all(world, engine, what)
        if "bundle" in what and before != 0:
            world.teller.fault(f"{what}: nothing changes", "ranking has errors")


def _use_all(world: World, engine: Engine, what: str) -> None:
    for _ in range(30):
        world.clock.now_ms += 1000
        try:
            world.record(engine)
            decision = engine.rank(world.base(), context=world.context())
            engine.explain(decision) if not decision.error else None
        except BaseException as problem:
            if world.untyped(f"a verb while {what}", problem):
                break
    _use(world, engine, what)


def _from_another_place(first: World) -> None:
    """The folder is given by a relative path, and the process goes elsewhere."""
    world = _copy(first, 0)
    elsewhere = world.folder / "elsewhere"
    elsewhere.mkdir()
    shutil.copytree(first.folder / "older", elsewhere / "state")
    content = {path.name: path.read_bytes() for path in (elsewhere / "state").iterdir()}
    os.chdir(world.folder)
    engine = world.open(Path("state"))
    os.chdir(elsewhere)
    world.teller.doing("a relative path, then chdir")
    try:
        engine.storage.resize(1 << 17)
        engine.storage.rotate_key(b"k" * 16)
        engine.storage.rotate_key(None)
        engine.install_policy(world.kit.policies[5].read_bytes())
        world.record(engine)
        engine.erase(items=["nobody"])
    except BaseException as problem:
        world.untyped("a verb after chdir", problem)
    try:
        engine.close()
    except EdgeError as problem:
        world.teller.fault("close works after chdir", told(problem))
    os.chdir("/")
    if {path.name: path.read_bytes() for path in (elsewhere / "state").iterdir()} != content:
        world.teller.fault("another profile's folder is untouched after chdir", "its files changed")
    with world.open() as again:
        if again.status().policy_version != 5:
            world.teller.fault("install_policy works on the folder that was opened", f"{again.status()}")
    world.check_opens()
