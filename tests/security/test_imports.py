"""The SDK imports no network module and nothing of the cloud side, in a fresh process and in its sources."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge_sdk
from cloud_export.export.container_writer import development_key
from cloud_export.export.policy_file import sign_policy_file
from cloud_export.scene.load import scene_from_table
from tests.support.scene import SCENE, Small
from tests.support.sdk_sources import PACKAGE, listed_rooms, room_of, sources

NEVER = (
    "torch", "flatbuffers", "onnx", "onnxscript", "polars", "pydantic", "typer", "rich", "matplotlib",
    "cloud_export", "device_sim",
    "socket", "_socket", "ssl", "_ssl", "http", "urllib.request", "urllib3", "requests", "httpx", "aiohttp", "asyncio",
)  # fmt: skip
OUTSIDE = frozenset({"numpy", "onnxruntime", "cryptography", "edge_sdk"})
OUTSIDE |= {"_sha2", "_sha256"}  # the standard library's, by the version of Python
REFUSED = frozenset(
    {"socket", "_socket", "socketserver", "ssl", "http", "urllib", "ftplib", "smtplib", "poplib", "imaplib", "xmlrpc"}
    | {"asyncio", "selectors", "subprocess", "multiprocessing", "concurrent", "webbrowser", "ctypes", "importlib"}
)
# flatc's code is beside the schema, and is loaded by what packs bundles, in the cloud.
OF_PACKING = ["flatbuffers", "flatbuffers.compat"]
# Ways to load or start something that an import statement does not show.
HIDDEN = frozenset({"__import__", "exec", "eval", "system", "popen", "execv", "execve", "fork", "posix_spawn"})
SOURCES = sources()

OPENED = """
from edge_sdk import Engine
Engine.open(sys.argv[1], bundle=sys.argv[2], log_bytes=4096, {}).close()
"""

# Installed on every machine that packs, so a device without it is one where the import fails.
WITHOUT_FLATBUFFERS = """
sys.modules["flatbuffers"] = None
from pathlib import Path
from edge_sdk import BaseDecision, Engine
with Engine.open(sys.argv[1], bundle=sys.argv[2], allow_unsigned=True) as engine:
    engine.record("click", item="fund_a")
    base = BaseDecision(["fund_a", "fund_b"], [1.0, 0.5])
    decision = engine.rank(base, context={"surface": "home"})
    engine.shown(decision)
    assert engine.explain(decision)[0].contributions
    assert engine.message(decision, "fund_a")
    engine.install_policy(Path(sys.argv[3]).read_bytes())
    assert engine.rank(base, context={"surface": "home"}).policy_version == 1
    engine.erase()
"""


# ---- a fresh process ----


def loaded(code: str, *arguments: str) -> frozenset[str]:
    """Returns the modules that a fresh interpreter has loaded after this code."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return frozenset(ran.stdout.split())


def forbidden(modules: frozenset[str]) -> set[str]:
    return {name for name in modules if any(name == never or name.startswith(never + ".") for never in NEVER)}


@pytest.fixture(scope="module")
def beneath() -> frozenset[str]:
    """What numpy, onnxruntime and `pathlib` bring along; some ways of installing load `pathlib` before any program."""
    return loaded("import numpy, onnxruntime, pathlib")


def test_importing_the_sdk_adds_no_network_and_no_cloud_side(beneath: frozenset[str]) -> None:
    added = loaded("from edge_sdk import *") - beneath
    assert "edge_sdk.engine.engine" in added
    assert forbidden(added) == set()
    assert [name for name in added if name.split(".")[0] == "cryptography"] == []


def test_opening_adds_cryptography_for_a_signature_and_no_network(
    small: Small, tmp_path: Path, beneath: frozenset[str]
) -> None:
    arguments = str(tmp_path / "state"), str(small.bundle)
    unsigned = loaded(OPENED.format("allow_unsigned=True"), *arguments) - beneath
    signed = loaded(OPENED.format(f"trusted_keys=[bytes.fromhex('{small.public_key.hex()}')]"), *arguments) - beneath
    assert "cryptography" not in unsigned
    assert "cryptography" in signed
    assert forbidden(unsigned) == set()
    assert forbidden(signed) == set()


def test_a_device_needs_no_flatbuffers(small: Small, tmp_path: Path) -> None:
    policy = tmp_path / "new.policy"
    scene = scene_from_table({**SCENE, "policy": {**SCENE["policy"], "version": 1}})
    policy.write_bytes(sign_policy_file(scene, development_key("small")))
    assert "edge_sdk.explain.messages" in loaded(
        WITHOUT_FLATBUFFERS, str(tmp_path / "state"), str(small.bundle), str(policy)
    )


def test_the_comparison_finds_a_network_import(beneath: frozenset[str]) -> None:
    assert {"socket", "ssl", "http.client"} <= forbidden(loaded("import http.client, ssl") - beneath)


# ---- what is loaded when ----

# Each costs start-up and memory (docs/performance.md): what a first `rank` does not need is imported where it is used.
OF_THE_ENGINE = {
    "": "_ort_telemetry _sha256 base_decision clock errors limits reasons types vocabulary",
    "log": "atomic_file directory encrypted_record encryption event_input event_log file_access header local_field "
    "open_file record ring",
    "memory": "bulk caps counters decay derived_events derived_rules layout lookup machine_states memory "
    "spending state_machines targets window",
    "model": "graph graph_check inputs onnx_runtime operators projection protobuf session",
    "policy": "candidates compiled conditions eligibility exploration frequency_caps inclusion pipeline rank_bound "
    "rules scoring slate slate_caps stages targeting",
    "bundle": "bounds bundle checked_tables container golden memory_rules_reader policy_reader policy_symbols reader "
    "selftest tables_reader texts format format.generated format.generated.edge_fields",
    "state": "durability folder lock memory_of_log policy_file recovery retention snapshot snapshot_store "
    "snapshot_tables",
    "decision": "candidate_cache decision evidence maker request",
    "engine": "access counts engine local_time names opening outcomes scene_facts storage texts time_keeper",
}
FOREIGN_OF_THE_ENGINE = frozenset(
    {"numpy", "dataclasses", "copy", "threading", "fcntl", "mmap", "zlib", "bisect", "_bisect"}
    | {"heapq", "_heapq", "_sha2", "_sha256", "org"}  # `copy` looks for Jython's org.python
)
OF_NUMPY = frozenset({"numpy.typing", "numpy._typing._add_docstring"})


def own(modules: frozenset[str]) -> set[str]:
    return {name.removeprefix("edge_sdk.") for name in modules if name.startswith("edge_sdk.")}


def test_the_package_alone_loads_nothing_but_the_switch_of_telemetry() -> None:
    modules = loaded("import edge_sdk")
    assert own(modules) == {"_ort_telemetry"}
    assert {"numpy", "onnxruntime", "flatbuffers"} & modules == set()


def test_an_engine_loads_what_a_first_decision_needs_and_no_more(beneath: frozenset[str]) -> None:
    added = loaded("from edge_sdk import BaseDecision, Engine") - beneath
    expected = {room for room in OF_THE_ENGINE if room}
    expected |= {f"{room}.{name}".strip(".") for room, names in OF_THE_ENGINE.items() for name in names.split()}
    assert own(added) == expected
    foreign = {name for name in added if name.split(".")[0] != "edge_sdk"}
    assert {name.split(".")[0] for name in foreign} - FOREIGN_OF_THE_ENGINE == set()
    assert {name for name in foreign if name.startswith("numpy")} - OF_NUMPY == set()


def test_a_name_that_the_package_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'edge_sdk' has no attribute 'Enigne'"):
        _ = edge_sdk.Enigne


def test_every_public_name_is_there_and_no_other() -> None:
    found = loaded("import edge_sdk\nfor name in edge_sdk.__all__: assert getattr(edge_sdk, name) is not None")
    assert {"edge_sdk.client.client", "edge_sdk.explain.explanation"} <= found
    source = ast.parse(Path(edge_sdk.__file__).read_text())
    patterns = [node.pattern for node in ast.walk(source) if isinstance(node, ast.match_case)]
    lazy = {node.value for pattern in patterns for node in ast.walk(pattern) if isinstance(node, ast.Constant)}
    typed = {
        alias.name
        for branch in source.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert lazy == typed == set(edge_sdk.__all__) - {"__version__"}
    assert set(edge_sdk.__all__) <= set(dir(edge_sdk))


# ---- the sources ----


def offences(source: str) -> list[str]:
    """What a source imports or calls that a device must not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if not is_allowed(alias.name)]
        elif isinstance(node, ast.ImportFrom) and not node.level:  # a relative one stays within the package
            found += [node.module or ""] if not is_allowed(node.module or "") else []
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            found += [name] if name in HIDDEN else []
    return found


def is_allowed(module: str) -> bool:
    first = module.split(".")[0]
    return first not in REFUSED and (first in OUTSIDE or first in sys.stdlib_module_names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_source_imports_only_what_the_device_has(path: Path) -> None:
    assert offences(path.read_text()) == (OF_PACKING if path.name == "edge_generated.py" else [])


def test_all_sources_are_read_the_generated_one_too() -> None:
    assert len(SOURCES) >= 80
    assert {"engine.py", "container.py", "edge_generated.py"} <= {path.name for path in SOURCES}
    assert {room_of(path) for path in SOURCES} - {"__init__"} == listed_rooms()


def test_an_offence_is_found_in_every_folder(tmp_path: Path) -> None:
    package = tmp_path / "edge_sdk"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [Path(folder) for folder, _, _ in os.walk(package)]
    for folder in folders:
        (folder / "planted.py").write_text("import socket\n")

    found = {path.parent for path in sources(package) if offences(path.read_text())}

    assert found == set(folders)
    assert len(folders) > 10


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import socket", ["socket"]),
        ("def f():\n    from urllib.request import urlopen", ["urllib.request"]),
        ("import numpy, requests as r, zlib", ["requests"]),
        ("from cloud_export import scene", ["cloud_export"]),
        ("__import__('socket')", ["__import__"]),
        ("import os\nos.system('curl')", ["system"]),
        ("from . import types\nfrom numpy.typing import NDArray\nimport mmap", []),
    ],
)
def test_the_reading_finds_what_it_looks_for(source: str, found: list[str]) -> None:
    assert offences(source) == found
