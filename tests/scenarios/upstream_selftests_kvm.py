# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's selftests/kvm end here as they do on the unpatched kernel, those that
can run under emulated SVM: what VMMs do with KVM, they still can.

tests/expected/selftests_kvm has the unpatched kernel's results; docs/testing.md
says why some skip themselves or fail there, and which are left out."""

import subprocess

from lib import paths
from lib.outcome import check

EXPECTED = paths.TESTS / "expected" / "selftests_kvm"
RESULTS = "selftests_kvm"
# one CPU: two of this host must not be in guest mode at the same time
CMDLINE = "maxcpus=1 hugepages=640 kvm.force_emulation_prefix=1"
SKIPPED = 4     # of kselftest
SECONDS = 120


def run(test):
    host = test.host().boot("a", luod=False, cmdline=CMDLINE)
    for line in EXPECTED.read_text().splitlines()[1:]:      # without SPDX's
        name = line.split()[1]
        with test.part(name):
            result, output = outcome(host, name)
            with (test.folder / RESULTS).open("a") as results:
                print(result, name, file=results)
            check(f"{result} {name}" == line, f"the unpatched kernel's {line}: {result}\n{output}")
    check(test.parts, "programs")


def outcome(host, name):
    target = host.share / name.replace("/", "-")
    subprocess.run(["strip", "-o", target, paths.built(paths.SELFTESTS / "kvm" / name)], check=True)
    command = host.finish(host.start(f"cd /tmp && /share/{target.name}", SECONDS), SECONDS + 10, None)
    target.unlink()
    return {0: "ok", SKIPPED: "skip"}.get(command.status, "FAIL"), command.output
