#!/usr/bin/env python3
"""End-to-end tests: the real daemons, the real kubectl, a real dockerd.

usage: run.py BUILD_DIR [FLOW...]      run all flows, or those named (file names in flows/, without .py)
       run.py --list

COXSWAIN_KUBECTL names another kubectl than the one in PATH; from 1.20 (Debian 12's kubernetes-client) on every flow
runs. Runs inside `in-own-machine`, so it needs root and disturbs nothing. Exits 77 (skipped) without root,
kubectl or dockerd, and says so.
"""
import importlib
import os
import pathlib
import shutil
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
SKIPPED = 77


def flow_names():
    """f1_services, ...: files that start with f or g and a name; helpers do not."""
    return sorted(p.stem for p in (HERE / "flows").glob("[fg]*_*.py"))


def missing():
    if os.geteuid() != 0:
        return "root is needed for containers and nftables"
    for tool in (os.environ.get("COXSWAIN_KUBECTL", "kubectl"), "dockerd", "docker", "nft", "curl", "ip", "unshare"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed" + (": apt-get install kubernetes-client" if tool == "kubectl" else "")
    return None


def run_flow(cluster, name):
    """Every function test_* of the flow, in order of definition. Returns the failures."""
    module = importlib.import_module(f"flows.{name}")
    failures = []
    passed = 0
    for test, function in list(vars(module).items()):
        if not test.startswith("test_"):
            continue
        started = time.monotonic()
        try:
            function(cluster)
            passed += 1
            print(f"  ok    {name}.{test} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception as error:  # a broken test must not hide the others
            failures.append(f"{name}.{test}: {error}")
            print(f"  FAIL  {name}.{test} ({time.monotonic() - started:.1f} s): {error}", flush=True)
            if not error.__class__.__name__ == "Failure":
                traceback.print_exc()
    return passed, failures


def show_logs(cluster):
    for log in sorted(cluster.home.glob("*.log")):
        if log.name == "dockerd.log":
            continue
        print(f"--- last lines of {log.name}")
        print("\n".join(log.read_text(errors="replace").splitlines()[-15:]), flush=True)


def main():
    arguments = sys.argv[1:]
    if arguments == ["--list"]:
        print("\n".join(flow_names()))
        return 0
    if not arguments:
        raise SystemExit(__doc__)
    reason = missing()
    if reason:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    if os.environ.get("COXSWAIN_E2E_INSIDE") != "1":
        os.environ["COXSWAIN_E2E_INSIDE"] = "1"
        os.execv(str(HERE / "in-own-machine"), [str(HERE / "in-own-machine"), sys.executable, __file__, *arguments])
    from cluster import Cluster
    cluster = Cluster(arguments[0])
    note = "" if cluster.kubectl_minor >= 32 else ": checks of verbs and flags that are younger are left out"
    print(f"{cluster.kubectl_binary} is version 1.{cluster.kubectl_minor}{note}", flush=True)
    failures, passed = [], 0
    try:
        cluster.start()
        for name in arguments[1:] or flow_names():
            print(f"flow {name}", flush=True)
            good, bad = run_flow(cluster, name)
            passed += good
            failures += bad
        if failures:
            show_logs(cluster)
    except Exception as error:
        failures.append(f"starting the cluster: {error}")
        traceback.print_exc()
        show_logs(cluster)
    finally:
        cluster.stop()
        if os.environ.get("COXSWAIN_E2E_KEEP") != "1":
            cluster.remove()
    print(f"{passed} passed, {len(failures)} failed")
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
