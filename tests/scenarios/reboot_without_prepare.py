# SPDX-License-Identifier: GPL-2.0-or-later
"""Without prepare, sessions of plain memory go over a kexec as in Linux 7.3;
a session that holds a device keeps the host from jumping (EBUSY)."""

from lib.outcome import check, equal

HOLD = "session hold {name} {items} </dev/null >/share/logs/{name}.log 2>&1 & echo $!"


def run(test):
    host = test.host().boot("a", luod=False)
    host.run("kexec load /images/kernel-b /images/host.cpio", 60)

    with test.part("a session with a device: EBUSY, and a message that says so"):
        mark = host.console.mark
        pid = hold(host, "with-device", "memfd:1:text dev:2:/dev/liveupdate_test")
        said = host.fails("kexec exec")
        test.metrics["refusal"] = said.strip()
        check("EBUSY" in said, f"EBUSY: {said}")
        test.metrics["kernel_message"] = host.wait(
            lambda: [line for line in host.console.since(mark).splitlines()
                     if "liveupdate" in line and "with-device" in line],
            10, "a kernel message that names the session")
        equal(host.state, "normal", "state")
        host.run(f"kill {pid}; while [ -d /proc/{pid} ]; do sleep 0.1; done")

    with test.part("a session with a memfd: goes over, as in plain 7.3"):
        hold(host, "plain", "memfd:7:hello-over-there")
        host.jump(host.start("kexec exec", 60), "b")
        equal(host.state, "normal", "state after a jump that nobody prepared")
        said = host.run("session restore plain memfd:7:hello-over-there")
        check("restored" in said, said)


def hold(host, name, items):
    pid = host.run(HOLD.format(name=name, items=items)).strip()
    log = host.share / "logs" / f"{name}.log"
    host.wait(lambda: log.exists() and log.read_text(), 20, f"session {name}")
    equal(log.read_text().strip(), "held", f"session {name}")
    return pid
