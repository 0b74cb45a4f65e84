# The guestbook example: its image, its objects, and a look at its answer.

GUESTBOOK_IMAGE=coxswain/guestbook:1

# busybox_rootfs DIR: a root file system with nothing but Debian's static busybox.
busybox_rootfs() {
  mkdir -p "$1"/{bin,etc,tmp,data,dev,proc,sys,root}
  cp /bin/busybox "$1/bin/busybox"
  local applet
  for applet in $("$1/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -sf busybox "$1/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
  chmod 1777 "$1/tmp"
}

example_image() {
  docker_has_image "$GUESTBOOK_IMAGE" && return 0
  local rootfs
  rootfs=$(mktemp -d)
  busybox_rootfs "$rootfs"
  cp -a examples/guestbook/image/app "$rootfs/"
  docker_import_image "$GUESTBOOK_IMAGE" '["/app/frontend"]' "$rootfs"
  rm -rf "$rootfs"
}

example_url() { printf 'http://%s:30080/cgi-bin/guestbook' "$(node_ip)"; }
example_answers() { curl -fsS --max-time 3 "$(example_url)" | grep -q 'served by'; }

example_up() {
  example_image
  local output
  output=$(coxctl apply -f examples/guestbook/guestbook.yaml 2>&1) ||
    fail "could not apply examples/guestbook/guestbook.yaml: $output"
  if wait_for 60 example_answers; then
    stage_done "answers at $(example_url)"
  else
    stage_done "no answer"
    coxctl get pods -n guestbook >&2 || true
    fail "the example does not answer at $(example_url); see the pods above, and ./dev logs kubelet"
  fi
}
