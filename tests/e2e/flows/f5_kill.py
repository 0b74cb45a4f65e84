"""Flow 5: kill -9 of any daemon: containers run on, Services route on, nothing is restarted."""
import signal
import time

from cluster import DAEMONS, check, wait_until
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
    for name in DAEMONS:
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


def test_long_outage_of_the_api_server(c):
    """Longer than the leader leases' renew deadline: the control loops drop their leadership and take it up again."""
    c.kill("api-server", signal.SIGKILL)
    time.sleep(14)
    c.start_daemon("api-server")
    wait_until("the api-server answers", 20, c.api_ready)
    c.apply(namespace("after") + "---" + deployment("web", "after", replicas=1, readiness=False))
    c.wait_ready("after", "app=web", 1, seconds=90)
    c.kubectl("delete", "namespace", "after", "--timeout=90s")
