# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest_memfd that is shared with its VMM comes through an update in place, with
its VM, as memory of a guest that goes on, too; private memory, and a guest_memfd
without its VM, are refused."""

import errno

from lib.outcome import check
from lib.ram import Ram, serve
from lib.survival import update_and_measure
from lib.update import FILES, Update

PAGES = 2048
MEMORY = 256
RAM = f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on"
GUEST = {RAM: f"memory-backend-guest-memfd,id=ram,size={MEMORY}M"}


def refused(test, host):
    ram = Ram(host, kib=4)
    with test.part("private memory"):
        ram.do("private", PAGES)
        ram.refuses("preserve", errno.EOPNOTSUPP)
        check("its memory is private" in host.console.text, "a message that says why")
        ram.do("close")
    ram.do("guest", PAGES)
    with test.part("without its VM"):
        ram.do("preserve_alone")
        host.fails(f"echo 1 >{FILES}/prepare")
        check("preserve the VM's file there, too" in host.console.text,
              "a message that says what to do")
        ram.do("cancel")
    with test.part("frozen until cancel"):
        ram.do("preserve")
        ram.refuses("punch", errno.EPERM)
        ram.check(PAGES)
        ram.do("cancel")
        ram.do("punch")
        ram.do("close")


def by_itself(test, host):
    ram = Ram(host, kib=4)
    ram.do("guest", PAGES)
    before = ram.check(PAGES)
    ram.do("preserve")
    Update(host).prepare().jump()
    serve(host)
    with test.part("retrieved"):
        ram.do("retrieve")
        ram.check(PAGES, before)
        ram.do("finish")
        ram.check(PAGES, before)
        # an ordinary one from here on
        ram.do("punch")
        ram.do("close")
        host.run(f"echo 1 >{FILES}/finish")


def run(test):
    host = test.host("alone").boot("a", luod=False)
    serve(host)
    refused(test, host)
    by_itself(test, host)
    host = test.host("guest").boot("a")
    vm = host.start_vm("vm1", memory=MEMORY, changes=GUEST)
    for to in ("b", "a"):
        with test.part(f"a guest to {to}"):
            update_and_measure(host, vm, to, test.metrics.setdefault(f"to {to}", {}))
