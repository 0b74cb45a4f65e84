# Shared by all parts of ./dev: settings, output, small helpers.

COXSWAIN_HOME=${COXSWAIN_HOME:-/var/lib/coxswain}
COXSWAIN_PORT=${COXSWAIN_PORT:-6443}
COXSWAIN_PEER_PORT=${COXSWAIN_PEER_PORT:-2380}
BUILD_DIR=${COXSWAIN_BUILD_DIR:-$COXSWAIN_ROOT/build}
# The compiler cache knows a file by its place in the tree, so that every clone profits.
export CCACHE_BASEDIR=$COXSWAIN_ROOT CCACHE_NOHASHDIR=1
STEP=0
STEPS=0

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# stage TEXT: the next numbered stage of a long command.
stage() {
  STEP=$((STEP + 1))
  printf '[%d/%d] %-42s ' "$STEP" "$STEPS" "$1"
}
stage_done() { printf '%s\n' "${1:-ok}"; }

need_root() {
  [ "$(id -u)" = 0 ] || fail "$1 needs root (containers, nftables): run it again with sudo"
}

# wait_for SECONDS COMMAND...: until it succeeds; false when time is up.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.1
  done
}
