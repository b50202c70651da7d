"""Every link, anchor, repository path, module and make target that a page names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.support.paths import ROOT

PACKAGES: Final = ("edge_sdk", "cloud_export", "device_sim")
NOT_OURS: Final = {"docs/developer-guide/arm-a53-a55-dual-issue.md"}  # of ncnn's repository, which the page names
PAGES: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
)
FENCE: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
PATH: Final = re.compile(rf"(?<![\w./-])(?:{'|'.join((*PACKAGES, 'benchmarks', 'tests', 'docs'))})/[\w*./-]*[\w*/]")
INSIDE: Final = re.compile(r"`([a-z_]+(?:/[a-z_]+)*/[\w*]+\.(?:py|toml|fbs|json))`")  # of a package: `policy/rules.py`
MODULE: Final = re.compile(r"python -m ((?:benchmarks|tests)[\w.]*)")
MAKE: Final = re.compile(r"(?:^|`)make ([a-z]+)\b", re.MULTILINE)


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def anchors(page: str) -> frozenset[str]:
    """What GitHub makes of a page's headings."""
    found: list[str] = []
    for title in re.findall(r"^#+ (.*)$", FENCE.sub("", text(page)), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return frozenset(found)


def there(pattern: str) -> bool:
    """Returns whether a path, which may contain `*`, exists in the repository."""
    return any(True for _ in ROOT.glob(pattern)) if "*" in pattern else (ROOT / pattern).exists()


def broken_links(page: str) -> list[str]:
    broken = []
    for target in LINK.findall(FENCE.sub("", text(page))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        exists = path.exists() and ROOT in path.parents
        if not exists or (anchor and anchor not in anchors(path.relative_to(ROOT).as_posix())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors(page: str) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_the_repository(page: str) -> None:
    named = {path for path in PATH.findall(text(page)) if path not in NOT_OURS}

    assert [path for path in sorted(named) if not there(path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_inside_a_package(page: str) -> None:
    named = {path for path in INSIDE.findall(text(page)) if not path.startswith("build/")}

    assert [path for path in sorted(named) if not any(there(f"{of}{path}") for of in ("", *homes()))] == []


def homes() -> list[str]:
    return [f"{package}/" for package in PACKAGES] + ["tests/golden/"]


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_a_page_runs(page: str) -> None:
    for module in MODULE.findall(text(page)):
        path = module.rstrip(".").replace(".", "/")
        assert there(f"{path}.py") or there(f"{path}/__main__.py"), module


@pytest.mark.parametrize("page", PAGES)
def test_make_targets(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))

    assert set(MAKE.findall(text(page))) <= targets


def test_the_front_page_is_short() -> None:
    assert len(text("README.md").splitlines()) <= 150


def test_every_page_is_in_the_index_of_its_folder() -> None:
    """A page that no reader is sent to is a page that nobody finds."""
    for folder in ("docs", "docs/adr"):
        index = {target.partition("#")[0] for target in LINK.findall(text(f"{folder}/README.md"))}
        pages = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
        assert pages <= index, folder


def test_the_check_finds_what_it_looks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.md").write_text(
        "# A title, `twice`\n[a](#a-title-twice) [b](#nowhere) [c](page.md) [d](absent.md) [e](../page.md)\n"
        "```\n[f](in_code.md)\n```\n[g](https://example.org/x)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    text.cache_clear()
    anchors.cache_clear()

    assert broken_links("page.md") == ["#nowhere", "absent.md", "../page.md"]
