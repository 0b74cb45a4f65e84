"""The kubectl verbs that the flows do not use already."""
import json

from cluster import NODE, check, wait_until

NS = "verbs"


def test_basics(c):
    check("Server Version: v1.36" in c.kubectl("version"), "version")
    check("is running at" in c.kubectl("cluster-info"), "cluster-info")
    check("deployments" in c.kubectl("api-resources"), "api-resources")
    check("apps/v1" in c.kubectl("api-versions"), "api-versions")
    check("kubernetes-admin" in c.kubectl("auth", "whoami"), "auth whoami")
    for path in ("pod.spec", "deployment.spec", "service.spec", "pod.spec.containers"):
        text = c.kubectl("explain", path)
        check("FIELDS" in text and "<" in text, f"explain {path}")
    c.kubectl("create", "namespace", NS)


def test_create_generators(c):
    n = ["-n", NS]
    c.kubectl("create", "deployment", "web", "--image=coxswain/e2e:1", "--replicas=2", *n)
    c.kubectl("create", "configmap", "cm", "--from-literal=a=1", *n)
    c.kubectl("create", "secret", "generic", "sec", "--from-literal=p=q", *n)
    c.kubectl("create", "service", "clusterip", "svc", "--tcp=80:8080", *n)
    c.kubectl("create", "service", "nodeport", "np", "--tcp=80:8080", *n)
    c.kubectl("create", "serviceaccount", "robot", *n)
    c.kubectl("expose", "deployment/web", "--port=80", "--target-port=8080", *n)
    c.kubectl("run", "one", "--image=coxswain/e2e:1", *n)
    c.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s", *n)
    c.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s", *n)
    c.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/one", "--timeout=60s", *n)


def test_get_forms(c):
    n = ["-n", NS]
    check("READY" in c.kubectl("get", "pods", *n), "table")
    check("NODE" in c.kubectl("get", "pods", "-o", "wide", *n), "wide")
    check(c.kubectl("get", "pod", "one", "-o", "jsonpath={.metadata.name}", *n) == "one", "jsonpath")
    check(c.kubectl("get", "pod", "one", "-o", "name", *n).strip() == "pod/one", "name")
    check("kind: Pod" in c.kubectl("get", "pod", "one", "-o", "yaml", *n), "yaml")
    check("web" in c.kubectl("get", "pods", "-l", "app=web", *n), "-l")
    check("one" not in c.kubectl("get", "pods", "-l", "app=web", *n), "-l leaves others out")
    check("one" in c.kubectl("get", "pods", "--field-selector=status.phase=Running", *n), "--field-selector")
    check("verbs" in c.kubectl("get", "pods", "-A"), "-A")
    check("one" in c.kubectl("get", "pods", "--sort-by=.metadata.name", *n), "--sort-by")
    check("one" in c.kubectl("get", "pods", "--chunk-size=1", *n), "--chunk-size")
    check("service/svc" in c.kubectl("get", "all", *n), "get all")
    missing = c.kubectl("get", "pod", "nothing", *n, ok=False)
    check('pods "nothing" not found' in missing.stderr, missing.stderr)


def test_describe(c):
    for what in ("pod/one", "deployment/web", "service/svc", "configmap/cm", "secret/sec", "namespace/verbs", f"node/{NODE}", "endpoints/svc"):
        check("Name:" in c.kubectl("describe", what, "-n", NS), f"describe {what}")
    text = c.kubectl("describe", "pod/one", "-n", NS)
    check("Scheduled" in text and "Started" in text, f"events in describe: {text[-500:]}")
    check("Started" in c.kubectl("events", "-n", NS), "events")


def test_changes(c):
    n = ["-n", NS]
    c.kubectl("label", "pod", "one", "tier=front", *n)
    c.kubectl("annotate", "pod", "one", "note=hi", *n)
    c.kubectl("patch", "deployment", "web", "-p", '{"spec":{"replicas":3}}', *n)
    c.kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":2}}', *n)
    c.kubectl("patch", "deployment", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]', *n)
    c.kubectl("set", "image", "deployment/web", "e2e=coxswain/e2e:1", *n)
    c.kubectl("set", "resources", "deployment/web", "--requests=cpu=10m,memory=8Mi", *n)
    c.kubectl("autoscale", "deployment/web", "--max=3", "--dry-run=client", *n, ok=False)
    live = json.loads(c.kubectl("get", "configmap", "cm", "-o", "json", *n))
    live["data"]["a"] = "2"
    c.kubectl("replace", "-f", "-", *n, stdin=json.dumps(live))
    check(c.kubectl("get", "configmap", "cm", "-o", "jsonpath={.data.a}", *n) == "2", "replace")
    stale = c.kubectl("replace", "-f", "-", *n, stdin=json.dumps(live), ok=False)
    check(stale.returncode != 0 and "the object has been modified" in stale.stderr, f"stale replace: {stale.stderr}")
    dry = c.kubectl("create", "configmap", "dry", "--dry-run=server", "-o", "name", *n)
    check("dry" in dry and c.kubectl("get", "configmap", "dry", *n, ok=False).returncode != 0, "dry run")


def test_apply_diff_kustomize(c):
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: applied, namespace: {NS}}}\ndata: {{a: '1', b: '2'}}\n"
    check("created" in c.apply(manifest), "apply creates")
    check("unchanged" in c.apply(manifest), "apply again changes nothing")
    changed = manifest.replace("a: '1', ", "").replace("'2'", "'3'")
    diff = c.kubectl("diff", "-f", "-", stdin=changed, ok=False)
    check(diff.returncode == 1 and "-  a: " in diff.stdout, f"diff: {diff.stdout} {diff.stderr}")
    check("configured" in c.apply(changed), "apply changes")
    check(c.get("configmap", "applied", "-n", NS)["data"] == {"b": "3"}, "a removed key is removed")
    folder = c.home / "kustom"
    folder.mkdir(exist_ok=True)
    (folder / "kustomization.yaml").write_text(f"namespace: {NS}\nresources: [cm.yaml]\nnamePrefix: k-\n")
    (folder / "cm.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n")
    check("configmap/k-x created" in c.kubectl("apply", "-k", folder), "apply -k")


def test_logs(c):
    n = ["-n", NS]
    wait_until("a log line", 10, lambda: "starting one" in c.kubectl("logs", "one", *n))
    check(c.kubectl("logs", "one", "--tail=1", *n).count("\n") == 1, "--tail")
    check("starting" in c.kubectl("logs", "one", "--since=10m", "--timestamps", *n), "--since")
    check("starting" in c.kubectl("logs", "-l", "app=web", "--all-containers", *n), "-l --all-containers")


def test_delete(c):
    n = ["-n", NS]
    c.kubectl("delete", "pod", "one", "--grace-period=1", *n)
    c.kubectl("delete", "configmap", "-l", "nothing=matches", *n)
    c.kubectl("delete", "configmap", "--all", *n)
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
