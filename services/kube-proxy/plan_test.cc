#include "services/kube-proxy/plan.h"

#include <catch2/catch.hpp>

#include "services/kube-proxy/dataplane.h"
#include "services/kube-proxy/proxy.h"

using namespace coxswain;
using namespace coxswain::proxy;

namespace {

ServicePtr service(const char* text) {
  auto out = std::make_shared<api::core::v1::Service>();
  const auto parsed = json::parse(text);
  REQUIRE(parsed.ok());
  from_json(*parsed, *out);
  return out;
}

EndpointSlicePtr slice_named(const std::string& service, const std::string& endpoints,
                             const char* protocol = "TCP") {
  auto out = std::make_shared<api::discovery::v1::EndpointSlice>();
  const auto parsed =
      json::parse(R"({"metadata":{"namespace":"ns","name":"x","labels":{"kubernetes.io/service-name":")" +
                  service + R"("}},
    "addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":")" +
                  std::string(protocol) + R"("}],"endpoints":[)" + endpoints + "]}");
  REQUIRE(parsed.ok());
  from_json(*parsed, *out);
  return out;
}

EndpointSlicePtr slice(const std::string& endpoints, const char* protocol = "TCP") {
  return slice_named("web", endpoints, protocol);
}

constexpr const char* kWeb =
    R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"ClusterIP",
  "ports":[{"name":"http","port":80,"protocol":"TCP"}]}})";
constexpr const char* kTwo = R"({"addresses":["10.244.0.2"],"nodeName":"n1","conditions":{"ready":true}},
  {"addresses":["10.244.1.3"],"nodeName":"n2","conditions":{"ready":true}})";

// Everything of a plan as text, to look for words in.
std::string text_of(const Plan& p) { return render_full(p.rules); }
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

class Recording final : public Dataplane {
 public:
  Result<void> apply(const std::string& transaction) override {
    if (fail) return make_error(ErrorCode::kInternal, "no");
    transactions.push_back(transaction);
    return {};
  }
  bool intact() override { return !flushed; }
  void forget_udp(const std::function<bool(const UdpBinding&)>& stale) override {
    forgotten.clear();
    for (const UdpBinding& flow : flows) {
      if (stale(flow)) forgotten.insert(flow);
    }
  }
  Result<void> remove_table() override { return {}; }
  std::vector<std::string> transactions;
  std::set<UdpBinding> flows;  // what conntrack knows
  std::set<UdpBinding> forgotten;
  bool fail = false;
  bool flushed = false;
};

}  // namespace

TEST_CASE("a cluster IP spreads over its ready endpoints") {
  const Plan p = plan({{service(kWeb)}, {slice(kTwo)}, "n1", "10.244.0.0/16"});
  const std::string text = text_of(p);
  CHECK(p.rules.maps.at("service_ips").contains("10.96.0.5 . tcp . 80"));
  CHECK(count(text, "dnat to 10.244.0.2:8080") == 1);
  CHECK(count(text, "dnat to 10.244.1.3:8080") == 1);
  CHECK(count(text, "numgen random mod 2") == 1);
  CHECK(count(text, "ip saddr != 10.244.0.0/16 jump mark_masquerade") == 1);
  CHECK(count(text, "ip saddr 10.244.0.2 jump mark_masquerade") == 1);
}

TEST_CASE("which endpoints are used") {
  struct Row {
    const char* why;
    const char* endpoints;
    std::vector<std::string> used;
  };
  const Row rows[] = {
      {"not ready is left out",
       R"({"addresses":["1.1.1.1"],"conditions":{"ready":false}},{"addresses":["1.1.1.2"],"conditions":{"ready":true}})",
       {"1.1.1.2"}},
      {"no word means ready", R"({"addresses":["1.1.1.1"]})", {"1.1.1.1"}},
      {"terminating but serving is the last resort",
       R"({"addresses":["1.1.1.1"],"conditions":{"ready":false,"serving":true,"terminating":true}})",
       {"1.1.1.1"}},
      {"and only that",
       R"({"addresses":["1.1.1.1"],"conditions":{"ready":false,"serving":true,"terminating":true}},{"addresses":["1.1.1.2"],"conditions":{"ready":true}})",
       {"1.1.1.2"}},
  };
  for (const Row& row : rows) {
    INFO(row.why);
    const std::string text = text_of(plan({{service(kWeb)}, {slice(row.endpoints)}, "n1", ""}));
    CHECK(count(text, "dnat to") == row.used.size());
    for (const std::string& ip : row.used) CHECK(count(text, "dnat to " + ip) == 1);
  }
}

TEST_CASE("a service without endpoints is refused, headless and external names are left alone") {
  const Plan none = plan({{service(kWeb)}, {}, "n1", ""});
  CHECK(none.rules.maps.at("no_endpoint_ips").at("10.96.0.5 . tcp . 80") == "goto reject_service");
  CHECK(none.rules.maps.at("service_ips").empty());
  for (
      const char* text :
      {R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"None","ports":[{"port":80}]}})",
       R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"type":"ExternalName","externalName":"x"}})"}) {
    const Plan p = plan({{service(text)}, {slice(kTwo)}, "n1", ""});
    CHECK(p.rules.chains.empty());
    CHECK(p.rules.maps.at("no_endpoint_ips").empty());
  }
}

TEST_CASE("node ports, external IPs and local policies") {
  const Plan p = plan(
      {{service(
           R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"NodePort","externalIPs":["192.0.2.9"],
    "ports":[{"name":"http","port":80,"nodePort":30080}]}})")},
       {slice(kTwo)},
       "n1",
       ""});
  CHECK(p.rules.maps.at("service_nodeports").contains("tcp . 30080"));
  CHECK(p.rules.maps.at("service_ips").contains("192.0.2.9 . tcp . 80"));
  const Plan local = plan(
      {{service(
           R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"NodePort","externalTrafficPolicy":"Local",
    "internalTrafficPolicy":"Local","ports":[{"name":"http","port":80,"nodePort":30080}]}})")},
       {slice(kTwo)},
       "n3",
       ""});
  CHECK(local.rules.maps.at("no_endpoint_ips").at("10.96.0.5 . tcp . 80") == "goto drop_service");
}

TEST_CASE("session affinity remembers clients per endpoint") {
  const Plan p = plan(
      {{service(
           R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","sessionAffinity":"ClientIP",
    "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":60}},"ports":[{"name":"http","port":80}]}})")},
       {slice(kTwo)},
       "n1",
       ""});
  CHECK(p.rules.sets.size() == 2);
  const std::string text = text_of(p);
  CHECK(count(text, "timeout 60s") == 2);
  CHECK(count(text, "{ ip saddr }") == 2);
}

TEST_CASE("updates touch only what changed; a failure starts over") {
  Recording dataplane;
  Proxy proxy(dataplane);
  const PlanInput first{{service(kWeb)}, {slice(kTwo)}, "n1", ""};
  REQUIRE(proxy.sync(first).ok());
  CHECK(dataplane.transactions[0].find("delete table") != std::string::npos);
  REQUIRE(proxy.sync(first).ok());
  CHECK(dataplane.transactions.size() == 1);
  const PlanInput second{
      {service(kWeb)}, {slice(R"({"addresses":["10.244.0.2"],"conditions":{"ready":true}})")}, "n1", ""};
  REQUIRE(proxy.sync(second).ok());
  CHECK(dataplane.transactions[1].find("table ip coxswain\n") == std::string::npos);
  CHECK(count(dataplane.transactions[1], "delete chain") == 1);
  CHECK(count(dataplane.transactions[1], "dnat") == 0);
  dataplane.fail = true;
  CHECK_FALSE(proxy.sync(first).ok());
  dataplane.fail = false;
  REQUIRE(proxy.sync(first).ok());
  CHECK(dataplane.transactions[2].find("delete table") != std::string::npos);
}

TEST_CASE("external Local: outside clients stay on the node, pods and the node itself go everywhere") {
  const auto rules_on = [](const char* node, const char* endpoints) {
    const Plan p = plan(
        {{service(
             R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"NodePort","externalTrafficPolicy":"Local",
    "ports":[{"name":"http","port":80,"nodePort":30080}]}})")},
         {slice(endpoints)},
         node,
         "10.244.0.0/16"});
    const std::string verdict = p.rules.maps.at("service_nodeports").at("tcp . 30080");
    REQUIRE(verdict.starts_with("goto ext_"));
    return p.rules.chains.at(verdict.substr(5));
  };
  for (const char* node : {"n1", "n3"}) {
    INFO(node);
    const auto rules = rules_on(node, kTwo);
    REQUIRE(rules.size() == 4);
    CHECK(rules[0].starts_with("ip saddr 10.244.0.0/16 goto all_"));
    CHECK(rules[1] == "fib saddr type local jump mark_masquerade");
    CHECK(rules[2].starts_with("fib saddr type local goto all_"));
  }
  CHECK(rules_on("n1", kTwo)[3].starts_with("numgen random mod 1 vmap"));
  CHECK(rules_on("n3", kTwo)[3] == "drop");
  // KEP-1669: the node's own terminating endpoint drains what still comes in, though others are ready
  // elsewhere.
  const char* draining =
      R"({"addresses":["10.244.0.2"],"nodeName":"n1","conditions":{"ready":false,"serving":true,"terminating":true}},
      {"addresses":["10.244.1.3"],"nodeName":"n2","conditions":{"ready":true}})";
  CHECK(rules_on("n1", draining)[3].starts_with("numgen random mod 1 vmap"));
}

TEST_CASE("one endpoint among 1,000 services: the change is as small as its cause") {
  Recording dataplane;
  Proxy proxy(dataplane);
  PlanInput input{{}, {}, "n1", "10.244.0.0/16"};
  const auto slice_of = [](int i, const std::string& ips) {
    return slice_named("s" + std::to_string(i), ips);
  };
  for (int i = 0; i < 1000; ++i) {
    const std::string ip = "10.96." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
    const std::string text = R"({"metadata":{"namespace":"ns","name":"s)" + std::to_string(i) +
                             R"("},"spec":{"clusterIP":")" + ip +
                             R"(","ports":[{"name":"http","port":80,"protocol":"TCP"}]}})";
    input.services.push_back(service(text.c_str()));
    input.slices.push_back(slice_of(i, R"({"addresses":["10.244.0.2"]},{"addresses":["10.244.0.3"]})"));
  }
  REQUIRE(proxy.sync(input).ok());
  CHECK(count(dataplane.transactions.at(0), "\n") > 5000);
  input.slices[500] = slice_of(500, R"({"addresses":["10.244.0.2"]},{"addresses":["10.244.0.9"]})");
  REQUIRE(proxy.sync(input).ok());
  const std::string& update = dataplane.transactions.at(1);
  INFO(update);
  CHECK(count(update, "\n") <= 12);
  CHECK(count(update, "dnat to 10.244.0.9:8080") == 1);
}

TEST_CASE("rules that somebody flushed are made anew") {
  Recording dataplane;
  Proxy proxy(dataplane);
  const PlanInput input{{service(kWeb)}, {slice(kTwo)}, "n1", ""};
  REQUIRE(proxy.sync(input, true).ok());
  REQUIRE(proxy.sync(input, true).ok());
  CHECK(dataplane.transactions.size() == 1);
  dataplane.flushed = true;
  REQUIRE(proxy.sync(input).ok());
  CHECK(dataplane.transactions.size() == 1);  // not looked at
  REQUIRE(proxy.sync(input, true).ok());
  REQUIRE(dataplane.transactions.size() == 2);
  CHECK(dataplane.transactions[1] == dataplane.transactions[0]);
}

TEST_CASE("UDP flows that no endpoint answers any more are forgotten") {
  Recording dataplane;
  Proxy proxy(dataplane);
  const char* dns =
      R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"NodePort","ports":[{"name":"http","port":53,"nodePort":30053,"protocol":"UDP"}]}})";
  const UdpBinding alive{"10.96.0.5", 53, "10.244.0.2"}, gone{"10.96.0.5", 53, "10.244.1.3"},
      unanswered{"10.96.0.5", 53, "10.96.0.5"}, node_alive{"192.0.2.1", 30053, "10.244.0.2"},
      node_gone{"192.0.2.1", 30053, "10.244.1.3"}, foreign{"198.51.100.7", 30053, "198.51.100.7"};
  dataplane.flows = {alive, gone, unanswered, node_alive, node_gone, foreign};
  // A first look, as after a restart: what began before there was a rule goes.
  REQUIRE(proxy.sync({{service(dns)}, {slice(kTwo, "UDP")}, "n1", ""}).ok());
  CHECK(dataplane.forgotten == std::set<UdpBinding>{unanswered});
  dataplane.flows.erase(unanswered);
  REQUIRE(proxy.sync({{service(dns)}, {slice(R"({"addresses":["10.244.0.2"]})", "UDP")}, "n1", ""}).ok());
  CHECK(dataplane.forgotten == std::set<UdpBinding>{gone, node_gone});
  dataplane.flows = {alive, node_alive, foreign};
  REQUIRE(proxy.sync({{}, {}, "n1", ""}).ok());
  CHECK(dataplane.forgotten == std::set<UdpBinding>{alive, node_alive});
}

TEST_CASE("the kernel takes every kind of ruleset") {
  auto dataplane = make_nft_dataplane();
  REQUIRE(dataplane.ok());
  const Plan p = plan(
      {{service(
            R"({"metadata":{"namespace":"ns","name":"web"},"spec":{"clusterIP":"10.96.0.5","type":"NodePort","sessionAffinity":"ClientIP","externalIPs":["192.0.2.9"],
    "ports":[{"name":"http","port":80,"nodePort":30080}]}})"),
        service(
            R"({"metadata":{"namespace":"x","name":"y"},"spec":{"clusterIP":"10.96.0.6","ports":[{"port":81}]}})"),
        service(
            R"({"metadata":{"namespace":"ns","name":"local"},"spec":{"clusterIP":"10.96.0.7","type":"NodePort","externalTrafficPolicy":"Local",
    "ports":[{"name":"http","port":80,"nodePort":30081}]}})")},
       {slice(kTwo), slice_named("local", kTwo)},
       "n1",
       "10.244.0.0/16"});
  // A table of another name, so that a cluster on this machine is not disturbed.
  const auto renamed = [](std::string text) {
    for (std::size_t at = 0; (at = text.find("ip coxswain", at)) != std::string::npos; at += 16)
      text.replace(at, 11, "ip coxswain_test");
    return text;
  };
  const auto applied = (*dataplane)->apply(renamed(render_full(p.rules)));
  if (!applied.ok() && applied.error().code == ErrorCode::kPermissionDenied) {
    WARN("SKIPPED: " << applied.error().message);
    return;
  }
  if (!applied.ok()) FAIL(applied.error().message);
  const Plan next = plan({{service(kWeb)}, {slice(R"({"addresses":["10.244.0.2"]})")}, "n1", ""});
  const auto updated = (*dataplane)->apply(renamed(render_update(p.rules, next.rules)));
  if (!updated.ok()) FAIL_CHECK(updated.error().message);
  const auto emptied = (*dataplane)->apply(renamed(render_update(next.rules, plan({}).rules)));
  if (!emptied.ok()) FAIL_CHECK(emptied.error().message);
  CHECK((*dataplane)->apply("delete table ip coxswain_test\n").ok());
}
