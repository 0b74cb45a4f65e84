// Tolerations, and the effects that they share with taints.
#include "libs/api/validation/pod_parts.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {

void validate_taint_effect(const std::string& effect, bool allow_empty, const std::string& path,
                           FieldErrors& errors) {
  if (effect.empty() && allow_empty) return;
  errors.one_of(path, effect, {"NoSchedule", "PreferNoSchedule", "NoExecute"});
}

void validate_tolerations(const json::Value& spec, const std::string& path, FieldErrors& errors) {
  std::size_t index = 0;
  for (const json::Value& toleration : list_at(spec, "tolerations")) {
    const std::string at = indexed(path + ".tolerations", index++);
    const std::string key = toleration.get_string("key");
    const std::string op = toleration.get_string("operator");
    const std::string value = toleration.get_string("value");
    const std::string effect = toleration.get_string("effect");
    if (!key.empty()) errors.invalid_each(at + ".key", key, check_qualified_name(key));
    if (key.empty() && op != "Exists") {
      errors.invalid(
          at + ".operator", op,
          "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    }
    if (toleration.find("tolerationSeconds") != nullptr && effect != "NoExecute")
      errors.invalid(at + ".effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    if (op == "Exists") {
      if (!value.empty())
        errors.invalid(at + ".operator", value, "value must be empty when `operator` is 'Exists'");
    } else if (op.empty() || op == "Equal") {
      if (const NameErrors wrong = check_label_value(value); !wrong.empty())
        errors.invalid(at + ".operator", value, join(wrong, ";"));
    } else {
      errors.not_supported(at + ".operator", op, {"Equal", "Exists"});
    }
    validate_taint_effect(effect, true, at + ".effect", errors);
  }
}

}  // namespace coxswain::api
