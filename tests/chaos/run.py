#!/usr/bin/env python3
"""Three real api-servers under faults, and the history of their clients checked. docs/reliability.md, "Real processes".

Needs root: it runs in network, mount and pid namespaces of its own. One line per schedule; a failed one leaves its logs
and its history in a folder that the line names. Exit status: 0, 1 (violations), 77 (no namespaces here).
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]

import nemesis  # noqa: E402
import schedule  # noqa: E402

INSIDE = "COXSWAIN_CHAOS_INSIDE"
OWN_MACHINE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]


def parse():
    parser = argparse.ArgumentParser(description="Three api-servers under faults; their clients' history is checked.")
    parser.add_argument("--schedules", type=int, default=48, help="how many (default 48)")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first one's seed (default 1)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load and faults in each (default 4)")
    parser.add_argument("--only", default="", choices=sorted(nemesis.FAULTS), metavar="FAULT",
                        help=f"this fault alone in every schedule: {', '.join(sorted(nemesis.FAULTS))}")
    parser.add_argument("--api-server", default=str(ROOT / "build/bin/api-server"))
    parser.add_argument("--results", help="where a failed schedule's folder goes (default: a new one in /tmp)")
    parser.add_argument("--verbose", action="store_true", help="what went wrong for clients, after each schedule")
    parser.add_argument("--plant", choices=("stale-reads", "old-disks"),
                        help="break something on purpose: the run must then fail")
    return parser.parse_args()


def why_not():
    """Why it cannot run here; empty: it can."""
    if os.geteuid() != 0:
        return "needs root for network namespaces and mounts"
    for tool in ("unshare", "nsenter", "ip", "nft", "mount"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    probe = "mount -t tmpfs tmpfs /run && ip link add probe0 type veth peer name probe1 && nft add table inet probe"
    tried = subprocess.run([*OWN_MACHINE, "sh", "-c", probe], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no namespaces, veth or nftables here: {tried.stderr.strip()[-200:]}"


def main():
    options = parse()
    if INSIDE not in os.environ:
        if reason := why_not():
            print(f"skipped: {reason}")
            return 77
        results = options.results or tempfile.mkdtemp(prefix="coxswain-chaos-")
        inside = [*OWN_MACHINE, sys.executable, str(HERE / "run.py"), *sys.argv[1:], "--results", results]
        code = subprocess.run(inside, env={**os.environ, INSIDE: "1"}, check=False).returncode
        if code == 0 and not options.results:
            shutil.rmtree(results, ignore_errors=True)
        return code
    return schedule.run_all(options)


if __name__ == "__main__":
    sys.exit(main())
