# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are. HLU_BUILD names another build folder."""

import os
from pathlib import Path

from lib.outcome import Failed

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
BUILD = Path(os.environ.get("HLU_BUILD", ROOT / "build")).resolve()
TESTBED = BUILD / "testbed"
RESULTS = BUILD / "results"
LINUX = BUILD / "linux"
SELFTESTS = BUILD / "selftests"
QEMU = BUILD / "qemu" / "out" / "qemu-system-x86_64"
LIBVIRT = BUILD / "libvirt"
LUOD = BUILD / "luod" / "luod"
LUOCTL = BUILD / "luod" / "luoctl"
BUSYBOX = Path("/bin/busybox")
# firmware of Debian's packages seabios and qemu-system-data
FIRMWARE = [Path("/usr/share/seabios"), Path("/usr/share/qemu")]


def kernel(which):
    """The image of host kernel "a" or "b", or "plain": one without hlu."""
    return built(BUILD / f"kernel-{which}")


def built(path):
    """The path itself; a build product that is not there fails the scenario."""
    if not path.exists():
        raise Failed(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}"
                     " is not built: run make first")
    return path


def firmware(name):
    for folder in FIRMWARE:
        if (folder / name).exists():
            return folder / name
    raise Failed(f"firmware {name} is missing: install the packages in tests/packages")
