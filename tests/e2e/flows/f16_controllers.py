"""What control loops owe their users beyond the happy path: conditions that say why, events, owners, hand-made Endpoints."""
import json
import time

from cluster import check, wait_until
from flows.manifests import deployment, namespace

NS = "loops"


def condition(c, what, kind, ns=NS):
    conditions = c.get(*what, *(["-n", ns] if ns else []))["status"].get("conditions", [])
    return next((x for x in conditions if x["type"] == kind), None)


def test_every_namespace_has_its_defaults(c):
    c.apply(namespace(NS))
    wait_until("a ServiceAccount", 5, lambda: c.get("serviceaccount", "default", "-n", NS))
    ca = wait_until("the cluster's CA", 5, lambda: c.get("configmap", "kube-root-ca.crt", "-n", NS))["data"]["ca.crt"]
    check(ca == (c.home / "pki/ca.crt").read_text(), "it is the CA that signs the api-server")
    c.kubectl("delete", "configmap", "kube-root-ca.crt", "-n", NS)
    c.kubectl("delete", "serviceaccount", "default", "-n", NS)
    wait_until("both come back", 5, lambda: c.get("configmap", "kube-root-ca.crt", "-n", NS) and c.get("serviceaccount", "default", "-n", NS))


def test_endpoints_by_hand_are_routed(c):
    """A Service without a selector: the user's Endpoints are mirrored into slices, which kube-proxy reads."""
    c.apply(deployment("web", NS, replicas=1))
    ip = c.wait_ready(NS, "app=web", 1)[0]["status"]["podIP"]
    c.apply(f"""apiVersion: v1
kind: Service
metadata: {{name: byhand, namespace: {NS}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: byhand, namespace: {NS}}}
subsets: [{{addresses: [{{ip: {ip}}}], ports: [{{port: 8080}}]}}]
""")
    vip = c.get("service", "byhand", "-n", NS)["spec"]["clusterIP"]
    wait_until("it answers", 5, lambda: c.curl(f"http://{vip}/cgi-bin/who").startswith("name="))

    def slices():
        return c.get("endpointslices", "-n", NS, "-l", "kubernetes.io/service-name=byhand")["items"]
    label = slices()[0]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
    check(label == "endpointslicemirroring-controller.k8s.io", label)
    c.kubectl("delete", "endpoints", "byhand", "-n", NS)
    wait_until("the mirror goes with them", 10, lambda: not slices())


def test_progress_deadline(c):
    c.apply(deployment("stuck", NS, replicas=1, image="127.0.0.1:1/none:1").replace("spec:\n  replicas", "spec:\n  progressDeadlineSeconds: 2\n  replicas", 1))
    said = wait_until("ProgressDeadlineExceeded", 20, lambda: (lambda x: x if x and x["status"] == "False" else None)(
        condition(c, ("deployment", "stuck"), "Progressing")))
    check(said["reason"] == "ProgressDeadlineExceeded", str(said))
    check("has timed out progressing" in said["message"], said["message"])
    status = c.kubectl("rollout", "status", "deployment/stuck", "-n", NS, ok=False)
    check(status.returncode != 0 and "exceeded its progress deadline" in status.stderr, status.stderr)
    check(condition(c, ("deployment", "stuck"), "Available")["status"] == "False", "and not available")


def test_events_name_what_was_done(c):
    wanted = {("Deployment", "ScalingReplicaSet"), ("ReplicaSet", "SuccessfulCreate"), ("Pod", "Scheduled")}
    c.kubectl("scale", "deployment/web", "-n", NS, "--replicas=2")
    c.wait_ready(NS, "app=web", 2)
    c.kubectl("scale", "deployment/web", "-n", NS, "--replicas=1")
    wanted.add(("ReplicaSet", "SuccessfulDelete"))
    wait_until(f"events {wanted}", 10, lambda: wanted <= {(e["involvedObject"]["kind"], e["reason"])
                                                         for e in c.get("events", "-n", NS)["items"]})


def test_recreate_has_no_two_versions_at_once(c):
    c.apply(deployment("serial", NS, replicas=2, readiness=False).replace("spec:\n  replicas", "spec:\n  strategy: {type: Recreate}\n  replicas", 1))
    c.wait_ready(NS, "app=serial", 2)
    old = {p["metadata"]["uid"] for p in c.pods(NS, "app=serial")}
    c.kubectl("set", "env", "deployment/serial", "-n", NS, "VERSION=2")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        # One whose containers have ended may still be shown for a moment.
        now = {p["metadata"]["uid"] for p in c.pods(NS, "app=serial") if p["status"].get("phase") in ("Pending", "Running")}
        check(not (now & old and now - old), "an old and a new pod at once")
        if len(now - old) == 2 and len(c.ready_pods(NS, "app=serial")) == 2:
            break
    c.kubectl("rollout", "status", "deployment/serial", "-n", NS, "--timeout=30s")


def test_orphans_are_adopted_and_strangers_let_go(c):
    rs = c.get("rs", "-n", NS, "-l", "app=web")["items"][0]
    labels = rs["spec"]["selector"]["matchLabels"]
    old = c.ready_pods(NS, "app=web")[0]["metadata"]["name"]
    c.kubectl("label", "pod", old, "-n", NS, "pod-template-hash-", "app=stranger", "--overwrite")

    def let_go():
        metadata = c.get("pod", old, "-n", NS)["metadata"]
        check(not metadata.get("ownerReferences"), str(metadata))
        return True
    wait_until("the stranger has no owner", 10, let_go)
    c.wait_ready(NS, "app=web", 1)
    c.kubectl("label", "pod", old, "-n", NS, *[f"{k}={v}" for k, v in labels.items()], "--overwrite")

    def one_again():
        pods = [p for p in c.pods(NS, "app=web") if "deletionTimestamp" not in p["metadata"]]
        return len(pods) == 1 and pods[0]["metadata"].get("ownerReferences", [{}])[0].get("uid") == rs["metadata"]["uid"]
    wait_until("adopted, and one too many leaves", 20, one_again)


def test_a_namesake_is_no_owner(c):
    """The owner was deleted and made again under the same name: another uid, so its dependents go."""
    c.kubectl("create", "configmap", "owner", "-n", NS)
    uid = c.get("configmap", "owner", "-n", NS)["metadata"]["uid"]
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "namespace": NS, "ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]}}
    c.apply(json.dumps(child))
    time.sleep(1)
    check(c.kubectl("get", "configmap", "child", "-n", NS, ok=False).returncode == 0, "a child with its owner stays")
    c.kubectl("delete", "configmap", "owner", "-n", NS, "--cascade=orphan")
    time.sleep(1)
    check(not c.get("configmap", "child", "-n", NS)["metadata"].get("ownerReferences"), "orphaned on request")
    c.kubectl("create", "configmap", "owner", "-n", NS)
    child["metadata"]["name"] = "late"  # refers to the uid that is gone
    c.kubectl("create", "-f", "-", stdin=json.dumps(child))
    wait_until("the child of the former owner goes", 20, lambda: c.kubectl("get", "configmap", "late", "-n", NS, ok=False).returncode != 0)
    check(c.kubectl("get", "configmap", "child", "-n", NS, ok=False).returncode == 0, "the orphan stays")


def test_a_namespace_says_what_holds_it(c):
    c.apply(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: held, namespace: {NS}, finalizers: [example.com/hold]}}\n")
    c.kubectl("delete", "namespace", NS, "--wait=false")
    said = wait_until("what remains", 30, lambda: (lambda x: x if x and x["status"] == "True" and "pods" not in x["message"] else None)(
        condition(c, ("namespace", NS), "NamespaceContentRemaining", None)))
    check(said["message"] == "Some resources are remaining: configmaps. has 1 resource instances", said["message"])
    said = condition(c, ("namespace", NS), "NamespaceFinalizersRemaining", None)
    check(said["message"] == "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances", str(said))
    for kind in ("NamespaceDeletionDiscoveryFailure", "NamespaceDeletionGroupVersionParsingFailure", "NamespaceDeletionContentFailure"):
        check(condition(c, ("namespace", NS), kind, None)["status"] == "False", kind)
    refused = c.kubectl("create", "configmap", "late", "-n", NS, ok=False)
    check(refused.returncode != 0 and "because it is being terminated" in refused.stderr, refused.stderr)
    c.kubectl("patch", "configmap", "held", "-n", NS, "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    wait_until("the namespace goes", 30, lambda: c.kubectl("get", "namespace", NS, ok=False).returncode != 0)
