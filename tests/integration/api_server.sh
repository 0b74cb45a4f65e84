#!/usr/bin/env bash
# The real api-server process with the real kubectl and curl: answers, bad input on the wire, and
# kill -9 under write load (no acknowledged write lost, no revision reused, watches resume).
#   api_server.sh PATH-OF-API-SERVER [KILLS]
set -u
server=$1
kills=${2:-50}
dir=$(mktemp -d)
pid=
failures=0

start() {
  rm -f "$dir/port.new"
  "$server" --data-dir "$dir/data" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
    --secure-port "${port:-0}" --port-file "$dir/port.new" --log-level warning 2>>"$dir/log" &
  pid=$!
  for _ in $(seq 200); do
    [ -s "$dir/port.new" ] && break
    sleep 0.02
  done
  port=$(cat "$dir/port.new") || { cat "$dir/log"; exit 1; }
}
stop_all() {
  [ -n "$pid" ] && kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
  [ -n "${writer:-}" ] && kill "$writer" 2>/dev/null
  rm -rf "$dir"
}
trap stop_all EXIT
check() {  # check WHAT WANTED GOT
  if [ "$2" = "$3" ]; then return; fi
  echo "FAIL: $1: wanted '$2', got '$3'"
  failures=$((failures + 1))
}

start
export KUBECONFIG=$dir/data/kubeconfig/admin.conf
pki=$dir/data/pki
base=https://127.0.0.1:$port
api() { curl -sS --max-time 20 --cacert "$pki/ca.crt" --cert "$pki/admin-client.crt" --key "$pki/admin-client.key" "$@"; }
code() { api -o /dev/null -w '%{http_code}' "$@"; }

# --- answers -------------------------------------------------------------------------------------
check "version" v1.36.0 "$(kubectl version -o json 2>/dev/null | jq -r .serverVersion.gitVersion | cut -d+ -f1)"
check "namespaces" "default kube-node-lease kube-public kube-system" "$(kubectl get ns -o name | cut -d/ -f2 | xargs)"
check "readyz" ok "$(api "$base/readyz")"
check "anonymous" 401 "$(curl -sS -k -o /dev/null -w '%{http_code}' "$base/api/v1/pods")"
# By hand: kubectl before 1.27 has no `auth whoami`.
whoami='{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
check "whoami" kubernetes-admin "$(api -H 'Content-Type: application/json' -d "$whoami" \
  "$base/apis/authentication.k8s.io/v1/selfsubjectreviews" | jq -r .status.userInfo.username)"
check "apply" "configmap/a created" "$(printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n' | kubectl apply -f -)"
check "apply again" "configmap/a unchanged" "$(printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n' | kubectl apply -f -)"
check "jsonpath" v "$(kubectl get cm a -o jsonpath='{.data.k}')"
check "protobuf body" "deployment.apps/web created" "$(kubectl create deployment web --image=i:1)"
check "scale" "deployment.apps/web scaled" "$(kubectl scale deployment web --replicas=4)"
check "yaml in, yaml out" 201 "$(printf 'metadata: {name: y}\n' | code -H 'Content-Type: application/yaml' -H 'Accept: application/yaml' --data-binary @- "$base/api/v1/namespaces/default/configmaps")"
check "delete" 'configmap "a" deleted' "$(kubectl delete cm a)"

# --- bad input on the wire -----------------------------------------------------------------------
maps=$base/api/v1/namespaces/default/configmaps
json='Content-Type: application/json'
check "malformed JSON" 400 "$(code -H "$json" -d '{' "$maps")"
check "malformed YAML" 400 "$(code -H 'Content-Type: application/yaml' -d 'a: [' "$maps")"
check "alias bomb" 400 "$({ echo 'a0: &a0 [x,x,x,x,x,x,x,x,x,x]'; for i in $(seq 9); do p=$((i-1)); echo "a$i: &a$i [*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p,*a$p]"; done; } | code -H 'Content-Type: application/yaml' --data-binary @- "$maps")"
check "nesting bomb" 400 "$(head -c 100000 /dev/zero | tr '\0' '[' | code -H "$json" --data-binary @- "$maps")"
check "too large" 413 "$(head -c 4000000 /dev/zero | code -H "$json" -H 'Expect:' --data-binary @- "$maps")"
check "unknown media type" 415 "$(code -H 'Content-Type: text/html' -d '{}' "$maps")"
check "not acceptable" 406 "$(code -H 'Accept: image/png' "$maps")"
check "unknown path" 404 "$(code "$base/apis/none/v1/things")"
check "unknown path is a Status" Status "$(api "$base/nothing" | jq -r .kind)"
check "bad name" 422 "$(code -H "$json" -d '{"metadata":{"name":"A_B"}}' "$maps")"
check "strict" 400 "$(code -H "$json" -d '{"metadata":{"name":"s"},"x":1}' "$maps?fieldValidation=Strict")"
check "expired watch" 410 "$(api "$maps?watch=1&resourceVersion=1&timeoutSeconds=1" | jq -rs '.[0].object.code // 410' | head -1)"
check "bad continue" 400 "$(code "$maps?continue=x")"
check "nothing stored" 1 "$(kubectl get cm -o name | wc -l)"   # y only
check "port in use" 1 "$("$server" --data-dir "$dir/other" --bind-address 127.0.0.1 --secure-port "$port" >/dev/null 2>"$dir/inuse"; echo $?)"
check "port in use says so in one line" 1 "$(wc -l <"$dir/inuse")"

# --- kill -9 under write load --------------------------------------------------------------------
cat >"$dir/writer.py" <<'PY'
import http.client, json, ssl, sys, time
port, pki, acked = int(sys.argv[1]), sys.argv[2], open(sys.argv[3], "w", buffering=1)
context = ssl.create_default_context(cafile=pki + "/ca.crt")
context.load_cert_chain(pki + "/admin-client.crt", pki + "/admin-client.key")
connection, n = None, 0
while True:
    try:
        if connection is None:
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
        n += 1
        body = json.dumps({"metadata": {"name": "w%d" % n}, "data": {"n": str(n)}})
        connection.request("POST", "/api/v1/namespaces/default/configmaps", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status == 201:
            acked.write("w%d %s\n" % (n, json.loads(text)["metadata"]["resourceVersion"]))
    except Exception:
        if connection is not None:
            connection.close()
        connection = None
        time.sleep(0.01)
PY
python3 "$dir/writer.py" "$port" "$pki" "$dir/acked" &
writer=$!
for i in $(seq "$kills"); do
  sleep 0.15
  kill -9 "$pid"
  wait "$pid" 2>/dev/null
  start
done
sleep 0.2
kill "$writer"; wait "$writer" 2>/dev/null; writer=
sleep 0.3
api "$maps" | jq -r '.items[] | select(.metadata.name | startswith("w")) | "\(.metadata.name) \(.metadata.resourceVersion)"' | sort >"$dir/stored"
sort "$dir/acked" >"$dir/acked.sorted"
check "acknowledged writes lost over $kills kills" 0 "$(comm -23 "$dir/acked.sorted" "$dir/stored" | wc -l)"
check "revisions used twice" 0 "$(awk '{print $2}' "$dir/stored" | sort | uniq -d | wc -l)"
echo "kill -9 x$kills: $(wc -l <"$dir/acked") acknowledged writes, $(wc -l <"$dir/stored") stored"

# A watch resumes from before the last kill and sees each change once, in order.
middle=$(sort -k2 -n "$dir/stored" | tail -20 | head -1 | cut -d' ' -f2)
wanted=$(awk -v m="$middle" '$2 > m' "$dir/stored" | wc -l)
check "watch resumes after kill -9" "$wanted" "$(api "$maps?watch=1&resourceVersion=$middle&timeoutSeconds=1" | jq -r 'select(.type=="ADDED").object.metadata.name' | sort -u | wc -l)"

kill "$pid"; wait "$pid"
check "graceful stop" 0 "$?"
pid=
[ "$failures" = 0 ] && echo "all passed"
exit "$failures"
