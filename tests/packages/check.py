# SPDX-License-Identifier: Apache-2.0
"""Checks that say what they compare."""

import subprocess
import sys


class Checks:
    """Counts the checks."""

    def __init__(self):
        self.right, self.wrong = 0, []

    def end(self):
        """Says the result; a run with a wrong check ends with 1."""
        print(f"\n{self.right} checks are right, {len(self.wrong)} are wrong")
        if self.wrong:
            sys.exit("wrong: " + "; ".join(self.wrong))


CHECKS = Checks()


def check(what, found, expected):
    """Compares what was found with what is expected, and says so."""
    if found == expected:
        CHECKS.right += 1
        print(f"ok: {what} = {shown(expected)}", flush=True)
        return
    CHECKS.wrong.append(what)
    print(f"WRONG: {what}", flush=True)
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(set(found) | set(expected)):
            if found.get(key) != expected.get(key):
                print(f"  {key}: {found.get(key)}, expected {expected.get(key)}")
        return
    if isinstance(found, list) and isinstance(expected, list):
        print(f"  more than expected: {[item for item in found if item not in expected]}")
        print(f"  less than expected: {[item for item in expected if item not in found]}")
        return
    print(f"  found {found!r}\n  expected {expected!r}", flush=True)


def shown(value):
    """Returns a value in one short line."""
    if isinstance(value, (dict, list, set)) and len(value) > 3:
        return f"{len(value)} entries"
    text = repr(value)
    return text if len(text) < 80 else f"{len(text)} characters"


def run(words, code=0, **more):
    """Runs a command and returns what it wrote; another exit code ends the program."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **more)
    if done.returncode != code:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
    return done.stdout
