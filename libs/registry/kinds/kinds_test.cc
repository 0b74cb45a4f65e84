// Defaults, rules and table cells of the kinds, as data.
#include <catch2/catch.hpp>

#include "libs/registry/documents.h"
#include "libs/registry/strategy.h"
#include "libs/registry/table.h"

using namespace coxswain;
using namespace coxswain::registry;

namespace {

json::Value parsed(const std::string& text) {
  auto value = json::parse(text);
  if (!value.ok()) FAIL(text << ": " << value.error().message);
  return *value;
}

json::Value created(const char* group, const char* kind, const std::string& text) {
  const Strategy& strategy = find_strategy(group, kind);
  json::Value object = parsed(text);
  apply_defaults(*api::schema::find_kind(group, "v1", kind), strategy, object);
  if (strategy.prepare_create != nullptr) strategy.prepare_create(Context{}, object);
  return object;
}

const char* const kPod = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"nginx"}]}})";

}  // namespace

TEST_CASE("pod defaults") {
  struct Case {
    const char* container;  // members of the container
    const char* where;      // JSON pointer-ish, below spec.containers[0]
    const char* expected;
  };
  const Case cases[] = {
      {R"("image":"nginx")", "imagePullPolicy", R"("Always")"},
      {R"("image":"nginx:latest")", "imagePullPolicy", R"("Always")"},
      {R"("image":"localhost:5000/nginx:1.2")", "imagePullPolicy", R"("IfNotPresent")"},
      {R"("image":"nginx@sha256:00")", "imagePullPolicy", R"("IfNotPresent")"},
      {R"("image":"x")", "terminationMessagePath", R"("/dev/termination-log")"},
      {R"("image":"x","ports":[{"containerPort":80}])", "ports",
       R"([{"containerPort":80,"protocol":"TCP"}])"},
      {R"("image":"x","resources":{"limits":{"cpu":0.5,"memory":"1024Ki"}})", "resources",
       R"({"limits":{"cpu":"500m","memory":"1Mi"},"requests":{"cpu":"500m","memory":"1Mi"}})"},
      {R"("image":"x","env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}])", "env",
       R"([{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name","apiVersion":"v1"}}}])"},
  };
  for (const Case& c : cases) {
    INFO(c.container);
    const json::Value pod = created(
        "", "Pod",
        std::string(R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a",)") + c.container + "}]}}");
    const json::Value* found = pod.find_path({"spec", "containers"})->as_array()[0].find(c.where);
    REQUIRE(found != nullptr);
    CHECK(json::write(*found) == json::write(parsed(c.expected)));
  }
  const json::Value pod = created("", "Pod", kPod);
  CHECK(pod.get_string_path({"spec", "restartPolicy"}) == "Always");
  CHECK(pod.get_string_path({"spec", "schedulerName"}) == "default-scheduler");
  CHECK(pod.get_string_path({"spec", "serviceAccountName"}) == "default");
  CHECK(pod.find("spec")->get_int("terminationGracePeriodSeconds") == 30);
  CHECK(pod.find_path({"spec", "tolerations"})->as_array().size() == 2);
  CHECK(pod.get_string_path({"status", "phase"}) == "Pending");
  CHECK(pod.get_string_path({"status", "qosClass"}) == "BestEffort");
}

TEST_CASE("defaults are idempotent and leave a template's requests alone") {
  json::Value pod = created("", "Pod", kPod);
  const json::Value once = pod;
  find_strategy("", "Pod").default_object(pod);
  CHECK(pod == once);
  const json::Value deployment = created("apps", "Deployment", R"({"spec":{"template":{"spec":{"containers":[
      {"name":"a","image":"x","resources":{"limits":{"cpu":"1"}}}]}}}})");
  CHECK(deployment.find("spec")->get_int("replicas") == 1);
  CHECK(deployment.get_string_path({"spec", "strategy", "rollingUpdate", "maxSurge"}) == "25%");
  const json::Value& container =
      deployment.find_path({"spec", "template", "spec", "containers"})->as_array()[0];
  CHECK(container.find_path({"resources", "requests"}) == nullptr);
}

// A json::Object's members move when one is added. Nothing is filled in before the strategies here, so that
// each of their steps adds members itself; with AddressSanitizer a reference kept too long is found.
TEST_CASE("strategies complete bare documents by themselves") {
  const char* const kinds[][2] = {{"", "Namespace"},
                                  {"", "Node"},
                                  {"", "Pod"},
                                  {"", "Service"},
                                  {"", "Endpoints"},
                                  {"", "ConfigMap"},
                                  {"", "Secret"},
                                  {"", "ServiceAccount"},
                                  {"", "Event"},
                                  {"events.k8s.io", "Event"},
                                  {"apps", "Deployment"},
                                  {"apps", "ReplicaSet"},
                                  {"apps", "ControllerRevision"},
                                  {"coordination.k8s.io", "Lease"},
                                  {"discovery.k8s.io", "EndpointSlice"}};
  const char* const documents[] = {
      "{}",
      R"({"spec":{}})",
      R"({"spec":{"containers":[{}],"schedulingGates":[{"name":"g"}]}})",
      R"({"spec":{"containers":[{"resources":{"limits":{"cpu":"1","memory":"1Gi"}},"ports":[{}]}],"hostNetwork":true}})",
      R"({"spec":{"template":{"spec":{"containers":[{}],"volumes":[{"name":"v"}]}},"strategy":{}}})",
      R"({"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP","externalTrafficPolicy":"Local","ports":[{}]}})",
      R"({"spec":{"podCIDR":"10.0.0.0/24"},"metadata":{"name":"n"}})",
      R"({"stringData":{"a":"b"},"subsets":[{"ports":[{}]}],"ports":[{}],"status":{"loadBalancer":{"ingress":[{"ip":"1.1.1.1"}]}}})",
  };
  const ClusterSettings settings;
  Context context;
  context.settings = &settings;
  for (const auto& kind : kinds) {
    const Strategy& strategy = find_strategy(kind[0], kind[1]);
    for (const char* document : documents) {
      INFO(kind[1] << " " << document);
      json::Value object = parsed(document);
      Causes causes;
      if (strategy.default_object != nullptr) {
        strategy.default_object(object);
        const json::Value once = object;
        strategy.default_object(object);
        CHECK(object == once);
      }
      if (strategy.prepare_create != nullptr) strategy.prepare_create(context, object);
      if (strategy.allocate != nullptr)
        strategy.allocate(
            context, nullptr, object, [](const std::string&) { return false; }, causes);
      if (strategy.validate_create != nullptr) strategy.validate_create(context, object, causes);
      const json::Value old = object;
      json::Value bare = parsed(document);
      if (strategy.prepare_update != nullptr) strategy.prepare_update(context, old, bare);
      if (strategy.prepare_status_update != nullptr) strategy.prepare_status_update(context, old, bare);
      if (strategy.validate_update != nullptr) strategy.validate_update(context, old, bare, causes);
      if (strategy.validate_status_update != nullptr)
        strategy.validate_status_update(context, old, bare, causes);
      if (strategy.on_terminating != nullptr) strategy.on_terminating(context, bare);
    }
  }
}

TEST_CASE("rules of kinds") {
  struct Case {
    const char* group;
    const char* kind;
    const char* object;
    const char* field;
    const char* message;
  };
  const Case cases[] = {
      {"", "Pod", R"({"spec":{"containers":[]}})", "spec.containers", "Required value"},
      {"", "Pod",
       R"({"spec":{"containers":[{"name":"a","image":"x","resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}]}})",
       "spec.containers[0].resources.requests", "must be less than or equal to cpu limit of 1"},
      {"apps", "Deployment",
       R"({"spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{}}}})",
       "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"},
      {"apps", "Deployment", R"({"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{}}}})",
       "spec.template.metadata.labels", "`selector` does not match template `labels`"},
      {"", "Service", R"({"spec":{"ports":[{"port":0}]}})", "spec.ports[0].port",
       "must be between 1 and 65535, inclusive"},
      {"", "ConfigMap", R"({"data":{"a b":""}})", "data[a b]", "a valid config key"},
  };
  for (const Case& c : cases) {
    const json::Value object = created(c.group, c.kind, c.object);
    Causes causes;
    find_strategy(c.group, c.kind).validate_create(Context{}, object, causes);
    INFO(c.kind << " " << c.field);
    bool found = false;
    for (const api::StatusCause& cause : causes) {
      found = found || (cause.field == c.field && cause.message.find(c.message) != std::string::npos);
    }
    CHECK(found);
  }
}

TEST_CASE("data is bounded by what it decodes to") {
  struct Case {
    const char* kind;
    const char* member;
    std::size_t bytes;  // of one value, as it is written
    std::size_t causes;
  };
  constexpr std::size_t kMiB = 1024 * 1024;
  const Case cases[] = {
      {"ConfigMap", "data", kMiB, 0},
      {"ConfigMap", "data", kMiB + 1, 1},
      {"ConfigMap", "binaryData", kMiB / 3 * 4, 0},
      {"ConfigMap", "binaryData", kMiB / 3 * 4 + 8, 1},
      {"Secret", "data", kMiB / 3 * 4, 0},
      {"Secret", "data", kMiB / 3 * 4 + 8, 1},
  };
  for (const Case& c : cases) {
    json::Value object = json::Value::object({{"type", "Opaque"}});
    object[c.member].set("k", std::string(c.bytes, 'A'));
    Causes causes;
    find_strategy("", c.kind).validate_create(Context{}, object, causes);
    INFO(c.kind << " " << c.member << " " << c.bytes);
    REQUIRE(causes.size() == c.causes);
    if (c.causes == 1) CHECK(causes[0].message == "Too long: may not be more than 1048576 bytes");
  }
}

TEST_CASE("cells") {
  struct Case {
    const char* group;
    const char* kind;
    const char* object;
    const char* column;
    const char* expected;
  };
  const Case cases[] = {
      {"", "Pod",
       R"({"spec":{"containers":[{},{}]},"status":{"containerStatuses":[{"ready":true,"state":{"running":{}}}]}})",
       "Ready", "1/2"},
      {"", "Pod",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},"status":{"initContainerStatuses":[{"name":"s","started":true,"ready":true,"restartCount":1}],"containerStatuses":[{"restartCount":2}]}})",
       "Ready", "1/2"},
      {"", "Pod",
       R"({"spec":{"containers":[{}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},"status":{"initContainerStatuses":[{"name":"s","started":true,"restartCount":1}],"containerStatuses":[{"restartCount":2}]}})",
       "Restarts", "3"},
      {"", "Pod",
       R"({"spec":{"initContainers":[{},{}]},"status":{"phase":"Pending","initContainerStatuses":[{"state":{"running":{}}},{"state":{"waiting":{"reason":"PodInitializing"}}}]}})",
       "Status", "Init:0/2"},
      {"", "Pod",
       R"({"spec":{"initContainers":[{},{}]},"status":{"phase":"Pending","initContainerStatuses":[{"state":{"terminated":{"exitCode":0}}},{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})",
       "Status", "Init:CrashLoopBackOff"},
      {"", "Pod",
       R"({"spec":{"initContainers":[{}]},"status":{"initContainerStatuses":[{"state":{"terminated":{"exitCode":1,"signal":9}}}]}})",
       "Status", "Init:Signal:9"},
      {"", "Pod",
       R"({"status":{"phase":"Pending","containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]}})",
       "Status", "PodInitializing"},
      {"", "Pod",
       R"({"status":{"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}})",
       "Status", "CrashLoopBackOff"},
      {"", "Pod",
       R"({"status":{"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}})",
       "Status", "Completed"},
      {"", "Pod",
       R"({"status":{"phase":"Running","containerStatuses":[{"state":{"terminated":{"reason":"Completed"}}},{"ready":true,"state":{"running":{}}}]}})",
       "Status", "NotReady"},
      {"", "Pod",
       R"({"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":2}}}]}})",
       "Status", "ExitCode:2"},
      {"", "Pod",
       R"({"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":137,"signal":9}}}]}})",
       "Status", "Signal:9"},
      {"", "Pod", R"({"status":{"phase":"Failed","reason":"Evicted"}})", "Status", "Evicted"},
      {"", "Pod",
       R"({"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]}})",
       "Status", "SchedulingGated"},
      {"", "Pod", R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Running"}})",
       "Status", "Terminating"},
      {"", "Pod",
       R"({"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Succeeded"}})",
       "Status", "Succeeded"},
      {"", "Pod",
       R"({"status":{"containerStatuses":[{"restartCount":2,"lastState":{"terminated":{"finishedAt":"1970-01-01T00:00:00Z"}}}]}})",
       "Restarts", "2"},
      {"", "Pod",
       R"({"status":{"containerStatuses":[{"restartCount":2,"lastState":{"terminated":{"finishedAt":"1970-01-01T00:01:00Z"}}}]}})",
       "Restarts", "2 (<invalid> ago)"},
      {"", "Pod",
       R"({"spec":{"readinessGates":[{"conditionType":"a"}]},"status":{"conditions":[{"type":"a","status":"True"}]}})",
       "Readiness Gates", "1/1"},
      {"", "Service",
       R"({"spec":{"ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]}})",
       "Port(s)", "80:30080/TCP,53/UDP"},
      {"", "Service", R"({"spec":{"type":"LoadBalancer"}})", "External-IP", "<pending>"},
      {"", "Service",
       R"({"spec":{"type":"LoadBalancer","externalIPs":["9.9.9.9"]},"status":{"loadBalancer":{"ingress":[{"hostname":"h.x"},{"ip":"1.2.3.4"}]}}})",
       "External-IP", "1.2.3.4,h.x,9.9.9.9"},
      {"", "Service", R"({"spec":{"type":"ExternalName","externalName":"a.b"}})", "External-IP", "a.b"},
      {"", "Service", R"({"spec":{"selector":{"b":"1","a":"2"}}})", "Selector", "a=2,b=1"},
      {"", "Node",
       R"({"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}]}})",
       "Status", "Ready,SchedulingDisabled"},
      {"", "Node",
       R"({"metadata":{"labels":{"node-role.kubernetes.io/worker":"","kubernetes.io/role":"edge"}}})",
       "Roles", "edge,worker"},
      {"apps", "Deployment", R"({"spec":{"replicas":3},"status":{"readyReplicas":2}})", "Ready", "2/3"},
      {"apps", "Deployment",
       R"({"spec":{"selector":{"matchLabels":{"b":"1"},"matchExpressions":[{"key":"a","operator":"In","values":["y","x"]}]}}})",
       "Selector", "a in (x,y),b=1"},
      {"apps", "ControllerRevision",
       R"({"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"w","controller":true}]}})",
       "Controller", "statefulset.apps/w"},
      {"", "Endpoints",
       R"({"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"ports":[{"port":1},{"port":2}]}]})",
       "Endpoints", "1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more..."},
      {"discovery.k8s.io", "EndpointSlice", R"({"ports":[]})", "Ports", "<unset>"},
      {"discovery.k8s.io", "EndpointSlice", R"({"ports":[{"name":"web"},{}]})", "Ports", "web,*"},
      {"discovery.k8s.io", "EndpointSlice",
       R"({"endpoints":[{"addresses":["1","2"]},{"addresses":["3"]},{"addresses":["4"]}]})", "Endpoints",
       "1,2,3 + 1 more..."},
      {"", "Event",
       R"({"involvedObject":{"kind":"Pod","name":"p"},"reportingComponent":"c","reportingInstance":"i"})",
       "Source", "c, i"},
      {"", "Event", R"({"involvedObject":{"kind":"Pod","name":"p"}})", "Object", "pod/p"},
      {"", "Event", R"({"eventTime":"1970-01-01T00:00:00.000000Z"})", "Last Seen", "0s"},
  };
  for (const Case& c : cases) {
    INFO(c.kind << " " << c.column);
    const json::Value cell = find_strategy(c.group, c.kind).table_cell(parsed(c.object), c.column, 0);
    REQUIRE(cell.is_string());
    CHECK(cell.as_string() == c.expected);
  }
}

// Whole rows, in the words of `kubectl get` (-o wide behind the bar). ServiceAccounts do not count secrets
// anymore, as upstream since v1.35.
TEST_CASE("rows") {
  struct Case {
    const char* group;
    const char* kind;
    const char* object;  // its metadata is added
    const char* columns;
    const char* cells;
  };
  const Case cases[] = {
      {"apps", "ReplicaSet",
       R"("spec":{"replicas":4,"selector":{"matchLabels":{"b":"1","a":"2"}},"template":{"spec":{"containers":[
          {"name":"c1","image":"i1"},{"name":"c2","image":"i2"}]}}},
          "status":{"replicas":3,"readyReplicas":2,"availableReplicas":1})",
       "Name Desired Current Ready Age | Containers Images Selector",
       R"(["n",4,3,2,"5m","c1,c2","i1,i2","a=2,b=1"])"},
      {"apps", "ReplicaSet",
       R"("spec":{"replicas":0,"selector":{"matchLabels":{"a":"2"}},"template":{"spec":{"containers":[
          {"name":"c","image":"i"}]}}})",
       "Name Desired Current Ready Age | Containers Images Selector", R"(["n",0,0,0,"5m","c","i","a=2"])"},
      {"", "Namespace", R"("status":{"phase":"Terminating"})", "Name Status Age",
       R"(["n","Terminating","5m"])"},
      {"", "Secret", R"("type":"kubernetes.io/tls","data":{"tls.crt":"","tls.key":""})", "Name Type Data Age",
       R"(["n","kubernetes.io/tls",2,"5m"])"},
      {"", "Secret", R"("type":"Opaque")", "Name Type Data Age", R"(["n","Opaque",0,"5m"])"},
      {"", "ServiceAccount", R"("secrets":[{"name":"s"}])", "Name Age", R"(["n","5m"])"},
      {"", "ConfigMap", R"("data":{"a":"","b":""},"binaryData":{"c":""})", "Name Data Age",
       R"(["n",3,"5m"])"},
      {"", "ConfigMap", R"("immutable":true)", "Name Data Age", R"(["n",0,"5m"])"},
      {"coordination.k8s.io", "Lease", R"("spec":{"holderIdentity":"me"})", "Name Holder Age",
       R"(["n","me","5m"])"},
      {"coordination.k8s.io", "Lease", R"("spec":{})", "Name Holder Age", R"(["n","","5m"])"},
  };
  for (const Case& c : cases) {
    INFO(c.kind << " " << c.object);
    const api::schema::Resource& resource = *api::schema::find_kind(c.group, "v1", c.kind);
    std::string columns;
    bool wide = false;
    const json::Value definitions = table_column_definitions(resource);
    for (const json::Value& column : definitions.as_array()) {
      if (column.get_int("priority") > 0 && !wide) columns += " |";
      wide = column.get_int("priority") > 0;
      columns += (columns.empty() ? "" : " ") + column.get_string("name");
    }
    CHECK(columns == c.columns);
    const json::Value object =
        parsed(R"({"metadata":{"name":"n","creationTimestamp":"1970-01-01T00:01:00Z"},)" +
               std::string(c.object) + "}");
    const json::Value row = table_row(resource, find_strategy(c.group, c.kind), object, "None", 360'000);
    CHECK(json::write(*row.find("cells")) == c.cells);
  }
}
