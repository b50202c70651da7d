"""Nothing leaves the device: the kernel kills a process of the SDK at its first network call."""

from __future__ import annotations

import ast
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.scene import Small
from tests.support.sdk_sources import listed_rooms, room_of, sources

# By architecture: the audit name that seccomp checks, then socket, connect, accept, sendto, recvfrom, sendmsg, recvmsg,
# bind, listen, socketpair, accept4, recvmmsg, sendmmsg, and io_uring_setup, through which the others could be had.
SYSTEM_CALLS = {
    "x86_64": (0xC000003E, (41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299, 307, 425)),
    "aarch64": (0xC00000B7, (198, 203, 202, 206, 207, 211, 212, 200, 201, 199, 242, 243, 269, 425)),
}
needs_numbers = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SYSTEM_CALLS,
    reason="the numbers of the network calls are listed for Linux on x86_64 and aarch64; add this machine's",
)

# Kills the process at a network call, and at any call by another architecture's numbers.
FILTER = """
import ctypes, struct, sys
def no_network(architecture, calls):
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]
    program += [(0x15, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x80000000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    assert libc.prctl(38, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS"
    assert libc.prctl(22, 2, ctypes.addressof(header), 0, 0) == 0, "PR_SET_SECCOMP"
no_network(int(sys.argv[1]), [int(call) for call in sys.argv[2].split(",")])
"""

WHOLE_LIFE = """
from edge_sdk import BaseDecision, Client, Engine, ErrorCode
from edge_sdk.testing import FakeEngine
state, bundle, key = sys.argv[3:]
offers = ["fund_a", "fund_b", "coupon_a"]
for round in range(2):
    with Engine.open(state, bundle=bundle, trusted_keys=[bytes.fromhex(key)]) as engine:
        engine.record("click", item="fund_a", value=12.0)
        decision = engine.rank(BaseDecision(offers, [3, 2, 1]), context={"surface": "home", "stage": "new"}, limit=2)
        assert decision.error is ErrorCode.NONE, decision.detail
        engine.shown(decision)
        engine.feedback(decision, "fund_a", "click")
        assert len(engine.explain(decision)) == 2
        assert engine.rank(BaseDecision(["nobody's"], [1])).error is ErrorCode.UNKNOWN_OFFER
        engine.status()
        if round:
            engine.erase()
base = BaseDecision(offers, [3, 2, 1])
with Client(lambda: Engine.open(state, bundle=bundle, trusted_keys=[bytes.fromhex(key)])) as client:
    client.record("click", item="fund_a")
    client.offers(base)
    assert client.wait(30.0), client.error
    assert client.rank(base, context={"surface": "home", "stage": "new"}).error is ErrorCode.NONE
    client.diagnostics()
    client.erase()
assert FakeEngine().rank(base).error is ErrorCode.NONE
print("done")
print(*{name.split(".")[1] for name in sys.modules if name.startswith("edge_sdk.")})
"""

CONTROLS = {
    "socket": "import socket; socket.socket()",
    "socketpair": "import socket; socket.socketpair()",
    "a thread's socket": "import socket, threading; t = threading.Thread(target=socket.socket); t.start(); t.join()",
    "sendto": "ctypes.CDLL(None).sendto(9, None, 0, 0, None, 0)",
    "connect": "ctypes.CDLL(None).connect(9, None, 0)",
}


def confined(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    architecture, calls = SYSTEM_CALLS[platform.machine()]
    command = [sys.executable, "-c", FILTER + program, str(architecture), ",".join(map(str, calls)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@needs_numbers
def test_a_whole_life_makes_no_network_call(small: Small, tmp_path: Path) -> None:
    ended = confined(WHOLE_LIFE, str(tmp_path / "state"), str(small.bundle), small.public_key.hex())
    assert ended.returncode == 0, ended.stderr
    done, rooms = ended.stdout.splitlines()
    assert done == "done"
    assert set(rooms.split()) == listed_rooms()  # it came through every room


@needs_numbers
@pytest.mark.parametrize("name", CONTROLS)
def test_the_kernel_kills_what_does_make_one(name: str) -> None:
    ended = confined(CONTROLS[name] + "\nprint('alive')")
    assert ended.returncode == -signal.SIGSYS
    assert ended.stdout == ""


def loaded_after(program: str, *arguments: str) -> set[str]:
    """Returns the top-level modules that a fresh interpreter has loaded after `program`."""
    listing = "\nimport sys\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", program + listing, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return set(ended.stdout.split())


def test_importing_the_runtime_loads_nothing_of_the_cloud_and_no_cryptography() -> None:
    loaded = loaded_after("from edge_sdk import *")
    assert {"numpy", "onnxruntime"} <= loaded
    foreign = {"torch", "onnx", "onnxscript", "polars", "pydantic", "typer", "rich", "matplotlib", "cryptography"}
    assert loaded & (foreign | {"cloud_export", "device_sim"}) == set()


OPEN = """
import sys
from edge_sdk import Engine
keys = [bytes.fromhex(key) for key in sys.argv[3:]]
Engine.open(sys.argv[1], bundle=sys.argv[2], trusted_keys=keys, allow_unsigned=not keys).close()
"""


def test_cryptography_is_loaded_when_a_signature_is_checked(small: Small, tmp_path: Path) -> None:
    where = (str(tmp_path / "state"), str(small.bundle))
    assert "cryptography" not in loaded_after(OPEN, *where)
    assert "cryptography" in loaded_after(OPEN, *where, small.public_key.hex())


def test_the_source_imports_only_what_it_may() -> None:
    """The generated code aside, which imports flatbuffers and numpy."""
    written = [path for path in sources() if "generated" not in path.parts]
    assert {room_of(path) for path in written} - {"__init__"} == listed_rooms()
    imported: dict[str, str] = {}
    for path in written:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0]: path.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported[str(node.module).split(".")[0]] = path.name
    foreign = {name: where for name, where in imported.items() if name not in sys.stdlib_module_names}
    assert set(foreign) - {"_sha2", "_sha256"} == {"edge_sdk", "numpy", "onnxruntime", "cryptography"}
    network = {"socket", "ssl", "http", "urllib", "requests", "asyncio", "ftplib", "smtplib", "socketserver", "xmlrpc"}
    assert set(imported) & (network | {"subprocess", "multiprocessing", "ctypes", "webbrowser"}) == set()


SILENT = """
import logging, os, sys
from pathlib import Path
logging.basicConfig(stream=sys.stdout, format="%(message)s")
{first}
from edge_sdk import BaseDecision, Engine
engine = Engine.open(sys.argv[1], bundle=sys.argv[2], trusted_keys=[bytes.fromhex(sys.argv[3])])
engine.rank(BaseDecision(["fund_a", "fund_b"], [1.0, 0.5]))
engine.close()
print(*sorted(path.name for path in Path.home().rglob("*") if path.is_file()))
"""


def at_a_new_home(first: str, small: Small, folder: Path) -> str:
    """Returns the output of a fresh process with an empty home folder and no variable about telemetry."""
    home = folder / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    arguments = [str(folder / "state"), str(small.bundle), small.public_key.hex()]
    command = [sys.executable, "-c", SILENT.format(first=first), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return ran.stdout


def test_onnxruntime_reports_nothing_to_its_maker(small: Small, tmp_path: Path) -> None:
    """Its telemetry keeps a database below the home folder, so an empty one shows that it never started."""
    assert at_a_new_home("", small, tmp_path) == "\n"


def test_an_app_that_imports_onnxruntime_first_gets_the_fix(small: Small, tmp_path: Path) -> None:
    told = at_a_new_home("import onnxruntime", small, tmp_path)
    assert told.startswith(
        "onnxruntime was imported before edge_sdk, so its own telemetry is on; import edge_sdk first"
    )
