"""Fetches Debian's arm64 Python and its libraries and unpacks them without installing anything on the host."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from device_sim.emulation import cache_folder, tools
from device_sim.emulation.errors import EmulationError

RELEASE: Final = "bookworm"  # fixed: its Python is the guest's, and the wheels are chosen for it
PYTHON: Final = "3.11"
ROOT: Final = "root"
PACKAGES: Final = (
    "python3.11-minimal",
    "libpython3.11-stdlib",
    "libc6",
    "libstdc++6",
    "libgcc-s1",
    "libgomp1",
    "zlib1g",
)
MIRROR_VARIABLE: Final = "EDGE_SIM_DEBIAN_MIRROR"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DOWNLOAD_TIMEOUT_S: Final = 600.0
_FIX: Final = (
    f"look whether Debian's package server can be reached, or name a mirror in {MIRROR_VARIABLE} (its address up to "
    "and with /debian)"
)


class NoMirrorError(EmulationError):
    """No Debian mirror is known on this machine."""

    def __init__(self) -> None:
        super().__init__(
            f"apt on this machine has no source of Debian {RELEASE}; name a mirror in {MIRROR_VARIABLE} "
            f"(its address up to and with /debian), and install its keys: apt-get install debian-archive-keyring"
        )


def sysroot(packages: tuple[str, ...] = PACKAGES, release: str = RELEASE) -> Path:
    """Returns the folder of the unpacked packages and their dependencies; fetches them if they are not in the cache.

    Args:
        packages: The names of Debian packages.
        release: The code name of the Debian release.

    Raises:
        NoMirrorError: No Debian mirror is known.
        CommandError: apt or dpkg failed; the message has its stderr.
        CacheFolderError: The files cannot be stored.
    """

    def build(folder: Path) -> None:
        root, scratch = folder / ROOT, folder / "apt"
        root.mkdir()
        for package in fetch(packages, scratch, release):
            unpack(package, root)
        shutil.rmtree(scratch)

    return cache_folder.built(name(packages, release), build) / ROOT


def name(packages: tuple[str, ...] = PACKAGES, release: str = RELEASE) -> str:
    """Returns the name of the folder in the cache."""
    return f"sysroot-{cache_folder.key(release, *packages)}"


def fetch(packages: tuple[str, ...], folder: Path, release: str = RELEASE) -> list[Path]:
    """Downloads arm64 packages of a release and their dependencies, with an apt that has its own lists and state.

    Args:
        packages: The names of the packages.
        folder: The folder for apt's lists, settings and downloads.
        release: The code name of the Debian release; one other than RELEASE is sought on the same mirror.

    Returns:
        The .deb files.

    Raises:
        NoMirrorError: No Debian mirror is known.
        CommandError: apt failed.
    """
    for part in ("state/lists/partial", "cache/archives/partial", "log"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(sources_text(mirrors(release)), encoding="utf-8")
    (folder / "apt.conf").write_text(settings_text(folder), encoding="utf-8")
    _apt(["update", "--error-on=any"], folder)
    _apt(["install", "-y", "--download-only", "--no-install-recommends", *packages], folder)
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def unpack(package: Path, root: Path) -> None:
    """Unpacks a .deb below `root`.

    Raises:
        CommandError: dpkg failed.
    """
    fix = "free disk space, and run it again"
    tools.run(["dpkg", "-x", str(package), str(root)], purpose=f"unpacking {package.name}", fix=fix, timeout_s=120)


def mirrors(release: str = RELEASE) -> dict[str, str]:
    """Returns suite → address of Debian's packages, from EDGE_SIM_DEBIAN_MIRROR or else from the host's own apt.

    Raises:
        NoMirrorError: Neither names a mirror.
    """
    if named := os.environ.get(MIRROR_VARIABLE):
        return {release: named}
    query = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    fix = f"look at the files in /etc/apt, or name a mirror in {MIRROR_VARIABLE}"
    found = read_targets(tools.run(query, purpose="reading apt's sources", fix=fix, timeout_s=60))
    if RELEASE not in found:
        raise NoMirrorError
    return found if release == RELEASE else {release: found[RELEASE]}


def read_targets(text: str) -> dict[str, str]:
    """Returns suite → address of the release from apt's list of index targets (`site suite component`, one a line)."""
    rows = [line.split() for line in text.splitlines()]
    wanted = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
    return {row[1]: row[0] for row in rows if len(row) == 3 and row[1] in wanted and row[2] == "main"}


def sources_text(addresses: Mapping[str, str]) -> str:
    """Returns apt's sources.list for these suites."""
    options = f"arch=arm64 signed-by={KEYRING}"
    return "".join(f"deb [{options}] {address} {suite} main\n" for suite, address in sorted(addresses.items()))


def settings_text(folder: Path) -> str:
    """Returns apt's settings: its files are all in `folder`, and no package counts as installed."""
    settings = {
        "APT::Architecture": "arm64",
        "Dir::State": f"{folder}/state",
        "Dir::State::status": f"{folder}/status",
        "Dir::Cache": f"{folder}/cache",
        "Dir::Log": f"{folder}/log",
        "Dir::Etc::sourcelist": f"{folder}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::Etc::preferencesparts": "-",
        "APT::Sandbox::User": "",  # dropping to another user fails where only ours may write
        "Acquire::Languages": "none",
    }
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    return "\n".join([*lines, 'APT::Architectures { "arm64"; };', ""])


def _apt(arguments: list[str], folder: Path) -> None:
    environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C"}
    tools.run(
        ["apt-get", "--quiet", *arguments],
        purpose=f"apt-get {arguments[0]}",
        fix=_FIX,
        environment=environment,
        timeout_s=DOWNLOAD_TIMEOUT_S,
    )
