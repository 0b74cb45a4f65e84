#include "libs/api/meta/names.h"

#include <arpa/inet.h>

#include <algorithm>

#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

bool lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool alnum(char c) { return lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

// Ends satisfy `edge`, the middle also '-'.
bool dns_label_form(std::string_view text) {
  return !text.empty() && lower_alnum(text.front()) && lower_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return lower_alnum(c) || c == '-'; });
}

bool subdomain_form(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    if (!dns_label_form(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool name_part_form(std::string_view text) {
  return !text.empty() && alnum(text.front()) && alnum(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::string at_most(std::size_t limit) { return "must be no more than " + std::to_string(limit) + " bytes"; }

constexpr const char* kLabel =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kSubdomain =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr const char* k1035 =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr const char* kNamePart =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation "
    "is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr const char* kLabelValue =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

}  // namespace

NameErrors check_dns1123_label(std::string_view text) {
  NameErrors errors;
  if (text.size() > 63) errors.push_back(at_most(63));
  // A dotted name is told what it is not, as a subdomain would have been fine.
  if (!dns_label_form(text)) {
    errors.push_back(subdomain_form(text) ? "must not contain dots" : kLabel);
  }
  return errors;
}

NameErrors check_dns1123_subdomain(std::string_view text) {
  NameErrors errors;
  if (text.size() > 253) errors.push_back(at_most(253));
  if (!subdomain_form(text)) errors.emplace_back(kSubdomain);
  return errors;
}

NameErrors check_dns1035_label(std::string_view text) {
  NameErrors errors;
  if (text.size() > 63) errors.push_back(at_most(63));
  if (!dns_label_form(text) || (text.front() >= '0' && text.front() <= '9')) errors.emplace_back(k1035);
  return errors;
}

NameErrors check_path_segment(std::string_view text) {
  if (text == "." || text == "..") return {"may not be '" + std::string(text) + "'"};
  NameErrors errors;
  if (text.find('/') != std::string_view::npos) errors.emplace_back("may not contain '/'");
  if (text.find('%') != std::string_view::npos) errors.emplace_back("may not contain '%'");
  return errors;
}

NameErrors check_qualified_name(std::string_view text) {
  NameErrors errors;
  std::string_view name = text;
  const std::size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    if (text.find('/', slash + 1) != std::string_view::npos) {
      return {std::string("a qualified name ") + kNamePart +
              " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
    }
    const std::string_view prefix = text.substr(0, slash);
    name = text.substr(slash + 1);
    if (prefix.empty()) {
      errors.emplace_back("prefix part must be non-empty");
    } else {
      for (const std::string& error : check_dns1123_subdomain(prefix))
        errors.push_back("prefix part " + error);
    }
  }
  if (name.empty())
    errors.emplace_back("name part must be non-empty");
  else if (name.size() > 63)
    errors.push_back("name part " + at_most(63));
  if (!name_part_form(name)) errors.push_back(std::string("name part ") + kNamePart);
  return errors;
}

NameErrors check_annotation_key(std::string_view text) { return check_qualified_name(to_lower(text)); }

NameErrors check_label_value(std::string_view text) {
  NameErrors errors;
  if (text.size() > 63) errors.push_back(at_most(63));
  if (!text.empty() && !name_part_form(text)) errors.emplace_back(kLabelValue);
  return errors;
}

NameErrors check_env_var_name(std::string_view text) {
  if (text.empty()) return {"environment variable name must not be empty"};
  for (const char c : text) {
    if (c < ' ' || c > '~' || c == '=') {
      return {
          "a valid environment variable name must consist only of printable ASCII characters other "
          "than '='"};
    }
  }
  return {};
}

NameErrors check_config_map_key(std::string_view text) {
  NameErrors errors;
  if (text.size() > 253) errors.push_back(at_most(253));
  if (text.empty() || !std::all_of(text.begin(), text.end(),
                                   [](char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; })) {
    errors.emplace_back(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
        " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
  } else if (text == "." || text == "..") {
    errors.push_back("must not be '" + std::string(text) + "'");
  } else if (text.substr(0, 2) == "..") {
    errors.emplace_back("must not start with '..'");
  }
  return errors;
}

NameErrors check_port_name(std::string_view text) {
  NameErrors errors;
  if (text.size() > 15) errors.emplace_back("must be no more than 15 characters");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return lower_alnum(c) || c == '-'; })) {
    errors.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (!std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; })) {
    errors.emplace_back("must contain at least one letter (a-z)");
  }
  if (text.find("--") != std::string_view::npos) errors.emplace_back("must not contain consecutive hyphens");
  if (!text.empty() && (text.front() == '-' || text.back() == '-')) {
    errors.emplace_back("must not begin or end with a hyphen");
  }
  return errors;
}

NameErrors check_port_number(std::int64_t port) {
  if (port >= 1 && port <= 65535) return {};
  return {"must be between 1 and 65535, inclusive"};
}

bool is_ipv4(std::string_view text) {
  in_addr address{};
  return text.size() <= 15 && inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return text.size() <= 45 && inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

NameErrors check_ip(std::string_view text) {
  if (is_ipv4(text) || is_ipv6(text)) return {};
  return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
}

}  // namespace coxswain::api
