# Configure and build. Progress is one line on a terminal, a line every 10 s elsewhere.

build_configure() {  # build_configure DIR [cmake options...]
  local dir=$1
  shift
  if [ ! -f "$dir/build.ninja" ] || [ $# -gt 0 ]; then
    cmake -S "$COXSWAIN_ROOT" -B "$dir" -G Ninja "$@" >"$dir.configure.log" 2>&1 || {
      tail -20 "$dir.configure.log" >&2
      fail "cmake could not configure $dir"
    }
  fi
  rm -f "$dir.configure.log"
}

build_run() {  # build_run DIR [targets...]
  local dir=$1 log last=$SECONDS line
  shift
  log=$(mktemp)
  set +e
  # Only ninja's own status lines are progress; everything is kept for the case that it fails.
  NINJA_STATUS='@%f/%t ' ninja -C "$dir" "$@" 2>&1 | tee "$log" | while IFS= read -r line; do
    case "$line" in
      @*)
        line=${line#@}
        if [ -t 1 ]; then
          printf '\r\033[K  compiling %s' "${line:0:100}"
        elif [ $((SECONDS - last)) -ge 10 ]; then
          last=$SECONDS
          printf '  compiling %s\n' "${line%% *}"
        fi
        ;;
    esac
  done
  local status=${PIPESTATUS[0]}
  set -e
  [ -t 1 ] && printf '\r\033[K'
  if [ "$status" != 0 ]; then
    grep -v '^@' "$log" | tail -60 >&2
    rm -f "$log"
    fail "the build failed (above); 'ninja -C $dir' shows all of it"
  fi
  rm -f "$log"
}

build_all() {
  mkdir -p "$BUILD_DIR"
  build_configure "$BUILD_DIR"
  build_run "$BUILD_DIR" "$@"
}
