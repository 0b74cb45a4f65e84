// A registry over a store in memory, spoken to without sockets. For tests.
#pragma once

#include <memory>
#include <string>
#include <catch2/catch.hpp>

#include "libs/registry/local_exchange.h"
#include "libs/registry/registry.h"
#include "libs/store/open.h"

namespace coxswain::registry {

struct Cluster {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Registry> registry;

  explicit Cluster(Options options = {}) {
    store = std::move(store::open_memory_store().value());
    options.authenticate = false;
    registry = std::make_unique<Registry>(*store, options);
    REQUIRE(registry->bootstrap().ok());
  }

  std::shared_ptr<LocalExchange> send(const std::string& method, const std::string& target,
                                      const std::string& body = {},
                                      const std::string& type = "application/json",
                                      http::Headers extra = {}) {
    http::Request request = make_request(method, target, body, type);
    for (http::Header& header : extra) request.headers.push_back(std::move(header));
    auto exchange = std::make_shared<LocalExchange>(std::move(request));
    registry->handle(exchange);
    REQUIRE(exchange->wait_done());
    return exchange;
  }
  coxswain::json::Value json(const std::string& method, const std::string& target, int code,
                             const std::string& body = {}, const std::string& type = "application/json") {
    auto exchange = send(method, target, body, type);
    INFO(method << " " << target << " -> " << exchange->status() << " " << exchange->body());
    REQUIRE(exchange->status() == code);
    auto value = coxswain::json::parse(exchange->body());
    REQUIRE(value.ok());
    return *value;
  }
};

}  // namespace coxswain::registry
