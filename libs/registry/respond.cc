#include "libs/api/yaml/yaml.h"
#include "libs/registry/core.h"
#include "libs/registry/object.h"
#include "libs/registry/shape.h"
#include "libs/registry/table.h"

namespace coxswain::registry {
namespace {

// Quotes a warning for the Warning header: RFC 7234 quoted-string, control characters dropped.
std::string warning_header(const std::string& text) {
  std::string out = "299 - \"";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20) continue;
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

Context Call::context() { return Context{now_unix_ms, &user, &core.options.settings, &warnings}; }

api::GroupResource Call::group_resource() const { return {info.group, info.resource}; }

std::string Call::key() const { return object_key(*resource, info.ns, info.name); }

void respond_raw(const CallPtr& call, http::Response response) {
  for (const std::string& warning : call->warnings) {
    response.headers.emplace_back("Warning", warning_header(warning));
  }
  call->core.metrics.count(call->info.is_resource ? std::string_view(call->info.verb) : "other",
                           response.status, call->core.clock.now_ms() - call->started_ms);
  call->exchange->respond(std::move(response));
}

void respond_json(const CallPtr& call, int code, const json::Value& value) {
  http::Response response;
  response.status = code;
  if (call->output.yaml) {
    response.headers.emplace_back("Content-Type", "application/yaml");
    response.body.push_back(http::Chunk::of(yaml::write(value)));
  } else {
    response.headers.emplace_back("Content-Type", "application/json");
    std::string text = call->output.pretty ? json::write_pretty(value) : json::write(value);
    text += '\n';
    response.body.push_back(http::Chunk::of(std::move(text)));
  }
  respond_raw(call, std::move(response));
}

void respond_status(const CallPtr& call, const api::Status& status) {
  http::Response response;
  response.status = status.code;
  response.headers.emplace_back("Content-Type", "application/json");
  if (status.retry_after_seconds > 0) {
    response.headers.emplace_back("Retry-After", std::to_string(status.retry_after_seconds));
  }
  const json::Value value = status.to_json();
  std::string text = call->output.pretty ? json::write_pretty(value) : json::write(value);
  response.body.push_back(http::Chunk::of(text + "\n"));
  respond_raw(call, std::move(response));
}

void respond_success(const CallPtr& call, const std::string& uid) {
  json::Value details = json::Value::object({{"name", call->info.name}});
  if (!call->info.group.empty()) details.set("group", call->info.group);
  details.set("kind", call->info.resource);
  if (!uid.empty()) details.set("uid", uid);
  respond_json(call, 200,
               json::Value::object({{"kind", "Status"},
                                    {"apiVersion", "v1"},
                                    {"metadata", json::Value::object()},
                                    {"status", "Success"},
                                    {"details", std::move(details)}}));
}

void respond_created(const CallPtr& call) {
  respond_json(call, 201,
               json::Value::object({{"kind", "Status"},
                                    {"apiVersion", "v1"},
                                    {"metadata", json::Value::object()},
                                    {"status", "Success"},
                                    {"code", 201}}));
}

void respond_entry(const CallPtr& call, int code, const store::EntryPtr& entry) {
  const Output& output = call->output;
  if (output.shape == Output::Shape::kFull && !output.yaml && !output.pretty &&
      call->strategy->from_storage == nullptr && call->present == nullptr) {
    http::Response response;
    response.status = code;
    response.headers.emplace_back("Content-Type", "application/json");
    response.body.push_back(http::Chunk{entry, entry->value});
    respond_raw(call, std::move(response));
    return;
  }
  respond_object(call, code, served_form(*call->strategy, decode_stored(*entry)));
}

void respond_object(const CallPtr& call, int code, const json::Value& object) {
  if (call->present != nullptr) return respond_json(call, code, call->present(object));
  switch (call->output.shape) {
    case Output::Shape::kFull:
      respond_json(call, code, object);
      return;
    case Output::Shape::kPartial:
      respond_json(call, code, partial_metadata(object));
      return;
    case Output::Shape::kTable: {
      const std::string revision = object.get_string_path({"metadata", "resourceVersion"});
      json::Value table = table_head(*call->resource, revision);
      table["rows"].push_back(table_row(*call->resource, *call->strategy, object,
                                        call->request().query_value("includeObject"), call->now_unix_ms));
      respond_json(call, code, table);
      return;
    }
  }
}

api::Status status_of_store_error(const Error& error) {
  switch (error.code) {
    case ErrorCode::kCompacted:
      return api::expired("The resourceVersion for the provided list is too old.");
    case ErrorCode::kOutOfRange:
      return api::timeout("Too large resource version: " + error.message, 1);
    case ErrorCode::kResourceExhausted:
      // The store says which bound it was: a full queue passes, a full disk needs an operator.
      if (error.message.rfind("too many writes", 0) == 0) return api::too_many_requests(error.message, 1);
      return api::insufficient_storage(error.message);
    case ErrorCode::kDeadlineExceeded:
      // Nobody knows what became of it. Without Retry-After, so that clients do not write again unasked.
      return api::timeout(error.message);
    case ErrorCode::kInvalidArgument:
      return api::request_too_large(error.message);
    case ErrorCode::kUnavailable:  // nothing happened
      return api::service_unavailable(error.message, 1);
    case ErrorCode::kCancelled:
      return api::service_unavailable(error.message);
    default:
      return api::internal_error(error.message);
  }
}

}  // namespace coxswain::registry
