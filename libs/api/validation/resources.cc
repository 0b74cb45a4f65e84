// Requests and limits: names, amounts, and which may exceed which.
#include "libs/api/meta/quantity.h"
#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

bool starts_with(const std::string& text, std::string_view prefix) { return text.rfind(prefix, 0) == 0; }
bool huge_pages(const std::string& name) { return starts_with(name, "hugepages-"); }
bool qualified(const std::string& name) { return name.find('/') != std::string::npos; }
// Kubernetes' own: no prefix, or one of kubernetes.io's.
bool native(const std::string& name) {
  return !qualified(name) || name.find("kubernetes.io/") != std::string::npos;
}
bool extended(const std::string& name) {
  return !native(name) && !starts_with(name, "requests.") && check_qualified_name("requests." + name).empty();
}
bool overcommit_allowed(const std::string& name) { return native(name) && !huge_pages(name); }

bool for_containers(const std::string& name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage" || huge_pages(name);
}
bool standard(const std::string& name) {
  for (const char* other :
       {"storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
        "persistentvolumeclaims", "services.nodeports", "services.loadbalancers", "requests.cpu",
        "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
        "limits.ephemeral-storage"}) {
    if (name == other) return true;
  }
  return for_containers(name) || starts_with(name, "requests.hugepages-");
}

void validate_name(const std::string& name, const std::string& path, FieldErrors& errors) {
  const NameErrors wrong = check_qualified_name(name);
  errors.invalid_each(path, name, wrong);
  if (!qualified(name)) {
    if (wrong.empty() && !standard(name))
      errors.invalid(path, name, "must be a standard resource type or fully qualified");
    if (!for_containers(name)) errors.invalid(path, name, "must be a standard resource for containers");
  } else if (!native(name) && !extended(name)) {
    errors.invalid(path, name, "doesn't follow extended resource name standard");
  }
}

Result<Quantity> parse(const json::Value& value) {
  return Quantity::parse(value.is_string() ? value.as_string() : json::write(value));
}

void validate_pages(const std::string& name, const Quantity& amount, const std::string& path,
                    FieldErrors& errors) {
  if (!huge_pages(name)) return;
  const auto page = Quantity::parse(name.substr(std::string_view("hugepages-").size()));
  if (page.ok() && page->value() > 0 && amount.value() % page->value() == 0) return;
  errors.invalid(path, amount.to_string(),
                 amount.to_string() + " is not positive integer multiple of " + name);
}

void validate_amounts(const json::Value* amounts, const std::string& path, FieldErrors& errors) {
  if (amounts == nullptr || !amounts->is_object()) return;
  for (const json::Member& amount : amounts->as_object()) {
    const std::string at = keyed(path, amount.first);
    validate_name(amount.first, at, errors);
    validate_quantity(amount.first, amount.second, at, errors);
    if (const auto quantity = parse(amount.second); quantity.ok())
      validate_pages(amount.first, *quantity, at, errors);
  }
}

// What is asked for must fit the limit; what cannot be shared must equal it.
void compare(const json::Value* requests, const json::Value* limits, const std::string& path,
             FieldErrors& errors) {
  if (requests == nullptr || !requests->is_object()) return;
  std::map<std::string_view, const json::Value*> by_name;
  if (limits != nullptr && limits->is_object()) {
    for (const json::Member& limit : limits->as_object()) by_name.emplace(limit.first, &limit.second);
  }
  for (const json::Member& request : requests->as_object()) {
    const std::string& name = request.first;
    const auto found = by_name.find(name);
    const json::Value* limit = found == by_name.end() ? nullptr : found->second;
    if (limit == nullptr) {
      if (!overcommit_allowed(name))
        errors.required(path + ".limits", "Limit must be set for non overcommitable resources");
      continue;
    }
    const auto wanted = parse(request.second);
    const auto most = parse(*limit);
    if (!wanted.ok() || !most.ok()) continue;
    if (!overcommit_allowed(name) && !(*wanted == *most)) {
      errors.invalid(path + ".requests", wanted->to_string(),
                     "must be equal to " + name + " limit of " + most->to_string());
    } else if (*wanted > *most) {
      errors.invalid(path + ".requests", wanted->to_string(),
                     "must be less than or equal to " + name + " limit of " + most->to_string());
    }
  }
}

void count_kinds(const json::Value* amounts, bool& compute, bool& pages) {
  if (amounts == nullptr || !amounts->is_object()) return;
  for (const json::Member& amount : amounts->as_object()) {
    compute = compute || amount.first == "cpu" || amount.first == "memory";
    pages = pages || huge_pages(amount.first);
  }
}

void validate_claims(const json::Value& resources, const std::string& path,
                     const std::set<std::string>& claims, FieldErrors& errors) {
  std::set<std::string> seen;
  std::size_t index = 0;
  for (const json::Value& claim : list_at(resources, "claims")) {
    const std::string at = indexed(path + ".claims", index++);
    const std::string name = claim.get_string("name");
    const std::string request = claim.get_string("request");
    if (name.empty()) {
      errors.required(at);
      continue;
    }
    if (!request.empty()) errors.invalid_each(at + ".request", request, check_dns1123_label(request));
    const std::string key = request.empty() ? name : name + "/" + request;
    if (seen.count(name) != 0 || !seen.insert(key).second) errors.duplicate(at, key);
    if (claims.count(name) == 0) errors.not_found(at, name);
  }
}

}  // namespace

void validate_quantity(const std::string& resource, const json::Value& value, const std::string& path,
                       FieldErrors& errors) {
  const auto quantity = parse(value);
  if (!quantity.ok()) return errors.invalid(path, value, quantity.error().message);
  if (quantity->sign() < 0) errors.invalid(path, quantity->to_string(), "must be greater than or equal to 0");
  if ((resource == "pods" || extended(resource)) && !quantity->is_whole())
    errors.invalid(path, quantity->to_string(), "must be an integer");
}

void validate_resources(const json::Value& resources, const std::string& path,
                        const std::set<std::string>& claims, FieldErrors& errors) {
  const json::Value* limits = resources.find("limits");
  const json::Value* requests = resources.find("requests");
  validate_amounts(limits, path + ".limits", errors);
  validate_amounts(requests, path + ".requests", errors);
  compare(requests, limits, path, errors);
  bool compute = false;
  bool pages = false;
  count_kinds(limits, compute, pages);
  count_kinds(requests, compute, pages);
  if (pages && !compute) errors.forbidden(path, "HugePages require cpu or memory");
  validate_claims(resources, path, claims, errors);
}

}  // namespace coxswain::api
