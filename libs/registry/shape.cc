#include "libs/registry/shape.h"

#include "libs/registry/table.h"

namespace coxswain::registry {

json::Value served_form(const Strategy& strategy, json::Value stored) {
  return strategy.from_storage == nullptr ? std::move(stored) : strategy.from_storage(std::move(stored));
}

json::Value table_head(const api::schema::Resource& resource, const std::string& revision) {
  return json::Value::object({{"kind", "Table"},
                              {"apiVersion", "meta.k8s.io/v1"},
                              {"metadata", json::Value::object({{"resourceVersion", revision}})},
                              {"columnDefinitions", table_column_definitions(resource)},
                              {"rows", json::Value::array()}});
}

}  // namespace coxswain::registry
