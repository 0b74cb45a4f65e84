// Rules of metadata that every kind shares: names, labels, annotations, finalizers.
#include <algorithm>

#include "libs/registry/library.h"

namespace coxswain::registry::library {
namespace {

bool lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool alnum(char c) { return lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

bool dns_label(std::string_view text, bool must_start_alpha) {
  if (text.empty() || text.size() > 63) return false;
  if (must_start_alpha && !(text.front() >= 'a' && text.front() <= 'z')) return false;
  if (!lower_alnum(text.front()) || !lower_alnum(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return lower_alnum(c) || c == '-'; });
}

bool dns_subdomain(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  while (true) {
    const std::size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || !lower_alnum(label.front()) || !lower_alnum(label.back()) ||
        !std::all_of(label.begin(), label.end(), [](char c) { return lower_alnum(c) || c == '-'; })) {
      return false;
    }
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

std::string name_error(NameRule rule, std::string_view name) {
  switch (rule) {
    case NameRule::kDnsSubdomain:
      if (dns_subdomain(name)) return {};
      return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
             "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
             "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    case NameRule::kDnsLabel:
      if (dns_label(name, false)) return {};
      return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
             "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
             "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    case NameRule::kDns1035Label:
      if (dns_label(name, true)) return {};
      return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
             "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
             "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    case NameRule::kPathSegment:
      if (name == "." || name == "..") return "may not be '" + std::string(name) + "'";
      if (name.find('/') != std::string_view::npos) return "may not contain '/'";
      if (name.find('%') != std::string_view::npos) return "may not contain '%'";
      return {};
  }
  return {};
}

bool qualified_name(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash != std::string_view::npos) {
    std::string prefix(key.substr(0, slash));
    if (!dns_subdomain(prefix)) return false;
    key.remove_prefix(slash + 1);
  }
  return !key.empty() && key.size() <= 63 && alnum(key.front()) && alnum(key.back()) &&
         std::all_of(key.begin(), key.end(), [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

constexpr const char* kQualifiedName =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr const char* kLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

void check_labels(const json::Value& labels, Causes& out) {
  if (!labels.is_object()) return;
  for (const json::Member& label : labels.as_object()) {
    if (!qualified_name(label.first)) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + label.first + "\": " + kQualifiedName, "metadata.labels"});
    }
    if (!label.second.is_string()) continue;
    const std::string& value = label.second.as_string();
    if (value.size() > 63) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + value + "\": must be no more than 63 characters", "metadata.labels"});
    } else if (!value.empty() && !qualified_name("x/" + value)) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + value + "\": " + kLabelValue, "metadata.labels"});
    }
  }
}

void check_annotations(const json::Value& annotations, Causes& out) {
  if (!annotations.is_object()) return;
  std::size_t total = 0;
  for (const json::Member& annotation : annotations.as_object()) {
    total += annotation.first.size();
    if (annotation.second.is_string()) total += annotation.second.as_string().size();
    if (!qualified_name(lower(annotation.first))) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + annotation.first + "\": " + kQualifiedName, "metadata.annotations"});
    }
  }
  if (total > 256 * 1024) {
    out.push_back({"FieldValueTooLong", "Too long: may not be more than 262144 bytes", "metadata.annotations"});
  }
}

void check_owners(const json::Value& owners, Causes& out) {
  if (!owners.is_array()) return;
  std::size_t index = 0;
  int controllers = 0;
  for (const json::Value& owner : owners.as_array()) {
    const std::string at = "metadata.ownerReferences[" + std::to_string(index++) + "]";
    for (const char* key : {"apiVersion", "kind", "name", "uid"}) {
      if (owner.get_string(key).empty()) {
        out.push_back({"FieldValueInvalid", "Invalid value: \"\": must not be empty", at + "." + key});
      }
    }
    controllers += owner.get_bool("controller") ? 1 : 0;
  }
  if (controllers > 1) {
    out.push_back({"FieldValueInvalid", "Invalid value: Only one reference can have Controller set to true", "metadata.ownerReferences"});
  }
}

}  // namespace

void check_metadata(const api::schema::Resource& resource, const Strategy& strategy, const json::Value& object,
                    Causes& out) {
  (void)resource;
  const json::Value* metadata = object.find("metadata");
  const std::string name = metadata == nullptr ? "" : metadata->get_string("name");
  if (name.empty()) {
    out.push_back({"FieldValueRequired", "Required value: name or generateName is required", "metadata.name"});
    return;
  }
  if (std::string error = name_error(strategy.name_rule, name); !error.empty()) {
    out.push_back({"FieldValueInvalid", "Invalid value: \"" + name + "\": " + error, "metadata.name"});
  }
  if (const json::Value* labels = metadata->find("labels")) check_labels(*labels, out);
  if (const json::Value* annotations = metadata->find("annotations")) check_annotations(*annotations, out);
  if (const json::Value* owners = metadata->find("ownerReferences")) check_owners(*owners, out);
  const json::Value* finalizers = metadata->find("finalizers");
  if (finalizers == nullptr || !finalizers->is_array()) return;
  for (const json::Value& finalizer : finalizers->as_array()) {
    if (finalizer.is_string() && !qualified_name(finalizer.as_string())) {
      out.push_back({"FieldValueInvalid", "Invalid value: \"" + finalizer.as_string() + "\": " + kQualifiedName, "metadata.finalizers"});
    }
  }
}

}  // namespace coxswain::registry::library
