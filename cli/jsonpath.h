// kubectl's JSONPath templates: text with {expressions}.
//   {.metadata.name}  {.items[*].metadata.name}  {.items[0]}  {.a['b.c']}
//   {.status.conditions[?(@.type=="Ready")].status}  {range .items[*]}...{end}  {"\n"}
#pragma once

#include <string>
#include <string_view>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::cli {

// A missing field prints nothing, as kubectl does. The error says what is wrong with the template.
Result<std::string> eval_jsonpath(std::string_view text, const json::Value& document);

}  // namespace coxswain::cli
