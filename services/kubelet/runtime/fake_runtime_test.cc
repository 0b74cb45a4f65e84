#include "services/kubelet/runtime/fake_runtime.h"

#include "services/kubelet/runtime/runtime_contract.h"

using namespace coxswain;
using namespace coxswain::kubelet;

TEST_CASE("the fake runtime keeps the contract") {
  FakeRuntime runtime(system_clock());
  runtime.add_image("test:1");
  RuntimeContract(runtime, "test:1").check_all();
}

TEST_CASE("the fake runtime fails when told to, once, and records what was asked") {
  SharedManualClock clock;
  FakeRuntime runtime(clock);
  runtime.fail_call(1);
  CHECK(runtime.info().ok());
  CHECK_FALSE(runtime.images().ok());
  CHECK(runtime.images().ok());
  runtime.set_reachable(false);
  CHECK(runtime.list().error().code == ErrorCode::kUnavailable);
  CHECK(runtime.calls() == std::vector<std::string>{"info", "images", "images", "list"});
}
