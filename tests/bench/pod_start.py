#!/usr/bin/env python3
"""The kubelet's share of a pod start, image present: how much longer a pod takes from bound to running, as the API
shows it, than Docker takes for the same two containers alone.

usage: pod_start.py BUILD_DIR [PODS]        needs root, dockerd, kubectl; runs on a machine of its own
"""
import http.client
import json
import os
import pathlib
import socket
import ssl
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
sys.path.insert(0, str(E2E))


class DockerConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self.path))

    def call(self, method, target, body=None):
        self.request(method, "/v1.41" + target, json.dumps(body) if body is not None else None,
                     {"Content-Type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {target}: {text.decode(errors='replace')}")
        return json.loads(text) if text else None


def docker_alone(c, count, network):
    """Seconds for a sandbox on the pod network and a container that joins it: create, start, create, start."""
    docker = DockerConnection(c.socket)
    took, made = [], []
    for _ in range(count):
        began = time.monotonic()
        sandbox = docker.call("POST", "/containers/create", {
            "Image": "coxswain/pause:1", "HostConfig": {"NetworkMode": network, "IpcMode": "shareable"}})["Id"]
        docker.call("POST", f"/containers/{sandbox}/start")
        main = docker.call("POST", "/containers/create", {
            "Image": "coxswain/e2e:1", "Cmd": ["/bin/sleep", "1000"],
            "HostConfig": {"NetworkMode": f"container:{sandbox}", "IpcMode": f"container:{sandbox}"}})["Id"]
        docker.call("POST", f"/containers/{main}/start")
        took.append(time.monotonic() - began)
        made += [main, sandbox]
    for container in made:
        docker.call("DELETE", f"/containers/{container}?force=true")
    return took


def api_connection(c):
    context = ssl.create_default_context(cafile=c.home / "pki/ca.crt")
    context.load_cert_chain(c.home / "pki/admin-client.crt", c.home / "pki/admin-client.key")
    return http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=60)


def pods_through_the_kubelet(c, count):
    from cluster import NODE
    writes, watch = api_connection(c), api_connection(c)
    watch.request("GET", "/api/v1/namespaces/default/pods?watch=1")
    stream = watch.getresponse()
    took = []
    for i in range(count):
        pod = {"metadata": {"name": f"p{i}"}, "spec": {
            "nodeName": NODE, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "coxswain/e2e:1", "command": ["/bin/sleep", "1000"]}]}}
        began = time.monotonic()
        writes.request("POST", "/api/v1/namespaces/default/pods", json.dumps(pod), {"Content-Type": "application/json"})
        answer = writes.getresponse()
        answer.read()
        if answer.status != 201:
            raise SystemExit(f"create: {answer.status}")
        while True:
            seen = json.loads(stream.readline())["object"]
            statuses = seen["status"].get("containerStatuses", [])
            if seen["metadata"]["name"] == f"p{i}" and statuses and "running" in statuses[0]["state"]:
                break
        took.append(time.monotonic() - began)
    c.kubectl("delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")
    return took


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    if os.environ.get("COXSWAIN_E2E_INSIDE") != "1":
        os.environ["COXSWAIN_E2E_INSIDE"] = "1"
        inside = str(E2E / "in-own-machine")
        os.execv(inside, [inside, sys.executable, __file__, *sys.argv[1:]])
    from cluster import Cluster
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    c = Cluster(sys.argv[1])
    try:
        c.start()
        pods_through_the_kubelet(c, 1)  # warm; makes the pod network
        listed = c.docker("network", "ls", "--filter", "label=io.coxswain.owner", "--format", "{{.Name}}")
        network = listed.splitlines()[0]
        docker_alone(c, 3, network)
        time.sleep(2)
        # Interleaved, so that both see the same machine.
        alone, pods = [], []
        for _ in range(3):
            alone += docker_alone(c, count // 3, network)
            time.sleep(1)
            pods += pods_through_the_kubelet(c, count // 3)
            time.sleep(5)
    finally:
        c.stop()
        c.remove()
    docker_ms, pod_ms = (statistics.median(x) * 1000 for x in (alone, pods))
    print(f"docker alone {docker_ms:.0f} ms, pod {pod_ms:.0f} ms (medians of {len(pods)})")
    share = pod_ms - docker_ms
    print(f"| kubelet's share of a pod start | {share:.0f} ms | - | | 50 | {'reached' if share <= 50 else 'missed'} |")


if __name__ == "__main__":
    main()
