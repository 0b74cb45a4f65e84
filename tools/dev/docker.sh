# The container runtime: a dockerd that runs already, or one of our own.

docker_socket() {
  local socket
  # Who names one gets that one or an error.
  for socket in ${COXSWAIN_DOCKER:-"$COXSWAIN_HOME/run/docker.sock" /var/run/docker.sock}; do
    docker_answers "$socket" && { printf '%s' "$socket"; return; }
  done
  return 1
}

docker_answers() {
  [ -S "$1" ] && curl -fsS --max-time 5 --unix-socket "$1" http://localhost/_ping >/dev/null 2>&1
}

# It answers, or it has given up.
docker_settled() { docker_answers "$1" || ! daemon_pid dockerd >/dev/null; }

docker_start() {
  docker_socket >/dev/null && return 0
  [ -z "${COXSWAIN_DOCKER:-}" ] || fail "no Docker answers at $COXSWAIN_DOCKER: start it, or unset COXSWAIN_DOCKER"
  command -v dockerd >/dev/null || fail "dockerd is not installed: apt-get install docker.io"
  local run=$COXSWAIN_HOME/run file old
  # One that was killed a moment ago, or its containerd, may still be dying: dockerd takes their pid files
  # for running ones and gives up.
  for file in "$run/dockerd-own.pid" "$run/docker/containerd/containerd.pid"; do
    old=$(cat "$file" 2>/dev/null || true)
    if [ -n "$old" ] && wait_for 10 pid_gone "$old"; then rm -f "$file"; fi
  done
  daemon_spawn dockerd "$(command -v dockerd)" --data-root "$COXSWAIN_HOME/docker" \
    --exec-root "$run/docker" --pidfile "$run/dockerd-own.pid" --host "unix://$run/docker.sock" \
    --live-restore
  wait_for 60 docker_settled "$run/docker.sock" || true
  docker_answers "$run/docker.sock" || {
    tail -5 "$COXSWAIN_HOME/logs/dockerd.log" >&2
    fail "dockerd did not come up; see $COXSWAIN_HOME/logs/dockerd.log"
  }
}

docker_api() {  # docker_api METHOD PATH [curl options...]
  local method=$1 path=$2
  shift 2
  curl -fsS --unix-socket "$(docker_socket)" -X "$method" "$@" "http://localhost/v1.41$path"
}

docker_has_image() { docker_api GET "/images/$1/json" >/dev/null 2>&1; }

# docker_import_image NAME CMD ROOTFS_DIR: an image from a folder, without a registry.
docker_import_image() {
  local change
  change=$(printf 'CMD %s' "$2" | python3 -c 'import sys,urllib.parse;print(urllib.parse.quote(sys.stdin.read()))')
  tar -C "$3" --numeric-owner --owner=0 --group=0 -cf - . |
    docker_api POST "/images/create?fromSrc=-&repo=${1%:*}&tag=${1##*:}&changes=$change" \
      -H 'Content-Type: application/x-tar' -T - >/dev/null
}
