// JSON documents as values. std-only header: RapidJSON stays behind json.cc.
//
//   Value pod = Value::object();
//   pod.set("kind", "Pod");
//   const Value* name = pod.find_path({"metadata", "name"});   // nullptr when absent
//
// Objects keep insertion order. Integers stay integers (int64; uint64 above that), as
// Kubernetes clients expect. A Value is a plain value: copy is deep, const access is thread-safe.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "libs/common/base/result.h"

namespace coxswain::json {

class Value;
struct Member;
using Array = std::vector<Value>;

// Members in insertion order, unique keys, linear look-up (API objects are small).
class Object {
 public:
  // Defined below: Member is not complete yet here.
  Object();
  Object(const Object& other);
  Object(Object&& other) noexcept;
  Object& operator=(const Object& other);
  Object& operator=(Object&& other) noexcept;
  ~Object();

  Value* find(std::string_view key);
  const Value* find(std::string_view key) const;
  Value& set(std::string_view key, Value value);  // replaces or appends
  Value& operator[](std::string_view key);        // appends null when absent
  bool erase(std::string_view key);
  // Appends without looking for the key; for callers that know it is new (parsers).
  Value& append(std::string key, Value value);
  std::size_t size() const;
  bool empty() const;
  std::vector<Member>::iterator begin();
  std::vector<Member>::iterator end();
  std::vector<Member>::const_iterator begin() const;
  std::vector<Member>::const_iterator end() const;

 private:
  std::vector<Member> members_;
};

enum class Type { kNull, kBool, kInt, kUint, kDouble, kString, kArray, kObject };
const char* to_string(Type type);  // "null", "boolean", "integer", "number", "string", "array", "object"

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool b) : data_(b) {}
  Value(int n) : data_(static_cast<std::int64_t>(n)) {}
  Value(long n) : data_(static_cast<std::int64_t>(n)) {}
  Value(long long n) : data_(static_cast<std::int64_t>(n)) {}
  Value(unsigned n) : data_(static_cast<std::int64_t>(n)) {}
  Value(unsigned long n);  // an int64 when it fits
  Value(double d) : data_(d) {}
  Value(const char* s) : data_(std::string(s)) {}
  Value(std::string_view s) : data_(std::string(s)) {}
  Value(std::string s) : data_(std::move(s)) {}
  Value(Array a) : data_(std::move(a)) {}
  Value(Object o) : data_(std::move(o)) {}
  static Value array(std::initializer_list<Value> items = {}) { return Value(Array(items)); }
  static Value object() { return Value(Object()); }
  static Value object(std::initializer_list<std::pair<std::string_view, Value>> members);

  Type type() const { return static_cast<Type>(data_.index()); }
  bool is_null() const { return type() == Type::kNull; }
  bool is_bool() const { return type() == Type::kBool; }
  bool is_integer() const { return type() == Type::kInt || type() == Type::kUint; }
  bool is_number() const { return is_integer() || type() == Type::kDouble; }
  bool is_string() const { return type() == Type::kString; }
  bool is_array() const { return type() == Type::kArray; }
  bool is_object() const { return type() == Type::kObject; }

  // The as_* accessors require the right type (checked).
  bool as_bool() const;
  std::int64_t as_int() const;    // kInt only
  std::uint64_t as_uint() const;  // kUint only: above INT64_MAX
  double as_double() const;       // any number
  const std::string& as_string() const;
  std::string& as_string();
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  // Object helpers; on anything but an object, look-ups find nothing. set() and operator[] turn
  // null into an object and require an object otherwise.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  const Value* find_path(std::initializer_list<std::string_view> path) const;
  Value* find_path(std::initializer_list<std::string_view> path);
  Value& set(std::string_view key, Value value);
  Value& operator[](std::string_view key);
  bool erase(std::string_view key);
  // Tolerant reads: the fallback when absent or of another type.
  std::string get_string(std::string_view key, std::string_view fallback = {}) const;
  std::int64_t get_int(std::string_view key, std::int64_t fallback = 0) const;
  bool get_bool(std::string_view key, bool fallback = false) const;
  std::string get_string_path(std::initializer_list<std::string_view> path) const;

  // Array helper: turns null into an array.
  Value& push_back(Value value);

  // Deep equality; object member order does not matter; 1 and 1.0 are equal.
  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> data_;
};

struct Member {
  std::string first;
  Value second;
};

inline Object::Object() = default;
inline Object::Object(const Object& other) = default;
inline Object::Object(Object&& other) noexcept = default;
inline Object& Object::operator=(const Object& other) = default;
inline Object& Object::operator=(Object&& other) noexcept = default;
inline Object::~Object() = default;
inline std::size_t Object::size() const { return members_.size(); }
inline bool Object::empty() const { return members_.empty(); }
inline std::vector<Member>::iterator Object::begin() { return members_.begin(); }
inline std::vector<Member>::iterator Object::end() { return members_.end(); }
inline std::vector<Member>::const_iterator Object::begin() const { return members_.begin(); }
inline std::vector<Member>::const_iterator Object::end() const { return members_.end(); }

struct ParseOptions {
  int max_depth = 64;
  std::size_t max_values = 2'000'000;  // bound on the number of nodes
  // Where duplicate keys go: paths like `spec.replicas`; the last one wins. nullptr: not collected.
  std::vector<std::string>* duplicate_keys = nullptr;
};

// Strict RFC 8259, UTF-8 checked. The error's message has the byte offset. Iterative: depth bounded.
Result<Value> parse(std::string_view text, const ParseOptions& options = {});

std::string write(const Value& value);                       // compact
void write_to(const Value& value, std::string& out);         // appends
std::string write_pretty(const Value& value);                // two spaces
void write_string(std::string_view text, std::string& out);  // one quoted, escaped string

}  // namespace coxswain::json
