// Probes and lifecycle hooks.
#include <algorithm>

#include "libs/api/validation/pod_parts.h"

namespace coxswain::api {
namespace {

bool header_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

void validate_port(const json::Value* port, const std::string& path, FieldErrors& errors) {
  if (port == nullptr) return errors.port(path, 0);
  if (port->type() == json::Type::kInt)
    errors.port(path, port->as_int());
  else if (port->is_string())
    errors.invalid_each(path, *port, check_port_name(port->as_string()));
}

void validate_http(const json::Value& action, const std::string& path, FieldErrors& errors) {
  if (action.get_string("path").empty()) errors.required(path + ".path");
  validate_port(action.find("port"), path + ".port", errors);
  const std::string scheme = action.get_string("scheme");
  if (scheme != "HTTP" && scheme != "HTTPS")
    errors.not_supported(path + ".scheme", scheme, {"HTTP", "HTTPS"});
  for (const json::Value& header : list_at(action, "httpHeaders")) {
    const std::string name = header.get_string("name");
    if (!name.empty() && std::all_of(name.begin(), name.end(), header_char)) continue;
    errors.invalid(path + ".httpHeaders", name,
                   "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
                   "'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
  }
}

void validate_action(const std::string& kind, const json::Value& action, const std::string& path,
                     const PodScope& scope, FieldErrors& errors) {
  if (kind == "exec" && list_at(action, "command").empty()) errors.required(path + ".command");
  if (kind == "tcpSocket") validate_port(action.find("port"), path + ".port", errors);
  if (kind == "grpc") errors.port(path + ".port", action.get_int("port"));
  if (kind == "httpGet") validate_http(action, path, errors);
  if (kind != "sleep" || !scope.grace_period_seconds) return;
  const std::int64_t seconds = action.get_int("seconds");
  if (seconds < 0 || seconds > *scope.grace_period_seconds) {
    errors.invalid(path, static_cast<long>(seconds),
                   "must be non-negative and less than terminationGracePeriodSeconds (" +
                       std::to_string(*scope.grace_period_seconds) + ")");
  }
}

void validate_handler(const json::Value& handler, std::initializer_list<const char*> kinds,
                      const std::string& path, const PodScope& scope, FieldErrors& errors) {
  int count = 0;
  for (const char* kind : kinds) {
    const json::Value* action = object_at(handler, kind);
    if (action == nullptr) continue;
    const std::string at = path + "." + kind;
    if (++count > 1)
      errors.forbidden(at, "may not specify more than 1 handler type");
    else
      validate_action(kind, *action, at, scope, errors);
  }
  if (count == 0) errors.required(path, "must specify a handler type");
}

void validate_probe(const json::Value& container, const std::string& kind, const std::string& path,
                    const PodScope& scope, FieldErrors& errors) {
  const json::Value* probe = object_at(container, kind);
  if (probe == nullptr) return;
  const std::string at = path + "." + kind;
  validate_handler(*probe, {"exec", "httpGet", "tcpSocket", "grpc"}, at, scope, errors);
  for (const char* key :
       {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"}) {
    errors.non_negative(at + "." + key, probe->get_int(key));
  }
  const std::optional<std::int64_t> grace = int_at(*probe, "terminationGracePeriodSeconds");
  if (grace && *grace <= 0) {
    errors.invalid(at + ".terminationGracePeriodSeconds", static_cast<long>(*grace),
                   "must be greater than 0");
  }
  if (kind == "readinessProbe") {
    if (grace) {
      errors.invalid(at + ".terminationGracePeriodSeconds", static_cast<long>(*grace),
                     "must not be set for readinessProbes");
    }
  } else if (const std::int64_t successes = probe->get_int("successThreshold", 1); successes != 1) {
    errors.invalid(at + ".successThreshold", static_cast<long>(successes), "must be 1");
  }
}

}  // namespace

void validate_handlers(const json::Value& container, const std::string& path, const PodScope& scope,
                       FieldErrors& errors) {
  if (const json::Value* lifecycle = object_at(container, "lifecycle")) {
    for (const char* hook : {"postStart", "preStop"}) {
      if (const json::Value* handler = object_at(*lifecycle, hook)) {
        validate_handler(*handler, {"exec", "httpGet", "tcpSocket", "sleep"}, path + ".lifecycle." + hook,
                         scope, errors);
      }
    }
  }
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
    validate_probe(container, probe, path, scope, errors);
}

}  // namespace coxswain::api
