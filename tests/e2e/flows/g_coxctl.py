"""coxctl: the same answers as kubectl for what it does."""
import subprocess

from cluster import check, wait_until
from flows.manifests import deployment, namespace, service

NS = "cox"


def coxctl(c, *arguments, ok=True, stdin=None):
    done = subprocess.run([str(c.bin / "coxctl"), *arguments], capture_output=True, text=True, env=c.environment(), input=stdin, timeout=120)
    if ok:
        check(done.returncode == 0, f"coxctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout
    return done


def test_apply_is_idempotent_and_merges(c):
    text = namespace(NS) + "---" + deployment("web", NS, replicas=1) + "---" + service("web", NS, kind="NodePort")
    check(coxctl(c, "apply", "-f", "-", stdin=text).count("created") == 3, "created")
    port = c.get("service", "web", "-n", NS)["spec"]["ports"][0]["nodePort"]
    check(coxctl(c, "apply", "-f", "-", stdin=text).count("unchanged") == 3, "unchanged")
    changed = coxctl(c, "apply", "-f", "-", stdin=text.replace("replicas: 1", "replicas: 2"))
    check(changed.count("configured") == 1, changed)
    check(c.get("service", "web", "-n", NS)["spec"]["ports"][0]["nodePort"] == port, "the node port stays")
    c.wait_ready(NS, "app=web", 2)


def test_tables_equal_kubectls(c):
    for target in (["pods", "-n", NS, "--no-headers"], ["services", "-n", NS], ["nodes", "-o", "wide"]):
        ours = [line.split()[0] for line in coxctl(c, "get", *target).splitlines()]
        theirs = [line.split()[0] for line in c.kubectl("get", *target).splitlines()]
        check(ours == theirs, f"{target}: {ours} != {theirs}")
    check(coxctl(c, "get", "deploy/web", "-n", NS, "-o", "jsonpath={.spec.replicas}") == "2", "jsonpath")
    for target in (["pods", "-n", NS, "-o", "wide"], ["deploy,svc", "-n", NS], ["pods", "-n", NS, "--show-labels"], ["namespaces"]):
        # Ages move on between the two calls: the same to the letter once they agree.
        wait_until(f"coxctl get {' '.join(target)} prints what kubectl prints", 10,
                   lambda t=target: coxctl(c, "get", *t) == c.kubectl("get", *t))
    before = coxctl(c, "--kubeconfig", str(c.home / "kubeconfig/admin.conf"), "-n", NS, "get", "pods", "-o", "name")
    check(before == coxctl(c, "get", "pods", "-n", NS, "-o", "name") != "", f"flags before the command: {before}")
    missing = coxctl(c, "get", "pod", "nothing", "-n", NS, ok=False)
    check(missing.returncode != 0 and 'pods "nothing" not found' in missing.stderr, missing.stderr)


def test_mistakes_get_an_answer(c):
    def said(*arguments, **environment):
        done = subprocess.run([str(c.bin / "coxctl"), *arguments], capture_output=True, text=True, timeout=60,
                              env=dict(c.environment(), **environment))
        check(done.returncode != 0 and done.stderr.startswith("error: "), f"{arguments}: {done.returncode} {done.stderr}")
        return done.stderr
    check('did you mean "pods"?' in said("get", "pdos"), "a slip in the kind")
    check('did you mean "get"?' in said("gett", "pods"), "a slip in the command")
    check("say which resource" in said("get"), "nothing asked for")
    check("set KUBECONFIG" in said("get", "pods", KUBECONFIG="/nonexistent", HOME="/nonexistent"), "no kubeconfig")
    nowhere = c.home / "nowhere.conf"
    nowhere.write_text((c.home / "kubeconfig/admin.conf").read_text().replace(":6443", ":1"))
    text = said("get", "pods", KUBECONFIG=str(nowhere))
    check("cannot reach https://" in text and text.count("\n") == 1, f"no server: {text}")
    check("there is no output format" in said("get", "pods", "-n", NS, "-o", "xml"), "a wrong format")
    check("no matches for kind" in coxctl(c, "apply", "-f", "-", ok=False,
                                          stdin="apiVersion: v9\nkind: Pot\nmetadata: {name: x}\n").stderr, "a wrong kind in a file")


def complete(c):
    """What bash offers after `coxctl de` and after `coxctl get dep`."""
    script = rf"""source <({c.bin}/coxctl completion bash)
COMP_WORDS=(coxctl "$@"); COMP_CWORD=$#; COMP_LINE="coxctl $*"; COMP_POINT=${{#COMP_LINE}}
$(complete -p coxctl | sed 's/.*-F \([^ ]*\) .*/\1/')
echo "${{COMPREPLY[@]}}"
"""
    def offered(*words):
        return subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True,
                              env=dict(c.environment(), PATH=f"{c.bin}:/usr/bin:/bin")).stdout.split()
    check({"describe", "delete"} <= set(offered("de")), f"commands: {offered('de')}")
    check("deployments" in offered("get", "dep"), f"kinds: {offered('get', 'dep')}")


def test_describe_logs_scale_delete(c):
    pod = c.ready_pods(NS, "app=web")[0]["metadata"]["name"]
    check("Events:" in coxctl(c, "describe", "pod", pod, "-n", NS), "describe")
    check("starting " + pod in coxctl(c, "logs", pod, "-n", NS), "logs")
    check("scaled" in coxctl(c, "scale", "deployment/web", "-n", NS, "--replicas=1"), "scale")
    check("v1.36" in coxctl(c, "version"), "version")
    complete(c)
    for command in ("get", "describe", "apply", "delete", "logs", "scale", "store", "version", "completion"):
        text = coxctl(c, command, "--help")
        check(f"coxctl {command}" in text, f"{command} --help: {text}")
        check(command in coxctl(c, "--help"), f"--help lists {command}")
    coxctl(c, "delete", "namespace", NS)
    check(c.kubectl("get", "namespace", NS, ok=False).returncode != 0, "gone")
