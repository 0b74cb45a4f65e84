#include <algorithm>

#include "libs/api/yaml/yaml.h"

namespace coxswain::yaml {
namespace {

bool needs_quotes(const std::string& text) {
  if (text.empty() || !resolve_scalar(text).is_string()) return true;
  if (text.size() == 1 && (text == "y" || text == "n" || text == "Y" || text == "N")) return true;
  if (text == "<<" || text == "=") return true;
  static constexpr std::string_view kIndicators = "-?:,[]{}#&*!|>'\"%@`";
  const char first = text.front();
  if (kIndicators.find(first) != std::string_view::npos) {
    // "-x", "?x" and ":x" are plain; an indicator followed by space or nothing is not.
    const bool soft = first == '-' || first == '?' || first == ':';
    if (!soft || text.size() == 1 || text[1] == ' ' || text.substr(0, 3) == "---") return true;
  }
  if (text.substr(0, 3) == "...") return true;
  if (first == ' ' || text.back() == ' ' || text.back() == ':') return true;
  // Dates would come back as timestamps in other parsers.
  if (text.size() >= 10 && text[4] == '-' && text[7] == '-' && first >= '0' && first <= '9') return true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    if (c == ':' && i + 1 < text.size() && text[i + 1] == ' ') return true;
    if (c == '#' && i > 0 && text[i - 1] == ' ') return true;
    // NEL, LS, PS, BOM and C1 controls are line breaks or not printable in YAML.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
    if (c == 0xe2 && text.compare(i, 2, "\xe2\x80") == 0 && i + 2 < text.size() &&
        (text[i + 2] == '\xa8' || text[i + 2] == '\xa9')) {
      return true;
    }
    if (c == 0xef) return true;
  }
  return false;
}

// A literal block keeps its text only when it has no odd white space or control characters.
bool block_fits(const std::string& text) {
  if (text.find('\n') == std::string::npos || text.front() == ' ' || text.front() == '\n' ||
      text.front() == '\t')
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) return false;
    if (c == 0xc2 || c == 0xe2 || c == 0xef) return false;
    if (c == '\n' && i > 0 && text[i - 1] == ' ') return false;
  }
  return text.back() != ' ' && text.back() != '\t';
}

void write_block(const std::string& text, int indent, std::string& out) {
  std::size_t newlines = 0;
  while (newlines < text.size() && text[text.size() - 1 - newlines] == '\n') ++newlines;
  out += newlines == 0 ? "|-" : newlines == 1 ? "|" : "|+";
  std::size_t at = 0;
  const std::size_t end = newlines > 0 ? text.size() - 1 : text.size();
  while (true) {
    const std::size_t stop = std::min(text.find('\n', at), end);
    out += '\n';
    if (stop > at) {
      out.append(static_cast<std::size_t>(indent), ' ');
      out.append(text, at, stop - at);
    }
    if (stop >= end) break;
    at = stop + 1;
  }
}

void write_string(const std::string& text, int indent, std::string& out) {
  if (!needs_quotes(text)) {
    out += text;
  } else if (block_fits(text)) {
    write_block(text, std::max(indent, 2), out);
  } else {
    json::write_string(text, out);  // JSON strings are YAML's double-quoted scalars
  }
}

std::vector<const json::Member*> members(const json::Value& value, bool sort_keys) {
  std::vector<const json::Member*> list;
  for (const json::Member& member : value.as_object()) list.push_back(&member);
  if (sort_keys) {
    std::sort(list.begin(), list.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  }
  return list;
}

bool is_leaf(const json::Value& value) {
  if (value.is_array()) return value.as_array().empty();
  if (value.is_object()) return value.as_object().empty();
  return true;
}

void write_leaf(const json::Value& value, int indent, std::string& out) {
  if (value.is_array())
    out += "[]";
  else if (value.is_object())
    out += "{}";
  else if (value.is_string())
    write_string(value.as_string(), indent, out);
  else
    json::write_to(value, out);
}

// Writes at column `indent`; the caller has already placed the cursor there.
void write_node(const json::Value& value, int indent, bool sort_keys, std::string& out) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  bool first = true;
  if (value.is_object() && !is_leaf(value)) {
    for (const json::Member* member : members(value, sort_keys)) {
      if (!first) out += pad;
      first = false;
      if (needs_quotes(member->first))
        json::write_string(member->first, out);
      else
        out += member->first;
      out += ':';
      if (is_leaf(member->second)) {
        out += ' ';
        write_leaf(member->second, indent + 2, out);
        out += '\n';
      } else {
        // Lists stand at their key's own column, as kubectl prints them.
        const int child = member->second.is_array() ? indent : indent + 2;
        out += '\n' + std::string(static_cast<std::size_t>(child), ' ');
        write_node(member->second, child, sort_keys, out);
      }
    }
    return;
  }
  if (value.is_array() && !is_leaf(value)) {
    for (const json::Value& item : value.as_array()) {
      if (!first) out += pad;
      first = false;
      out += "- ";
      if (is_leaf(item)) {
        write_leaf(item, indent + 2, out);
        out += '\n';
      } else {
        write_node(item, indent + 2, sort_keys, out);
      }
    }
    return;
  }
  write_leaf(value, indent, out);
  out += '\n';
}

}  // namespace

std::string write(const json::Value& value, bool sort_keys) {
  std::string out;
  write_node(value, 0, sort_keys, out);
  return out;
}

}  // namespace coxswain::yaml
