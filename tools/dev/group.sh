# Several api-servers on this machine: one group, one port for everybody (SO_REUSEPORT), a port of its own for each.
# The first one's data is that of a cluster with one; the others join it, so that any cluster can grow.

# Their names, one a line: the first one, and a directory for each further one.
api_servers() {
  local i
  say api-server
  for i in {2..9}; do [ ! -d "$COXSWAIN_HOME/api-server-$i" ] || say "api-server-$i"; done
}
api_server_count() { api_servers | wc -l; }

in_group() { [ "$(api_server_count)" -gt 1 ] || [ -f "$COXSWAIN_HOME/store/MEMBER" ]; }

api_server_number() { case "$1" in api-server) printf 1 ;; *) printf '%s' "${1##*-}" ;; esac; }
api_server_dir() { [ "$1" = api-server ] && printf '%s' "$COXSWAIN_HOME" || printf '%s/%s' "$COXSWAIN_HOME" "$1"; }
api_server_port() {
  if in_group; then printf '%s' $((COXSWAIN_PORT + $(api_server_number "$1"))); else printf '%s' "$COXSWAIN_PORT"; fi
}
peer_address() { printf '127.0.0.1:%s' $((COXSWAIN_PEER_PORT + $(api_server_number "$1") - 1)); }

api_server_arguments() { # of NAME, one a line
  printf '%s\n' --data-dir "$(api_server_dir "$1")" --secure-port "$(api_server_port "$1")" --advertise-address "$(node_ip)"
  in_group || return 0
  printf '%s\n' --shared-port "$COXSWAIN_PORT" --peer-bind-address 127.0.0.1 --member-name "$1"
  if [ "$1" = api-server ]; then
    printf '%s\n' --member-id 1 --initial-cluster "1=$(peer_address api-server)"
  else
    cat "$(api_server_dir "$1")/member"
  fi
}

# group_prepare N: room for that many. What is there stays.
group_prepare() {
  local wanted=$1 have i
  have=$(api_server_count)
  [[ $wanted =~ ^[1-9]$ ]] || fail "--api-servers must be a number from 1 to 9, not '$wanted'"
  [ "$wanted" -ge "$have" ] ||
    fail "there are $have api-servers; a member is taken away with 'coxctl store member remove', then its directory deleted"
  for ((i = 2; $(api_server_count) < wanted; i++)); do mkdir -p "$COXSWAIN_HOME/api-server-$i"; done
}

is_member() { [ -f "$(api_server_dir "$1")/store/MEMBER" ]; }

member_id() { coxctl store member list 2>/dev/null | awk -v name="$1" '$2 == name && $3 != "removed" { print $1 }'; }

# group_join NAME: a member of the group that the first one leads or belongs to, before its first start.
group_join() {
  local name=$1 dir id list cluster
  dir=$(api_server_dir "$name")
  [ -f "$dir/member" ] && return
  mkdir -p "$dir/pki"
  chmod 700 "$dir" "$dir/pki"
  cp "$COXSWAIN_HOME/pki/ca.crt" "$COXSWAIN_HOME/pki/ca.key" "$dir/pki/"
  id=$(member_id "$name")
  [ -n "$id" ] || coxctl store member add "$name" --peer-address "$(peer_address "$name")" >/dev/null
  id=$(member_id "$name")
  list=$(coxctl store member list | awk '$3 != "removed" && NR > 1 { print $1 "=" $4 }' | paste -sd,)
  cluster=$(coxctl store status -o yaml | sed -n 's/^clusterId: //p')
  printf '%s\n' --member-id "$id" --initial-cluster "$list" --initial-cluster-state existing --cluster-id "$cluster" \
    >"$dir/member.new"
  mv "$dir/member.new" "$dir/member"
}

why_no_vote() {  # NAME
  if coxctl store member list 2>/dev/null | awk -v name="$1" '$2 == name { role = $3 } END { exit role != "removed" }'; then
    say "$1 was removed from the group, for good: delete $(api_server_dir "$1"), then run ./dev up again"
  else
    say "$1 got no vote; see coxctl store status"
  fi
}

# group_promote NAME: a vote for who has caught up.
group_promote() {
  local id
  id=$(member_id "$1")
  coxctl store member promote "$id"
}
