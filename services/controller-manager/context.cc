#include "services/controller-manager/context.h"

namespace coxswain::controllers {

Claim plan_claim(const std::string& owner_uid, bool owner_deleting,
                 const api::meta::v1::LabelSelector& selector, const std::vector<Claimable>& objects) {
  Claim claim;
  // An empty selector would adopt the whole namespace: it selects nothing here.
  const bool empty = selector.matchLabels.empty() && selector.matchExpressions.empty();
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const Claimable& object = objects[i];
    const bool matches = !empty && client::selector_matches(selector, *object.labels);
    const auto* controller = client::controller_of(*object.owners);
    if (controller != nullptr) {
      if (controller->uid != owner_uid) continue;
      if (matches || owner_deleting || object.deleting) {
        claim.owned.push_back(i);
      } else {
        claim.release.push_back(i);
      }
    } else if (matches && !owner_deleting && !object.deleting) {
      claim.adopt.push_back(i);
    }
  }
  return claim;
}

json::Value owner_reference_json(std::string_view api_version, std::string_view kind, std::string_view name,
                                 std::string_view uid) {
  return json::Value::object({{"apiVersion", api_version},
                              {"kind", kind},
                              {"name", name},
                              {"uid", uid},
                              {"controller", true},
                              {"blockOwnerDeletion", true}});
}

json::Value adopt_patch(const json::Value& owner, const std::string& object_uid) {
  return json::Value::object(
      {{"metadata",
        json::Value::object({{"uid", object_uid}, {"ownerReferences", json::Value::array({owner})}})}});
}

json::Value release_patch(const std::string& owner_uid, const std::string& object_uid) {
  auto gone = json::Value::object({{"$patch", "delete"}, {"uid", owner_uid}});
  return json::Value::object(
      {{"metadata",
        json::Value::object({{"uid", object_uid}, {"ownerReferences", json::Value::array({gone})}})}});
}

client::ReconcileResult ignore_not_found(const api::Status& status) {
  if (client::is_not_found(status)) return client::Requeue::none();
  return status;
}

}  // namespace coxswain::controllers
