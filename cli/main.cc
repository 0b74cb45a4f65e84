// coxctl: a small kubectl-style client. Flags are parsed here and nowhere else.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <CLI/CLI.hpp>

#include "cli/commands/commands.h"
#include "cli/commands/store.h"
#include "cli/completion.h"
#include "cli/suggest.h"

namespace coxswain::cli {
namespace {

struct AllOptions {
  GlobalOptions global;
  GetOptions get;
  DescribeOptions describe;
  ApplyOptions apply;
  DeleteCommandOptions remove;
  LogsOptions logs;
  ScaleOptions scale;
  StoreOptions store;
  bool client_only = false;
  std::string shell;
  int code = 0;
};

void add_common(CLI::App* command, GlobalOptions& global) {
  command->add_option("-n,--namespace", global.ns, "Namespace (default: the context's, else \"default\")");
  command->add_option("--kubeconfig", global.kubeconfig,
                      "Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)");
}

void add_reading(CLI::App& app, AllOptions& o) {
  CLI::App* get = app.add_subcommand("get", "Show objects as a table, YAML, JSON, names or JSONPath");
  get->add_option("target", o.get.targets, "TYPE [NAME...] or TYPE/NAME...");
  get->add_option("-o,--output", o.get.output, "wide, yaml, json, name or jsonpath=TEMPLATE");
  get->add_option("-l,--selector", o.get.label_selector, "Label selector, for example app=web,tier!=cache");
  get->add_option("--field-selector", o.get.field_selector,
                  "Field selector, for example status.phase=Running");
  get->add_flag("-A,--all-namespaces", o.global.all_namespaces, "All namespaces");
  get->add_flag("-w,--watch", o.get.watch, "Go on and show changes");
  get->add_flag("--no-headers", o.get.no_headers, "No header line");
  get->add_flag("--show-labels", o.get.show_labels, "A column with all labels");
  add_common(get, o.global);
  get->callback([&o] { o.code = run_get(o.global, o.get); });

  CLI::App* describe = app.add_subcommand("describe", "Show objects in full, with their events");
  describe->add_option("target", o.describe.targets, "TYPE [NAME...] or TYPE/NAME...");
  describe->add_option("-l,--selector", o.describe.label_selector, "Label selector");
  describe->add_flag("-A,--all-namespaces", o.global.all_namespaces, "All namespaces");
  add_common(describe, o.global);
  describe->callback([&o] { o.code = run_describe(o.global, o.describe); });

  CLI::App* logs = app.add_subcommand("logs", "Show what a pod's container writes");
  logs->add_option("pod", o.logs.pod, "Pod name")->required();
  logs->add_option("-c,--container", o.logs.container, "Container (needed when there are several)");
  logs->add_flag("-f,--follow", o.logs.follow, "Go on as it writes");
  logs->add_flag("-p,--previous", o.logs.previous, "The container's previous run");
  logs->add_flag("--timestamps", o.logs.timestamps, "A time before every line");
  logs->add_option("--tail", o.logs.tail, "Only the last N lines");
  logs->add_option("--since", o.logs.since, "Only what is younger: 30s, 5m, 2h");
  add_common(logs, o.global);
  logs->callback([&o] { o.code = run_logs(o.global, o.logs); });
}

void add_writing(CLI::App& app, AllOptions& o) {
  CLI::App* apply = app.add_subcommand("apply", "Create or update objects from files");
  apply->add_option("-f,--filename", o.apply.files, "File, folder or - for standard input")->required();
  apply->add_flag("--dry-run", o.apply.dry_run, "Let the server check it, change nothing");
  add_common(apply, o.global);
  apply->callback([&o] { o.code = run_apply(o.global, o.apply); });

  CLI::App* remove = app.add_subcommand("delete", "Delete objects by name, selector or file");
  remove->add_option("target", o.remove.targets, "TYPE [NAME...] or TYPE/NAME...");
  remove->add_option("-f,--filename", o.remove.files, "Objects named in a file, folder or -");
  remove->add_option("-l,--selector", o.remove.label_selector, "Label selector");
  remove->add_flag("--all", o.remove.all, "All objects of the type in the namespace");
  remove->add_flag("--force", o.remove.force, "At once: no graceful termination, no waiting");
  remove->add_flag("--ignore-not-found", o.remove.ignore_not_found, "Missing objects are fine");
  remove->add_option("--grace-period", o.remove.grace_period, "Seconds that a pod gets to stop");
  remove->add_option("--cascade", o.remove.cascade, "background, foreground or orphan");
  remove->add_flag("--wait,!--no-wait", o.remove.wait, "Wait until they are gone (default)");
  remove->add_option("--timeout", o.remove.timeout_s, "Seconds to wait at most");
  add_common(remove, o.global);
  remove->callback([&o] {
    o.code = o.remove.targets.empty() && o.remove.files.empty()
                 ? fail_usage("name what to delete, or give -f FILE")
                 : run_delete(o.global, o.remove);
  });

  CLI::App* scale = app.add_subcommand("scale", "Set the number of replicas");
  scale->add_option("target", o.scale.targets, "TYPE/NAME or TYPE NAME")->required();
  scale->add_option("--replicas", o.scale.replicas, "How many")->required();
  scale->add_option("--current-replicas", o.scale.current_replicas, "Only if there are so many now");
  add_common(scale, o.global);
  scale->callback([&o] { o.code = run_scale(o.global, o.scale); });
}

void add_other(CLI::App& app, AllOptions& o) {
  CLI::App* version = app.add_subcommand("version", "Versions of coxctl and the server");
  version->add_flag("--client", o.client_only, "Ask no server");
  add_common(version, o.global);
  version->callback([&o] { o.code = run_version(o.global, o.client_only); });

  CLI::App* resources = app.add_subcommand("api-resources", "The kinds that the server has");
  add_common(resources, o.global);
  resources->callback([&o] { o.code = run_api_resources(o.global); });

  CLI::App* completion =
      app.add_subcommand("completion", "Print a completion script: source <(coxctl completion bash)");
  completion->add_option("shell", o.shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&o] {
    std::fputs(completion_script(o.shell).c_str(), stdout);
    o.code = 0;
  });
}

// A command below `parent` that asks a server.
CLI::App* add_store_command(CLI::App* parent, AllOptions& o, const char* name, const char* what,
                            const char* examples,
                            int (*run)(const GlobalOptions& global, const StoreOptions& options)) {
  CLI::App* command = parent->add_subcommand(name, what);
  add_common(command, o.global);
  command->footer(examples);
  command->callback([&o, run] { o.code = run(o.global, o.store); });
  return command;
}

void add_store_output(CLI::App* command, AllOptions& o) {
  command->add_option("-o,--output", o.store.output, "json or yaml")->check(CLI::IsMember({"json", "yaml"}));
}

void add_store_members(CLI::App* store, AllOptions& o) {
  CLI::App* member =
      store->add_subcommand("member", "Who is in the group: list, add, promote, replace, remove");
  member->require_subcommand(1);
  CLI::App* list = add_store_command(member, o, "list", "All members, as one of them knows them",
                                     "Example:\n  coxctl store member list", run_member_list);
  add_store_output(list, o);
  CLI::App* add = add_store_command(
      member, o, "add", "Add a member, without a vote at first; prints how to start its api-server",
      "Example:\n  coxctl store member add four --peer-address 10.0.0.4:2380", run_member_add);
  add->add_option("name", o.store.name, "Its name, for people")->required();
  add->add_option("--peer-address", o.store.peer_address, "HOST:PORT where the other members find it")
      ->required();
  CLI::App* promote = add_store_command(member, o, "promote", "Give a member a vote, when it has everything",
                                        "Example:\n  coxctl store member promote 4", run_member_promote);
  CLI::App* remove = add_store_command(member, o, "remove", "Remove a member, for good",
                                       "Example:\n  coxctl store member remove 2\n\nIts id is never given "
                                       "again, and its data directory is of no more use.",
                                       run_member_remove);
  CLI::App* replace = add_store_command(
      member, o, "replace", "Replace a member whose data is lost or damaged by a new one at the same address",
      "Examples:\n  coxctl store member replace 2 --data-dir /var/lib/coxswain\n  coxctl store member "
      "replace 2"
      "\n\nOn the machine of the member, with --data-dir, its api-server is then started with the flags of\n"
      "before. The server that is asked must be one of the others: --kubeconfig.",
      run_member_replace);
  replace->add_option("--data-dir", o.store.data_dir,
                      "Its api-server's, which must not run: put aside, and made anew for the new member");
  for (CLI::App* command : {promote, replace, remove}) {
    command->add_option("id", o.store.member, "The member's id, as `coxctl store member list` shows it")
        ->required()
        ->check(CLI::PositiveNumber);
  }
}

void add_store_snapshots(CLI::App* store, AllOptions& o) {
  CLI::App* snapshot = store->add_subcommand("snapshot", "Backups: save, verify, restore");
  snapshot->require_subcommand(1);
  CLI::App* save = add_store_command(
      snapshot, o, "save", "Save everything as of now, while the cluster goes on; checked while it comes",
      "Example:\n  coxctl store snapshot save /backup/cluster-$(date +%F).snap\n\nIt has all Secrets in it, "
      "and "
      "not the certificates (pki/).",
      run_snapshot_save);
  save->add_flag("--local", o.store.local, "What the asked member has, even without a quorum");
  CLI::App* verify = snapshot->add_subcommand("verify", "Check a file, without any server");
  verify->footer("Example:\n  coxctl store snapshot verify cluster.snap");
  verify->add_option("-o,--output", o.store.output, "json")->check(CLI::IsMember({"json"}));
  verify->callback([&o] { o.code = run_snapshot_verify(o.store); });
  CLI::App* restore =
      snapshot->add_subcommand("restore", "Make a new data directory from a file, without any server");
  restore->footer(
      "Examples:\n"
      "  coxctl store snapshot restore cluster.snap --data-dir /var/lib/coxswain\n"
      "  coxctl store snapshot restore cluster.snap --data-dir D1 --member-id 1 --cluster-id restored-1 \\\n"
      "    --initial-cluster 1=10.0.0.1:2380,2=10.0.0.2:2380,3=10.0.0.3:2380\n\n"
      "The group is a new one: each of its members restores the same file, with its own id and the same\n"
      "--cluster-id and --initial-cluster. pki/ is not in the file: keep it, or copy it back first.");
  for (CLI::App* command : {save, verify, restore})
    command->add_option("file", o.store.file, "The file")->required();
  restore->add_option("--data-dir", o.store.data_dir, "The api-server's; it must not have a store")
      ->required();
  restore->add_option("--member-id", o.store.member_id, "Which member this directory is of")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  restore->add_option("--initial-cluster", o.store.initial_cluster,
                      "All members of the new group: 1=HOST:PORT,2=HOST:PORT (default: this one alone)");
  restore->add_option("--cluster-id", o.store.cluster_id,
                      "The new group's id, the same for all its members (default for one: a random one)");
  restore
      ->add_option("--bump-revision", o.store.bump_revision,
                   "By how much the revision rises: more than the lost cluster wrote after the snapshot")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  restore->callback([&o] { o.code = run_snapshot_restore(o.store); });
}

void add_store(CLI::App& app, AllOptions& o) {
  CLI::App* store = app.add_subcommand("store", "The built-in store: members, backups, health");
  store->require_subcommand(1);
  store->footer(
      "Examples:\n"
      "  coxctl store status\n"
      "  coxctl store snapshot save cluster.snap\n"
      "  coxctl store member add four --peer-address 10.0.0.4:2380\n\n"
      "For the group system:masters. An external etcd has etcdctl for all of this.");
  CLI::App* status =
      add_store_command(store, o, "status", "Every member: role, revision, lag, sizes, health",
                        "Examples:\n  coxctl store status\n  coxctl store status -o json", run_store_status);
  add_store_output(status, o);
  add_store_members(store, o);
  CLI::App* transfer = add_store_command(
      store, o, "transfer-leader", "Let another member lead, before a restart for example",
      "Examples:\n  coxctl store transfer-leader\n  coxctl store transfer-leader 2", run_transfer_leader);
  transfer->add_option("id", o.store.member, "The member that is to lead (default: the one that has most)")
      ->check(CLI::PositiveNumber);
  CLI::App* compact =
      add_store_command(store, o, "compact", "Forget what was superseded up to a revision",
                        "Example:\n  coxctl store compact 123456\n\nOlder versions are forgotten "
                        "by themselves after --history-retention-seconds.",
                        run_store_compact);
  compact->add_option("revision", o.store.revision, "The oldest revision that stays readable")
      ->required()
      ->check(CLI::PositiveNumber);
  CLI::App* hash = add_store_command(
      store, o, "hash", "Compare all members: everything as of one revision; exit code 1 if they differ",
      "Examples:\n  coxctl store hash\n  coxctl store hash --revision 123456", run_store_hash);
  hash->add_option("--revision", o.store.revision, "As of this revision (default: now)")
      ->check(CLI::PositiveNumber);
  add_store_snapshots(store, o);
}

std::vector<std::string> command_names(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

int unknown_command(const std::vector<std::string>& names, const std::string& word) {
  const std::string meant = suggest(word, names);
  return fail_usage("unknown command \"" + word + "\"" +
                    (meant.empty() ? "" : "; did you mean \"" + meant + "\"?") +
                    "\n`coxctl --help` lists the commands");
}

}  // namespace
}  // namespace coxswain::cli

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `coxctl get ... | head` ends quietly
  CLI::App app{"coxctl talks to a Coxswain (or any Kubernetes) API server"};
  app.require_subcommand(1);
  app.set_version_flag("--version", COXSWAIN_VERSION);
  app.footer(
      "Examples:\n"
      "  coxctl get pods -A -o wide\n"
      "  coxctl apply -f app.yaml\n"
      "  coxctl logs web-abc12 -f\n"
      "  coxctl scale deployment/web --replicas=5");
  coxswain::cli::AllOptions options;
  coxswain::cli::add_common(&app, options.global);  // before the command, too, as kubectl takes them
  coxswain::cli::add_reading(app, options);
  coxswain::cli::add_writing(app, options);
  coxswain::cli::add_store(app, options);
  coxswain::cli::add_other(app, options);
  const auto names = coxswain::cli::command_names(app);
  if (argc > 1 && *argv[1] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end())
    return coxswain::cli::unknown_command(names, argv[1]);
  CLI11_PARSE(app, argc, argv);
  return options.code;
}
