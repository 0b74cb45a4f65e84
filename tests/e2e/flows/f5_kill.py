"""Flow 5: kill -9 of any daemon: containers run on, Services route on, nothing is restarted."""
import os
import random
import signal
import time

from cluster import check, wait_until
from flows.f3_rollout import GRACEFUL, Load
from flows.manifests import deployment, namespace, service

NS = "survive"


def container_ids(c):
    return sorted(s["containerID"] for p in c.ready_pods(NS) for s in p["status"]["containerStatuses"])


def test_every_daemon_may_be_killed(c):
    c.apply(namespace(NS) + "---" + deployment("web", NS) + "---" + service("web", NS))
    c.wait_ready(NS, "app=web", 3)
    before = container_ids(c)
    url = f"http://{c.get('service', 'web', '-n', NS)['spec']['clusterIP']}/cgi-bin/who"
    wait_until("answers", 5, lambda: c.curl(url))
    for name in c.daemons:
        c.kill(name, signal.SIGKILL)
        check(c.curl(url).startswith("name="), f"the Service routes while {name} is dead")
        c.start_daemon(name)
        wait_until("the api-server answers", 20, c.api_ready)
        wait_until("the node is ready", 60, c.node_ready)
    time.sleep(3)
    check(container_ids(c) == before, "no container was restarted")


def test_cluster_still_works(c):
    c.kubectl("scale", "deployment/web", "-n", NS, "--replicas=4")
    c.wait_ready(NS, "app=web", 4, seconds=60)
    c.kubectl("delete", "namespace", NS, "--timeout=90s")


def started_containers(c, ns, selector):
    """Container id -> (restart count, Docker's own time of start) of every ready pod."""
    out = {}
    for pod in c.ready_pods(ns, selector):
        for status in pod["status"]["containerStatuses"]:
            container = status["containerID"].split("//")[1]
            out[container] = (status["restartCount"], c.docker("inspect", "-f", "{{.State.StartedAt}}", container))
    return out


def test_random_kills_under_load(c):
    """For a minute: kill -9 of a random daemon at a random moment, while one Deployment stands under load and another
    rolls. No request fails, no standing container is touched, and in the end everything is as wanted."""
    seed = int(os.environ.get("COXSWAIN_SEED", random.randrange(1_000_000)))
    print(f"  seed  {seed} (COXSWAIN_SEED={seed} repeats it)", flush=True)
    chance = random.Random(seed)
    ns = "chaos"
    c.apply("---".join([namespace(ns), deployment("steady", ns), service("steady", ns),
                        deployment("rolling", ns, replicas=2, extra_container=GRACEFUL)]))
    c.wait_ready(ns, "app=steady", 3)
    c.wait_ready(ns, "app=rolling", 2)
    before = started_containers(c, ns, "app=steady")
    url = f"http://{c.get('service', 'steady', '-n', ns)['spec']['clusterIP']}/cgi-bin/who"
    wait_until("answers", 5, lambda: c.curl(url))
    load = Load(url)
    load.start()
    version, kills, end = 0, [], time.monotonic() + 60
    while time.monotonic() < end:
        if c.kubectl("set", "env", "deployment/rolling", "-n", ns, f"VERSION={version + 1}", ok=False).returncode == 0:
            version += 1
        time.sleep(chance.uniform(0, 2))
        victims = chance.sample(c.daemons, chance.choice([1, 1, 1, 2]))
        for name in victims:
            c.kill(name, signal.SIGKILL)
        kills += victims
        time.sleep(chance.uniform(0, 2))
        for name in sorted(victims, key=c.daemons.index):
            c.start_daemon(name)
        wait_until("the api-server answers", 20, c.api_ready)
    wait_until("the last version can be asked for", 20, lambda: c.kubectl(
        "set", "env", "deployment/rolling", "-n", ns, "VERSION=last", ok=False).returncode == 0)
    what = f"seed {seed}, killed {', '.join(kills)}"
    c.kubectl("rollout", "status", "deployment/rolling", "-n", ns, "--timeout=90s")

    def converged():
        pods = c.pods(ns, "app=rolling")
        return len(pods) == 2 and all({"name": "VERSION", "value": "last"} in p["spec"]["containers"][0]["env"]
                                      for p in pods) and c.node_ready()
    wait_until(f"the rolling Deployment is at its last version ({what})", 60, converged)
    load.finish()
    check(len(kills) >= 10, f"enough kills: {what}")
    check(started_containers(c, ns, "app=steady") == before, f"no standing container was restarted ({what})")

    def docker_names():
        return [n for n in c.docker("ps", "--format", "{{.Names}}").split() if "rolling" in n]
    wait_until("no container is left of pods that are gone", 30, lambda: len(docker_names()) == 4)  # 2 x (pause + web)
    c.kubectl("delete", "namespace", ns, "--timeout=90s")


def test_long_outage_of_the_api_server(c):
    """Longer than the leader leases' renew deadline: the control loops drop their leadership and take it up again."""
    victims = c.plane.majority()
    for name in victims:
        c.kill(name, signal.SIGKILL)
    check(c.kubectl("create", "namespace", "never", "--request-timeout=3s", ok=False).returncode != 0, f"nothing works without {victims}")
    time.sleep(10)
    for name in victims:
        c.start_daemon(name)
    wait_until("the api-server answers", 20, c.api_ready)
    c.apply(namespace("after") + "---" + deployment("web", "after", replicas=1, readiness=False))
    # Watches come back within 5 s, and a candidate that restarted itself takes its own lease at once.
    c.wait_ready("after", "app=web", 1, seconds=20)
    c.kubectl("delete", "namespace", "after", "--timeout=90s")
    c.kubectl("delete", "namespace", "never", "--ignore-not-found", "--timeout=90s")
