#include "cli/discovery.h"

#include <catch2/catch.hpp>

using namespace coxswain;

namespace {
cli::Discovery sample() {
  const char* core = R"({"items":[{"metadata":{"name":""},"versions":[{"version":"v1","resources":[
    {"resource":"pods","singularResource":"pod","scope":"Namespaced","shortNames":["po"],"categories":["all"],
     "responseKind":{"kind":"Pod"},"verbs":["get","list"]},
    {"resource":"nodes","singularResource":"node","scope":"Cluster","shortNames":["no"],
     "responseKind":{"kind":"Node"},"verbs":["get","list"]}]}]}]})";
  const char* groups = R"({"items":[{"metadata":{"name":"apps"},"versions":[{"version":"v1","resources":[
    {"resource":"deployments","singularResource":"deployment","scope":"Namespaced","shortNames":["deploy"],
     "categories":["all"],"responseKind":{"kind":"Deployment"},"verbs":["list"]}]}]}]})";
  return cli::Discovery::from_documents(*json::parse(core), *json::parse(groups));
}
}  // namespace

TEST_CASE("kinds are found by every name") {
  const cli::Discovery discovery = sample();
  for (const char* name : {"deployments", "deployment", "deploy", "Deployment", "deployments.apps",
                           "deploy.apps", "deployments.v1.apps"}) {
    INFO(name);
    REQUIRE(discovery.find(name) != nullptr);
    CHECK(discovery.find(name)->kind == "Deployment");
  }
  CHECK(discovery.find("pods.v1") != nullptr);
  CHECK(discovery.find("pods.apps") == nullptr);
  CHECK(discovery.find("nothing") == nullptr);
  CHECK(discovery.find_kind("apps/v1", "Deployment")->qualified_singular() == "deployment.apps");
  CHECK(discovery.category("all").size() == 2);
}

TEST_CASE("a wrong kind gets a suggestion when one is near") {
  const cli::Discovery discovery = sample();
  const auto message = [&](const char* name) {
    return cli::parse_targets(discovery, {name}).error().message;
  };
  CHECK(message("pdos").find("did you mean \"pods\"?") != std::string::npos);
  CHECK(message("deploymnet/web").find("did you mean \"deployment\"?") != std::string::npos);
  CHECK(message("Depoyments").find("did you mean \"deployments\"?") != std::string::npos);
  for (const char* far : {"zz", "certificates", ""}) {
    INFO(far);
    CHECK(message(far).find("did you mean") == std::string::npos);
  }
}

TEST_CASE("targets") {
  const cli::Discovery discovery = sample();
  CHECK(cli::parse_targets(discovery, {"pods"})->size() == 1);
  CHECK(cli::parse_targets(discovery, {"po,deploy"})->size() == 2);
  CHECK(cli::parse_targets(discovery, {"all"})->size() == 2);
  CHECK(cli::parse_targets(discovery, {"pod", "a", "b"})->at(1).name == "b");
  CHECK(cli::parse_targets(discovery, {"pod/a", "deploy/b"})->at(1).kind->kind == "Deployment");
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{}, {"x"}, {"pod/a", "b"}, {"pod/"}, {"x/a"}}) {
    CHECK_FALSE(cli::parse_targets(discovery, bad).ok());
  }
}
