#include "libs/api/meta/selector.h"

#include <algorithm>

#include "libs/api/meta/names.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

constexpr std::size_t kMaxTerms = 1000;

Error bad(std::string message) { return make_error(ErrorCode::kInvalidArgument, std::move(message)); }

bool special(char c) {
  return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '<' || c == '>';
}
bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Tokens: words, and the operators = == != ! ( ) , < >. The empty token is the end.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::string_view peek() {
    const std::size_t at = at_;
    const std::string_view token = next();
    at_ = at;
    return token;
  }

  std::string_view next() {
    while (at_ < text_.size() && space(text_[at_])) ++at_;
    if (at_ >= text_.size()) return {};
    const std::size_t start = at_;
    if (special(text_[at_])) {
      const char c = text_[at_++];
      if ((c == '=' || c == '!') && at_ < text_.size() && text_[at_] == '=') ++at_;
      return text_.substr(start, at_ - start);
    }
    while (at_ < text_.size() && !space(text_[at_]) && !special(text_[at_])) ++at_;
    return text_.substr(start, at_ - start);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool is_word(std::string_view token) { return !token.empty() && !special(token[0]); }

Error expected(std::string_view found, const char* what) {
  return bad("unable to parse requirement: found '" + std::string(found) + "', expected: " + what);
}

Result<void> check(const Requirement& requirement) {
  for (const std::string& error : check_qualified_name(requirement.key)) {
    return bad("unable to parse requirement: <nil>: Invalid value: \"" + requirement.key + "\": " + error);
  }
  using Op = Requirement::Op;
  if (requirement.op == Op::kGreater || requirement.op == Op::kLess) {
    if (!parse_int64(requirement.values[0])) {
      return bad("unable to parse requirement: values[0][" + requirement.key + "]: Invalid value: \"" +
                 requirement.values[0] + "\": for 'Gt', 'Lt' operators, the value must be an integer");
    }
  }
  std::size_t index = 0;
  for (const std::string& value : requirement.values) {
    const std::size_t at = index++;
    for (const std::string& error : check_label_value(value)) {
      return bad("unable to parse requirement: values[" + std::to_string(at) + "][" + requirement.key +
                 "]: Invalid value: \"" + value + "\": " + error);
    }
  }
  return {};
}

Result<std::vector<std::string>> parse_values(Lexer& lexer) {
  if (const std::string_view open = lexer.next(); open != "(") return expected(open, "'('");
  std::vector<std::string> values;
  bool after_value = false;
  while (true) {
    const std::string_view token = lexer.next();
    if (token == ")") {
      if (!after_value) values.emplace_back();
      break;
    }
    if (token == ",") {
      if (!after_value) values.emplace_back();
      after_value = false;
    } else if (is_word(token) && !after_value) {
      values.emplace_back(token);
      after_value = true;
    } else {
      return expected(token, "',', ')' or identifier");
    }
    if (values.size() > kMaxTerms) return bad("unable to parse requirement: too many values");
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

Result<Requirement> parse_requirement(Lexer& lexer) {
  using Op = Requirement::Op;
  Requirement out;
  std::string_view token = lexer.next();
  if (token == "!") {
    token = lexer.next();
    if (!is_word(token)) return expected(token, "identifier");
    out.op = Op::kNotExists;
    out.key = token;
    return out;
  }
  if (!is_word(token)) return expected(token, "!, identifier, or 'end of string'");
  out.key = token;
  token = lexer.peek();
  if (token.empty() || token == ",") {
    out.op = Op::kExists;
    return out;
  }
  lexer.next();
  if (token == "in" || token == "notin") {
    out.op = token == "in" ? Op::kIn : Op::kNotIn;
    COX_ASSIGN_OR_RETURN(out.values, parse_values(lexer));
    return out;
  }
  if (token == "=" || token == "==")
    out.op = Op::kEquals;
  else if (token == "!=")
    out.op = Op::kNotEquals;
  else if (token == ">")
    out.op = Op::kGreater;
  else if (token == "<")
    out.op = Op::kLess;
  else
    return expected(token, "in, notin, =, ==, !=, gt, lt");
  token = lexer.peek();
  if (is_word(token))
    out.values.emplace_back(lexer.next());
  else if (token.empty() || token == ",")
    out.values.emplace_back();
  else
    return expected(token, "identifier");
  return out;
}

const std::string* string_at(const json::Value* labels, const std::string& key) {
  const json::Value* value = labels == nullptr ? nullptr : labels->find(key);
  return value != nullptr && value->is_string() ? &value->as_string() : nullptr;
}

}  // namespace

bool Requirement::matches(const std::string* value) const {
  const bool listed = value != nullptr && std::find(values.begin(), values.end(), *value) != values.end();
  switch (op) {
    case Op::kEquals:
    case Op::kIn:
      return listed;
    case Op::kNotEquals:
    case Op::kNotIn:
      return !listed;
    case Op::kExists:
      return value != nullptr;
    case Op::kNotExists:
      return value == nullptr;
    case Op::kGreater:
    case Op::kLess: {
      if (value == nullptr || values.size() != 1) return false;
      const auto left = parse_int64(*value);
      const auto right = parse_int64(values[0]);
      if (!left || !right) return false;
      return op == Op::kGreater ? *left > *right : *left < *right;
    }
  }
  return false;
}

LabelSelector LabelSelector::nothing() {
  LabelSelector out;
  out.nothing_ = true;
  return out;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  LabelSelector out;
  Lexer lexer(text);
  if (lexer.peek().empty()) return out;
  while (true) {
    COX_ASSIGN_OR_RETURN(Requirement requirement, parse_requirement(lexer));
    COX_RETURN_IF_ERROR(check(requirement));
    out.requirements_.push_back(std::move(requirement));
    if (out.requirements_.size() > kMaxTerms)
      return bad("unable to parse requirement: too many requirements");
    const std::string_view token = lexer.next();
    if (token.empty()) break;
    if (token != ",") return expected(token, "',' or 'end of string'");
    if (lexer.peek().empty()) return expected("", "identifier after ','");
  }
  return out;
}

Result<LabelSelector> LabelSelector::from_json(const json::Value& selector) {
  if (selector.is_null()) return nothing();
  LabelSelector out;
  if (const json::Value* labels = selector.find("matchLabels"); labels != nullptr && labels->is_object()) {
    for (const json::Member& label : labels->as_object()) {
      if (!label.second.is_string()) return bad("matchLabels: values must be strings");
      out.requirements_.push_back({label.first, Requirement::Op::kEquals, {label.second.as_string()}});
    }
  }
  const json::Value* expressions = selector.find("matchExpressions");
  if (expressions == nullptr || !expressions->is_array()) return out;
  for (const json::Value& expression : expressions->as_array()) {
    Requirement requirement;
    requirement.key = expression.get_string("key");
    const std::string op = expression.get_string("operator");
    if (op == "In")
      requirement.op = Requirement::Op::kIn;
    else if (op == "NotIn")
      requirement.op = Requirement::Op::kNotIn;
    else if (op == "Exists")
      requirement.op = Requirement::Op::kExists;
    else if (op == "DoesNotExist")
      requirement.op = Requirement::Op::kNotExists;
    else
      return bad("\"" + op + "\" is not a valid label selector operator");
    if (const json::Value* values = expression.find("values"); values != nullptr && values->is_array()) {
      for (const json::Value& value : values->as_array()) {
        if (value.is_string()) requirement.values.push_back(value.as_string());
      }
      std::sort(requirement.values.begin(), requirement.values.end());
    }
    out.requirements_.push_back(std::move(requirement));
  }
  return out;
}

LabelSelector LabelSelector::from_map(const Labels& labels) {
  LabelSelector out;
  for (const auto& [key, value] : labels)
    out.requirements_.push_back({key, Requirement::Op::kEquals, {value}});
  return out;
}

bool LabelSelector::matches(const std::function<const std::string*(const std::string&)>& find) const {
  if (nothing_) return false;
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const Requirement& requirement) {
    return requirement.matches(find(requirement.key));
  });
}

bool LabelSelector::matches(const Labels& labels) const {
  return matches([&](const std::string& key) {
    const auto found = labels.find(key);
    return found == labels.end() ? nullptr : &found->second;
  });
}

bool LabelSelector::matches(const json::Value* labels) const {
  return matches([&](const std::string& key) { return string_at(labels, key); });
}

std::string LabelSelector::to_string() const {
  using Op = Requirement::Op;
  std::vector<Requirement> sorted = requirements_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
  std::vector<std::string> parts;
  for (const Requirement& r : sorted) {
    const std::string value = r.values.empty() ? "" : r.values[0];
    switch (r.op) {
      case Op::kEquals:
        parts.push_back(r.key + "=" + value);
        break;
      case Op::kNotEquals:
        parts.push_back(r.key + "!=" + value);
        break;
      case Op::kIn:
        parts.push_back(r.key + " in (" + join(r.values, ",") + ")");
        break;
      case Op::kNotIn:
        parts.push_back(r.key + " notin (" + join(r.values, ",") + ")");
        break;
      case Op::kExists:
        parts.push_back(r.key);
        break;
      case Op::kNotExists:
        parts.push_back("!" + r.key);
        break;
      case Op::kGreater:
        parts.push_back(r.key + ">" + value);
        break;
      case Op::kLess:
        parts.push_back(r.key + "<" + value);
        break;
    }
  }
  return join(parts, ",");
}

Result<std::vector<FieldTerm>> parse_field_selector(std::string_view text) {
  std::vector<FieldTerm> out;
  std::size_t at = 0;
  while (at < text.size()) {
    // A term ends at a comma that no backslash precedes; operators are looked for left to right.
    std::size_t end = at;
    while (end < text.size() && text[end] != ',') end += text[end] == '\\' && end + 1 < text.size() ? 2 : 1;
    end = std::min(end, text.size());
    const std::string_view term = text.substr(at, end - at);
    at = end + 1;
    if (term.empty()) continue;
    FieldTerm parsed;
    const std::size_t equals = term.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return bad("invalid selector: '" + std::string(text) + "'; can't understand '" + std::string(term) +
                 "'");
    }
    parsed.equals = term[equals - 1] != '!';
    parsed.field = term.substr(0, parsed.equals ? equals : equals - 1);
    std::string_view value = term.substr(equals + 1);
    if (parsed.equals && !value.empty() && value[0] == '=') value.remove_prefix(1);
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (value[i] == '\\') {
        ++i;
        if (i == value.size() || (value[i] != '\\' && value[i] != ',' && value[i] != '=')) {
          return bad("invalid field selector: invalid escape sequence in value \"" + std::string(value) +
                     "\"");
        }
      } else if (value[i] == '=') {
        return bad("invalid selector: '" + std::string(text) + "'; unescaped '=' in value");
      }
      parsed.value += value[i];
    }
    out.push_back(std::move(parsed));
    if (out.size() > kMaxTerms) return bad("invalid selector: too many terms");
  }
  return out;
}

}  // namespace coxswain::api
