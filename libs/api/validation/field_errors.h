// Collects what is wrong with an object as StatusCauses, in Kubernetes' message forms.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "libs/api/meta/names.h"
#include "libs/api/meta/status.h"

namespace coxswain::api {

class FieldErrors {
 public:
  explicit FieldErrors(std::vector<StatusCause>& out) : out_(out) {}

  void required(const std::string& path, const std::string& detail = {});
  void invalid(const std::string& path, const json::Value& value, const std::string& detail);
  void invalid_each(const std::string& path, const json::Value& value, const NameErrors& details);
  void not_supported(const std::string& path, const std::string& value,
                     std::initializer_list<std::string_view> supported);
  void forbidden(const std::string& path, const std::string& detail);
  void duplicate(const std::string& path, const json::Value& value, const std::string& detail = {});
  void not_found(const std::string& path, const json::Value& value);
  void too_long(const std::string& path, std::size_t max_bytes);
  void too_many(const std::string& path, std::size_t actual, std::size_t max);

  std::size_t count() const { return out_.size(); }

  // The commonest rules.
  void non_negative(const std::string& path, std::int64_t value);
  void port(const std::string& path, std::int64_t value);
  // Adds a cause when `value` is not listed; an empty value is Required.
  void one_of(const std::string& path, const std::string& value,
              std::initializer_list<std::string_view> supported);
  void immutable(const std::string& path, const json::Value* before, const json::Value* now);

 private:
  void add(const char* reason, const std::string& path, std::string message);
  std::vector<StatusCause>& out_;
};

std::string indexed(const std::string& path, std::size_t index);     // "a[3]"
std::string keyed(const std::string& path, const std::string& key);  // "a[key]"

// The elements of a member that is a list; empty when absent or something else.
const json::Array& list_at(const json::Value& object, std::string_view key);

}  // namespace coxswain::api
