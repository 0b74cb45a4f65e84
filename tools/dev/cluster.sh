# Starting, stopping and showing the cluster's daemons on this machine.

OTHER_DAEMONS="controller-manager scheduler kubelet kube-proxy"

daemons() { api_servers; printf '%s\n' $OTHER_DAEMONS; }
daemon_binary() { case "$1" in api-server-*) printf api-server ;; *) printf '%s' "$1" ;; esac; }

pid_file() { printf '%s/run/%s.pid' "$COXSWAIN_HOME" "$1"; }

# The pid of a daemon that we started and that still runs; a recycled pid is not taken for it.
daemon_pid() {
  local file pid
  file=$(pid_file "$1")
  [ -f "$file" ] || return 1
  pid=$(cat "$file")
  # By its command line: a linker may rename the old binary when it writes a new one.
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' '\n' | head -1 | sed 's|.*/||')" = "$(daemon_binary "$1")" ] || return 1
  printf '%s' "$pid"
}

daemon_is_stale() { # since the daemon started the binary was rebuilt, or what it should be started with has changed
  local pid
  pid=$(daemon_pid "$1") || return 1
  [[ $(readlink "/proc/$pid/exe") == *"(deleted)" ]] && return
  [ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | tail -n +2)" != "$(daemon_arguments "$1")" ]
}

daemon_spawn() { # daemon_spawn NAME BINARY ARGS...
  local name=$1
  shift
  mkdir -p "$COXSWAIN_HOME/run" "$COXSWAIN_HOME/logs"
  setsid "$@" >>"$COXSWAIN_HOME/logs/$name.log" 2>&1 </dev/null &
  local pid=$!
  printf '%s' "$pid" >"$(pid_file "$name")"
  disown
  # At first it is still a shell, which on a busy machine would be taken for something else.
  until daemon_pid "$name" >/dev/null || pid_gone "$pid"; do sleep 0.01; done
}

daemon_stop() { # daemon_stop NAME: SIGTERM, and SIGKILL after 20 s
  local pid
  pid=$(daemon_pid "$1") || { rm -f "$(pid_file "$1")"; return 0; }
  kill "$pid" 2>/dev/null || true
  wait_for 20 pid_gone "$pid" || kill -9 "$pid" 2>/dev/null || true
  rm -f "$(pid_file "$1")"
}

pid_gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

node_name() { hostname | tr '[:upper:]' '[:lower:]'; }
node_ip() {
  # The address other machines would see; loopback only when there is no other.
  ip -4 -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p' | grep . ||
    ip -4 -o addr show scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p' | head -1 | grep . ||
    printf '127.0.0.1'
}

admin_conf() { printf '%s/kubeconfig/admin.conf' "$COXSWAIN_HOME"; }
coxctl() { KUBECONFIG=$(admin_conf) "$BUILD_DIR/bin/coxctl" "$@"; }

daemon_arguments() { # prints one argument per line
  local conf=$COXSWAIN_HOME/kubeconfig pki=$COXSWAIN_HOME/pki node
  node=$(node_name)
  case "$1" in
    api-server | api-server-*) api_server_arguments "$1" ;;
    controller-manager | scheduler) printf '%s\n' --kubeconfig "$conf/$1.conf" ;;
    kube-proxy) printf '%s\n' --kubeconfig "$conf/kube-proxy.conf" --node-name "$node" --cluster-cidr 10.244.0.0/16 ;;
    kubelet)
      printf '%s\n' --kubeconfig "$conf/kubelet-$node.conf" --node-name "$node" --node-ip "$(node_ip)" \
        --root-dir "$COXSWAIN_HOME/kubelet" --docker-socket "$(docker_socket)" \
        --tls-cert-file "$pki/kubelet-$node.crt" --tls-private-key-file "$pki/kubelet-$node.key" \
        --client-ca-file "$pki/ca.crt"
      ;;
  esac
}

daemon_ready() {
  case "$1" in
    api-server | api-server-*)
      curl -fsS --max-time 5 --cacert "$COXSWAIN_HOME/pki/ca.crt" "https://127.0.0.1:$(api_server_port "$1")/readyz"
      ;;
    scheduler) curl -fsS --max-time 5 http://127.0.0.1:10259/healthz ;;
    controller-manager) curl -fsS --max-time 5 http://127.0.0.1:10257/healthz ;;
    kubelet) [ "$(node_ready)" = True ] ;;
    kube-proxy) curl -fsS --max-time 5 http://127.0.0.1:10256/healthz ;;
  esac
}

node_ready() {
  coxctl get node "$(node_name)" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null
}

# daemon_launch NAME: runs, with today's binary and arguments; says nothing and does not wait.
daemon_launch() {
  local name=$1 arguments
  if daemon_is_stale "$name"; then daemon_stop "$name"; fi
  daemon_pid "$name" >/dev/null && return
  mapfile -t arguments < <(daemon_arguments "$name")
  daemon_spawn "$name" "$BUILD_DIR/bin/$(daemon_binary "$name")" "${arguments[@]}"
}

daemon_start() {
  local name=$1
  if daemon_pid "$name" >/dev/null && ! daemon_is_stale "$name" && daemon_ready "$name" >/dev/null 2>&1; then
    stage_done "running"
    return
  fi
  daemon_launch "$name"
  local started=$SECONDS
  until daemon_ready "$name" >/dev/null 2>&1; do
    if ! daemon_pid "$name" >/dev/null; then
      stage_done "failed"
      tail -3 "$COXSWAIN_HOME/logs/$name.log" >&2
      fail "$name stopped at once; its log is $COXSWAIN_HOME/logs/$name.log"
    fi
    if [ $((SECONDS - started)) -ge 60 ]; then
      stage_done "not ready"
      tail -3 "$COXSWAIN_HOME/logs/$name.log" >&2
      fail "$name was not ready within 60 s; its log is $COXSWAIN_HOME/logs/$name.log"
    fi
    sleep 0.1
  done
  stage_done "ready"
}

cluster_up() {
  need_root "./dev up"
  local name wanted
  case "${1:-}" in
    '') wanted=$(api_server_count) ;;
    --api-servers) wanted=${2:-} ;;
    --api-servers=*) wanted=${1#*=} ;;
    *) fail "unknown option '$1'; usage: ./dev up [--api-servers N]" ;;
  esac
  mkdir -p "$COXSWAIN_HOME/run" "$COXSWAIN_HOME/logs"
  chmod 700 "$COXSWAIN_HOME"
  group_prepare "$wanted"
  STEPS=$((8 + wanted))
  stage "packages"
  if [ -n "$(packages_missing)" ]; then packages_install; else stage_done; fi
  stage "build"
  say ""
  local since=$SECONDS
  build_all
  say "  built in $((SECONDS - since)) s"
  stage "container runtime"
  docker_start
  stage_done "$(docker_socket)"
  # Members wait for each other: none is waited for before all of them run.
  if [ "$(api_server_count)" -gt 1 ]; then
    for name in $(api_servers); do
      if is_member "$name" && ! daemon_pid "$name" >/dev/null; then daemon_launch "$name"; fi
    done
  fi
  for name in $(daemons); do
    stage "$name"
    case "$name" in api-server-*) group_join "$name" ;; esac
    daemon_start "$name"
    case "$name" in api-server-*) wait_for 60 group_promote "$name" || fail "$(why_no_vote "$name")" ;; esac
  done
  stage "example: guestbook"
  example_up
  cluster_summary
}

cluster_summary() {
  cat <<TEXT

The cluster is up.
  kubeconfig   $(admin_conf)
  example      $(example_url)

Try:
  export KUBECONFIG=$(admin_conf)
  curl $(example_url)
  kubectl get pods -A -o wide
  kubectl -n guestbook scale deployment/frontend --replicas=5
  kubectl -n guestbook logs -l app=frontend --tail=5
  kubectl -n guestbook delete pod -l app=frontend
(no kubectl? $BUILD_DIR/bin/coxctl knows get, describe, apply, delete, logs and scale)
TEXT
}

cluster_down() {
  need_root "./dev down"
  local purge=no name socket
  case "${1:-}" in
    '') ;;
    --purge) purge=yes ;;
    *) fail "unknown option '$1'; usage: ./dev down [--purge]" ;;
  esac
  for name in kubelet kube-proxy scheduler controller-manager $(api_servers | sort -r); do
    daemon_stop "$name"
    say "stopped $name"
  done
  if socket=$(docker_socket); then
    "$COXSWAIN_ROOT/tools/dev/remove-pods" "$socket"
  fi
  [ -x "$BUILD_DIR/bin/kube-proxy" ] && "$BUILD_DIR/bin/kube-proxy" --cleanup >/dev/null 2>&1 || true
  local table
  for table in $(nft list tables ip 2>/dev/null | sed -n 's/^table ip \(coxswain[a-z-]*\)$/\1/p'); do
    nft delete table ip "$table"
  done
  daemon_stop dockerd
  cluster_unmount
  if [ "$purge" = yes ]; then
    # Only what is ours: a mistyped COXSWAIN_HOME must not cost anyone their files.
    [ -d "$COXSWAIN_HOME/run" ] || [ ! -e "$COXSWAIN_HOME" ] ||
      fail "$COXSWAIN_HOME has no cluster in it; nothing was removed"
    rm -rf "$COXSWAIN_HOME"
    say "removed $COXSWAIN_HOME"
  else
    say "data kept in $COXSWAIN_HOME (remove it with: ./dev down --purge)"
  fi
}

# tmpfs volumes of pods stay mounted when the kubelet is stopped.
cluster_unmount() {
  local mount
  awk -v root="$COXSWAIN_HOME/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r |
    while read -r mount; do umount "$mount" 2>/dev/null || umount -l "$mount" || true; done
}

cluster_status() {
  local name pid state
  printf '%-20s %-9s %-10s %s\n' DAEMON PID STATE MEMORY
  for name in $(daemons) dockerd; do
    if pid=$(daemon_pid "$name"); then
      state=running
      [ "$name" = dockerd ] || daemon_ready "$name" >/dev/null 2>&1 && state=ready
      printf '%-20s %-9s %-10s %s\n' "$name" "$pid" "$state" \
        "$(awk '/^VmRSS/ { printf "%d MiB", $2 / 1024 }' "/proc/$pid/status")"
    elif [ "$name" != dockerd ]; then
      printf '%-20s %-9s %-10s %s\n' "$name" - stopped -
    fi
  done
  if coxctl get nodes >/dev/null 2>&1; then
    in_group && { say ""; coxctl store status; }
    say ""
    coxctl get nodes
    say ""
    coxctl get pods -A
  else
    say "the cluster is not running: start it with ./dev up"
    return 1
  fi
}

cluster_logs() {
  local name=${1:-}
  [ -n "$name" ] || fail "usage: ./dev logs DAEMON [-f]   (one of: $(daemons | paste -sd" ") dockerd)"
  [ -f "$COXSWAIN_HOME/logs/$name.log" ] || fail "there is no log of '$name'; daemons: $(daemons | paste -sd" ") dockerd"
  if [ "${2:-}" = -f ]; then
    tail -n 100 -f "$COXSWAIN_HOME/logs/$name.log"
  else
    tail -n 200 "$COXSWAIN_HOME/logs/$name.log"
  fi
}

cluster_kubectl() {
  if command -v kubectl >/dev/null; then
    KUBECONFIG=$(admin_conf) kubectl "$@"
  else
    coxctl "$@"
  fi
}
