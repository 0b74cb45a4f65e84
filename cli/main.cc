// coxctl: a small kubectl-style client. Flags are parsed here and nowhere else.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <string>
#include <CLI/CLI.hpp>

#include "cli/commands/commands.h"
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
  coxswain::cli::add_other(app, options);
  const auto names = coxswain::cli::command_names(app);
  if (argc > 1 && *argv[1] != '-' && std::find(names.begin(), names.end(), argv[1]) == names.end())
    return coxswain::cli::unknown_command(names, argv[1]);
  CLI11_PARSE(app, argc, argv);
  return options.code;
}
