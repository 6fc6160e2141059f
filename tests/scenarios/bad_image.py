# SPDX-License-Identifier: GPL-2.0-or-later
"""An image that cannot carry the guests on is refused, with an errno's name,
before any VM is touched."""

import shutil

from lib import paths
from lib.outcome import check, equal

KILO = 1024


def run(test):
    host = test.host().boot("a")
    vm = host.start_vm("vm1")
    good = paths.kernel("b").read_bytes()
    images = {
        "not a kernel": (b"#!/bin/sh\necho no kernel\n" * 2048, "ENOEXEC"),
        "empty": (b"", "ENOEXEC"),
        "truncated": (good[:len(good) // 2], "EBADMSG"),
        "only the boot sector": (good[:KILO], "EBADMSG"),
        "a kernel without hlu": (paths.kernel("plain").read_bytes(), "ENOPKG"),
        "missing": (None, "ENOENT"),
    }
    seen = test.metrics["errors"] = {}
    for name, (data, errno) in images.items():
        with test.part(name):
            path = host.share / "image"
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
            said = host.fails("luoctl load /share/image --initrd /images/host.cpio", 60)
            seen[name] = said.strip()
            check(errno in said, f"{errno} in what luoctl says: {said}")
            untouched(host, vm)

    with test.part("nothing loaded, nothing to update to"):
        said = host.fails("luoctl update --timeout 10")
        seen["update"] = said.strip()
        untouched(host, vm)
    (host.share / "image").unlink(missing_ok=True)

    with test.part("a good image after all of them"):
        shutil.copyfile(paths.kernel("b"), host.share / "image")
        host.run("luoctl load /share/image --initrd /images/host.cpio", 60)
        equal(host.status()["loaded"], "/share/image", "what is loaded")


def untouched(host, vm):
    status = host.status()
    check(not status["loaded"], f"nothing loaded: {status}")
    check(host.state == "normal", "state normal")
    log = (host.share / "logs" / f"{vm.name}.attach.log").read_text(errors="replace")
    check("START_PRESERVATION" not in log, f"{vm.name} not asked for anything: {log}")
    vm.wait_alive()
