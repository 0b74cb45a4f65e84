#include "libs/api/validation/field_errors.h"

#include <algorithm>

namespace coxswain::api {
namespace {

std::string with_detail(std::string message, const std::string& detail) {
  return detail.empty() ? message : message + ": " + detail;
}

}  // namespace

void FieldErrors::add(const char* reason, const std::string& path, std::string message) {
  out_.push_back({reason, std::move(message), path});
}

void FieldErrors::required(const std::string& path, const std::string& detail) {
  add("FieldValueRequired", path, with_detail("Required value", detail));
}
void FieldErrors::invalid(const std::string& path, const json::Value& value, const std::string& detail) {
  add("FieldValueInvalid", path, with_detail("Invalid value: " + json::write(value), detail));
}
void FieldErrors::invalid_each(const std::string& path, const json::Value& value, const NameErrors& details) {
  for (const std::string& detail : details) invalid(path, value, detail);
}
void FieldErrors::not_supported(const std::string& path, const std::string& value,
                                std::initializer_list<std::string_view> supported) {
  std::string text = "Unsupported value: " + json::write(json::Value(value)) + ": supported values: ";
  bool first = true;
  for (const std::string_view word : supported) {
    text += (first ? "\"" : ", \"") + std::string(word) + "\"";
    first = false;
  }
  add("FieldValueNotSupported", path, std::move(text));
}
void FieldErrors::forbidden(const std::string& path, const std::string& detail) {
  add("FieldValueForbidden", path, "Forbidden: " + detail);
}
void FieldErrors::duplicate(const std::string& path, const json::Value& value, const std::string& detail) {
  add("FieldValueDuplicate", path, with_detail("Duplicate value: " + json::write(value), detail));
}
void FieldErrors::not_found(const std::string& path, const json::Value& value) {
  add("FieldValueNotFound", path, "Not found: " + json::write(value));
}
void FieldErrors::too_long(const std::string& path, std::size_t max_bytes) {
  add("FieldValueTooLong", path, "Too long: may not be more than " + std::to_string(max_bytes) + " bytes");
}
void FieldErrors::too_many(const std::string& path, std::size_t actual, std::size_t max) {
  add("FieldValueTooMany", path,
      "Too many: " + std::to_string(actual) + ": must have at most " + std::to_string(max) + " items");
}

void FieldErrors::non_negative(const std::string& path, std::int64_t value) {
  if (value < 0) invalid(path, json::Value(static_cast<long>(value)), "must be greater than or equal to 0");
}
void FieldErrors::port(const std::string& path, std::int64_t value) {
  invalid_each(path, json::Value(static_cast<long>(value)), check_port_number(value));
}
void FieldErrors::one_of(const std::string& path, const std::string& value,
                         std::initializer_list<std::string_view> supported) {
  if (value.empty()) return required(path);
  if (std::find(supported.begin(), supported.end(), value) == supported.end())
    not_supported(path, value, supported);
}
void FieldErrors::immutable(const std::string& path, const json::Value* before, const json::Value* now) {
  static const json::Value null;
  const json::Value& a = before == nullptr ? null : *before;
  const json::Value& b = now == nullptr ? null : *now;
  if (!(a == b)) invalid(path, b, "field is immutable");
}

std::string indexed(const std::string& path, std::size_t index) {
  return path + "[" + std::to_string(index) + "]";
}
std::string keyed(const std::string& path, const std::string& key) { return path + "[" + key + "]"; }

const json::Array& list_at(const json::Value& object, std::string_view key) {
  static const json::Array empty;
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_array() ? value->as_array() : empty;
}

}  // namespace coxswain::api
