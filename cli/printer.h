// How objects are shown: the server's Table as aligned columns, or the object in another form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libs/common/base/result.h"
#include "libs/common/json/json.h"

namespace coxswain::cli {

struct TableOptions {
  bool wide = false;  // columns with a priority too
  bool headers = true;
  bool with_namespace = false;  // a NAMESPACE column in front
  bool show_labels = false;     // a LABELS column at the end
  std::string name_prefix;      // "pod/" when several kinds are shown
};

// Columns are as wide as their longest cell plus three spaces; the last one is not padded.
std::string align(const std::vector<std::vector<std::string>>& rows);

// A meta.k8s.io/v1 Table as aligned text, like kubectl's. Empty when it has no rows.
std::string format_table(const json::Value& table, const TableOptions& options);

// `format` is yaml, json, name or jsonpath=TEMPLATE. The error lists what there is.
Result<std::string> format_object(const json::Value& object, std::string_view format,
                                  std::string_view qualified_singular);

}  // namespace coxswain::cli
