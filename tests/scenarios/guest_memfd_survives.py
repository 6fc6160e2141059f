# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest_memfd that is shared with its VMM comes through an update in place, with
its VM, as memory of a guest that goes on, too; private memory, and a guest_memfd
without its VM, are refused (kselftest guest_memfd_liveupdate)."""

from lib.outcome import check
from lib.ram import Ram, serve
from lib.selftest import run_in_host
from lib.survival import update_and_measure
from lib.update import Update

KSELFTEST = "kvm/x86/guest_memfd_liveupdate_test"
MESSAGES = ("its memory is private", "preserve the VM's file there, too")
PAGES = 2048
MEMORY = 128
RAM = f"memory-backend-memfd,id=ram,size={MEMORY}M,share=on"
GUEST = {RAM: f"memory-backend-guest-memfd,id=ram,size={MEMORY}M"}


def by_itself(test, host):
    serve(host)
    ram = Ram(host, kib=4)
    ram.do("guest", PAGES)
    before = ram.check(PAGES)
    ram.do("preserve")
    update = Update(host).prepare().jump()
    serve(host)
    with test.part("retrieved"):
        ram.do("retrieve")
        ram.check(PAGES, before)
        ram.do("finish")
        ram.check(PAGES, before)
        # an ordinary one from here on
        ram.do("punch")
        ram.do("close")
        update.finish()


def run(test):
    host = test.host("alone").boot("a", luod=False)
    with test.part("refused"):
        run_in_host(test, host, KSELFTEST, at_least=8, environment="taskset 2")
        for message in MESSAGES:
            check(message in host.console.text, f"'{message}' on the console")
    by_itself(test, host)
    host.close()
    host = test.host("guest").boot("a")
    vm = host.start_vm("vm1", memory=MEMORY, changes=GUEST)
    update_and_measure(host, vm, "b", test.metrics)
