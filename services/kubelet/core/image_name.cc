#include "services/kubelet/core/image_name.h"

#include <algorithm>
#include <cstddef>

namespace coxswain::kubelet {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxTag = 128;
constexpr const char* kFormat = "invalid reference format";

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_lower(c) || is_upper(c) || is_digit(c) || c == '_'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

template <typename Each>
bool all_parts(std::string_view text, char separator, const Each& good) {
  for (;;) {
    const std::size_t at = text.find(separator);
    if (!good(text.substr(0, at))) return false;
    if (at == std::string_view::npos) return true;
    text.remove_prefix(at + 1);
  }
}

// Letters and digits, with one '.', one or two '_' or any number of '-' between them.
bool good_path_part(std::string_view part) {
  const auto plain = [](char c) { return is_lower(c) || is_digit(c); };
  if (part.empty() || !plain(part.front()) || !plain(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (plain(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (part[end] == part[i]) ++end;  // ends at a plain character at the latest
    const std::size_t run = end - i;
    const bool good = (part[i] == '.' && run == 1) || (part[i] == '_' && run <= 2) || part[i] == '-';
    if (!good || !plain(part[end])) return false;
    i = end;
  }
  return true;
}

bool good_domain(std::string_view domain) {
  std::string_view host = domain;
  if (const std::size_t colon = domain.rfind(':');
      colon != std::string_view::npos && domain.find(']', colon) == std::string_view::npos) {
    const std::string_view port = domain.substr(colon + 1);
    if (port.empty() || !std::all_of(port.begin(), port.end(), is_digit)) return false;
    host = domain.substr(0, colon);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    const std::string_view inside = host.substr(1, host.size() - 2);
    return std::all_of(inside.begin(), inside.end(), [](char c) { return is_hex(c) || c == ':'; });
  }
  return all_parts(host, '.', [](std::string_view label) {
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(),
                       [](char c) { return (is_word(c) && c != '_') || c == '-'; });
  });
}

bool good_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kMaxTag && is_word(tag.front()) &&
         std::all_of(tag.begin(), tag.end(), [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool good_digest(std::string_view digest) {
  const std::size_t colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view algorithm = digest.substr(0, colon);
  const std::string_view hex = digest.substr(colon + 1);
  const auto known = [](char c) {
    return (is_word(c) && c != '_') || c == '+' || c == '.' || c == '-' || c == '_';
  };
  return std::all_of(algorithm.begin(), algorithm.end(), known) && hex.size() >= 32 &&
         std::all_of(hex.begin(), hex.end(), is_hex);
}

const char* name_problem(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return kFormat;
  std::string_view path = name;
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view first = name.substr(0, slash);
    if (first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
        std::any_of(first.begin(), first.end(), is_upper)) {
      if (!good_domain(first)) return kFormat;
      path = name.substr(slash + 1);
    }
  }
  if (std::any_of(path.begin(), path.end(), is_upper)) return "repository name must be lowercase";
  if (!all_parts(path, '/', good_path_part)) return kFormat;
  if (path.size() == name.size() && name.size() == 64 && std::all_of(name.begin(), name.end(), is_hex))
    return "repository name cannot be a 64-byte hexadecimal string";
  return nullptr;
}

}  // namespace

const char* image_name_problem(std::string_view reference) {
  if (const std::size_t at = reference.find('@'); at != std::string_view::npos) {
    if (!good_digest(reference.substr(at + 1))) return kFormat;
    reference = reference.substr(0, at);
  }
  const std::size_t colon = reference.rfind(':');
  if (colon != std::string_view::npos && reference.find('/', colon) == std::string_view::npos) {
    if (!good_tag(reference.substr(colon + 1))) return kFormat;
    reference = reference.substr(0, colon);
  }
  return name_problem(reference);
}

std::string image_digest(std::string_view reference, const std::vector<std::string>& names) {
  std::string_view repository = reference.substr(0, reference.find('@'));
  if (const std::size_t colon = repository.rfind(':');
      colon != std::string_view::npos && repository.find('/', colon) == std::string_view::npos) {
    repository = repository.substr(0, colon);
  }
  std::string first;
  for (const std::string& name : names) {
    const std::size_t at = name.find('@');
    if (at == std::string::npos) continue;
    if (std::string_view(name).substr(0, at) == repository) return name;
    if (first.empty()) first = name;
  }
  return first;
}

}  // namespace coxswain::kubelet
