// JSON -> typed struct -> JSON must lose nothing, for every kind of the catalogue that clients use.
#include <catch2/catch.hpp>

#include <fstream>
#include <iterator>

#include "api/types/apps_v1.h"
#include "api/types/batch_v1.h"
#include "api/types/coordination_v1.h"
#include "api/types/core_v1.h"
#include "api/types/discovery_v1.h"
#include "api/types/events_v1.h"
#include "api/types/networking_v1.h"
#include "api/types/rbac_v1.h"
#include "api/types/storage_v1.h"

using namespace coxswain;

namespace {

template <typename T>
void round_trip(const char* file) {
  INFO(file);
  std::ifstream stream(std::string("libs/api/protobuf/testdata/") + file + ".json");
  REQUIRE(stream);
  const auto sample = json::parse(std::string(std::istreambuf_iterator<char>(stream), {}));
  REQUIRE(sample.ok());
  T object{};
  from_json(*sample, object);
  const json::Value back = to_json(object);
  CHECK((back == *sample));
  if (!(back == *sample)) WARN(json::write(back) << "\n" << json::write(*sample));
}

}  // namespace

TEST_CASE("typed structs keep every field") {
  round_trip<api::core::v1::Pod>("core.v1.Pod");
  round_trip<api::core::v1::Node>("core.v1.Node");
  round_trip<api::core::v1::Service>("core.v1.Service");
  round_trip<api::core::v1::Namespace>("core.v1.Namespace");
  round_trip<api::core::v1::ConfigMap>("core.v1.ConfigMap");
  round_trip<api::core::v1::Secret>("core.v1.Secret");
  round_trip<api::core::v1::Endpoints>("core.v1.Endpoints");
  round_trip<api::core::v1::Event>("core.v1.Event");
  round_trip<api::core::v1::ServiceAccount>("core.v1.ServiceAccount");
  round_trip<api::core::v1::PersistentVolume>("core.v1.PersistentVolume");
  round_trip<api::apps::v1::Deployment>("apps.v1.Deployment");
  round_trip<api::apps::v1::ReplicaSet>("apps.v1.ReplicaSet");
  round_trip<api::apps::v1::StatefulSet>("apps.v1.StatefulSet");
  round_trip<api::apps::v1::ControllerRevision>("apps.v1.ControllerRevision");
  round_trip<api::batch::v1::Job>("batch.v1.Job");
  round_trip<api::coordination::v1::Lease>("coordination.k8s.io.v1.Lease");
  round_trip<api::discovery::v1::EndpointSlice>("discovery.k8s.io.v1.EndpointSlice");
  round_trip<api::events::v1::Event>("events.k8s.io.v1.Event");
  round_trip<api::networking::v1::Ingress>("networking.k8s.io.v1.Ingress");
  round_trip<api::rbac::v1::ClusterRole>("rbac.authorization.k8s.io.v1.ClusterRole");
  round_trip<api::storage::v1::StorageClass>("storage.k8s.io.v1.StorageClass");
}
