"""Flow 1: one YAML with everything; Services reach every pod, from the host and from a pod."""
import socket
import subprocess
import time

from cluster import NODE_IP, check, wait_until
from flows.manifests import deployment, namespace, service

NS = "shop"


def test_apply_and_ready_within_ten_seconds(c):
    text = "---\n".join([
        namespace(NS),
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: {NS}}}\ndata: {{color: blue}}\n",
        f"apiVersion: v1\nkind: Secret\nmetadata: {{name: keys, namespace: {NS}}}\nstringData: {{token: s3cret}}\n",
        deployment("web", NS),
        service("web", NS),
        service("web-node", NS, kind="NodePort", app="web", node_port=30123),
    ])
    started = time.monotonic()
    out = c.apply(text)
    check(out.count("created") == 6, f"six objects created: {out}")
    c.wait_ready(NS, "app=web", 3, seconds=10 - (time.monotonic() - started))


def names_seen(ask, wanted, tries=60):
    seen = set()
    for _ in range(tries):
        answer = ask().strip()
        if answer.startswith("name="):
            seen.add(answer[5:])
        if len(seen) == wanted:
            break
    return seen


def cluster_ip(c, name):
    return c.get("service", name, "-n", NS)["spec"]["clusterIP"]


def test_cluster_ip_from_host(c):
    ip = cluster_ip(c, "web")
    wait_until("answers", 5, lambda: c.curl(f"http://{ip}/cgi-bin/who"))
    check(len(names_seen(lambda: c.curl(f"http://{ip}/cgi-bin/who"), 3)) == 3, "the ClusterIP reaches all three pods")


def test_node_port_from_host(c):
    wait_until("answers", 5, lambda: c.curl(f"http://{NODE_IP}:30123/cgi-bin/who"))
    seen = names_seen(lambda: c.curl(f"http://{NODE_IP}:30123/cgi-bin/who"), 3)
    check(len(seen) == 3, f"the NodePort reaches all three pods: {seen}")


def test_cluster_ip_from_pod_and_hairpin(c):
    ip = cluster_ip(c, "web")
    seen = pod_asks(c, ip, 80)
    check(len(seen) == 3, f"a pod reaches all three pods, itself included: {seen}")


def pod_asks(c, address, port, tries=40):
    """The names that a pod sees behind an address."""
    pod = c.ready_pods(NS, "app=web")[0]
    script = f"for i in $(seq {tries}); do printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} {port} | tail -n 1; done"
    return {line[5:] for line in c.pod_exec(pod, "/bin/sh", "-c", script).split() if line.startswith("name=")}


def test_node_port_from_pod(c):
    seen = pod_asks(c, NODE_IP, 30123)
    check(len(seen) == 3, f"a pod reaches all three pods through the NodePort: {seen}")


def test_external_ip(c):
    c.kubectl("patch", "service", "web", "-n", NS, "-p", '{"spec":{"externalIPs":["192.0.2.77"]}}')
    wait_until("the external address answers", 5, lambda: c.curl("http://192.0.2.77/cgi-bin/who"))
    seen = names_seen(lambda: c.curl("http://192.0.2.77/cgi-bin/who"), 3)
    check(len(seen) == 3, f"the external address reaches all three pods: {seen}")
    seen = pod_asks(c, "192.0.2.77", 80)
    check(len(seen) == 3, f"from a pod too: {seen}")
    c.kubectl("patch", "service", "web", "-n", NS, "-p", '{"spec":{"externalIPs":null}}')

    def closed():
        try:
            c.curl("http://192.0.2.77/cgi-bin/who", timeout=1)
        except subprocess.CalledProcessError:
            return True
    wait_until("and no longer than it is there", 10, closed)


def udp_names(address, port, wanted):
    seen = set()
    for _ in range(60):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(2)
            s.sendto(b"hello", (address, port))
            seen.add(s.recv(200).decode())
        if len(seen) == wanted:
            break
    return seen


def test_udp_service(c):
    ip = cluster_ip(c, "web")
    seen = udp_names(ip, 53, 3)
    check(len(seen) == 3, f"UDP reaches all three pods: {seen}")
    port = next(p["nodePort"] for p in c.get("service", "web-node", "-n", NS)["spec"]["ports"] if p["protocol"] == "UDP")
    seen = udp_names(NODE_IP, port, 3)
    check(len(seen) == 3, f"a UDP node port too: {seen}")
    pod = c.ready_pods(NS, "app=web")[0]
    for address, at in ((ip, 53), (NODE_IP, port)):
        script = f"for i in $(seq 40); do /app/udp {address} {at}; done"
        seen = set(c.pod_exec(pod, "/bin/sh", "-c", script).split())
        check(len(seen) == 3, f"from a pod too, itself included, through {address}: {seen}")


def test_session_affinity(c):
    c.kubectl("patch", "service", "web", "-n", NS, "-p", '{"spec":{"sessionAffinity":"ClientIP"}}')
    ip = cluster_ip(c, "web")

    def sticky():
        return len({c.curl(f"http://{ip}/cgi-bin/who") for _ in range(15)}) == 1
    wait_until("all requests of a client go to one pod", 5, sticky)
    c.kubectl("patch", "service", "web", "-n", NS, "-p", '{"spec":{"sessionAffinity":"None"}}')


def test_endpoint_slices_follow_readiness(c):
    pod = c.ready_pods(NS, "app=web")[0]
    ip = pod["status"]["podIP"]

    def ready_addresses():
        slices = c.get("endpointslices", "-n", NS, "-l", "kubernetes.io/service-name=web")["items"]
        return {a for s in slices for e in s["endpoints"] if e["conditions"]["ready"] for a in e["addresses"]}
    check(ip in ready_addresses(), "the pod is an endpoint")
    c.pod_exec(pod, "/bin/touch", "/tmp/unready")

    def ready_in_status():
        return next(x["status"] for x in c.get("pod", pod["metadata"]["name"], "-n", NS)["status"]["conditions"]
                    if x["type"] == "Ready") == "True"
    wait_until("the pod is unready", 10, lambda: not ready_in_status(), interval=0.02)
    wait_until("within a second it leaves the endpoints", 1, lambda: ip not in ready_addresses(), interval=0.02)
    vip = cluster_ip(c, "web")
    time.sleep(0.5)
    seen = {c.curl(f"http://{vip}/cgi-bin/who").strip()[5:] for _ in range(30)}
    check(pod["metadata"]["name"] not in seen, "no traffic to an unready pod")
    c.pod_exec(pod, "/bin/rm", "/tmp/unready")
    wait_until("the pod comes back", 4, lambda: ip in ready_addresses())
