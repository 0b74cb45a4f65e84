// Keeps a sink equal to a collection on the server: list in pages, then watch; resumes a broken watch
// from the last seen resourceVersion and lists again when that version is gone (410).
//
// One thread per reflector: run() blocks. Survives any number of api-server restarts.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>

#include "libs/client/api_client.h"
#include "libs/common/base/clock.h"

namespace coxswain::client {

// Called only from the reflector's thread.
class ReflectorSink {
 public:
  virtual ~ReflectorSink() = default;
  virtual void begin_replace() = 0;  // a list starts: items follow through upsert
  virtual void upsert(const json::Value& object) = 0;
  virtual void erase(const json::Value& object) = 0;  // the final state
  virtual void end_replace() = 0;                     // what was not upserted since begin is gone
};

struct ReflectorOptions {
  std::string ns;  // "" is all
  std::string label_selector;
  std::string field_selector;
  std::int64_t page_size = 500;
  bool metadata_only = false;  // PartialObjectMetadata: less to send and to parse
  // Between failures in a row: doubles up to the cap, each wait shortened by up to half at random. Any list
  // or event that arrives starts it over, so that a daemon is back within the cap after however long an
  // outage.
  std::int64_t backoff_min_ms = 500;
  std::int64_t backoff_max_ms = 5'000;
  std::int64_t watch_min_seconds = 300;  // each watch asks for a random time in [min, 2 min)
};

class Reflector {
 public:
  Reflector(ApiClient& client, ResourceInfo resource, ReflectorOptions options, ReflectorSink& sink,
            std::unique_ptr<Random> random = nullptr);
  // Until `stop`. Errors are logged, never fatal.
  void run(std::stop_token stop);
  // One list followed by one watch; for run() and for tests. Ok when it should go on at once.
  ApiResult<void> step(std::stop_token stop);

 private:
  ApiResult<void> list();
  ApiResult<void> watch(std::stop_token stop);
  ApiResult<void> on_event(std::string_view line);

  ApiClient& client_;
  const ResourceInfo resource_;
  const ReflectorOptions options_;
  ReflectorSink& sink_;
  std::unique_ptr<Random> random_;
  std::string resource_version_;  // "" means: list first
  bool progressed_ = false;       // something arrived since run() last looked
};

// Waits, or returns early (false) when `stop` is requested.
bool sleep_for_ms(std::int64_t ms, std::stop_token stop);

}  // namespace coxswain::client
