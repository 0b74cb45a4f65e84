#include "libs/api/openapi/openapi.h"

#include <catch2/catch.hpp>

#include <functional>

#include "libs/api/openapi/discovery.h"

using namespace coxswain;
using namespace coxswain::api;

namespace {

// Every {"$ref": "#/a/b"} of the document must lead somewhere.
void check_references(const json::Value& root, const json::Value& node, const std::string& prefix,
                      const json::Value& schemas) {
  if (node.is_array()) {
    for (const json::Value& item : node.as_array()) check_references(root, item, prefix, schemas);
  } else if (node.is_object()) {
    for (const auto& [key, value] : node.as_object()) {
      if (key == "$ref" && value.is_string()) {
        INFO(value.as_string());
        REQUIRE(value.as_string().starts_with(prefix));
        CHECK(schemas.find(value.as_string().substr(prefix.size())) != nullptr);
      } else {
        check_references(root, value, prefix, schemas);
      }
    }
  }
}

}  // namespace

TEST_CASE("v3 documents are closed under references and say what kubectl looks for") {
  const auto resources = openapi::served_resources();
  REQUIRE_FALSE(resources.empty());
  const json::Value root = openapi::openapi_v3_root(resources);
  REQUIRE(root.find_path({"paths", "api/v1", "serverRelativeURL"}) != nullptr);
  for (const schema::Resource* resource : resources) {
    const json::Value document = openapi::openapi_v3(resources, resource->group, resource->version);
    const json::Value* schemas = document.find_path({"components", "schemas"});
    REQUIRE(schemas != nullptr);
    check_references(document, document, "#/components/schemas/", *schemas);
  }
  const json::Value apps = openapi::openapi_v3(resources, "apps", "v1");
  const json::Value* patch =
      apps.find_path({"paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", "patch"});
  REQUIRE(patch != nullptr);
  bool field_validation = false;
  for (const json::Value& parameter : patch->find("parameters")->as_array())
    field_validation |= parameter.get_string("name") == "fieldValidation";
  CHECK(field_validation);
  CHECK(patch->get_string_path({"x-kubernetes-group-version-kind", "kind"}) == "Deployment");
  CHECK(openapi::openapi_v3(resources, "nothing", "v1").is_null());
}

TEST_CASE("the v2 document is closed under references") {
  const json::Value document = openapi::openapi_v2(openapi::served_resources());
  check_references(document, document, "#/definitions/", *document.find("definitions"));
}

TEST_CASE("discovery lists what is served") {
  const auto resources = openapi::served_resources();
  const json::Value core = openapi::api_resource_list(resources, "", "v1");
  bool pods = false, scale = false;
  for (const json::Value& resource : core.find("resources")->as_array())
    pods |= resource.get_string("name") == "pods";
  const json::Value apps = openapi::api_resource_list(resources, "apps", "v1");
  for (const json::Value& resource : apps.find("resources")->as_array()) {
    scale |=
        resource.get_string("name") == "deployments/scale" && resource.get_string("group") == "autoscaling";
  }
  CHECK(pods);
  CHECK(scale);
  CHECK(openapi::api_group(resources, "apps").get_string("name") == "apps");
  CHECK(openapi::api_group(resources, "nothing").is_null());
  const json::Value aggregated = openapi::aggregated_discovery(resources, false);
  CHECK(aggregated.get_string("apiVersion") == "apidiscovery.k8s.io/v2");
  CHECK_FALSE(aggregated.find("items")->as_array().empty());
  CHECK(openapi::aggregated_discovery(resources, true).find("items")->as_array().size() == 1);
}
