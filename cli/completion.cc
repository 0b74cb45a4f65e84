#include "cli/completion.h"

namespace coxswain::cli {
namespace {

constexpr const char* kBash = R"SCRIPT(# coxctl completion. Use: source <(coxctl completion bash)
_coxctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} i ns=()
  local commands="get describe apply delete logs scale store version api-resources completion"
  local flags="--namespace --kubeconfig --help"
  COMPREPLY=()
  for ((i = 2; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in -n | --namespace) ns=(-n "${COMP_WORDS[i + 1]}") ;; esac
  done
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    return
  fi
  case "$cur" in
    -*)
      case "$command" in
        get) flags+=" --output --selector --field-selector --all-namespaces --watch --no-headers --show-labels" ;;
        describe) flags+=" --selector --all-namespaces" ;;
        apply) flags+=" --filename --dry-run" ;;
        delete) flags+=" --filename --selector --all --force --ignore-not-found --grace-period --cascade --no-wait --timeout" ;;
        logs) flags+=" --container --follow --previous --timestamps --tail --since" ;;
        scale) flags+=" --replicas --current-replicas" ;;
        store) flags+=" --output --revision --local --peer-address --data-dir --member-id --initial-cluster --cluster-id --bump-revision" ;;
      esac
      COMPREPLY=($(compgen -W "$flags" -- "$cur"))
      return
      ;;
  esac
  case "${COMP_WORDS[COMP_CWORD - 1]}" in
    -n | --namespace)
      COMPREPLY=($(compgen -W "$(coxctl get namespaces -o name 2>/dev/null | sed 's|.*/||')" -- "$cur"))
      return
      ;;
    -f | --filename | --kubeconfig | --data-dir)
      COMPREPLY=($(compgen -f -- "$cur"))
      return
      ;;
  esac
  case "$command" in
    logs) COMPREPLY=($(compgen -W "$(coxctl get pods "${ns[@]}" -o name 2>/dev/null | sed 's|.*/||')" -- "$cur")) ;;
    get | describe | delete | scale)
      if [ "$COMP_CWORD" = 2 ]; then
        COMPREPLY=($(compgen -W "$(coxctl api-resources 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur"))
      else
        COMPREPLY=($(compgen -W "$(coxctl get "${COMP_WORDS[2]}" "${ns[@]}" -o name 2>/dev/null | sed 's|.*/||')" -- "$cur"))
      fi
      ;;
    store)
      case "$COMP_CWORD ${COMP_WORDS[2]}" in
        2*) COMPREPLY=($(compgen -W "status member transfer-leader snapshot compact hash" -- "$cur")) ;;
        "3 member") COMPREPLY=($(compgen -W "list add promote replace remove" -- "$cur")) ;;
        "3 snapshot") COMPREPLY=($(compgen -W "save verify restore" -- "$cur")) ;;
        *snapshot) COMPREPLY=($(compgen -f -- "$cur")) ;;
      esac
      ;;
    completion) COMPREPLY=($(compgen -W "bash zsh" -- "$cur")) ;;
  esac
}
complete -F _coxctl coxctl
)SCRIPT";

}  // namespace

std::string completion_script(std::string_view shell) {
  // zsh runs bash completions through its own compatibility layer.
  const std::string zsh = shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  return zsh + kBash;
}

}  // namespace coxswain::cli
