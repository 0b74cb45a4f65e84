// YAML documents as JSON values and back, in the dialect that Kubernetes manifests use: YAML 1.1
// scalars (yes/no/on/off are booleans, 0o17 and 017 octal, 0x1f hex), merge keys, anchors; timestamps
// stay strings, mapping keys become strings. Pure. yaml-cpp stays behind yaml_parse.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::yaml {

struct ParseOptions {
  int max_depth = 64;
  // Nodes after aliases are expanded: what an alias bomb runs into.
  std::size_t max_values = 500'000;
  // Where duplicate keys go, as in json::ParseOptions; the last one wins.
  std::vector<std::string>* duplicate_keys = nullptr;
};

// One document; an empty one is null. More than one document is an error. Messages have line:column.
Result<json::Value> parse(std::string_view text, const ParseOptions& options = {});
// All documents of a stream; empty ones are skipped.
Result<std::vector<json::Value>> parse_all(std::string_view text, const ParseOptions& options = {});

// Block style; keys in the order of the value (or sorted), strings quoted when they would read back as
// something else.
std::string write(const json::Value& value, bool sort_keys = false);

// What an unquoted scalar means. Shared by the parser and by the writer's quoting.
json::Value resolve_scalar(std::string_view text);

}  // namespace coxswain::yaml
