#!/usr/bin/python3
"""What a program on the official Python client does, from nothing to nothing. Prints "ok" at the end.

Run by flows/g_clients.py with KUBECONFIG and IMAGE set; uses the distribution's python3-kubernetes.
"""
import os
import threading

from kubernetes import client, config, dynamic, utils, watch

NS = "python-client"
IMAGE = os.environ["IMAGE"]


def expect(condition, message):
    if not condition:
        raise SystemExit(f"not so: {message}")


def refused(status, reason, call):
    try:
        call()
    except client.ApiException as error:
        expect(error.status == status, f"{status} expected, not {error.status}: {error.body}")
        expect(f'"reason":"{reason}"' in error.body, f"{reason} expected: {error.body}")
        return
    raise SystemExit(f"not refused with {status} {reason}")


def configuration(core):
    core.create_namespace({"metadata": {"name": NS}})
    made = core.create_namespaced_config_map(NS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
    refused(409, "AlreadyExists", lambda: core.create_namespaced_config_map(NS, {"metadata": {"name": "a"}}))
    made.data["k"] = "w"
    newer = core.replace_namespaced_config_map("a", NS, made)
    expect(newer.data == {"k": "w"}, "a replaced ConfigMap")
    refused(409, "Conflict", lambda: core.replace_namespaced_config_map("a", NS, made))
    patched = core.patch_namespaced_config_map("a", NS, [{"op": "add", "path": "/data/x", "value": "1"}])
    expect(patched.data == {"k": "w", "x": "1"}, "a JSON patch")
    secret = core.create_namespaced_secret(NS, {"metadata": {"name": "s"}, "stringData": {"p": "q"}})
    expect(secret.data == {"p": "cQ=="} and secret.string_data is None, "stringData becomes data")
    refused(404, "NotFound", lambda: core.read_namespaced_pod("none", NS))
    refused(422, "Invalid", lambda: core.create_namespaced_pod(
        NS, {"metadata": {"name": "BAD"}, "spec": {"containers": []}}))


def workload(core, apps):
    seen, ready, running = [], [], threading.Event()

    def follow():
        for event in watch.Watch().stream(core.list_namespaced_pod, NS, timeout_seconds=30):
            pod = event["object"]
            seen.append((event["type"], pod.metadata.name, pod.status.phase))
            for status in pod.status.container_statuses or []:
                expect(status.last_state is not None, "lastState is always there")
                if status.ready:
                    ready.append(pod.metadata.name)
                    running.set()
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    utils.create_from_dict(client.ApiClient(), {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                 "template": {"metadata": {"labels": {"app": "web"}},
                              "spec": {"containers": [{"name": "c", "image": IMAGE}]}}}}, namespace=NS)
    expect(running.wait(30), f"a running pod seen by a watch: {seen}")
    thread.join()
    expect(seen[0][0] == "ADDED" and any(kind == "MODIFIED" for kind, _, _ in seen), f"watch events: {seen}")
    scaled = apps.patch_namespaced_deployment_scale("web", NS, {"spec": {"replicas": 2}})
    expect(scaled.spec.replicas == 2, "the scale subresource")
    pod = core.list_namespaced_pod(NS, label_selector="app=web").items[0]
    expect(pod.spec.containers[0].resources.limits is None, "resources is always there")
    core.read_namespaced_pod_log(ready[0], NS)
    service = core.create_namespaced_service(NS, {"metadata": {"name": "web"}, "spec": {
        "type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
    expect(service.spec.ports[0].node_port and service.status.load_balancer is not None, "a NodePort Service")


def discovery(core):
    pods = dynamic.DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="Pod")
    expect(len(pods.get(namespace=NS).items) >= 1, "the dynamic client lists pods")
    page = core.list_namespaced_config_map(NS, limit=1)
    expect(page.metadata._continue and len(page.items) == 1, "a first page")
    rest = core.list_namespaced_config_map(NS, _continue=page.metadata._continue)
    expect(rest.items and rest.items[0].metadata.name != page.items[0].metadata.name, "the rest")
    node = core.list_node().items[0]
    expect(node.status.node_info.kubelet_version, "a node's info")
    lease = client.CoordinationV1Api().read_namespaced_lease(node.metadata.name, "kube-node-lease")
    expect(lease.spec.renew_time is not None, "its lease")
    expect(client.VersionApi().get_code().git_version.startswith("v1."), "the version")
    expect("apps" in [g.name for g in client.ApisApi().get_api_versions().groups], "the groups")


def main():
    config.load_kube_config()
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    configuration(core)
    workload(core, apps)
    discovery(core)
    core.delete_namespace(NS, propagation_policy="Foreground")
    print("ok")


main()
