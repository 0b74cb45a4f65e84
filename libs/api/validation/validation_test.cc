#include "libs/api/validation/validation.h"

#include <catch2/catch.hpp>

using namespace coxswain;
using namespace coxswain::api;

namespace {

struct Case {
  const char* merge;  // members set in a good object, by JSON text of the whole value
  const char* field;
  const char* reason;
  const char* message;  // a part
};

json::Value good_container() {
  return *json::parse(
      R"({"name":"a","image":"i","imagePullPolicy":"Always","terminationMessagePolicy":"File"})");
}

json::Value good_pod() {
  json::Value spec = *json::parse(
      R"({"restartPolicy":"Always","dnsPolicy":"ClusterFirst","volumes":[{"name":"v","emptyDir":{}}]})");
  spec.set("containers", json::Value::array({good_container()}));
  return spec;
}

template <typename Validate>
void expect(const Case& c, const Validate& validate) {
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  validate(*json::parse(c.merge), errors);
  INFO(c.merge);
  bool found = false;
  for (const StatusCause& cause : causes) {
    INFO(cause.field << " " << cause.reason << " " << cause.message);
    found = found || (cause.field == c.field && cause.reason == c.reason &&
                      cause.message.find(c.message) != std::string::npos);
  }
  CHECK(found);
}

}  // namespace

TEST_CASE("good objects have no errors") {
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  validate_pod_spec(good_pod(), "spec", errors);
  validate_service_spec(
      *json::parse(
          R"({"type":"ClusterIP","sessionAffinity":"None","ports":[{"port":80,"protocol":"TCP","targetPort":"web"}]})"),
      errors);
  validate_object_meta(
      *json::parse(
          R"({"name":"a","namespace":"b","labels":{"x/y":"z"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"K","name":"n","uid":"u","controller":true}]})"),
      check_dns1123_subdomain, true, errors);
  for (const StatusCause& cause : causes) UNSCOPED_INFO(cause.field << ": " << cause.message);
  CHECK(causes.empty());
}

TEST_CASE("metadata errors") {
  const Case cases[] = {
      {R"({"namespace":"d"})", "metadata.name", "FieldValueRequired",
       "Required value: name or generateName is required"},
      {R"({"name":"A","namespace":"d"})", "metadata.name", "FieldValueInvalid",
       "Invalid value: \"A\": a lowercase RFC 1123 subdomain"},
      {R"({"name":"a"})", "metadata.namespace", "FieldValueRequired", "Required value"},
      {R"({"name":"a","namespace":"d","labels":{"-":"x"}})", "metadata.labels", "FieldValueInvalid",
       "name part must consist"},
      {R"({"name":"a","namespace":"d","labels":{"a":"-"}})", "metadata.labels", "FieldValueInvalid",
       "a valid label must be"},
      {R"({"name":"a","namespace":"d","annotations":{"a b":""}})", "metadata.annotations",
       "FieldValueInvalid", "name part"},
      {R"({"name":"a","namespace":"d","finalizers":["x y"]})", "metadata.finalizers", "FieldValueInvalid",
       "name part"},
      {R"({"name":"a","namespace":"d","ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n"}]})",
       "metadata.ownerReferences[0].uid", "FieldValueRequired", "must not be empty"},
  };
  for (const Case& c : cases) {
    expect(c, [](const json::Value& metadata, FieldErrors& errors) {
      validate_object_meta(metadata, check_dns1123_subdomain, true, errors);
    });
  }
  std::vector<StatusCause> causes;
  FieldErrors errors(causes);
  const json::Value big = json::Value::object({{"a", std::string(kMaxAnnotationBytes, 'x')}});
  validate_annotations(&big, "metadata.annotations", errors);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0].message == "Too long: may not be more than 262144 bytes");
}

TEST_CASE("container errors") {
  const Case cases[] = {
      {R"({"name":""})", "spec.containers[0].name", "FieldValueRequired", "Required value"},
      {R"({"name":"A_"})", "spec.containers[0].name", "FieldValueInvalid", "RFC 1123 label"},
      {R"({"image":""})", "spec.containers[0].image", "FieldValueRequired", "Required value"},
      {R"({"image":" x"})", "spec.containers[0].image", "FieldValueInvalid",
       "must not have leading or trailing whitespace"},
      {R"({"imagePullPolicy":"Often"})", "spec.containers[0].imagePullPolicy", "FieldValueNotSupported",
       "Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\""},
      {R"({"ports":[{"containerPort":0,"protocol":"TCP"}]})", "spec.containers[0].ports[0].containerPort",
       "FieldValueRequired", ""},
      {R"({"ports":[{"containerPort":70000,"protocol":"TCP"}]})", "spec.containers[0].ports[0].containerPort",
       "FieldValueInvalid", "Invalid value: 70000: must be between 1 and 65535, inclusive"},
      {R"({"ports":[{"containerPort":1,"protocol":"X"}]})", "spec.containers[0].ports[0].protocol",
       "FieldValueNotSupported", "\"SCTP\""},
      {R"({"ports":[{"containerPort":1,"protocol":"TCP","name":"1234567890123456"}]})",
       "spec.containers[0].ports[0].name", "FieldValueInvalid", "no more than 15"},
      {R"({"env":[{"name":""}]})", "spec.containers[0].env[0].name", "FieldValueRequired", ""},
      {R"({"env":[{"name":"A","value":"x","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]})",
       "spec.containers[0].env[0].valueFrom", "FieldValueInvalid",
       "may not be specified when `value` is not empty"},
      {R"({"volumeMounts":[{"name":"w","mountPath":"/x"}]})", "spec.containers[0].volumeMounts[0].name",
       "FieldValueNotFound", "Not found: \"w\""},
      {R"({"volumeMounts":[{"name":"v","mountPath":"/x"},{"name":"v","mountPath":"/x"}]})",
       "spec.containers[0].volumeMounts[1].mountPath", "FieldValueInvalid", "must be unique"},
      {R"({"livenessProbe":{}})", "spec.containers[0].livenessProbe", "FieldValueRequired",
       "must specify a handler type"},
      {R"({"livenessProbe":{"exec":{"command":["x"]},"tcpSocket":{"port":1}}})",
       "spec.containers[0].livenessProbe.tcpSocket", "FieldValueForbidden",
       "may not specify more than 1 handler type"},
      {R"({"livenessProbe":{"exec":{"command":["x"]},"periodSeconds":-1}})",
       "spec.containers[0].livenessProbe.periodSeconds", "FieldValueInvalid",
       "Invalid value: -1: must be greater than or equal to 0"},
      {R"({"resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}})",
       "spec.containers[0].resources.requests", "FieldValueInvalid",
       "Invalid value: \"2\": must be less than or equal to cpu limit of 1"},
      {R"({"resources":{"limits":{"memory":"x"}}})", "spec.containers[0].resources.limits[memory]",
       "FieldValueInvalid", "quantities must match"},
      {R"({"resources":{"limits":{"frob":"1"}}})", "spec.containers[0].resources.limits[frob]",
       "FieldValueInvalid", "must be a standard resource"},
  };
  for (const Case& c : cases) {
    expect(c, [](const json::Value& change, FieldErrors& errors) {
      json::Value pod = good_pod();
      json::Value& container = pod.find("containers")->as_array()[0];
      for (const json::Member& member : change.as_object()) container.set(member.first, member.second);
      validate_pod_spec(pod, "spec", errors);
    });
  }
}

TEST_CASE("pod errors") {
  const Case cases[] = {
      {R"({"containers":[]})", "spec.containers", "FieldValueRequired", "Required value"},
      {R"({"restartPolicy":"Maybe"})", "spec.restartPolicy", "FieldValueNotSupported",
       "supported values: \"Always\", \"OnFailure\", \"Never\""},
      {R"({"volumes":[{"name":"v"}]})", "spec.volumes[0]", "FieldValueRequired",
       "must specify a volume type"},
      {R"({"volumes":[{"name":"v","emptyDir":{},"secret":{"secretName":"s"}}]})", "spec.volumes[0].secret",
       "FieldValueForbidden", "more than 1 volume type"},
      {R"({"activeDeadlineSeconds":0})", "spec.activeDeadlineSeconds", "FieldValueInvalid",
       "must be between 1 and 2147483647, inclusive"},
      {R"({"nodeSelector":{"a":"-"}})", "spec.nodeSelector", "FieldValueInvalid", "a valid label"},
      {R"({"tolerations":[{"key":"a","operator":"Exists","value":"x"}]})", "spec.tolerations[0].operator",
       "FieldValueInvalid", "value must be empty"},
      {R"({"initContainers":[{"name":"a","image":"i"}]})", "spec.initContainers[0].name",
       "FieldValueDuplicate", "Duplicate value: \"a\""},
  };
  for (const Case& c : cases) {
    expect(c, [](const json::Value& change, FieldErrors& errors) {
      json::Value pod = good_pod();
      for (const json::Member& member : change.as_object()) pod.set(member.first, member.second);
      validate_pod_spec(pod, "spec", errors);
    });
  }
}

TEST_CASE("pod updates") {
  const auto causes_of = [](const char* change) {
    json::Value pod = good_pod();
    const json::Value members = *json::parse(change);
    for (const json::Member& member : members.as_object()) pod.set(member.first, member.second);
    std::vector<StatusCause> causes;
    FieldErrors errors(causes);
    validate_pod_update(good_pod(), pod, errors);
    return causes;
  };
  CHECK(causes_of("{}").empty());
  CHECK(causes_of(R"({"tolerations":[{"key":"a","operator":"Exists"}]})").empty());
  CHECK(causes_of(R"({"activeDeadlineSeconds":10})").empty());
  const auto node = causes_of(R"({"nodeName":"x"})");
  REQUIRE(node.size() == 1);
  CHECK(node[0].message.rfind(
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`", 0) == 0);
}

TEST_CASE("service errors") {
  const Case cases[] = {
      {R"({"ports":[]})", "spec.ports", "FieldValueRequired", "Required value"},
      {R"({"type":"Odd"})", "spec.type", "FieldValueNotSupported",
       "\"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""},
      {R"({"ports":[{"port":0,"protocol":"TCP"}]})", "spec.ports[0].port", "FieldValueInvalid",
       "Invalid value: 0: must be between"},
      {R"({"ports":[{"port":1,"protocol":"TCP"},{"port":2,"protocol":"TCP"}]})", "spec.ports[0].name",
       "FieldValueRequired", ""},
      {R"({"ports":[{"name":"a","port":1,"protocol":"TCP"},{"name":"a","port":2,"protocol":"TCP"}]})",
       "spec.ports[1].name", "FieldValueDuplicate", ""},
      {R"({"ports":[{"port":1,"protocol":"TCP","nodePort":30000}]})", "spec.ports[0].nodePort",
       "FieldValueForbidden", "may not be used when `type` is 'ClusterIP'"},
      {R"({"sessionAffinity":"Maybe"})", "spec.sessionAffinity", "FieldValueNotSupported",
       "\"ClientIP\", \"None\""},
      {R"({"clusterIP":"x"})", "spec.clusterIPs[0]", "FieldValueInvalid", "must be a valid IP address"},
      {R"({"type":"ExternalName"})", "spec.externalName", "FieldValueRequired", ""},
  };
  for (const Case& c : cases) {
    expect(c, [](const json::Value& change, FieldErrors& errors) {
      json::Value spec = *json::parse(
          R"({"type":"ClusterIP","sessionAffinity":"None","ports":[{"port":80,"protocol":"TCP"}]})");
      for (const json::Member& member : change.as_object()) spec.set(member.first, member.second);
      validate_service_spec(spec, errors);
    });
  }
}
