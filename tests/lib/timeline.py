# SPDX-License-Identifier: GPL-2.0-or-later
"""/sys/kernel/liveupdate/timeline (docs/interfaces.md, section 5)."""

from lib.outcome import Failed

PHASES = {
    "luod": ["begin", "preserve", "ready", "freeze", "frozen", "reboot",
             "start", "claimed", "finish"],
    "kernel": ["prepare", "prepared", "freeze", "frozen", "jump",
               "start", "init", "finish"],
    "vm": ["preserved", "stop", "saved", "exec", "loaded", "run"],
}


class Timeline:
    def __init__(self, text):
        head, *lines = text.strip().splitlines()
        self.khz = int(head.split()[1])
        self.stamps = [(int(tsc), name) for tsc, name in
                       (line.split(None, 1) for line in lines)]

    @property
    def names(self):
        return [name for _, name in self.stamps]

    def at(self, name):
        """The last stamp of that name, in ms of the counter."""
        for tsc, stamp in reversed(self.stamps):
            if stamp == name:
                return tsc / self.khz
        raise Failed(f"no stamp {name} in the timeline: "
                     f"{' '.join(self.names)}")

    def between(self, start, end):
        return round(self.at(end) - self.at(start), 3)

    def relative(self):
        """Names and ms since the first stamp."""
        return [[name, round((tsc - self.stamps[0][0]) / self.khz, 3)]
                for tsc, name in self.stamps]

    def blackout_ms(self, vm):
        return self.between(f"{vm}:stop", f"{vm}:run")

    def missing(self, vms):
        wanted = [f"{who}:{what}" for who in ("luod", "kernel") for what in PHASES[who]]
        wanted += [f"{vm}:{what}" for vm in vms for what in PHASES["vm"]]
        return [name for name in wanted if name not in self.names]
