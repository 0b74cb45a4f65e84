#!/usr/bin/env python3
"""Bad input over the wire: the right Status comes back and nothing changes."""
import re
from server import *

YAML = {"Content-Type": "application/yaml"}
PODS, DEPLOYMENTS = "/api/v1/namespaces/default/pods", "/apis/apps/v1/namespaces/default/deployments"
DEPLOYMENT = {"metadata": {"name": "web"}, "spec": {
    "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}


def refused(answer, code, reason, what, *fields):
    status = answer.json()
    equal((answer.status, status["kind"], status["code"], status.get("reason", "")), (code, "Status", code, reason), what)
    check(status["message"], f"{what}: a message")
    named = {cause.get("field") for cause in status.get("details", {}).get("causes", [])}
    for field in fields:
        check(field in named, f"{what}: {field} is named; got {sorted(named)}")


def everything(s):
    return [s.call("GET", path).json()["items"] for path in (MAPS, PODS, DEPLOYMENTS, "/api/v1/namespaces/default/services")]


def test_bodies(s):
    before = everything(s)
    aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10))
    rows = [
        ("{", JSON, "malformed JSON"), ('{"metadata":{"name":"a"}}x', JSON, "bytes behind the JSON"),
        ('{"metadata":{"name":"\xff"}}'.encode("latin-1"), JSON, "no UTF-8"), ("a: [", YAML, "malformed YAML"),
        ("[" * 100000, JSON, "a nesting bomb"), ("[" * 100000, YAML, "a nesting bomb in YAML"), (aliases, YAML, "an alias bomb"),
        ("null", JSON, "null"), ("[]", JSON, "a list"), ('"x"', JSON, "a string"),
        ('{"kind":"Pod","metadata":{"name":"a"}}', JSON, "another kind"),
        ('{"metadata":{"name":"a","namespace":"other"}}', JSON, "another namespace"),
    ]
    for body, headers, what in rows:
        refused(s.call("POST", MAPS, body, headers), 400, "BadRequest", what)
    protobuf = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    for body, headers, place in (('{"metadata": {"name": }}', JSON, "22"), ("metadata:\n  name: a\n   b: c\n", YAML, "line 3"),
                                 (b"k8s\0\x0a\x0d\x0a\x02v1\x12\x07Con", protobuf, "byte")):
        message = s.call("POST", MAPS, body, headers).json()["message"]
        check(re.search(rf"\b{place}\b", message), f"{place} is said: {message}")
    largest = 3 * 1024 * 1024
    frame = '{"metadata":{"name":"large"},"data":{"v":"%s"}}'
    for size, code in ((largest, 422), (largest + 1, 413)):  # a ConfigMap holds 1 MiB: what is read is refused for that
        equal(s.call("POST", MAPS, frame % ("x" * (size - len(frame) + 2)), JSON).status, code, f"{size} bytes")
    refused(s.call("POST", MAPS, "x" * 4_000_000, JSON), 413, "RequestEntityTooLarge", "4 MB")
    # A body may have 3 MiB, what is stored of it 1.5.
    pod = {"metadata": {"name": "large"}, "spec": {"containers": [{"name": "c", "image": "i", "args": ["x" * 1_600_000]}]}}
    answer = s.call("POST", PODS, pod)
    refused(answer, 413, "RequestEntityTooLarge", "1.6 MB to store")
    check("at most 1572864" in answer.json()["message"], "the limit is said")
    refused(s.call("POST", MAPS, "{}", {"Content-Type": "text/html"}), 415, "UnsupportedMediaType", "text/html")
    refused(s.call("GET", "/apis/none/v1/things"), 404, "NotFound", "an unknown group")
    refused(s.call("GET", "/api/v1/namespaces/default/things/x"), 404, "NotFound", "an unknown kind")
    for method, path in (("POST", "/apis/batch/v1/namespaces/default/jobs"), ("GET", "/apis/apps/v1/daemonsets"),
                         ("POST", "/api/v1/namespaces/default/pods/p/exec?command=ls")):
        answer = s.call(method, path, {} if method == "POST" else None)
        refused(answer, 404, "NotFound", path)
        check("not built yet" in answer.json()["message"], f"{path}: says that it is not built")
    equal(everything(s), before, "nothing changed")


def test_unknown_and_double_fields(s):
    body = '{"metadata":{"name":"s"},"datta":{},"data":{"a":"1"},"data":{"a":"2"}}'
    refused(s.call("POST", MAPS + "?fieldValidation=Strict", body, JSON), 400, "BadRequest", "Strict")
    equal(s.call("GET", MAPS + "/s").status, 404, "and nothing is stored")
    warned = s.call("POST", MAPS + "?fieldValidation=Warn", body, JSON)
    warnings = " ".join(warned.headers.get_all("Warning") or [])
    check(warned.status == 201 and 'unknown field' in warnings and "datta" in warnings and "duplicate field" in warnings,
          f"Warn: {warned.status} {warnings}")
    ignored = s.call("PUT", MAPS + "/s?fieldValidation=Ignore", body, JSON)
    equal((ignored.status, ignored.headers.get("Warning")), (200, None), "Ignore")
    refused(s.call("POST", MAPS + "?fieldValidation=Sometimes", body, JSON), 422, "Invalid", "an unknown level")


def test_validation_names_every_field(s):
    before = everything(s)
    broken = json.loads(json.dumps(DEPLOYMENT))
    broken["metadata"] = {"name": "Web_1", "labels": {"-bad": "x"}}
    broken["spec"]["replicas"] = -1
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    broken["spec"]["template"]["spec"]["containers"] = [
        {"name": "C", "image": "", "ports": [{"containerPort": 70000}], "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]
    refused(s.call("POST", DEPLOYMENTS, broken), 422, "Invalid", "a broken Deployment", "metadata.name", "metadata.labels",
            "spec.replicas", "spec.template.metadata.labels", "spec.template.spec.containers[0].name",
            "spec.template.spec.containers[0].image", "spec.template.spec.containers[0].ports[0].containerPort",
            "spec.template.spec.containers[0].resources.requests")
    refused(s.call("POST", DEPLOYMENTS, {"metadata": {"name": "a"}}), 422, "Invalid", "nothing in it", "spec.selector",
            "spec.template.spec.containers")
    wrong = s.call("POST", DEPLOYMENTS, {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replicas": "three"}})
    refused(wrong, 400, "BadRequest", "a wrong type")
    check("spec.replicas" in wrong.json()["message"], "and its path")
    quantity = json.loads(json.dumps(DEPLOYMENT))
    quantity["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "1Q"}}
    refused(s.call("POST", DEPLOYMENTS, quantity), 400, "BadRequest", "a quantity that is none")
    equal(everything(s), before, "nothing changed")


def test_updates(s):
    made = s.call("POST", DEPLOYMENTS, DEPLOYMENT).json()
    stale = json.loads(json.dumps(made))
    made["spec"]["replicas"] = 2
    newer = s.call("PUT", DEPLOYMENTS + "/web", made)
    equal(newer.status, 200, f"an update: {newer.body[:300]}")
    refused(s.call("PUT", DEPLOYMENTS + "/web", stale), 409, "Conflict", "a stale resourceVersion")
    moved = newer.json()
    moved["spec"]["selector"] = {"matchLabels": {"app": "x"}}
    moved["spec"]["template"]["metadata"]["labels"] = {"app": "x"}
    refused(s.call("PUT", DEPLOYMENTS + "/web", moved), 422, "Invalid", "an immutable selector", "spec.selector")
    rows = [
        ("application/json-patch+json", '[{"op":"replace","path":"/spec/nothing/there","value":1}]', 422),
        ("application/json-patch+json", '[{"op":"test","path":"/spec/replicas","value":99}]', 422),
        ("application/json-patch+json", '{"op":"add"}', 400),
        ("application/merge-patch+json", "[1]", 400),
        ("application/merge-patch+json", '{"metadata":{"resourceVersion":"1"}}', 409),
        ("application/strategic-merge-patch+json", '{"spec":{"template":{"spec":{"containers":[{"image":"no-name"}]}}}}', None),
        ("application/apply-patch+yaml", "{}", 415),
        ("text/plain", "{}", 415),
    ]
    for media_type, body, code in rows:
        answer = s.call("PATCH", DEPLOYMENTS + "/web", body, {"Content-Type": media_type})
        check(answer.status == code or (code is None and 400 <= answer.status < 500), f"{media_type} {body}: {answer.status} {answer.body[:200]}")
        equal(answer.json()["kind"], "Status", body)
    equal(s.call("GET", DEPLOYMENTS + "/web").json(), newer.json(), "nothing changed")


def test_queries(s):
    for query, code in (("labelSelector=a%3D%3D%3Db", 400), ("labelSelector=a%20in%20(", 400), ("fieldSelector=spec.nothing%3Dx", 400),
                        ("resourceVersion=x", 400), ("resourceVersion=-1", 400), ("continue=x", 400), ("limit=x", 400),
                        ("resourceVersionMatch=Sometimes", 422), ("watch=1&resourceVersion=x", 400)):
        answer = s.call("GET", f"{MAPS}?{query}")
        check(answer.status in (code, 422 if code == 400 else code), f"{query}: {answer.status} {answer.body[:200]}")
        equal(answer.json()["kind"], "Status", query)
    refused(s.call("DELETE", MAPS + "/none"), 404, "NotFound", "deleting what is not there")


if __name__ == "__main__":
    main(globals())
