# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds scenarios, runs one, and keeps what came out of it.

A scenario is tests/scenarios/NAME.py: a docstring that says what is promised,
and a function run(test)."""

import contextlib
import importlib.util
import json
import resource
import time
import traceback
from dataclasses import dataclass

from lib import paths
from lib.host import Host, fresh
from lib.outcome import EmulatorFault, Failed, HostDied, Skip

PASSED, FAILED, SKIPPED, FAULT = "passed", "failed", "skipped", "emulator fault"


@dataclass
class Part:
    name: str
    passed: bool
    text: str = ""
    skipped: bool = False


class Scenario:
    def __init__(self, path):
        self.name = path.stem
        self._path = path
        self._module = None

    @property
    def module(self):
        if not self._module:
            spec = importlib.util.spec_from_file_location(f"scenarios.{self.name}", self._path)
            self._module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self._module)
        return self._module

    @property
    def promise(self):
        return " ".join(self.module.__doc__.split("\n\n")[0].split())

    def run(self):
        fresh(self.name)
        test = Test(self.name)
        try:
            self.module.run(test)
            test.end()
        except Skip as skip:
            test.result, test.text = SKIPPED, str(skip)
        except EmulatorFault as fault:
            test.result, test.text = FAULT, str(fault)
        except Failed as failure:
            test.result, test.text = FAILED, str(failure)
        except Exception:       # a fault of the scenario itself
            test.result, test.text = FAILED, traceback.format_exc()
        finally:
            test.close()
        return test


class Test:
    """What a scenario's run() gets: hosts to play with, parts, metrics."""

    def __init__(self, name):
        self.name = name
        self.folder = paths.RESULTS / name
        self.metrics = {}
        self.parts = []
        self.result = PASSED
        self.text = ""
        self._hosts = []
        self._started, self._spent = time.monotonic(), cpu_seconds()
        self.seconds = 0.0

    def host(self, part=""):
        """A host that is closed when the scenario ends; one at a time."""
        for host in self._hosts:
            host.close()
        host = Host(f"{self.name}/{part}" if part else self.name)
        self._hosts.append(host)
        return host

    @contextlib.contextmanager
    def part(self, name):
        """A subtest. One that fails does not end the others, unless it took
        the host with it."""
        try:
            yield
        except (HostDied, EmulatorFault, Skip) as end:
            self.parts.append(Part(name, False, str(end)))
            raise
        except Failed as failure:
            self.parts.append(Part(name, False, str(failure)))
        else:
            self.parts.append(Part(name, True))

    def record(self, point, text=""):
        """A subtest that somebody else ran (KUnit, kselftest): its ktap.Point."""
        self.parts.append(Part(str(point), point.passed, text, point.skipped))

    def end(self):
        bad = [part.name for part in self.parts if not part.passed]
        if bad:
            raise Failed(f"{len(bad)} of {len(self.parts)} parts: {', '.join(bad)}")

    def close(self):
        for host in self._hosts:
            host.close()
        self._hosts = []
        self.seconds = time.monotonic() - self._started
        metrics = {
            "scenario": self.name, "result": self.result, "text": self.text,
            "time_is": "emulated (TCG in TCG): compare it within one run only",
            "seconds_wall": round(self.seconds, 1),
            "seconds_cpu": round(cpu_seconds() - self._spent, 1), **self.metrics,
        }
        if self.parts:
            metrics["parts"] = {part.name: SKIPPED if part.skipped else part.passed
                                for part in self.parts}
        target = paths.RESULTS / f"{self.name}.json"
        target.write_text(json.dumps(metrics, indent=2) + "\n")


def cpu_seconds():
    """What processes of this one have used that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def find():
    """All scenarios by name, in the order in which they run."""
    found = [Scenario(path) for path in sorted((paths.TESTS / "scenarios").glob("*.py"))]
    return {scenario.name: scenario for scenario in found}
