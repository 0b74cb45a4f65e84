#!/usr/bin/env python3
"""The whole run must fail when something is broken on purpose: else its success would mean nothing."""
import pathlib
import subprocess
import sys

RUN = pathlib.Path(__file__).resolve().parent / "run.py"
SKIPPED = 77
# What is broken: how to run it, and the rules of which at least one must be what the run complains of.
PLANTED = {
    "stale-reads": (["--only", "cut-follower-from-members"], ["linearizability"]),
    "old-disks": (["--seconds", "6"], ["no lost write", "exactly once", "one history", "watch order", "linearizability"]),
}


def main():
    missed = []
    for name, (options, rules) in PLANTED.items():
        command = [sys.executable, str(RUN), "--api-server", sys.argv[1], "--schedules", "1", "--plant", name, *options]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode == SKIPPED:
            print(ran.stdout)
            return SKIPPED
        found = [line.strip() for line in ran.stdout.splitlines() if line.strip().split(":")[0] in rules]
        print(f"{name}: {found[0] if found else 'NOT FOUND' + chr(10) + ran.stdout + ran.stderr}", flush=True)
        if ran.returncode != 1 or not found:
            missed.append(name)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
