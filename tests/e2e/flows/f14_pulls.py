"""Flow 14: real pulls from a registry, with and without credentials, and what is said when they fail."""
import subprocess
import time

from cluster import IMAGE, check, wait_until
from flows.manifests import namespace, pod
from registry import Registry

NS = "pulls"


def saved_image(c):
    return subprocess.run(["docker", "-H", f"unix://{c.socket}", "save", IMAGE], capture_output=True, check=True).stdout


def one(name, image, policy="Always", secret=""):
    secrets = f"  imagePullSecrets: [{{name: {secret}}}]\n" if secret else ""
    return pod(name, NS, f"""  terminationGracePeriodSeconds: 1
{secrets}  containers: [{{name: c, image: "{image}", imagePullPolicy: {policy}, command: [/bin/sleep, "1000"]}}]
""")


def status(c, name):
    return c.get("pod", name, "-n", NS)["status"]["containerStatuses"][0]


def waiting(c, name):
    return status(c, name)["state"].get("waiting", {})


def events(c, name, reason):
    return [e["message"] for e in c.get(
        "events", "-n", NS, "--field-selector", f"involvedObject.name={name},reason={reason}")["items"]]


def test_pull_by_tag_and_digest(c):
    c.apply(namespace(NS))
    registry = Registry(saved_image(c), "team/app")
    try:
        c.apply(one("tag", f"{registry.address}/team/app:1"))
        c.wait_ready(NS, "app=tag", 1)
        check(events(c, "tag", "Pulling") == [f'Pulling image "{registry.address}/team/app:1"'], "a Pulling event")
        check("Successfully pulled image" in events(c, "tag", "Pulled")[0], "a Pulled event")
        check(registry.digest in status(c, "tag")["imageID"], f"the digest: {status(c, 'tag')['imageID']}")
        c.docker("rmi", "-f", f"{registry.address}/team/app:1")
        c.apply(one("digest", f"{registry.address}/team/app@{registry.digest}", "IfNotPresent"))
        c.wait_ready(NS, "app=digest", 1)
        before = len(registry.requests)
        c.apply(one("present", f"{registry.address}/team/app@{registry.digest}", "IfNotPresent"))
        c.wait_ready(NS, "app=present", 1)
        check(len(registry.requests) == before, "what is present is not asked for")
    finally:
        registry.stop()


def test_credentials(c):
    registry = Registry(saved_image(c), "private/app", password="pass word")
    image = f"{registry.address}/private/app:1"
    try:
        c.kubectl("create", "secret", "docker-registry", "good", "-n", NS, f"--docker-server={registry.address}",
                  "--docker-username=robot", "--docker-password=pass word")
        c.kubectl("create", "secret", "docker-registry", "bad", "-n", NS, f"--docker-server={registry.address}",
                  "--docker-username=robot", "--docker-password=wrong")
        c.apply(one("none", image) + "---" + one("bad", image, secret="bad") + "---" + one("good", image, secret="good"))
        c.wait_ready(NS, "app=good", 1)
        for name in ("none", "bad"):
            wait_until(f"{name} is refused", 20, lambda: waiting(c, name).get("reason") in ("ErrImagePull", "ImagePullBackOff"))
            check("pass word" not in str(c.get("pod", name, "-n", NS)), "no password leaks")
    finally:
        registry.stop()


def test_failures_are_said_and_end(c):
    registry = Registry(saved_image(c), "team/app")
    image = f"{registry.address}/team/none:1"
    try:
        c.apply(one("missing", image))
        wait_until("back-off", 30, lambda: waiting(c, "missing").get("reason") == "ImagePullBackOff")
        check(f'Back-off pulling image "{image}"' in waiting(c, "missing")["message"], "what backs off")
        check(any(m.startswith(f'Failed to pull image "{image}": ') for m in events(c, "missing", "Failed")), "why")
        registry.repository = "team/none"
        wait_until("it starts once the image is there", 40, lambda: status(c, "missing")["ready"])
    finally:
        registry.stop()


def test_a_pull_that_hangs_is_no_lost_node(c):
    """Without a name server the Engine looks for a registry for 20 s, and for no other one meanwhile; that must not count as down."""
    c.kubectl("run", "lost-image", "-n", NS, "--image=registry.invalid/none:1")
    end = time.monotonic() + 25
    while time.monotonic() < end:
        check(c.node_ready(), "the node stays ready")
        time.sleep(0.5)
    check(waiting(c, "lost-image"), "the pod waits")
    c.kubectl("delete", "namespace", NS, "--wait=false")
