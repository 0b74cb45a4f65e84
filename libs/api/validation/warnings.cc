// What is allowed in a pod, but hardly meant.
#include <map>

#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

using Warnings = std::vector<std::string>;

void warn_of_variables(const json::Value& container, const std::string& path, Warnings& out) {
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const json::Value& variable : list_at(container, "env")) {
    const std::string at = indexed(path + ".env", index++);
    const std::string name = variable.get_string("name");
    if (name.empty() || seen.insert(name).second) continue;
    out.push_back(at + ": hides previous definition of \"" + name +
                  "\", which may be dropped when using apply");
  }
}

void warn_of_ports(const json::Value& container, const std::string& path, Warnings& out) {
  std::map<std::string, std::string> seen;  // what a port is -> where it was first
  std::size_t index = 0;
  for (const json::Value& port : list_at(container, "ports")) {
    const std::string at = indexed(path + ".ports", index++);
    const std::string key = port.get_string("protocol") + "/" + port.get_string("hostIP") + "/" +
                            std::to_string(port.get_int("hostPort")) + "/" +
                            std::to_string(port.get_int("containerPort"));
    const auto [first, fresh] = seen.emplace(key, at);
    if (!fresh) out.push_back(at + ": duplicate port definition with " + first->second);
  }
}

}  // namespace

void pod_spec_warnings(const json::Value& spec, const std::string& path, Warnings& out) {
  for (const char* list : {"initContainers", "containers"}) {
    std::size_t index = 0;
    for (const json::Value& container : list_at(spec, list)) {
      const std::string at = indexed(path + "." + list, index++);
      warn_of_variables(container, at, out);
      warn_of_ports(container, at, out);
    }
  }
  const std::optional<std::int64_t> grace = int_at(spec, "terminationGracePeriodSeconds");
  if (grace && *grace < 0) {
    out.push_back(path +
                  ".terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                  "treated as 1");
  }
}

}  // namespace coxswain::api
