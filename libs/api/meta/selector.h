// Label selectors (text and LabelSelector objects) and field selectors, as values that match label
// or field maps. Pure.
// Source: the Kubernetes documentation, "Labels and Selectors" and "Field Selectors".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::api {

using Labels = std::map<std::string, std::string>;

struct Requirement {
  enum class Op : std::uint8_t { kEquals, kNotEquals, kIn, kNotIn, kExists, kNotExists, kGreater, kLess };
  std::string key;
  Op op = Op::kEquals;
  std::vector<std::string> values;

  // `value` is null when the label is absent.
  bool matches(const std::string* value) const;
};

class LabelSelector {
 public:
  LabelSelector() = default;  // matches everything
  static LabelSelector nothing();
  // `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>3`.
  static Result<LabelSelector> parse(std::string_view text);
  // metav1.LabelSelector {matchLabels, matchExpressions}. null matches nothing, {} everything.
  static Result<LabelSelector> from_json(const json::Value& selector);
  static LabelSelector from_map(const Labels& labels);  // every pair must match

  // `find(key)` gives the label's value or null.
  bool matches(const std::function<const std::string*(const std::string&)>& find) const;
  bool matches(const Labels& labels) const;
  bool matches(const json::Value* labels) const;  // metadata.labels; null or absent: no labels
  bool everything() const { return !nothing_ && requirements_.empty(); }
  const std::vector<Requirement>& requirements() const { return requirements_; }
  std::string to_string() const;  // the text form, sorted by key

 private:
  std::vector<Requirement> requirements_;
  bool nothing_ = false;
};

// `metadata.name=x,status.phase!=Running`; `\,`, `\=` and `\\` are literal. Only = == !=.
struct FieldTerm {
  std::string field;
  std::string value;
  bool equals = true;
};
Result<std::vector<FieldTerm>> parse_field_selector(std::string_view text);

}  // namespace coxswain::api
