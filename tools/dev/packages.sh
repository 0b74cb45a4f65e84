# Installs the Debian packages that are missing; nothing when all are there. PACKAGE_LISTS may name more
# lists than the common one.

packages_missing() {
  local name
  # shellcheck disable=SC2086
  while read -r name _; do
    case "$name" in
      '' | '#'*) continue ;;
      *'|'*) # PACKAGE|COMMAND: only where the command is not there already
        command -v "${name#*|}" >/dev/null && continue
        name=${name%|*}
        ;;
    esac
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$name"
  done < <(cat tools/dev/packages-build.txt tools/dev/packages.txt ${PACKAGE_LISTS:-})
}

packages_install() {
  local missing log
  missing=$(packages_missing)
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || fail "packages are missing; run as root: apt-get install $(echo $missing)"
  log=$(mktemp)
  printf 'installing %d packages ... ' "$(wc -l <<<"$missing")"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086
  if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    fail "apt-get could not install the packages above (full log: $log)"
  fi
  rm -f "$log"
  say "ok"
}
