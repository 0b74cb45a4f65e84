"""Flow 4: configuration, volumes, several containers, init containers."""
from cluster import check, wait_until
from flows.manifests import namespace, pod

NS = "pods"
CONFIG = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: conf, namespace: {NS}}}
data: {{color: blue, size: "10"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: sec, namespace: {NS}}}
stringData: {{token: s3cret}}
---
"""
BODY = """  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: one, image: "coxswain/e2e:1", command: [/bin/sh, -c, "echo one >> /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
  - {name: two, image: "coxswain/e2e:1", command: [/bin/sh, -c, "echo two >> /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: main
    image: coxswain/e2e:1
    command: [/bin/sh, -c, "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"]
    env:
    - {name: COLOR, valueFrom: {configMapKeyRef: {name: conf, key: color}}}
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: sec, key: token}}}
    - {name: GREETING, value: "hello $(COLOR)"}
    envFrom: [{configMapRef: {name: conf}, prefix: CONF_}, {secretRef: {name: sec}}]
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: conf, mountPath: /conf}
    - {name: sec, mountPath: /sec, readOnly: true}
  - name: side
    image: coxswain/e2e:1
    command: [/bin/sh, -c, "echo from-side > /shared/side; exec nc -ll -p 7000 -e /bin/hostname"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: conf, configMap: {name: conf}}
  - {name: sec, secret: {secretName: sec, defaultMode: 0400}}
"""


def container_of(c, name):
    statuses = c.get("pod", "multi", "-n", NS)["status"]["containerStatuses"]
    return next(s for s in statuses if s["name"] == name)["containerID"].split("//")[1]


def sh(c, container, script):
    return c.docker("exec", container_of(c, container), "/bin/sh", "-c", script)


def test_environment_and_volumes(c):
    c.apply(namespace(NS) + "---" + CONFIG + pod("multi", NS, BODY))
    c.wait_ready(NS, "app=multi", 1)
    check(sh(c, "main", "echo $COLOR,$TOKEN,$GREETING,$CONF_size,$token") == "blue,s3cret,hello blue,10,s3cret", "env and envFrom")
    check(sh(c, "main", "cat /conf/color; cat /sec/token") == "blues3cret", "ConfigMap and Secret volumes")
    check(sh(c, "main", "cat /shared/order") == "one\ntwo", "init containers ran in order")


def test_shared_volume_and_localhost(c):
    wait_until("the side container wrote", 5, lambda: sh(c, "main", "cat /shared/side") == "from-side")
    check(sh(c, "main", "nc -w 2 127.0.0.1 7000 </dev/null") == "multi", "containers of a pod share localhost")

    kinds = ("net", "ipc", "mnt", "pid")
    main, side = (sh(c, name, "cd /proc/self/ns; for kind in %s; do readlink $kind; done" % " ".join(kinds)).split()
                  for name in ("main", "side"))
    check([a == b for a, b in zip(main, side)] == [True, True, False, False], f"they share net and ipc, not mnt and pid: {main} {side}")


def test_volumes_update_live(c):
    c.kubectl("patch", "configmap", "conf", "-n", NS, "-p", '{"data":{"color":"green"}}')
    wait_until("the file follows", 15, lambda: sh(c, "main", "cat /conf/color") == "green")
    check(sh(c, "main", "echo $COLOR") == "blue", "the environment does not")


def test_missing_configmap_waits_and_recovers(c):
    c.apply(pod("waits", NS, """  containers:
  - {name: c, image: "coxswain/e2e:1", command: [/bin/sleep, "1000"], envFrom: [{configMapRef: {name: later}}]}
"""))

    def reason():
        return c.get("pod", "waits", "-n", NS)["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
    wait_until("CreateContainerConfigError", 15, lambda: reason() == "CreateContainerConfigError")
    c.kubectl("create", "configmap", "later", "-n", NS, "--from-literal=a=b")
    c.wait_ready(NS, "app=waits", 1, seconds=30)


def test_image_that_does_not_exist(c):
    c.apply(pod("noimage", NS, """  containers:
  - {name: c, image: "127.0.0.1:1/nothing:1"}
"""))

    def waiting():
        return c.get("pod", "noimage", "-n", NS)["status"]["containerStatuses"][0]["state"].get("waiting", {})
    wait_until("ErrImagePull or ImagePullBackOff", 45, lambda: waiting().get("reason") in ("ErrImagePull", "ImagePullBackOff"))
    c.kubectl("delete", "namespace", NS, "--wait=false")
