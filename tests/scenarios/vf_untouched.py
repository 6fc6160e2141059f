# SPDX-License-Identifier: GPL-2.0-or-later
"""Of eight VFs, three are requested: they and their PF go over a kexec with
nothing written to their config space and VF Enable on all the time. The other
five are quiet before the jump and come back like new.

The PF belongs to pci-pf-stub, then to vfio-pci. In both cases the VFs' driver is
left out of the incoming kernel, so nobody can reclaim them. The third time it is
there: it reclaims the three, and the five others can be used beside them. No
kernel knows by itself that these drivers are for our PF (new_id tells), so
it is reclaimed when the scenario says so."""

from lib.hardware import probe, root_port
from lib.outcome import check, equal
from lib.probe import Probe, add_figures, figures
from lib.update import NO_DRIVER, Update, enumeration_ms

DEVICES = [root_port("rp2", 2), probe("probe0", "rp2", vfs=8)]
ALL, KEPT = range(1, 9), (1, 4, 8)
OTHERS = [number for number in ALL if number not in KEPT]


def run(test):
    nobody_reclaims(test, "pci-pf-stub")
    nobody_reclaims(test, "vfio-pci")
    reclaimed(test)


def nobody_reclaims(test, driver):
    host, one = boot(test, driver, driver)
    before = {number: one.settings(number) for number in (0, *KEPT)}
    addresses = vf_addresses(one)
    update, mark, states = jump(host, one, NO_DRIVER)
    with test.part(f"{driver}: quiet or not, between the kernels"):
        for number in ALL:
            equal(bool(states[number]["command"] & 4), number in KEPT,
                  f"bus mastering of VF {number} between the kernels")
    with test.part(f"{driver}: PF and requested VFs untouched"):
        add_figures(test, *(one.counters(number) for number in before))
        test.metrics["enumeration_ms"] = enumeration_ms(host.console.since(mark))
        for number, settings in before.items():
            equal(one.settings(number), settings, f"settings of function {number}")
            equal(one.device(number).marks[1:], (1, 0), f"preserved, reclaimed of {number}")
        one.check_untouched(*KEPT)
        equal(figures([one.counters()]), figures([]), "what was done to the PF")
    with test.part(f"{driver}: all VFs are there, and stay"):
        equal(vf_addresses(one), addresses, "addresses of the VFs")
        numbers_are_fixed(one)
    with test.part(f"{driver}: finish resets the VFs, and the PF stays"):
        stub(host, driver)
        equal(one.device().marks[1:], (1, 1), "preserved, reclaimed of the PF")
        update.finish()
        equal(one.counters()["vf-enable-clears"], 0, "times that VF Enable went off")
        for number in KEPT:
            check(not one.masters(number), f"bus mastering of unreclaimed VF {number} off")
            equal(sum(one.counters(number)["resets"].values()), 1, f"resets of VF {number}")
            equal(one.counters(number)["resets"]["flr"], 1, f"FLRs of VF {number}")


def reclaimed(test):
    host, one = boot(test, "reclaimed", "pci-pf-stub")
    update, _, _ = jump(host, one)
    with test.part("reclaimed: the requested ones have their driver again"):
        # drivers get a VF once its PF is reclaimed
        for number in KEPT:
            equal(one.device(number).driver, "", f"driver of VF {number} before that of the PF")
        stub(host, "pci-pf-stub")
        equal(one.device().marks[1:], (1, 1), "preserved, reclaimed of the PF")
        for number in ALL:
            host.wait(lambda at=one.device(number): at.driver == "hlu_probe", 20,
                      f"driver of VF {number}")
        for number in KEPT:
            equal(one.device(number).marks[1:], (1, 1), f"preserved, reclaimed of VF {number}")
        one.check_undisturbed(*KEPT)
        numbers_are_fixed(one)
    with test.part("reclaimed: the others come back like new, beside them"):
        for number in OTHERS:
            equal(one.device(number).marks[1:], (0, 0), f"preserved, reclaimed of VF {number}")
            check(not one.state(number)["armed"], f"VF {number} not armed")
        one.arm(*OTHERS)
        one.check_undisturbed(*KEPT)
    with test.part("reclaimed: all of them go on after finish"):
        update.finish()
        for number in OTHERS:
            one.check_ring(number)
        equal(one.counters()["vf-enable-clears"], 0, "times that VF Enable went off")
        one.device(OTHERS[0]).unbind()
        one.check_undisturbed(*KEPT)
    with test.part("a PF that nobody reclaims takes its VFs with it"):
        request(one)
        # without a driver: one that finds it after finish may use it
        update, _, _ = jump(host, one, NO_DRIVER, to="a")
        update.finish()
        equal(one.device().read("sriov_numvfs"), "0", "VFs")
        equal(one.counters()["resets"]["flr"], 1, "FLRs of the PF")
        check(not one.masters() and not one.state()["vf-enabled"], f"PF quiet: {one.state()}")


def boot(test, name, driver):
    """A host with eight VFs that run, three of them requested."""
    host = test.host(name).boot("a", luod=False, devices=DEVICES,
                                cmdline="iommu=pt vfio_pci.enable_sriov=1")
    one = Probe(host)
    one.device().unbind()
    stub(host, driver)
    equal(one.device().driver, driver, "driver of the PF")
    one.device().write("sriov_numvfs", len(ALL))
    for number in ALL:
        # vfio-pci wants the VFs of its PFs
        if one.device(number).driver != "hlu_probe":
            one.device(number).take("hlu_probe")
    one.arm(*ALL)
    request(one)
    return host, one


def request(one):
    for number in KEPT:
        one.device(number).request()


def stub(host, driver):
    """Lets a driver that knows no PF of ours have it."""
    host.run(f"echo 1234 4c50 >/sys/bus/pci/drivers/{driver}/new_id")


def jump(host, one, cmdline="", to="b"):
    """The update, its place in the console's log, and how all functions were
    between the two kernels."""
    update = Update(host, to, cmdline)
    one.reset_counters()
    mark = host.console.mark
    update.prepare()
    numbers_are_fixed(one)
    states = []
    update.jump(lambda: states.extend(one.state(number) for number in (0, *ALL)))
    return update, mark, states


def numbers_are_fixed(one):
    equal(one.device().read("sriov_numvfs"), str(len(ALL)), "VFs")
    one.device().refuses("sriov_numvfs", 0)
    one.device().refuses("sriov_numvfs", 4)


def vf_addresses(one):
    pf = one.device()
    return one.host.run(f"for n in 0 1 2 3 4 5 6 7; do readlink {pf.path}/virtfn$n; done")
