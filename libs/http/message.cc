#include "libs/common/base/strings.h"
#include "libs/http/server.h"

namespace coxswain::http {

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (iequals(header.first, name)) return header.second;
  }
  return {};
}

std::string_view Request::query_value(std::string_view key) const {
  for (const auto& [name, value] : query) {
    if (name == key) return value;
  }
  return {};
}

bool Request::has_query(std::string_view key) const {
  for (const auto& [name, value] : query) {
    if (name == key) return true;
  }
  return false;
}

Chunk Chunk::of(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  const std::string_view bytes = *owner;
  return {std::move(owner), bytes};
}

}  // namespace coxswain::http
