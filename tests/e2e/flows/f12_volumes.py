"""Flow 12: every kind of volume that needs no storage system, and how they are mounted."""
from cluster import NODE, NODE_IP, check, wait_until
from flows.manifests import namespace, pod

NS = "vols"
OBJECTS = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: conf, namespace: {NS}}}
data: {{a: alpha, b: beta}}
binaryData: {{bin: AAEC}}
---
apiVersion: v1
kind: Secret
metadata: {{name: sec, namespace: {NS}}}
stringData: {{key: hidden}}
---
"""
BODY = """  terminationGracePeriodSeconds: 1
  securityContext: {fsGroup: 2000}
  containers:
  - name: main
    image: coxswain/e2e:1
    command: [/bin/sleep, "1000"]
    resources: {limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 100m, memory: 32Mi}}
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: HOST, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: SA, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
    - {name: MEM, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
    - {name: OPT, valueFrom: {configMapKeyRef: {name: conf, key: none, optional: true}}}
    - {name: LITERAL, value: "$$(NODE) $(NONE)"}
    volumeMounts:
    - {name: all, mountPath: /all, readOnly: true}
    - {name: down, mountPath: /down}
    - {name: items, mountPath: /items}
    - {name: mem, mountPath: /mem}
    - {name: host, mountPath: /host}
    - {name: scratch, mountPath: /one, subPath: one}
    - {name: scratch, mountPath: /expr, subPathExpr: "of-$(LABEL)"}
    - {name: scratch, mountPath: /scratch}
    - {name: conf, mountPath: /etc/alpha, subPath: a}
    - {name: absent, mountPath: /absent}
  volumes:
  - name: all
    projected:
      defaultMode: 0440
      sources:
      - configMap: {name: conf, items: [{key: a, path: conf/a}]}
      - secret: {name: sec, items: [{key: key, path: secret/key, mode: 0400}]}
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
  - name: down
    downwardAPI:
      items:
      - {path: name, fieldRef: {fieldPath: metadata.name}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - {path: cpu, resourceFieldRef: {containerName: main, resource: limits.cpu}}
  - {name: items, configMap: {name: conf, defaultMode: 0600, items: [{key: b, path: deep/er/b}, {key: bin, path: bin}]}}
  - {name: mem, emptyDir: {medium: Memory, sizeLimit: 8Mi}}
  - {name: host, hostPath: {path: HOSTDIR, type: DirectoryOrCreate}}
  - {name: scratch, emptyDir: {}}
  - {name: conf, configMap: {name: conf}}
  - {name: absent, configMap: {name: nothing, optional: true}}
"""


def sh(c, script):
    return c.pod_exec(c.get("pod", "vols", "-n", NS), "/bin/sh", "-c", script)


def test_environment(c):
    body = BODY.replace("HOSTDIR", str(c.home / "hostdir"))
    c.apply(namespace(NS) + "---" + OBJECTS + pod("vols", NS, body))
    p = c.wait_ready(NS, "app=vols", 1)[0]
    check(sh(c, "echo $NODE,$IP,$HOST,$SA,$LABEL") == f"{NODE},{p['status']['podIP']},{NODE_IP},default,vols", "fields")
    check(sh(c, "echo $CPU,$MEM,$OPT,") == "500,32,,", "resources and an optional key")
    check(sh(c, "echo \"$LITERAL\"") == "$(NODE) $(NONE)", "escapes and unknown references stay")


def test_contents(c):
    check(sh(c, "cat /all/conf/a /all/secret/key /all/labels") == 'alphahiddenapp="vols"', "projected sources")
    check(sh(c, "cat /down/name /down/cpu") == "vols1", "downward API")
    check(sh(c, "cat /items/deep/er/b; ls /items; od -An -tx1 /items/bin") == "betabin\ndeep\n 00 01 02", "items and binary data")
    check(sh(c, "cat /etc/alpha; ls /absent") == "alpha", "a subPath of a file; an optional ConfigMap that is absent")


def test_modes_and_mounts(c):
    # fsGroup lets the group read what its files' modes keep from it.
    modes = sh(c, "stat -L -c %a /all/conf/a /all/secret/key /items/deep/er/b").split()
    check(modes == ["440", "440", "640"], f"modes of files: {modes}")
    check(sh(c, "echo x > /all/new 2>/dev/null || echo refused") == "refused", "a projected volume cannot be written")
    check(sh(c, "df -k /mem | tail -1 | awk '{print $2}'") == "8192", "a memory volume has its size limit")
    check(sh(c, "echo in > /one/f; cat /scratch/one/f; echo e > /expr/f; cat /scratch/of-vols/f") == "in\ne", "subPath and subPathExpr")
    check(sh(c, "stat -c %g /scratch /mem").split() == ["2000", "2000"], "fsGroup owns the volumes")
    sh(c, "echo out > /host/f")
    check((c.home / "hostdir/f").read_text() == "out\n", "a hostPath is the host's")


def test_updates_reach_the_volumes(c):
    c.kubectl("annotate", "pod", "vols", "-n", NS, "note=changed")
    c.kubectl("label", "pod", "vols", "-n", NS, "extra=1")
    c.kubectl("patch", "configmap", "conf", "-n", NS, "-p", '{"data":{"a":"omega"}}')
    wait_until("annotations follow", 20, lambda: 'note="changed"' in sh(c, "cat /down/annotations"))
    wait_until("labels follow", 20, lambda: 'extra="1"' in sh(c, "cat /all/labels"))
    wait_until("projected ConfigMaps follow", 20, lambda: sh(c, "cat /all/conf/a") == "omega")
    c.kubectl("patch", "secret", "sec", "-n", NS, "-p", '{"stringData":{"key":"found"}}')
    wait_until("projected Secrets follow", 20, lambda: sh(c, "cat /all/secret/key") == "found")
    check(sh(c, "cat /etc/alpha") == "alpha", "a subPath mount does not")


def test_wrong_host_path_waits(c):
    c.apply(pod("nopath", NS, """  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"], volumeMounts: [{name: h, mountPath: /h}]}
  volumes: [{name: h, hostPath: {path: /does/not/exist, type: Directory}}]
"""))
    wait_until("a FailedMount event", 20, lambda: c.get(
        "events", "-n", NS, "--field-selector", "involvedObject.name=nopath,reason=FailedMount")["items"])
    check(c.get("pod", "nopath", "-n", NS)["status"]["phase"] == "Pending", "it waits")
    c.kubectl("delete", "namespace", NS, "--timeout=60s")
    check((c.home / "hostdir/f").exists(), "a hostPath outlives its pod")
