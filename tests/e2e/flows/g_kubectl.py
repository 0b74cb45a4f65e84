"""The kubectl verbs that the flows do not use already."""
import json
import subprocess
import time

from cluster import NODE, check, wait_until
from flows.manifests import pod

NS = "verbs"


def test_basics(c):
    server = json.loads(c.kubectl("version", "-o", "json"))["serverVersion"]
    check(server["major"] == "1" and server["minor"] == "36" and server["gitVersion"].startswith("v1.36"), f"version: {server}")
    check("is running at" in c.kubectl("cluster-info"), "cluster-info")
    check("deployments" in c.kubectl("api-resources"), "api-resources")
    check("apps/v1" in c.kubectl("api-versions"), "api-versions")
    if c.kubectl_minor >= 28:
        check("kubernetes-admin" in c.kubectl("auth", "whoami"), "auth whoami")
    for path, field in (("pod.spec", "nodeSelector"), ("deployment.spec", "strategy"), ("service.spec", "clusterIP"),
                        ("pod.spec.containers", "livenessProbe")):
        text = c.kubectl("explain", path)
        fields = [line for line in text[text.index("FIELDS"):].splitlines() if "\t<" in line]
        check(len(fields) > 5 and any(line.split()[0] == field for line in fields), f"explain {path}: {text}")
        # Words of our own under every field.
        after = text[text.index("FIELDS"):].splitlines()
        bare = [line for line, below in zip(after, [*after[1:], ""]) if "\t<" in line and not below.strip()]
        check(not bare, f"explain {path} describes every field: {bare}")
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
    if c.kubectl_minor >= 23:
        c.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/one", "--timeout=60s", *n)
    spec = c.get("deployment", "web", *n)["spec"]
    check(spec["replicas"] == 2 and spec["template"]["spec"]["containers"][0]["image"] == "coxswain/e2e:1", str(spec))
    check(c.get("secret", "sec", *n)["data"] == {"p": "cQ=="}, "a secret's value")
    check(c.get("service", "np", *n)["spec"]["ports"][0]["nodePort"] >= 30000, "a node port was chosen")
    check(c.get("service", "web", *n)["spec"]["selector"] == {"app": "web"}, "expose takes the selector over")


def test_more_generators(c):
    n = ["-n", NS]
    key, cert = c.home / "tls.key", c.home / "tls.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                    "-subj", "/CN=x", "-keyout", key, "-out", cert], check=True, capture_output=True)
    (c.home / "settings").write_text("a=b\n")
    c.kubectl("create", "secret", "tls", "tls", f"--cert={cert}", f"--key={key}", *n)
    c.kubectl("create", "secret", "docker-registry", "reg", "--docker-username=u", "--docker-password=p", "--docker-server=r.example", *n)
    c.kubectl("create", "configmap", "file", f"--from-file={c.home / 'settings'}", *n)
    c.kubectl("create", "configmap", "envfile", f"--from-env-file={c.home / 'settings'}", *n)
    c.kubectl("create", "service", "externalname", "ext", "--external-name=example.com", *n)
    c.kubectl("create", "service", "loadbalancer", "lb", "--tcp=80:8080", *n)
    check(c.get("secret", "tls", *n)["type"] == "kubernetes.io/tls", "tls")
    check(c.get("secret", "reg", *n)["type"] == "kubernetes.io/dockerconfigjson", "docker-registry")
    check(c.get("configmap", "file", *n)["data"] == {"settings": "a=b\n"}, "--from-file")
    check(c.get("configmap", "envfile", *n)["data"] == {"a": "b"}, "--from-env-file")
    check(c.get("service", "ext", *n)["spec"]["externalName"] == "example.com", "externalname")
    check("<pending>" in c.kubectl("get", "service", "lb", *n), "a load balancer waits for its address")
    c.kubectl("delete", "service/ext", "service/lb", "secret/tls", "secret/reg", *n)


def test_get_forms(c):
    n = ["-n", NS]
    check("READY" in c.kubectl("get", "pods", *n), "table")
    check("NODE" in c.kubectl("get", "pods", "-o", "wide", *n), "wide")
    check(c.kubectl("get", "pod", "one", "-o", "jsonpath={.metadata.name}", *n) == "one", "jsonpath")
    check(c.kubectl("get", "pod", "one", "-o", "name", *n).strip() == "pod/one", "name")
    check("kind: Pod" in c.kubectl("get", "pod", "one", "-o", "yaml", *n), "yaml")
    check("web" in c.kubectl("get", "pods", "-l", "app=web", *n), "-l")
    check("one" not in c.kubectl("get", "pods", "-l", "app=web", *n), "-l leaves others out")
    for selector, there in (("status.phase=Running", True), ("status.phase!=Running", False), (f"spec.nodeName={NODE}", True),
                            ("spec.nodeName=other", False), ("metadata.name=one", True), ("metadata.name=two", False)):
        check(("one" in c.kubectl("get", "pods", f"--field-selector={selector}", *n)) == there, f"--field-selector={selector}")
    check("verbs" in c.kubectl("get", "pods", "-A"), "-A")
    chunked = [line.split()[0] for line in c.kubectl("get", "pods", "--chunk-size=1", "--no-headers", *n).splitlines()]
    check(len(chunked) == len(set(chunked)) == len(c.pods(NS)), f"--chunk-size: every pod once: {chunked}")
    check("service/svc" in c.kubectl("get", "all", *n), "get all")
    check(json.loads(c.kubectl("get", "pod", "one", "-o", "json", *n))["kind"] == "Pod", "json")
    columns = c.kubectl("get", "pods", "-o", "custom-columns=N:.metadata.name,P:.status.phase", *n).split("\n")
    check(columns[0].split() == ["N", "P"] and "one" in "".join(columns), f"custom-columns: {columns}")
    check(c.kubectl("get", "pod", "one", "-o", "go-template={{.metadata.name}}", *n) == "one", "go-template")
    check("LABELS" in c.kubectl("get", "pods", "--show-labels", *n), "--show-labels")
    check("APP" in c.kubectl("get", "pods", "-L", "app", *n), "-L")
    check("NAME" not in c.kubectl("get", "pods", "--no-headers", *n), "--no-headers")
    names = [line.split()[0] for line in c.kubectl("get", "pods", "--sort-by=.metadata.name", "--no-headers", *n).splitlines()]
    check(names == sorted(names), f"--sort-by: {names}")
    for name, rank in (("sort-a", "c"), ("sort-b", "a"), ("sort-c", "b")):
        c.kubectl("create", "configmap", name, f"--from-literal=rank={rank}", *n)
        c.kubectl("label", "configmap", name, "sorted=yes", *n)
    ranked = c.kubectl("get", "configmaps", "-l", "sorted=yes", "--sort-by={.data.rank}", "-o", "name", *n).split()
    check(ranked == [f"configmap/sort-{x}" for x in "bca"], f"--sort-by another field: {ranked}")
    check(c.kubectl("get", "--raw", "/readyz") == "ok", "--raw")
    watcher = subprocess.Popen([c.kubectl_binary, "get", "configmaps", "-w", "-o", "name", *n], stdout=subprocess.PIPE, text=True,
                               env=c.environment())
    try:
        wait_until("the watch began", 5, lambda: "configmap/cm" in watcher.stdout.readline() or None)
        c.kubectl("create", "configmap", "watched", *n)
        wait_until("-w shows it", 5, lambda: "configmap/watched" in watcher.stdout.readline() or None)
    finally:
        watcher.kill()
        watcher.wait()
    missing = c.kubectl("get", "pod", "nothing", *n, ok=False)
    check('pods "nothing" not found' in missing.stderr, missing.stderr)


def test_describe(c):
    for what in ("pod/one", "deployment/web", "service/svc", "configmap/cm", "secret/sec", "namespace/verbs", f"node/{NODE}", "endpoints/svc"):
        check("Name:" in c.kubectl("describe", what, "-n", NS), f"describe {what}")
    text = c.kubectl("describe", "pod/one", "-n", NS)
    check("Scheduled" in text and "Started" in text, f"events in describe: {text[-500:]}")
    rs = c.get("rs", "-l", "app=web", "-n", NS)["items"][0]["metadata"]["name"]
    for what in (f"rs/{rs}", "serviceaccount/robot", f"lease/{NODE} -n kube-node-lease"):
        name, *where = what.split()
        check("Name:" in c.kubectl("describe", name, *(where or ["-n", NS])), f"describe {what}")
    if c.kubectl_minor >= 26:
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
    c.kubectl("set", "env", "deployment/web", "COLOR=blue", *n)
    web = c.get("deployment", "web", *n)
    container = web["spec"]["template"]["spec"]["containers"][0]
    check(web["spec"]["replicas"] == 1, "three kinds of patches, the last one counts")
    check(container["resources"]["requests"] == {"cpu": "10m", "memory": "8Mi"}, f"set resources: {container}")
    check({"name": "COLOR", "value": "blue"} in container["env"], f"set env: {container}")
    meta = c.get("pod", "one", *n)["metadata"]
    check(meta["labels"]["tier"] == "front" and meta["annotations"]["note"] == "hi", "label and annotate")
    clash = c.kubectl("label", "pod", "one", "tier=back", *n, ok=False)
    check(clash.returncode != 0 and "--overwrite" in clash.stderr, clash.stderr)
    c.kubectl("label", "pod", "one", "tier-", *n)
    check("tier" not in c.get("pod", "one", *n)["metadata"]["labels"], "label key-")
    mismatch = c.kubectl("scale", "deployment/web", "--current-replicas=7", "--replicas=2", *n, ok=False)
    check(mismatch.returncode != 0, "scale with a wrong precondition")
    c.kubectl("autoscale", "deployment/web", "--max=3", "--dry-run=client", *n, ok=False)
    live = json.loads(c.kubectl("get", "configmap", "cm", "-o", "json", *n))
    live["data"]["a"] = "2"
    c.kubectl("replace", "-f", "-", *n, stdin=json.dumps(live))
    check(c.kubectl("get", "configmap", "cm", "-o", "jsonpath={.data.a}", *n) == "2", "replace")
    stale = c.kubectl("replace", "-f", "-", *n, stdin=json.dumps(live), ok=False)
    check(stale.returncode != 0 and "the object has been modified" in stale.stderr, f"stale replace: {stale.stderr}")
    dry = c.kubectl("create", "configmap", "dry", "--dry-run=server", "-o", "name", *n)
    check("dry" in dry and c.kubectl("get", "configmap", "dry", *n, ok=False).returncode != 0, "dry run")


def test_edit(c):
    """The editor is a script: one that changes, one that leaves everything, one that breaks the object."""
    n = ["-n", NS]

    def edit(script, ok=True):
        editor = c.home / "editor"
        editor.write_text("#!/bin/sh\n" + script)
        editor.chmod(0o755)
        return subprocess.run([c.kubectl_binary, "edit", "configmap", "cm", *n], capture_output=True, text=True, timeout=60,
                              env=dict(c.environment(), KUBE_EDITOR=str(editor)))
    done = edit("sed -i 's/^  a: .*/  a: edited/' $1\n")
    check(done.returncode == 0 and "edited" in done.stdout, done.stdout + done.stderr)
    check(c.get("configmap", "cm", *n)["data"]["a"] == "edited", "the change is there")
    check("Edit cancelled" in edit("true\n").stdout + edit("true\n").stderr, "no change, no request")
    version = c.get("configmap", "cm", *n)["metadata"]["resourceVersion"]
    # Once broken, then left alone: kubectl gives up and keeps the text in a file.
    broken = edit("grep -q 'a: edited' $1 && sed -i 's/^data:/data: 5 #/; /^  a: /d' $1\ntrue\n")
    check(broken.returncode != 0, f"a broken object is refused: {broken.stdout} {broken.stderr}")
    check(c.get("configmap", "cm", *n)["metadata"]["resourceVersion"] == version, "and changes nothing")


def test_rollouts(c):
    n = ["-n", NS]
    c.kubectl("annotate", "deployment/web", "kubernetes.io/change-cause=green", *n)
    c.kubectl("set", "env", "deployment/web", "COLOR=green", *n)
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *n)
    history = c.kubectl("rollout", "history", "deployment/web", *n)
    check("green" in history, f"the cause of the change: {history}")
    last = history.split()[-2]
    check("COLOR" in c.kubectl("rollout", "history", "deployment/web", f"--revision={last}", *n), f"one revision: {history}")
    c.kubectl("rollout", "pause", "deployment/web", *n)
    check(c.kubectl("rollout", "undo", "deployment/web", *n, ok=False).returncode != 0, "a paused rollout cannot be undone")
    c.kubectl("rollout", "resume", "deployment/web", *n)
    c.kubectl("rollout", "undo", "deployment/web", *n)
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *n)
    before = {p["metadata"]["uid"] for p in c.ready_pods(NS, "app=web")}
    c.kubectl("rollout", "restart", "deployment/web", *n)
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *n)
    after = {p["metadata"]["uid"] for p in c.ready_pods(NS, "app=web")}
    check(before and after and not before & after, f"restart replaces every pod: {before} {after}")
    container = c.get("deployment", "web", *n)["spec"]["template"]["spec"]["containers"][0]
    check({"name": "COLOR", "value": "blue"} in container["env"], f"undo: {container}")
    c.kubectl("set", "image", "deployment/web", "e2e=127.0.0.1:1/none:1", *n)
    stuck = c.kubectl("rollout", "status", "deployment/web", "--timeout=3s", *n, ok=False)
    check(stuck.returncode != 0, "a rollout that cannot go on is no success")
    c.kubectl("rollout", "undo", "deployment/web", *n)
    c.kubectl("rollout", "status", "deployment/web", "--timeout=60s", *n)


def test_drain(c):
    """Cordon, evict (protobuf Eviction bodies), uncordon; a pod without a controller needs --force."""
    c.kubectl("create", "namespace", "drained")
    c.kubectl("run", "bare", "-n", "drained", "--image=coxswain/e2e:1")
    c.kubectl("wait", "--for=condition=Ready", "pod/bare", "-n", "drained", "--timeout=60s")
    selector = ["--pod-selector=run=bare"]
    refused = c.kubectl("drain", NODE, *selector, ok=False)
    check(refused.returncode != 0 and "--force" in refused.stderr, refused.stderr)
    c.kubectl("drain", NODE, *selector, "--force", "--ignore-daemonsets", "--grace-period=1", "--timeout=60s")
    check(not c.pods("drained"), "the pod was evicted")
    check(c.get("node", NODE)["spec"]["unschedulable"], "the node is cordoned")
    c.kubectl("uncordon", NODE)
    c.kubectl("delete", "namespace", "drained", "--timeout=60s")


def test_curl_in_json_and_yaml(c):
    base = f"/api/v1/namespaces/{NS}/configmaps"
    yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: by-yaml\ndata:\n  a: one\n"
    status, text = c.api("POST", base, yaml, "application/yaml", "application/yaml")
    check(status == 201 and "kind: ConfigMap" in text, f"POST YAML: {status} {text}")
    status, text = c.api("POST", base, json.dumps({"metadata": {"name": "by-json"}, "data": {"a": "one"}}))
    check(status == 201 and json.loads(text)["metadata"]["uid"], f"POST JSON: {status} {text}")
    status, text = c.api("GET", f"{base}/by-yaml", accept="application/yaml")
    check(status == 200 and "a: one" in text, f"GET YAML: {status} {text}")
    status, text = c.api("PUT", f"{base}/by-yaml", text.replace("a: one", "a: two"), "application/yaml")
    check(status == 200 and json.loads(text)["data"] == {"a": "two"}, f"PUT YAML: {status} {text}")
    version = json.loads(text)["metadata"]["resourceVersion"]
    for content_type, body in (("application/merge-patch+json", '{"data":{"b":"2"}}'),
                               ("application/strategic-merge-patch+json", '{"data":{"c":"3"}}'),
                               ("application/json-patch+json", '[{"op":"remove","path":"/data/a"}]')):
        status, text = c.api("PATCH", f"{base}/by-yaml", body, content_type)
        check(status == 200, f"PATCH {content_type}: {status} {text}")
    check(json.loads(text)["data"] == {"b": "2", "c": "3"}, text)
    status, text = c.api("GET", f"{base}?watch=1&resourceVersion={version}&timeoutSeconds=1")
    events = [json.loads(line) for line in text.splitlines() if line]
    check(status == 200 and [e["type"] for e in events if e["object"]["metadata"]["name"] == "by-yaml"] == ["MODIFIED"] * 3, text)
    status, text = c.api("GET", f"{base}?watch=1&resourceVersion={version}&timeoutSeconds=1", accept="application/yaml")
    documents = [d for d in text.split("---\n") if "name: by-yaml" in d]
    check(status == 200 and len(documents) == 3 and all(d.startswith("type: MODIFIED\n") for d in documents), f"watch YAML: {text}")
    for name in ("by-yaml", "by-json"):
        status, text = c.api("DELETE", f"{base}/{name}")
        check(status == 200, f"DELETE: {status} {text}")
    status, text = c.api("GET", f"{base}/by-yaml")
    check(status == 404 and json.loads(text)["reason"] == "NotFound", f"{status} {text}")


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
    check("starting" in c.kubectl("logs", "-l", "app=web", *n), "-l")
    check("starting" in c.kubectl("logs", "deployment/web", "-c", "e2e", *n), "of a Deployment, -c")
    c.apply(pod("twins", NS, """  containers:
  - {name: a, image: "coxswain/e2e:1", command: [/bin/sh, -c, "echo from-a; sleep 4; echo late-a; exec sleep 1000"]}
  - {name: b, image: "coxswain/e2e:1", command: [/bin/sh, -c, "echo from-b; exec sleep 1000"]}
"""))
    wait_until("the last line", 30, lambda: "late-a" in c.kubectl("logs", "twins", "-c", "a", *n))
    check(c.kubectl("logs", "twins", "-c", "a", *n).split() == ["from-a", "late-a"], "-c a")
    check(c.kubectl("logs", "twins", "-c", "b", *n).split() == ["from-b"], "-c b")
    check(sorted(c.kubectl("logs", "twins", "--all-containers", *n).split()) == ["from-a", "from-b", "late-a"], "--all-containers")
    stamp = c.kubectl("logs", "twins", "-c", "a", "--timestamps", "--tail=1", *n).split()[0]
    check(c.kubectl("logs", "twins", "-c", "a", f"--since-time={stamp}", *n).split() == ["late-a"], f"--since-time={stamp}")
    time.sleep(2)
    check(c.kubectl("logs", "twins", "-c", "b", "--since=2s", *n) == "", "--since leaves older lines out")
    c.kubectl("delete", "pod", "twins", "--grace-period=0", "--force", *n)
    c.kubectl("run", "short", *n, "--image=coxswain/e2e:1", "--restart=Never", "--command", "--", "/bin/sh", "-c",
              "echo first; sleep 2; echo last")
    wait_until("it starts", 20, lambda: "first" in c.kubectl("logs", "short", *n))
    check(c.kubectl("logs", "-f", "short", *n).split() == ["first", "last"], "-f ends with the container")
    wrong = c.kubectl("logs", "one", "-c", "nothing", *n, ok=False)
    check(wrong.returncode != 0 and "nothing" in wrong.stderr, wrong.stderr)
    previous = c.kubectl("logs", "one", "-p", *n, ok=False)
    check(previous.returncode != 0 and "previous terminated container" in previous.stderr, previous.stderr)


def test_delete(c):
    n = ["-n", NS]
    c.kubectl("delete", "pod", "one", "--grace-period=1", *n)
    for name, color in (("x1", "red"), ("x2", "red"), ("y1", "blue")):
        c.kubectl("create", "configmap", name, *n)
        c.kubectl("label", "configmap", name, f"color={color}", *n)
    c.kubectl("delete", "configmap", "-l", "nothing=matches", *n)
    c.kubectl("delete", "configmap", "-l", "color=red", *n)
    left = {m["metadata"]["name"] for m in c.get("configmaps", *n)["items"]}
    check("y1" in left and not {"x1", "x2"} & left, f"delete -l takes what matches: {left}")
    c.kubectl("delete", "configmap", "--all", *n)
    c.kubectl("delete", "pod", "short", "--force", "--grace-period=0", *n)
    c.kubectl("delete", "pod", "short", "--ignore-not-found", *n)
    twice = c.kubectl("delete", "pod", "short", *n, ok=False)
    check(twice.returncode != 0 and "NotFound" in twice.stderr, twice.stderr)
    c.kubectl("delete", "-f", "-", *n, stdin="apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n")
    c.kubectl("delete", "deployment", "web", "--cascade=foreground", "--timeout=60s", *n)
    check(not c.pods(NS, "app=web"), "foreground: the pods are gone first")
    c.kubectl("delete", "namespace", NS, "--timeout=90s")
