#!/usr/bin/env python3
"""Starting, stopping and what a wrong start says: one line that tells what to do."""
import re
import stat
from server import *


def one_line(code, lines, *words):
    equal(code, 1, "the exit code")
    equal(len(lines), 1, f"one line: {lines}")
    for word in words:
        check(word in lines[0], f"{word!r} is said: {lines[0]}")


def test_wrong_starts(s):
    one_line(*s.run_once(port=s.port), str(s.port), "in use")
    before = {p: p.read_bytes() for p in s.data.rglob("*") if p.is_file() and "store" not in p.parts}
    one_line(*s.run_once(data=s.data), "another process")
    equal([p.name for p, was in before.items() if p.read_bytes() != was], [], "files that it changed")
    blocked = s.home / "file"
    blocked.write_text("")
    one_line(*s.run_once(data=blocked / "data"), "--data-dir")
    one_line(*s.run_once("--service-cluster-ip-range", "nonsense"), "nonsense")
    one_line(*s.run_once("--service-node-port-range", "5-1"), "5-1")
    one_line(*s.run_once(bind="300.1.1.1"), "300.1.1.1")
    check(s.ready(), "the first one is well")


@starts_itself
def test_a_newer_format_is_refused(s):
    s.start()
    s.put_map("a", {})
    s.stop()
    form = s.data / "store/FORMAT"
    today = form.read_text()
    form.write_text("coxswain store 999\n")
    one_line(*s.run_once(data=s.data), "newer")
    form.write_text("coxswain store 1\n")
    one_line(*s.run_once(data=s.data), "nothing was changed")
    form.write_text(today)
    s.start()
    equal(s.call("GET", MAPS + "/a").status, 200, "everything is there")


def test_secrets_stay_secret(s):
    for path in [*(s.data / "kubeconfig").iterdir(), *(s.data / "pki").glob("*.key")]:
        equal(stat.S_IMODE(path.stat().st_mode), 0o600, str(path))
    equal(stat.S_IMODE(s.data.stat().st_mode) & 0o077, 0, "the data directory")
    answer = s.call("POST", "/api/v1/namespaces/default/secrets",
                    {"metadata": {"name": "s"}, "stringData": {"p": "hunter2-hunter2"}})
    equal(answer.status, 201, "a Secret")
    s.call("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "BAD"}, "stringData": {"p": "hunter2-hunter2"}})
    log = s.log.read_text()
    check("hunter2" not in log and base64.b64encode(b"hunter2-hunter2").decode() not in log, "nothing of it in the log")


def test_issue_node(s):
    done = subprocess.run([s.binary, "--data-dir", s.data, "--advertise-address", "127.0.0.1", "--secure-port", str(s.port),
                           "issue-node", "worker-2", "--ip", "192.0.2.9"], capture_output=True, text=True, timeout=20)
    equal(done.returncode, 0, f"issue-node: {done.stderr}")
    me = s.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, context=node_context(s)).json()
    equal(me["status"]["userInfo"]["username"], "system:node:worker-2", "who it is")
    check("system:nodes" in me["status"]["userInfo"]["groups"], "its group")
    text = subprocess.run(["openssl", "x509", "-in", s.data / "pki/kubelet-worker-2.crt", "-noout", "-ext", "subjectAltName"],
                          capture_output=True, text=True, check=True).stdout
    check("192.0.2.9" in text and "worker-2" in text, f"names of its serving certificate: {text}")


def test_one_address_for_several(s):
    for wrong in ("1.2.3", "a_b:6443", "ha.example:0", "ha.example:70000", "[::1]:6443", "ha.example:"):
        one_line(*s.run_once("--control-plane-endpoint", wrong), "--control-plane-endpoint", wrong)
    for endpoint, name, server in (("192.0.2.77:7443", "IP Address:192.0.2.77", "https://192.0.2.77:7443"),
                                   ("HA.example", "DNS:ha.example", "https://ha.example:6443")):
        data = s.home / f"issued-{name[-3:]}"
        made = []
        for _ in range(2):
            done = subprocess.run([s.binary, "issue-cluster", "--data-dir", data, "--control-plane-endpoint", endpoint],
                                  capture_output=True, text=True, timeout=20)
            equal(done.returncode, 0, f"issue-cluster: {done.stderr}")
            made.append({p.name: p.read_bytes() for d in ("pki", "kubeconfig") for p in (data / d).iterdir()})
        check(made[0] == made[1], "the second time changes nothing")
        for conf in (data / "kubeconfig").iterdir():
            check(f"server: {server}\n" in conf.read_text().replace('"', ""), f"where {conf} leads")
        text = subprocess.run(["openssl", "x509", "-in", data / "pki/apiserver.crt", "-noout", "-ext", "subjectAltName"],
                              capture_output=True, text=True, check=True).stdout
        check(name in text and "IP Address:127.0.0.1" in text, f"names of the certificate: {text}")
        check(not (data / "store").exists(), "no store")


def node_context(s):
    import re
    text = (s.data / "kubeconfig/kubelet-worker-2.conf").read_text()
    context = s.tls(None)
    paths = []
    for key in ("client-certificate-data", "client-key-data"):
        paths.append(s.home / f"{key}.pem")
        paths[-1].write_bytes(base64.b64decode(re.search(key + r": \"?([A-Za-z0-9+/=]+)", text).group(1)))
    context.load_cert_chain(*paths)
    return context


FLAGS = {"test_events_expire": ["--event-ttl-seconds", "2"], "test_expired_revisions": ["--history-retention-seconds", "1"]}


def test_events_expire(s):
    events = "/api/v1/namespaces/default/events"
    answer = s.call("POST", events, {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
                                     "reason": "R", "message": "m", "type": "Normal"})
    equal(answer.status, 201, f"an event: {answer.body[:300]}")
    watch = Watch(s, events + "?watch=1&resourceVersion=" + answer.json()["metadata"]["resourceVersion"], seconds=30)
    equal(watch.next()["type"], "DELETED", "it goes by itself")
    equal(s.call("GET", events + "/e").status, 404, "and is gone")


def test_expired_revisions(s):
    first = s.put_map("a", {"n": "0"}).json()["metadata"]["resourceVersion"]
    s.put_map("b", {})
    listed = s.call("GET", MAPS + "?limit=1").json()["metadata"]
    connection = s.connect()
    for n in range(1, 9):  # history is kept by age, twice the retention at the most
        s.call("PUT", MAPS + "/a", {"metadata": {"name": "a"}, "data": {"n": str(n)}}, connection=connection)
        time.sleep(0.5)

    def expired():
        watch = Watch(s, f"{MAPS}?watch=1&resourceVersion={first}&timeoutSeconds=1")
        event = watch.next()
        return event if event and event["type"] == "ERROR" else None

    event = wait_until("the watch is refused", 20, expired)
    equal((event["object"]["code"], event["object"]["reason"]), (410, "Expired"), "the watch's error")
    answer = s.call("GET", f"{MAPS}?resourceVersion={first}&resourceVersionMatch=Exact")
    equal((answer.status, answer.json()["reason"]), (410, "Expired"), "an exact list")
    answer = s.call("GET", f"{MAPS}?limit=1&continue={listed['continue']}")
    equal((answer.status, answer.json()["reason"]), (410, "Expired"), "an expired page")
    token = answer.json()["metadata"].get("continue")
    check(token, "comes with a token to go on with")
    rest = s.call("GET", f"{MAPS}?continue={token}").json()["items"]
    equal([item["metadata"]["name"] for item in rest], ["b"], "from where the page before it ended, as it is now")


def samples(text):
    """{name and labels: value} of Prometheus text, whose every line must be well formed."""
    out = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            check(re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? -?[0-9]+(\.[0-9]+)?', line), f"a line: {line!r}")
            name, value = line.rsplit(" ", 1)
            check(name not in out, f"said once: {name}")
            out[name] = float(value)
    return out


def test_metrics(s):
    s.put_map("a", {})
    answer = s.call("GET", "/metrics")
    equal(answer.status, 200, "metrics for an administrator")
    check(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"), answer.headers["Content-Type"])
    before = samples(answer.body.decode())
    for n in range(5):
        s.put_map(f"m-{n}", {})
    s.put_map("a", {})
    watch = Watch(s, MAPS + "?watch=1&resourceVersion=0")
    after = samples(s.call("GET", "/metrics").body.decode())

    def rise(name):
        return after.get(name, 0) - before.get(name, 0)
    equal(rise('apiserver_request_total{verb="POST",code="201"}'), 5, "creations")
    equal(rise('apiserver_request_total{verb="POST",code="409"}'), 1, "a conflict")
    equal(rise('apiserver_request_duration_seconds_count{verb="POST"}'), 6, "timed")
    equal(rise('apiserver_request_duration_seconds_bucket{verb="POST",le="+Inf"}'), 6, "in buckets")
    equal(rise('apiserver_longrunning_requests{verb="WATCH"}'), 1, "a watch")
    equal(rise("store_keys"), 5, "keys")
    check(after["process_resident_memory_bytes"] > 1e6, "memory")
    watch.close()
    equal(s.call("GET", "/metrics", context=s.tls(None)).status, 401, "metrics for nobody else")


if __name__ == "__main__":
    main(globals())
