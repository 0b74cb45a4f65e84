#include "services/kubelet/core/image_name.h"

#include <catch2/catch.hpp>

#include <string>

using coxswain::kubelet::image_digest;
using coxswain::kubelet::image_name_problem;

TEST_CASE("image references follow the distribution grammar") {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  const std::string good[] = {"busybox",
                              "busybox:1.36",
                              "library/busybox",
                              "docker.io/library/busybox:latest",
                              "localhost/a",
                              "localhost:5000/a/b:v1",
                              "registry.example.com/a__b/c-d--e.f:T_a.g-1",
                              "127.0.0.1:5000/x",
                              "[2001:db8::1]:5000/x",
                              "a" + digest,
                              "a:1" + digest,
                              "a_b",
                              "Example.COM/a",
                              "coxswain/e2e:1",
                              std::string(63, 'a')};
  for (const std::string& name : good) {
    INFO(name);
    CHECK(image_name_problem(name) == nullptr);
  }
  const std::string bad[] = {"",
                             " ",
                             "No Such:Image",
                             "a b",
                             "a:",
                             ":a",
                             "a@",
                             "a@sha256:ab",
                             "a/",
                             "/a",
                             "a//b",
                             "a..b",
                             "a___b",
                             "-a",
                             "a-",
                             "_a",
                             "a.:1",
                             "localhost:/a",
                             "localhost:x/a",
                             "ä",
                             "a:" + std::string(129, 't'),
                             "a?b",
                             "a/../b",
                             "x-.example.com/a",
                             "a:b:c",
                             std::string(256, 'a'),
                             std::string(64, 'a'),
                             "a@:" + std::string(64, 'a')};
  for (const std::string& name : bad) {
    INFO(name);
    CHECK(image_name_problem(name) != nullptr);
  }
  CHECK(std::string(image_name_problem("Busybox")) == "repository name must be lowercase");
  CHECK(std::string(image_name_problem("a/B")) == "repository name must be lowercase");
}

TEST_CASE("the digest that says where an image came from") {
  const std::vector<std::string> names = {"a:1", "b@sha256:1", "r.io:5000/a@sha256:2"};
  CHECK(image_digest("r.io:5000/a:7", names) == "r.io:5000/a@sha256:2");
  CHECK(image_digest("r.io:5000/a@sha256:2", names) == "r.io:5000/a@sha256:2");
  CHECK(image_digest("b", names) == "b@sha256:1");
  CHECK(image_digest("c:1", names) == "b@sha256:1");
  CHECK(image_digest("a:1", {"a:1"}).empty());
}
