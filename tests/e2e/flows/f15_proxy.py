"""kube-proxy at its edges: nothing behind a Service, affinity that ends, rules that vanish, no rights, clean-up."""
import json
import socket
import subprocess
import time

from cluster import NODE_IP, check, wait_until
from flows.manifests import deployment, namespace, service

NS = "proxy"


def vip(c, name):
    return c.get("service", name, "-n", NS)["spec"]["clusterIP"]


def refused(address, port):
    """Seconds until the connection is refused; a Failure when it is not."""
    started = time.monotonic()
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return time.monotonic() - started
    raise ConnectionError(f"{address}:{port} accepted")


def test_no_endpoints_is_refused_at_once(c):
    c.apply("---".join([namespace(NS), deployment("web", NS, replicas=2),
                        service("web", NS, kind="NodePort", node_port=30201), service("empty", NS, kind="NodePort", node_port=30200)]))
    c.wait_ready(NS, "app=web", 2)
    wait_until("answers", 5, lambda: c.curl(f"http://{vip(c, 'web')}/cgi-bin/who"))
    for address, port in ((vip(c, "empty"), 80), (NODE_IP, 30200)):
        check(refused(address, port) < 1, f"{address}:{port} is refused at once")
    pod = c.ready_pods(NS, "app=web")[0]
    container = pod["status"]["containerStatuses"][0]["containerID"].split("//")[1]
    started = time.monotonic()
    done = subprocess.run(["docker", "-H", f"unix://{c.socket}", "exec", container, "/bin/nc", "-w", "5", vip(c, "empty"), "80"],
                          capture_output=True, text=True)
    check(done.returncode != 0 and time.monotonic() - started < 3, f"a pod is refused too: {done.stderr}")
    check(refused("127.0.0.1", 30201) < 1, "node ports are not on loopback, and say so at once")


def test_not_ready_addresses_may_be_published(c):
    c.apply(service("early", NS, app="unready", extra="  publishNotReadyAddresses: true\n") + "---" + service("late", NS, app="unready"))
    c.apply(deployment("unready", NS, replicas=1))
    pod = wait_until("it runs", 20, lambda: c.ready_pods(NS, "app=unready"))[0]
    c.pod_exec(pod, "/bin/touch", "/tmp/unready")
    wait_until("the ready-only Service refuses", 10, lambda: safely_refused(vip(c, "late"), 80))
    check(c.curl(f"http://{vip(c, 'early')}/cgi-bin/who").startswith("name="), "the other one still routes")
    c.kubectl("delete", "deployment/unready", "service/early", "service/late", "-n", NS, "--wait=false")


def safely_refused(address, port):
    try:
        return refused(address, port) < 1
    except OSError:
        return False


def test_local_policies_on_the_node(c):
    patch = {"spec": {"externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local"}}
    c.kubectl("patch", "service", "web", "-n", NS, "-p", json.dumps(patch))
    wait_until("the NodePort answers", 5, lambda: c.curl(f"http://{NODE_IP}:30201/cgi-bin/who"))
    wait_until("the ClusterIP answers", 5, lambda: c.curl(f"http://{vip(c, 'web')}/cgi-bin/who"))
    back = {"spec": {"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}}
    c.kubectl("patch", "service", "web", "-n", NS, "-p", json.dumps(back))


def test_affinity_times_out(c):
    patch = {"spec": {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 2}}}}
    c.kubectl("patch", "service", "web", "-n", NS, "-p", json.dumps(patch))
    url = f"http://{vip(c, 'web')}/cgi-bin/who"
    wait_until("one client, one pod", 5, lambda: len({c.curl(url) for _ in range(10)}) == 1)

    def another_pod():
        old = c.curl(url)
        time.sleep(3)
        return c.curl(url) != old
    wait_until("after the time-out another pod may answer", 60, another_pod)
    c.kubectl("patch", "service", "web", "-n", NS, "-p", '{"spec":{"sessionAffinity":"None"}}')


def test_udp_clients_follow_the_endpoints(c):
    """A client that keeps its port: conntrack would send it to the pod that is gone."""
    ip = vip(c, "web")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)

        def ask():
            client.sendto(b"hello", (ip, 53))
            return client.recv(200).decode()
        name = wait_until("an answer", 5, ask).split()[-1]
        pod = next((p["metadata"]["name"] for p in c.pods(NS, "app=web") if p["metadata"]["name"] in name), None)
        check(pod, f"the answer names a pod: {name}")
        c.kubectl("delete", "pod", pod, "-n", NS, "--grace-period=0", "--force")

        def other():
            try:
                return pod not in ask()
            except OSError:
                return False
        wait_until("the same client is answered by another pod", 5, other)
    c.wait_ready(NS, "app=web", 2)


def test_flushed_rules_come_back(c):
    url = f"http://{vip(c, 'web')}/cgi-bin/who"
    for flush in (["flush", "table", "ip", "coxswain"], ["delete", "table", "ip", "coxswain"]):
        subprocess.run(["nft", *flush], check=True)
        check(not reachable(c, url), f"nft {' '.join(flush)} cuts the Service off")
        wait_until(f"the Service is back after nft {' '.join(flush)}", 12, lambda: reachable(c, url))


def reachable(c, url):
    try:
        return c.curl(url, timeout=1).startswith("name=")
    except subprocess.CalledProcessError:
        return False


def test_no_rights_is_one_line(c):
    arguments = [str(a) for a in [c.bin / "kube-proxy", *c.arguments("kube-proxy"), "--healthz-bind-address", ""]]
    done = subprocess.run(["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", *arguments],
                          capture_output=True, text=True, timeout=20)
    lines = [line for line in done.stderr.splitlines() if line.startswith("kube-proxy:")]
    check(done.returncode == 1 and len(lines) == 1 and "CAP_NET_ADMIN" in lines[0], f"{done.returncode}: {done.stderr}")


def test_cleanup(c):
    c.kill("kube-proxy")
    done = subprocess.run([str(c.bin / "kube-proxy"), "--cleanup"], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout.splitlines()
    c.start_daemon("kube-proxy")
    check("table ip coxswain" not in tables, f"our table is gone: {tables}")
    check("table ip nat" in tables, f"Docker's tables stay: {tables}")
    wait_until("it routes again", 10, lambda: reachable(c, f"http://{vip(c, 'web')}/cgi-bin/who"))
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
