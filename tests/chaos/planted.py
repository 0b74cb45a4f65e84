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


ATTEMPTS = 6  # chance decides what one schedule meets


def find(api_server, name):
    """The seed and the complaint by which it was found; else what was said."""
    options, rules = PLANTED[name]
    said = ""
    for seed in range(1, ATTEMPTS + 1):
        command = [sys.executable, str(RUN), "--api-server", api_server, "--schedules", "1", "--from", str(seed), "--plant", name, *options]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode == SKIPPED:
            print(ran.stdout)
            sys.exit(SKIPPED)
        found = [line.strip() for line in ran.stdout.splitlines() if line.strip().split(":")[0] in rules]
        if ran.returncode == 1 and found:
            return f"seed {seed}: {found[0]}", ""
        said += ran.stdout + ran.stderr
    return None, said


def main():
    missed = 0
    for name in PLANTED:
        found, said = find(sys.argv[1], name)
        print(f"{name}: {found or 'NOT FOUND' + chr(10) + said}", flush=True)
        missed += found is None
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
