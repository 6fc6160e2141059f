# SPDX-License-Identifier: GPL-2.0-or-later
"""Upstream's and our kselftests: inside a running host, or, as upstream's
vmtest.sh does it, with their own init in a machine of their own."""

import shutil
import time

from lib import image, ktap, paths
from lib.clock import Deadline
from lib.console import emulator_fault
from lib.machine import Machine
from lib.outcome import EmulatorFault, check


def run_in_host(test, host, binary, at_least, environment="", arguments="", seconds=120):
    """Runs a static kselftest binary in the host; its points become parts."""
    source = paths.built(paths.SELFTESTS / binary)
    shutil.copy(source, host.share / source.name)
    script = f"cd /tmp && {environment} /share/{source.name} {arguments}".strip()
    before = time.monotonic()
    command = host.finish(host.start(script, seconds), seconds + 10, None)
    test.metrics[f"{source.name}_seconds"] = round(time.monotonic() - before, 1)
    (test.folder / f"{source.name}.tap").write_text(command.output)
    points = ktap.parse(command.output)
    for point in points:
        test.record(point, command.output)
    ran = [point for point in points if not point.skipped]
    test.metrics[f"{source.name}_ran"] = len(ran)
    check(len(ran) >= at_least,
          f"at least {at_least} tests of {source.name}, it were {len(ran)}:\n{command.output}")
    check(command.status == 0, f"{source.name} ended with {command.status}:\n{command.output}")


def boots(test, name, init, cmdline, sign, binary=None, seconds=120):
    """Boots a machine whose init runs the test, kexecs and resets; passes when
    the console has the sign in the end."""
    kernel = paths.kernel("a")
    init = paths.built(paths.SELFTESTS / init)
    files = {"/kernel": kernel}
    if binary:
        program = paths.built(paths.SELFTESTS / binary)
        files["/test_binary"] = program
        files["/initrd.img"] = image.selftest(f"{name}-inner", init, {"/test_binary": program})
    folder = test.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    machine = Machine(kernel, image.selftest(name, init, files),
                      f"console=ttyS0 {cmdline} panic=-1 no_timer_check kunit.enable=0",
                      folder, memory="1G", bare=True)
    try:
        deadline = Deadline(seconds)
        while machine.alive and not deadline.over:
            time.sleep(0.1)
        text = machine.console.read_text(errors="replace")
    finally:
        machine.close()
    if emulator_fault(text):
        raise EmulatorFault(f"{name}:\n{text[-2500:]}")
    check(sign in text, f"'{sign}' on the console, which ends:\n{text[-2500:]}")
    check(not deadline.over, f"an end within {deadline.seconds:.0f} s")
