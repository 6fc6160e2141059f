# SPDX-License-Identifier: GPL-2.0-or-later
"""TAP 14 on stdout: https://testanything.org/tap-version-14-specification.html"""

from lib.scenario import FAULT, PASSED, SKIPPED


def begin(count):
    print(f"TAP version 14\n1..{count}", flush=True)


def point(number, test):
    if test.parts:
        print(f"# Subtest: {test.name}\n    1..{len(test.parts)}")
        for index, part in enumerate(test.parts, 1):
            print(f"    {'' if part.passed else 'not '}ok {index} - {_clean(part.name)}"
                  f"{' # SKIP' if part.skipped else ''}")
            if not part.passed:
                _block(part.text, "      ")
    good = test.result in (PASSED, SKIPPED)
    line = f"{'' if good else 'not '}ok {number} - {test.name}"
    if test.result == SKIPPED:
        line += f" # SKIP {_clean(test.text)}"
    if test.result == FAULT:
        line += " # EMULATOR FAULT"
    print(line)
    print(f"  ---\n  seconds_wall_emulated: {test.seconds:.1f}")
    if test.text and test.result != SKIPPED:
        print("  message: |")
        _lines(test.text, "    ")
    print("  ...", flush=True)


def _block(text, indent):
    print(f"{indent}---\n{indent}message: |")
    _lines(text, indent + "  ")
    print(f"{indent}...")


def _lines(text, indent):
    for line in text.splitlines() or [""]:
        print(indent + line)


def _clean(text):
    return text.replace("#", "\\#").replace("\n", " ")
