// What the generated API structs are made of besides std types.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace coxswain::api {

// metav1.Time; JSON has whole seconds, "" and null are zero.
struct Time {
  std::int64_t unix_ms = 0;
  bool is_zero() const { return unix_ms == 0; }
  friend bool operator==(const Time&, const Time&) = default;
};

// metav1.MicroTime.
struct MicroTime {
  std::int64_t unix_us = 0;
  bool is_zero() const { return unix_us == 0; }
  friend bool operator==(const MicroTime&, const MicroTime&) = default;
};

struct IntOrString {
  bool is_int = true;
  std::int32_t int_value = 0;
  std::string string_value;
  static IntOrString of(std::int32_t n) { return {true, n, {}}; }
  static IntOrString of(std::string s) { return {false, 0, std::move(s)}; }
  friend bool operator==(const IntOrString&, const IntOrString&) = default;
};

// An optional value of a type that contains itself (JSONSchemaProps). Copies are deep.
template <typename T>
class Box {
 public:
  Box() = default;
  Box(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Box(const Box& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Box(Box&&) noexcept = default;
  Box& operator=(const Box& other) {
    value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Box& operator=(Box&&) noexcept = default;
  bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  T& emplace() { return *(value_ = std::make_unique<T>()); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace coxswain::api
