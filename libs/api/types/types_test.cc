// JSON -> typed struct -> JSON must lose nothing, for every kind of the catalogue that clients use.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/types/admissionregistration_v1.h"
#include "api/types/apps_v1.h"
#include "api/types/authentication_v1.h"
#include "api/types/authorization_v1.h"
#include "api/types/autoscaling_v1.h"
#include "api/types/autoscaling_v2.h"
#include "api/types/batch_v1.h"
#include "api/types/certificates_v1.h"
#include "api/types/coordination_v1.h"
#include "api/types/core_v1.h"
#include "api/types/discovery_v1.h"
#include "api/types/events_v1.h"
#include "api/types/flowcontrol_v1.h"
#include "api/types/networking_v1.h"
#include "api/types/node_v1.h"
#include "api/types/policy_v1.h"
#include "api/types/rbac_v1.h"
#include "api/types/resource_v1.h"
#include "api/types/scheduling_v1.h"
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

TEST_CASE("typed structs keep every field of every sample") {
  round_trip<api::admissionregistration::v1::MutatingAdmissionPolicy>(
      "admissionregistration.k8s.io.v1.MutatingAdmissionPolicy");
  round_trip<api::admissionregistration::v1::MutatingAdmissionPolicyBinding>(
      "admissionregistration.k8s.io.v1.MutatingAdmissionPolicyBinding");
  round_trip<api::admissionregistration::v1::MutatingWebhookConfiguration>(
      "admissionregistration.k8s.io.v1.MutatingWebhookConfiguration");
  round_trip<api::admissionregistration::v1::ValidatingAdmissionPolicy>(
      "admissionregistration.k8s.io.v1.ValidatingAdmissionPolicy");
  round_trip<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>(
      "admissionregistration.k8s.io.v1.ValidatingAdmissionPolicyBinding");
  round_trip<api::admissionregistration::v1::ValidatingWebhookConfiguration>(
      "admissionregistration.k8s.io.v1.ValidatingWebhookConfiguration");
  round_trip<api::apps::v1::ControllerRevision>("apps.v1.ControllerRevision");
  round_trip<api::apps::v1::DaemonSet>("apps.v1.DaemonSet");
  round_trip<api::apps::v1::Deployment>("apps.v1.Deployment");
  round_trip<api::apps::v1::ReplicaSet>("apps.v1.ReplicaSet");
  round_trip<api::apps::v1::StatefulSet>("apps.v1.StatefulSet");
  round_trip<api::authentication::v1::SelfSubjectReview>("authentication.k8s.io.v1.SelfSubjectReview");
  round_trip<api::authentication::v1::TokenReview>("authentication.k8s.io.v1.TokenReview");
  round_trip<api::authorization::v1::LocalSubjectAccessReview>(
      "authorization.k8s.io.v1.LocalSubjectAccessReview");
  round_trip<api::authorization::v1::SelfSubjectAccessReview>(
      "authorization.k8s.io.v1.SelfSubjectAccessReview");
  round_trip<api::authorization::v1::SelfSubjectRulesReview>(
      "authorization.k8s.io.v1.SelfSubjectRulesReview");
  round_trip<api::authorization::v1::SubjectAccessReview>("authorization.k8s.io.v1.SubjectAccessReview");
  round_trip<api::autoscaling::v1::HorizontalPodAutoscaler>("autoscaling.v1.HorizontalPodAutoscaler");
  round_trip<api::autoscaling::v2::HorizontalPodAutoscaler>("autoscaling.v2.HorizontalPodAutoscaler");
  round_trip<api::batch::v1::CronJob>("batch.v1.CronJob");
  round_trip<api::batch::v1::Job>("batch.v1.Job");
  round_trip<api::certificates::v1::CertificateSigningRequest>(
      "certificates.k8s.io.v1.CertificateSigningRequest");
  round_trip<api::coordination::v1::Lease>("coordination.k8s.io.v1.Lease");
  round_trip<api::core::v1::ComponentStatus>("core.v1.ComponentStatus");
  round_trip<api::core::v1::ConfigMap>("core.v1.ConfigMap");
  round_trip<api::core::v1::Endpoints>("core.v1.Endpoints");
  round_trip<api::core::v1::Event>("core.v1.Event");
  round_trip<api::core::v1::LimitRange>("core.v1.LimitRange");
  round_trip<api::core::v1::Namespace>("core.v1.Namespace");
  round_trip<api::core::v1::Node>("core.v1.Node");
  round_trip<api::core::v1::PersistentVolume>("core.v1.PersistentVolume");
  round_trip<api::core::v1::PersistentVolumeClaim>("core.v1.PersistentVolumeClaim");
  round_trip<api::core::v1::Pod>("core.v1.Pod");
  round_trip<api::core::v1::PodTemplate>("core.v1.PodTemplate");
  round_trip<api::core::v1::ReplicationController>("core.v1.ReplicationController");
  round_trip<api::core::v1::ResourceQuota>("core.v1.ResourceQuota");
  round_trip<api::core::v1::Secret>("core.v1.Secret");
  round_trip<api::core::v1::Service>("core.v1.Service");
  round_trip<api::core::v1::ServiceAccount>("core.v1.ServiceAccount");
  round_trip<api::discovery::v1::EndpointSlice>("discovery.k8s.io.v1.EndpointSlice");
  round_trip<api::events::v1::Event>("events.k8s.io.v1.Event");
  round_trip<api::flowcontrol::v1::FlowSchema>("flowcontrol.apiserver.k8s.io.v1.FlowSchema");
  round_trip<api::flowcontrol::v1::PriorityLevelConfiguration>(
      "flowcontrol.apiserver.k8s.io.v1.PriorityLevelConfiguration");
  round_trip<api::networking::v1::IPAddress>("networking.k8s.io.v1.IPAddress");
  round_trip<api::networking::v1::Ingress>("networking.k8s.io.v1.Ingress");
  round_trip<api::networking::v1::IngressClass>("networking.k8s.io.v1.IngressClass");
  round_trip<api::networking::v1::NetworkPolicy>("networking.k8s.io.v1.NetworkPolicy");
  round_trip<api::networking::v1::ServiceCIDR>("networking.k8s.io.v1.ServiceCIDR");
  round_trip<api::node::v1::RuntimeClass>("node.k8s.io.v1.RuntimeClass");
  round_trip<api::policy::v1::Eviction>("policy.v1.Eviction");
  round_trip<api::policy::v1::PodDisruptionBudget>("policy.v1.PodDisruptionBudget");
  round_trip<api::rbac::v1::ClusterRole>("rbac.authorization.k8s.io.v1.ClusterRole");
  round_trip<api::rbac::v1::ClusterRoleBinding>("rbac.authorization.k8s.io.v1.ClusterRoleBinding");
  round_trip<api::rbac::v1::Role>("rbac.authorization.k8s.io.v1.Role");
  round_trip<api::rbac::v1::RoleBinding>("rbac.authorization.k8s.io.v1.RoleBinding");
  round_trip<api::resource::v1::DeviceClass>("resource.k8s.io.v1.DeviceClass");
  round_trip<api::resource::v1::ResourceClaim>("resource.k8s.io.v1.ResourceClaim");
  round_trip<api::resource::v1::ResourceClaimTemplate>("resource.k8s.io.v1.ResourceClaimTemplate");
  round_trip<api::resource::v1::ResourceSlice>("resource.k8s.io.v1.ResourceSlice");
  round_trip<api::scheduling::v1::PriorityClass>("scheduling.k8s.io.v1.PriorityClass");
  round_trip<api::storage::v1::CSIDriver>("storage.k8s.io.v1.CSIDriver");
  round_trip<api::storage::v1::CSINode>("storage.k8s.io.v1.CSINode");
  round_trip<api::storage::v1::CSIStorageCapacity>("storage.k8s.io.v1.CSIStorageCapacity");
  round_trip<api::storage::v1::StorageClass>("storage.k8s.io.v1.StorageClass");
  round_trip<api::storage::v1::VolumeAttachment>("storage.k8s.io.v1.VolumeAttachment");
  round_trip<api::storage::v1::VolumeAttributesClass>("storage.k8s.io.v1.VolumeAttributesClass");
}

TEST_CASE("no sample is forgotten above") {
  int samples = 0;
  for (const auto& entry : std::filesystem::directory_iterator("libs/api/protobuf/testdata"))
    samples += entry.path().extension() == ".json";
  CHECK(samples == 66);
}

TEST_CASE("wrong types are skipped, zero values are left out, required fields stay") {
  api::core::v1::Pod pod{};
  const auto odd = json::parse(R"({"metadata":{"name":7,"labels":{"a":1,"b":"x"},"generation":"no"},
    "spec":{"containers":{"not":"a list"},"nodeName":["n"],"priority":3000000000,"hostNetwork":"yes"},"status":null})");
  REQUIRE(odd.ok());
  from_json(*odd, pod);
  CHECK(pod.metadata.name.empty());
  CHECK(pod.metadata.labels.count("b") == 1);
  CHECK(pod.spec.containers.empty());
  CHECK_FALSE(pod.spec.hostNetwork);
  from_json(json::Value("text"), pod);
  const json::Value empty = to_json(api::core::v1::Pod{});
  CHECK(empty.get_string("kind") == "Pod");
  CHECK(empty.find_path({"spec", "nodeName"}) == nullptr);
  const json::Value port = to_json(api::core::v1::ServicePort{});
  CHECK(port.find("port") != nullptr);
  CHECK(port.find("nodePort") == nullptr);
}

TEST_CASE("times keep their precision") {
  api::coordination::v1::LeaseSpec lease{};
  const auto sample = json::parse(
      R"({"renewTime":"2026-11-20T22:33:28.000123Z","acquireTime":"2026-11-20T22:33:28.999999Z"})");
  REQUIRE(sample.ok());
  from_json(*sample, lease);
  REQUIRE(lease.renewTime.has_value());
  CHECK(lease.renewTime->unix_us % 1'000'000 == 123);
  CHECK((to_json(lease) == *sample));
}
