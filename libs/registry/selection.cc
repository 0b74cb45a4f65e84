// Label and field selectors (Selection of documents.h).
// Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#api
#include <algorithm>

#include "libs/common/base/strings.h"
#include "libs/registry/documents.h"

namespace coxswain::registry {
namespace {

bool is_label_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}
bool is_alnum(char c) { return is_label_char(c) && c != '-' && c != '_' && c != '.'; }

bool is_label_name(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), is_label_char);
}

bool is_label_key(std::string_view key) {
  const std::size_t slash = key.find('/');
  if (slash == std::string_view::npos) return is_label_name(key);
  const std::string_view prefix = key.substr(0, slash);
  if (prefix.empty() || prefix.size() > 253) return false;
  const bool dns = std::all_of(prefix.begin(), prefix.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  return dns && is_label_name(key.substr(slash + 1));
}

bool is_label_value(std::string_view text) { return text.empty() || is_label_name(text); }

// Splits on commas outside parentheses.
std::vector<std::string_view> requirements(std::string_view text) {
  std::vector<std::string_view> out;
  int depth = 0;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      out.push_back(trim(text.substr(start, i - start)));
      start = i + 1;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')') {
      --depth;
    }
  }
  return out;
}

api::Status bad_selector(std::string_view text, const std::string& why) {
  return api::bad_request("unable to parse requirement: \"" + std::string(text) + "\": " + why);
}

const std::string* lookup(const std::vector<std::pair<std::string, std::string>>& values,
                          std::string_view key) {
  for (const auto& [name, value] : values) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

}  // namespace

api::ApiResult<void> Selection::parse_labels(std::string_view text, std::vector<Term>& out) {
  if (trim(text).empty()) return {};
  for (const std::string_view requirement : requirements(text)) {
    Term term;
    std::string_view key = requirement;
    if (requirement.empty()) return bad_selector(text, "found ',', expected: identifier");
    if (requirement.front() == '!') {
      term.op = Term::Op::kNotExists;
      key = trim(requirement.substr(1));
    } else if (const std::size_t open = requirement.find('('); open != std::string_view::npos) {
      std::string_view head = trim(requirement.substr(0, open));
      if (requirement.back() != ')') return bad_selector(requirement, "expected ')'");
      const std::size_t space = head.find_last_of(" \t");
      const std::string_view op = space == std::string_view::npos ? head : head.substr(space + 1);
      if (op != "in" && op != "notin") return bad_selector(requirement, "expected 'in' or 'notin'");
      if (space == std::string_view::npos)
        return bad_selector(requirement, "expected: identifier before '" + std::string(op) + "'");
      term.op = op == "in" ? Term::Op::kIn : Term::Op::kNotIn;
      key = trim(head.substr(0, space));
      for (const std::string& value :
           split(requirement.substr(open + 1, requirement.size() - open - 2), ',')) {
        term.values.emplace_back(trim(value));
      }
    } else if (const std::size_t at = requirement.find_first_of("=!<>"); at != std::string_view::npos) {
      key = trim(requirement.substr(0, at));
      std::string_view rest = requirement.substr(at);
      if (rest.rfind("!=", 0) == 0) {
        term.op = Term::Op::kNotEquals;
        rest.remove_prefix(2);
      } else if (rest.rfind("==", 0) == 0) {
        rest.remove_prefix(2);
      } else if (rest.front() == '=') {
        rest.remove_prefix(1);
      } else if (rest.front() == '>' || rest.front() == '<') {
        term.op = rest.front() == '>' ? Term::Op::kGreater : Term::Op::kLess;
        rest.remove_prefix(1);
        if (!parse_int64(trim(rest)))
          return bad_selector(requirement, "values must be integers for '<' and '>'");
      } else {
        return bad_selector(requirement, "expected: '=', '!=', '==', 'in' or 'notin'");
      }
      term.values.emplace_back(trim(rest));
    } else {
      term.op = Term::Op::kExists;
    }
    if (!is_label_key(key))
      return bad_selector(requirement, "key \"" + std::string(key) + "\" is not a label key");
    for (const std::string& value : term.values) {
      if (!is_label_value(value))
        return bad_selector(requirement, "value \"" + value + "\" is not a label value");
    }
    term.key = key;
    out.push_back(std::move(term));
  }
  return {};
}

api::ApiResult<void> Selection::parse_fields(const api::schema::Resource& resource, std::string_view text,
                                             std::vector<Term>& out) {
  if (trim(text).empty()) return {};
  for (const std::string& part : split(text, ',')) {
    const std::string_view requirement = trim(part);
    if (requirement.empty()) continue;
    Term term;
    term.is_field = true;
    const std::size_t at = requirement.find_first_of("=!");
    if (at == std::string_view::npos)
      return api::bad_request("invalid field selector: \"" + part + "\"; expected KEY=VALUE");
    std::string_view rest = requirement.substr(at);
    if (rest.rfind("!=", 0) == 0) {
      term.op = Term::Op::kNotEquals;
      rest.remove_prefix(2);
    } else if (rest.rfind("==", 0) == 0) {
      rest.remove_prefix(2);
    } else if (rest.front() == '=') {
      rest.remove_prefix(1);
    } else {
      return api::bad_request("invalid field selector: \"" + part + "\"; expected KEY=VALUE");
    }
    term.key = trim(requirement.substr(0, at));
    term.values.push_back(unescape(rest));
    const bool known = term.key == "metadata.name" ||
                       (term.key == "metadata.namespace" && resource.namespaced) ||
                       std::find(resource.field_selectors.begin(), resource.field_selectors.end(),
                                 term.key) != resource.field_selectors.end();
    if (!known) return api::bad_request("field label not supported: " + term.key);
    out.push_back(std::move(term));
  }
  return {};
}

api::ApiResult<Selection> Selection::parse(const api::schema::Resource& resource, std::string_view labels,
                                           std::string_view fields) {
  Selection selection;
  COX_RETURN_IF_ERROR(parse_labels(labels, selection.terms_));
  COX_RETURN_IF_ERROR(parse_fields(resource, fields, selection.terms_));
  for (const Term& term : selection.terms_) {
    if (!term.is_field || term.op != Term::Op::kEquals) continue;
    if (term.key == "metadata.name") selection.name_ = term.values.front();
    if (term.key == "metadata.namespace") selection.ns_ = term.values.front();
  }
  return selection;
}

bool Selection::term_matches(const Term& term, const Meta& meta) {
  const std::string* value = lookup(term.is_field ? meta.fields : meta.labels, term.key);
  const auto listed = [&] {
    return std::find(term.values.begin(), term.values.end(), *value) != term.values.end();
  };
  switch (term.op) {
    case Term::Op::kEquals:
      return value != nullptr ? *value == term.values.front() : term.is_field && term.values.front().empty();
    case Term::Op::kNotEquals:
      return value == nullptr || *value != term.values.front();
    case Term::Op::kIn:
      return value != nullptr && listed();
    case Term::Op::kNotIn:
      return value == nullptr || !listed();
    case Term::Op::kExists:
      return value != nullptr;
    case Term::Op::kNotExists:
      return value == nullptr;
    case Term::Op::kGreater:
    case Term::Op::kLess: {
      const std::optional<std::int64_t> number = value == nullptr ? std::nullopt : parse_int64(*value);
      if (!number) return false;
      const std::int64_t bound = *parse_int64(term.values.front());
      return term.op == Term::Op::kGreater ? *number > bound : *number < bound;
    }
  }
  return false;
}

bool Selection::matches(const Meta& meta) const {
  return std::all_of(terms_.begin(), terms_.end(),
                     [&](const Term& term) { return term_matches(term, meta); });
}

}  // namespace coxswain::registry
