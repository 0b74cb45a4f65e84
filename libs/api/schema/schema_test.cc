// The catalogue's invariants: what every walker of the schema table relies on.
#include "libs/api/schema/schema.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <vector>

using namespace coxswain::api::schema;

namespace {

std::string where(const Type& type, const Field& field) {
  return std::string(type.name) + "." + std::string(field.name);
}

bool needs_type(const Field& field) {
  if (field.kind == Kind::kStruct) return true;
  return field.any == AnyKind::kJsonSchemaPropsOrArray || field.any == AnyKind::kJsonSchemaPropsOrBool ||
         field.any == AnyKind::kJsonSchemaPropsOrStringArray;
}

const Field& field_of(const char* type_name, const char* field_name) {
  const Type* type = find_type(type_name);
  REQUIRE(type != nullptr);
  const Field* field = type->find(field_name);
  REQUIRE(field != nullptr);
  return *field;
}

bool contains(std::span<const std::string_view> list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

TEST_CASE("types are sorted by name, found by it, and index their own fields") {
  const auto types = catalogue().types;
  CHECK(types.size() > 500);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const Type& type = *types[i];
    INFO(type.name);
    if (i > 0) CHECK(types[i - 1]->name < type.name);
    CHECK(find_type(type.name) == &type);
    REQUIRE(type.by_name.size() == type.fields.size());
    for (const Field& field : type.fields) CHECK(type.find(field.name) == &field);
    CHECK(type.find("no such field") == nullptr);
  }
  CHECK(find_type("io.k8s.api.core.v1.Nothing") == nullptr);
}

TEST_CASE("fields that hold a type say which, and it is in the catalogue") {
  for (const Type* type : catalogue().types) {
    for (const Field& field : type->fields) {
      INFO(where(*type, field));
      CHECK((field.type != nullptr) == needs_type(field));
      if (field.type != nullptr) CHECK(find_type(field.type->name) == field.type);
      CHECK((field.any != AnyKind::kNone) == (field.kind == Kind::kAny));
    }
  }
}

TEST_CASE("merge keys and list keys are fields of the element") {
  for (const Type* type : catalogue().types) {
    for (const Field& field : type->fields) {
      INFO(where(*type, field));
      CHECK((field.list_type == ListType::kMap) == !field.list_map_keys.empty());
      if (field.patch_merge_key.empty() && field.list_map_keys.empty()) continue;
      REQUIRE(field.container == Container::kList);
      REQUIRE(field.type != nullptr);
      for (const std::string_view key : field.list_map_keys) CHECK(field.type->find(key) != nullptr);
      if (!field.patch_merge_key.empty()) CHECK(field.type->find(field.patch_merge_key) != nullptr);
    }
  }
}

TEST_CASE("a protobuf number stands once in its message") {
  for (const Type* type : catalogue().types) {
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (const Field& field : type->fields) {
      INFO(where(*type, field));
      if (field.protobuf_number == 0) continue;
      CHECK(seen.emplace(field.protobuf_inline, field.protobuf_number).second);
      // An inlined message's own number must not be a field beside it.
      if (field.protobuf_inline == 0) continue;
      for (const Field& other : type->fields) {
        CHECK_FALSE((other.protobuf_inline == field.protobuf_inline >> 8 &&
                     other.protobuf_number == (field.protobuf_inline & 0xff)));
      }
    }
  }
}

TEST_CASE("resources are sorted, found, and complete enough to be served") {
  const auto resources = catalogue().resources;
  CHECK(resources.size() == 69);
  for (std::size_t i = 0; i < resources.size(); ++i) {
    const Resource& resource = resources[i];
    INFO(resource.group << "/" << resource.version << " " << resource.plural);
    if (i > 0) {
      const Resource& before = resources[i - 1];
      CHECK(std::tie(before.group, before.version, before.plural) <
            std::tie(resource.group, resource.version, resource.plural));
    }
    CHECK(find_resource(resource.group, resource.version, resource.plural) == &resource);
    CHECK(find_kind(resource.group, resource.version, resource.kind) == &resource);
    REQUIRE(resource.type != nullptr);
    CHECK(find_type(resource.type->name) == resource.type);
    CHECK(std::string(resource.kind) + "List" == resource.list_kind);
    CHECK_FALSE(resource.singular.empty());
    CHECK_FALSE(resource.verbs.empty());
    if (!resource.served || !contains(resource.verbs, "list")) continue;
    REQUIRE_FALSE(resource.columns.empty());
    const auto first_named =
        std::find_if(resource.columns.begin(), resource.columns.end(),
                     [](const PrinterColumn& column) { return column.format == "name"; });
    CHECK(first_named != resource.columns.end());
    CHECK(resource.type->find("metadata") != nullptr);
  }
}

TEST_CASE("what has behaviour behind it is served") {
  const std::set<std::string> expected = {"/namespaces",
                                          "/nodes",
                                          "/pods",
                                          "/services",
                                          "/endpoints",
                                          "/configmaps",
                                          "/secrets",
                                          "/serviceaccounts",
                                          "/events",
                                          "events.k8s.io/events",
                                          "discovery.k8s.io/endpointslices",
                                          "apps/replicasets",
                                          "apps/deployments",
                                          "apps/controllerrevisions",
                                          "coordination.k8s.io/leases",
                                          "authentication.k8s.io/selfsubjectreviews"};
  std::set<std::string> served;
  for (const Resource& resource : catalogue().resources) {
    if (resource.served) served.insert(std::string(resource.group) + "/" + std::string(resource.plural));
  }
  for (const std::string& name : expected) {
    INFO(name);
    CHECK(served.contains(name));
  }
  const Resource* events = find_resource("events.k8s.io", "v1", "events");
  REQUIRE(events != nullptr);
  CHECK(events->storage_group.empty());  // one store prefix with core events
}

// kubectl explain shows these.
TEST_CASE("every field that a served kind reaches has a description") {
  std::set<const Type*> reached;
  std::vector<const Type*> todo;
  for (const Resource& resource : catalogue().resources) {
    if (resource.served) todo.push_back(resource.type);
  }
  while (!todo.empty()) {
    const Type* type = todo.back();
    todo.pop_back();
    if (type == nullptr || !reached.insert(type).second) continue;
    INFO(type->name);
    CHECK_FALSE(type->description.empty());
    for (const Field& field : type->fields) {
      INFO(where(*type, field));
      CHECK_FALSE(field.description.empty());
      todo.push_back(field.type);
    }
  }
  CHECK(reached.size() > 150);
}

TEST_CASE("facts that merges, defaults and decoding stand on") {
  const Field& containers = field_of("io.k8s.api.core.v1.PodSpec", "containers");
  CHECK(containers.required);
  CHECK(containers.patch_merge);
  CHECK(containers.patch_merge_key == "name");
  CHECK(containers.protobuf_number == 2);
  const Field& ports = field_of("io.k8s.api.core.v1.ServiceSpec", "ports");
  CHECK(ports.patch_merge_key == "port");
  REQUIRE(ports.list_map_keys.size() == 2);
  const Field& volumes = field_of("io.k8s.api.core.v1.PodSpec", "volumes");
  CHECK((volumes.patch_merge && volumes.patch_retain_keys));
  const Field& empty_dir = field_of("io.k8s.api.core.v1.Volume", "emptyDir");
  CHECK(empty_dir.protobuf_inline == 2);
  CHECK(empty_dir.protobuf_number == 2);
  CHECK(field_of("io.k8s.api.core.v1.ServicePort", "protocol").default_json == "\"TCP\"");
  CHECK(field_of("io.k8s.api.core.v1.AzureDiskVolumeSource", "cachingMode").default_json == "\"ReadWrite\"");
  CHECK(field_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers").list_type ==
        ListType::kSet);
  CHECK(field_of("io.k8s.api.core.v1.PodSpec", "nodeSelector").map_atomic);
  for (const char* atomic :
       {"io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
        "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference", "io.k8s.api.core.v1.ObjectReference",
        "io.k8s.api.core.v1.LocalObjectReference"}) {
    INFO(atomic);
    REQUIRE(find_type(atomic) != nullptr);
    CHECK(find_type(atomic)->map_atomic);
  }
  CHECK_FALSE(find_type("io.k8s.api.core.v1.PodSpec")->map_atomic);
}
