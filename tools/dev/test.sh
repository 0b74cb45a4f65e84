# Tests, sanitizer builds, fuzzing and benchmarks.

test_all() {
  build_all
  ctest --test-dir "$BUILD_DIR" --parallel "$(nproc)" --output-on-failure --no-tests=error "$@"
}

# Unit tests of everything that has threads or parses input, in a build of their own.
test_sanitized() {
  local kind=${1:-} dir build_only=
  case "$kind" in
    address | thread) ;;
    *) fail "usage: ./dev sanitize address|thread [--build | CTEST ARGS]" ;;
  esac
  shift
  [ "${1:-}" != --build ] || build_only=yes
  dir=$COXSWAIN_ROOT/build-sanitize-$kind
  mkdir -p "$dir"
  build_configure "$dir" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1" \
    -DCOXSWAIN_SANITIZE="$kind"
  build_run "$dir" coxswain_unit_tests
  [ -z "$build_only" ] || return 0
  TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 suppressions='$COXSWAIN_ROOT/tools/dev/tsan-suppressions.txt'" \
  ASAN_OPTIONS="detect_stack_use_after_return=1" \
    ctest --test-dir "$dir" --parallel "$(nproc)" --output-on-failure --no-tests=error -L unit --timeout 600 "$@"
}

# Real processes under faults. A machine that cannot do it says so, and that is a failure here: it was asked for.
test_chaos() {
  build_all api-server
  python3 tests/chaos/run.py --api-server "$BUILD_DIR/bin/api-server" "$@"
}

# End-to-end flows: all of them, or those named, on one control plane.
test_e2e() {
  build_all api-server controller-manager scheduler kubelet kube-proxy coxctl
  local code=0
  python3 tests/e2e/run.py "$BUILD_DIR" "$@" || code=$?
  [ "$code" != 77 ] || fail "nothing was run: see above"
  return "$code"
}

test_fuzz() {
  local seconds=${1:-} dir=$COXSWAIN_ROOT/build-fuzz target name
  [[ "$seconds" =~ ^[0-9]+$ ]] || fail "usage: ./dev fuzz SECONDS"
  command -v clang++ >/dev/null || fail "fuzzing needs clang: apt-get install clang libclang-rt-14-dev"
  mkdir -p "$dir"
  build_configure "$dir" -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DCOXSWAIN_FUZZ=ON \
    -DCOXSWAIN_WERROR=OFF -DCMAKE_BUILD_TYPE=Release
  build_run "$dir" coxswain_fuzz_targets
  for target in "$dir"/tests/*_fuzz; do
    name=$(basename "$target")
    say "fuzzing $name for $seconds s"
    mkdir -p "$dir/corpus/$name"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
      -artifact_prefix="$dir/$name-" "$dir/corpus/$name" "tests/fuzz/corpus/$name" 2>&1 | tail -2
    [ "${PIPESTATUS[0]}" = 0 ] || fail "$name found a failing input: see $dir/$name-*"
  done
}

test_bench() {
  [ "${1:-}" != --build ] || { bench_build; return; }
  case "${1:-}" in
    --store) build_all store_bench ;;
    *) build_all ;;
  esac
  case "${1:-}" in
    --group) bench_group "${@:2}" ;;
    --snapshot) python3 tests/bench/big_snapshot.py "$BUILD_DIR" "${@:2}" ;;
    *) tests/bench/run "$BUILD_DIR" "$@" ;;
  esac
}

# Whole processes: three api-servers that lose their leader, one with many watchers.
bench_group() {
  echo "| work | measured | etcd | ratio | goal | |"
  echo "|---|---|---|---|---|---|"
  python3 tests/bench/failover.py "$BUILD_DIR" "$@"
  python3 tests/bench/stuck_watchers.py "$BUILD_DIR" "$@"
}

# A full build from nothing, all programs and tests, without the compiler cache.
bench_build() {
  local dir began=$SECONDS took
  dir=$(mktemp -d)
  CCACHE_DISABLE=1 build_configure "$dir/build"
  CCACHE_DISABLE=1 build_run "$dir/build"
  took=$((SECONDS - began))
  rm -rf "$dir"
  printf '| full build from nothing, %s cores | %d min %d s | - | - | 10 min | %s |\n' "$(nproc)" $((took / 60)) \
    $((took % 60)) "$([ $took -le 600 ] && echo reached || echo missed)"
}
