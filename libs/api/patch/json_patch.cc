#include <algorithm>

#include "libs/api/patch/patch.h"
#include "libs/common/base/strings.h"

namespace coxswain::api {
namespace {

using Path = std::vector<std::string>;

Status does_not_apply(const std::string& why) {
  Status status;
  status.code = 422;
  status.reason = "Invalid";
  status.message = "the server rejected our request due to an error in our request: " + why;
  status.causes.push_back({"UnexpectedServerResponse", why, ""});
  return status;
}

std::size_t depth_of(const json::Value& value) {
  std::size_t deepest = 0;
  if (value.is_array()) {
    for (const json::Value& item : value.as_array()) deepest = std::max(deepest, depth_of(item));
  } else if (value.is_object()) {
    for (const json::Member& member : value.as_object()) deepest = std::max(deepest, depth_of(member.second));
  } else {
    return 0;
  }
  return deepest + 1;
}

// RFC 6901: false when malformed.
bool parse_pointer(const std::string& text, Path& out) {
  if (text.empty()) return true;
  if (text[0] != '/') return false;
  for (const std::string& raw : split(std::string_view(text).substr(1), '/')) {
    std::string part;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '~') {
        part += raw[i];
        continue;
      }
      if (++i == raw.size() || (raw[i] != '0' && raw[i] != '1')) return false;
      part += raw[i] == '0' ? '~' : '/';
    }
    out.push_back(std::move(part));
  }
  return true;
}

// An existing element; nullptr when `part` is no index or lies outside.
json::Value* child(json::Value& parent, const std::string& part) {
  if (parent.is_object()) return parent.find(part);
  if (!parent.is_array() || (part.size() > 1 && part[0] == '0')) return nullptr;
  const auto index = parse_uint64(part);
  return index && *index < parent.as_array().size() ? &parent.as_array()[*index] : nullptr;
}

json::Value* locate(json::Value& root, const Path& path, std::size_t count) {
  json::Value* at = &root;
  for (std::size_t i = 0; i < count && at != nullptr; ++i) at = child(*at, path[i]);
  return at;
}

bool add(json::Value& root, const Path& path, json::Value value) {
  if (path.empty()) {
    root = std::move(value);
    return true;
  }
  json::Value* parent = locate(root, path, path.size() - 1);
  if (parent == nullptr) return false;
  const std::string& last = path.back();
  if (parent->is_object()) {
    parent->set(last, std::move(value));
    return true;
  }
  if (!parent->is_array()) return false;
  json::Array& items = parent->as_array();
  if (last == "-") {
    items.push_back(std::move(value));
    return true;
  }
  const auto index = parse_uint64(last);
  if (!index || *index > items.size() || (last.size() > 1 && last[0] == '0')) return false;
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
  return true;
}

bool remove(json::Value& root, const Path& path, json::Value* removed) {
  if (path.empty()) return false;
  json::Value* parent = locate(root, path, path.size() - 1);
  json::Value* target = parent == nullptr ? nullptr : child(*parent, path.back());
  if (target == nullptr) return false;
  if (removed != nullptr) *removed = std::move(*target);
  if (parent->is_object()) {
    parent->erase(path.back());
  } else {
    json::Array& items = parent->as_array();
    items.erase(items.begin() + (target - items.data()));
  }
  return true;
}

struct Operation {
  std::string op;
  std::string path_text;
  Path path;
  Path from;
  const json::Value* value = nullptr;
};

ApiResult<Operation> decode(const json::Value& source, std::size_t index) {
  const auto malformed = [&](const std::string& why) {
    return bad_request("error decoding patch: operation " + std::to_string(index) + ": " + why);
  };
  if (!source.is_object()) return malformed("must be an object");
  static constexpr std::string_view kKnown[] = {"add", "remove", "replace", "move", "copy", "test"};
  Operation out;
  out.op = source.get_string("op");
  if (std::find(std::begin(kKnown), std::end(kKnown), out.op) == std::end(kKnown)) {
    return malformed("unknown op \"" + out.op + "\"");
  }
  const json::Value* path = source.find("path");
  if (path == nullptr || !path->is_string() || !parse_pointer(path->as_string(), out.path)) {
    return malformed("\"path\" must be a JSON pointer");
  }
  out.path_text = path->as_string();
  out.value = source.find("value");
  if (out.op == "move" || out.op == "copy") {
    const json::Value* from = source.find("from");
    if (from == nullptr || !from->is_string() || !parse_pointer(from->as_string(), out.from)) {
      return malformed("\"from\" must be a JSON pointer");
    }
  } else if (out.value == nullptr && (out.op == "add" || out.op == "replace")) {
    return malformed("\"value\" is missing");
  }
  return out;
}

class Applier {
 public:
  explicit Applier(json::Value& document) : document_(document) {}

  ApiResult<void> apply(const Operation& operation) {
    if (operation.op == "test") return test(operation);
    if (operation.op == "remove") return settle(operation, remove(document_, operation.path, nullptr));
    if (operation.op == "add") return insert(operation, *operation.value);
    if (operation.op == "replace") return replace(operation);
    return operation.op == "move" ? move(operation) : copy(operation);
  }

 private:
  static ApiResult<void> settle(const Operation& operation, bool applied) {
    if (applied) return {};
    return does_not_apply(operation.op +
                          " operation does not apply: doc is missing path: " + operation.path_text);
  }

  ApiResult<void> insert(const Operation& operation, json::Value value) {
    if (operation.path.size() + depth_of(value) > kMaxPatchedDepth) {
      return does_not_apply("the patched document would be nested too deeply");
    }
    return settle(operation, add(document_, operation.path, std::move(value)));
  }

  ApiResult<void> test(const Operation& operation) {
    const json::Value* target = locate(document_, operation.path, operation.path.size());
    static const json::Value null;
    const json::Value& found = target == nullptr ? null : *target;
    if (found == (operation.value == nullptr ? null : *operation.value)) return {};
    return does_not_apply("testing value " + operation.path_text + " failed: test failed");
  }

  ApiResult<void> replace(const Operation& operation) {
    json::Value* target = locate(document_, operation.path, operation.path.size());
    if (target == nullptr) return settle(operation, false);
    if (operation.path.size() + depth_of(*operation.value) > kMaxPatchedDepth) {
      return does_not_apply("the patched document would be nested too deeply");
    }
    *target = *operation.value;
    return {};
  }

  ApiResult<void> move(const Operation& operation) {
    if (operation.from == operation.path) {
      return settle(operation, locate(document_, operation.from, operation.from.size()) != nullptr);
    }
    const bool inside = operation.from.size() < operation.path.size() &&
                        std::equal(operation.from.begin(), operation.from.end(), operation.path.begin());
    json::Value moved;
    if (inside || !remove(document_, operation.from, &moved)) return settle(operation, false);
    return insert(operation, std::move(moved));
  }

  ApiResult<void> copy(const Operation& operation) {
    const json::Value* source = locate(document_, operation.from, operation.from.size());
    if (source == nullptr) return settle(operation, false);
    // Copies of copies grow without bound otherwise.
    copied_bytes_ += json::write(*source).size();
    if (copied_bytes_ > kMaxPatchCopyBytes) return request_too_large("the patch copies more than 3 MiB");
    return insert(operation, json::Value(*source));
  }

  json::Value& document_;
  std::size_t copied_bytes_ = 0;
};

}  // namespace

ApiResult<json::Value> apply_json_patch(const json::Value& patch, json::Value document) {
  if (!patch.is_array()) return bad_request("error decoding patch: must be an array of operations");
  const json::Array& operations = patch.as_array();
  if (operations.size() > kMaxPatchOperations) {
    return request_too_large("the allowed maximum operations in a JSON patch is " +
                             std::to_string(kMaxPatchOperations) + ", got " +
                             std::to_string(operations.size()));
  }
  Applier applier(document);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    COX_ASSIGN_OR_RETURN(const Operation operation, decode(operations[i], i));
    COX_RETURN_IF_ERROR(applier.apply(operation));
  }
  return document;
}

}  // namespace coxswain::api
