"""The test tree keeps its order: no test module is imported, helpers live in support, paths have one home."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
MODULES = sorted(path.relative_to(ROOT) for path in TESTS.rglob("*.py"))
HELPERS = ("tests/support/", "tests/golden/", "tests/deep/")


def imported(module: Path) -> set[str]:
    """Returns the dotted names of every module that a module imports from."""
    tree = ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8")))
    names: set[str] = set()
    for node in tree:
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_no_module_imports_a_test_module() -> None:
    test_modules = {module.with_suffix("").as_posix().replace("/", ".") for module in MODULES if is_test(module)}
    assert "tests.contract.test_test_tree" in test_modules
    assert {str(module): found for module in MODULES if (found := imported(module) & test_modules)} == {}


def test_every_module_outside_the_helpers_is_a_test_module() -> None:
    others = [str(module) for module in MODULES if not is_test(module) and not module.as_posix().startswith(HELPERS)]
    assert others == ["tests/conftest.py"]


def test_every_module_begins_with_a_sentence_on_one_line() -> None:
    others = []
    for module in MODULES:
        docstring = ast.get_docstring(ast.parse((ROOT / module).read_text(encoding="utf-8"))) or ""
        first, *rest = docstring.split("\n")
        if not first.endswith(".") or rest[:1] not in ([], [""]):
            others.append(str(module))
    assert others == []


def test_paths_of_the_checkout_have_one_home() -> None:
    own = "Path(" + "__file__)"
    assert [str(module) for module in MODULES if own in (ROOT / module).read_text(encoding="utf-8")] == [
        "tests/support/paths.py"
    ]


def is_test(module: Path) -> bool:
    return module.name.startswith("test_")
