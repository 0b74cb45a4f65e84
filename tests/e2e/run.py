#!/usr/bin/env python3
"""End-to-end tests: the real daemons, the real kubectl, a real dockerd.

usage: run.py BUILD_DIR [--control-plane alone|three|etcd] [FLOW...]
                                       run all flows, or those named (file names in flows/, without .py)
       run.py --list

The control plane: alone is one api-server with a store of its own; three are a group of three behind one port, with
two schedulers and two controller-managers; etcd are two api-servers on three members of Debian's etcd.

COXSWAIN_KUBECTL names another kubectl than the one in PATH; from 1.20 (Debian 12's kubernetes-client) on every flow
runs. Runs inside `in-own-machine`, so it needs root and disturbs nothing. Exits 77 (skipped) without root,
kubectl or dockerd, and says so.
"""
import argparse
import concurrent.futures
import importlib
import os
import pathlib
import shutil
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from cluster import KINDS, Cluster  # noqa: E402
SKIPPED = 77


def flow_names():
    """f1_services, ...: files that start with f or g and a name; helpers do not."""
    return sorted(p.stem for p in (HERE / "flows").glob("[fg]*_*.py"))


# These keep to namespaces of their own and stop no daemon: they run side by side, the longest first, before the others.
TOGETHER = ("f3_rollout", "f14_pulls", "f2_restarts", "g_kubectl", "f16_controllers", "f13_runtime", "f7_deletion", "f4_pods",
            "f11_probes", "f12_volumes", "g_coxctl", "g_clients")
LANES = 3


def missing(control_plane):
    if os.geteuid() != 0:
        return "root is needed for containers and nftables"
    tools = [os.environ.get("COXSWAIN_KUBECTL", "kubectl"), "dockerd", "docker", "nft", "curl", "ip", "unshare"]
    packages = {"kubectl": "kubernetes-client", "etcd": "etcd-server"}
    for tool in [*tools, *(["etcd", "openssl"] if control_plane == "etcd" else [])]:
        if shutil.which(tool) is None:
            return f"{tool} is not installed" + (f": apt-get install {packages[tool]}" if tool in packages else "")
    return None


def run_flow(cluster, name):
    """Every function test_* of the flow, in order of definition: how many passed, and the failures."""
    module = importlib.import_module(f"flows.{name}")
    if cluster.plane.name not in getattr(module, "CONTROL_PLANES", [cluster.plane.name]):
        print(f"  skip  {name}: not for the control plane {cluster.plane.name}", flush=True)
        return 0, []
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


def run_flows(cluster, names):
    """Those that can run side by side, then one after the other."""
    together = [name for name in TOGETHER if name in names]
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        results = list(lanes.map(lambda name: run_flow(cluster, name), together))
    results += [run_flow(cluster, name) for name in names if name not in TOGETHER]
    return sum(passed for passed, _ in results), [failure for _, failures in results for failure in failures]


def show_logs(cluster):
    for log in sorted(cluster.home.glob("*.log")):
        if log.name == "dockerd.log":
            continue
        print(f"--- last lines of {log.name}")
        print("\n".join(log.read_text(errors="replace").splitlines()[-15:]), flush=True)


def parse():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("build_dir", nargs="?")
    parser.add_argument("flows", nargs="*")
    parser.add_argument("--control-plane", default="alone", choices=list(KINDS))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_intermixed_args()
    unknown = sorted(set(options.flows) - set(flow_names()))
    if unknown:
        raise SystemExit(f"there is no flow {', '.join(unknown)}; run.py --list shows all")
    if not options.list and not options.build_dir:
        raise SystemExit(__doc__)
    return options


def main():
    options = parse()
    if options.list:
        print("\n".join(flow_names()))
        return 0
    reason = missing(options.control_plane)
    if reason:
        print(f"SKIPPED: {reason}")
        return SKIPPED
    if os.environ.get("COXSWAIN_E2E_INSIDE") != "1":
        os.environ["COXSWAIN_E2E_INSIDE"] = "1"
        os.execv(str(HERE / "in-own-machine"), [str(HERE / "in-own-machine"), sys.executable, __file__, *sys.argv[1:]])
    cluster = Cluster(options.build_dir, options.control_plane)
    note = "" if cluster.kubectl_minor >= 32 else ": checks of verbs and flags that are younger are left out"
    print(f"{cluster.kubectl_binary} is version 1.{cluster.kubectl_minor}{note}", flush=True)
    failures, passed, began = [], 0, time.monotonic()
    try:
        cluster.start()
        print(f"control plane {options.control_plane}, started in {time.monotonic() - began:.1f} s", flush=True)
        passed, failures = run_flows(cluster, options.flows or flow_names())
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
    print(f"{passed} passed, {len(failures)} failed on the control plane {options.control_plane} in {time.monotonic() - began:.0f} s")
    for failure in failures:
        print(f"  {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
