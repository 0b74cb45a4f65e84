#include "libs/common/json/json.h"

#include <cmath>
#include <unordered_set>

#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"
#include "rapidjson/prettywriter.h"
#include "rapidjson/reader.h"
#include "rapidjson/writer.h"

namespace coxswain::json {

Value* Object::find(std::string_view key) {
  for (Member& member : members_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Value* Object::find(std::string_view key) const { return const_cast<Object*>(this)->find(key); }

Value& Object::set(std::string_view key, Value value) {
  Value& slot = (*this)[key];
  slot = std::move(value);
  return slot;
}

Value& Object::operator[](std::string_view key) {
  if (Value* found = find(key)) return *found;
  return append(std::string(key), Value());
}

Value& Object::append(std::string key, Value value) {
  members_.push_back(Member{std::move(key), std::move(value)});
  return members_.back().second;
}

bool Object::erase(std::string_view key) {
  for (auto it = members_.begin(); it != members_.end(); ++it) {
    if (it->first == key) {
      members_.erase(it);
      return true;
    }
  }
  return false;
}

const char* to_string(Type type) {
  switch (type) {
    case Type::kNull:
      return "null";
    case Type::kBool:
      return "boolean";
    case Type::kInt:
    case Type::kUint:
      return "integer";
    case Type::kDouble:
      return "number";
    case Type::kString:
      return "string";
    case Type::kArray:
      return "array";
    case Type::kObject:
      return "object";
  }
  return "unknown";
}

Value::Value(unsigned long n) {
  if (n <= static_cast<unsigned long>(INT64_MAX))
    data_ = static_cast<std::int64_t>(n);
  else
    data_ = static_cast<std::uint64_t>(n);
}

Value Value::object(std::initializer_list<std::pair<std::string_view, Value>> members) {
  Object object;
  for (const auto& [key, value] : members) object.set(key, value);
  return Value(std::move(object));
}

bool Value::as_bool() const {
  COX_CHECK(is_bool());
  return std::get<bool>(data_);
}

std::int64_t Value::as_int() const {
  COX_CHECK(type() == Type::kInt);
  return std::get<std::int64_t>(data_);
}

std::uint64_t Value::as_uint() const {
  COX_CHECK(type() == Type::kUint);
  return std::get<std::uint64_t>(data_);
}

double Value::as_double() const {
  if (type() == Type::kInt) return static_cast<double>(std::get<std::int64_t>(data_));
  if (type() == Type::kUint) return static_cast<double>(std::get<std::uint64_t>(data_));
  COX_CHECK(type() == Type::kDouble);
  return std::get<double>(data_);
}

const std::string& Value::as_string() const {
  COX_CHECK(is_string());
  return std::get<std::string>(data_);
}
std::string& Value::as_string() {
  COX_CHECK(is_string());
  return std::get<std::string>(data_);
}
const Array& Value::as_array() const {
  COX_CHECK(is_array());
  return std::get<Array>(data_);
}
Array& Value::as_array() {
  COX_CHECK(is_array());
  return std::get<Array>(data_);
}
const Object& Value::as_object() const {
  COX_CHECK(is_object());
  return std::get<Object>(data_);
}
Object& Value::as_object() {
  COX_CHECK(is_object());
  return std::get<Object>(data_);
}

const Value* Value::find(std::string_view key) const {
  return is_object() ? std::get<Object>(data_).find(key) : nullptr;
}
Value* Value::find(std::string_view key) { return is_object() ? std::get<Object>(data_).find(key) : nullptr; }

const Value* Value::find_path(std::initializer_list<std::string_view> path) const {
  const Value* at = this;
  for (const std::string_view key : path) {
    at = at->find(key);
    if (at == nullptr) return nullptr;
  }
  return at;
}
Value* Value::find_path(std::initializer_list<std::string_view> path) {
  return const_cast<Value*>(static_cast<const Value*>(this)->find_path(path));
}

Value& Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object();
  return as_object().set(key, std::move(value));
}

Value& Value::operator[](std::string_view key) {
  if (is_null()) data_ = Object();
  return as_object()[key];
}

bool Value::erase(std::string_view key) { return is_object() && as_object().erase(key); }

std::string Value::get_string(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_string() ? value->as_string() : std::string(fallback);
}

std::int64_t Value::get_int(std::string_view key, std::int64_t fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->type() == Type::kInt ? value->as_int() : fallback;
}

bool Value::get_bool(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : fallback;
}

std::string Value::get_string_path(std::initializer_list<std::string_view> path) const {
  const Value* value = find_path(path);
  return value != nullptr && value->is_string() ? value->as_string() : std::string();
}

Value& Value::push_back(Value value) {
  if (is_null()) data_ = Array();
  Array& items = as_array();
  items.push_back(std::move(value));
  return items.back();
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.data_ == b.data_;
    return a.as_double() == b.as_double();
  }
  if (a.type() != b.type()) return false;
  if (a.is_array()) return a.as_array() == b.as_array();
  if (!a.is_object()) {
    if (a.is_null()) return true;
    return a.is_bool() ? a.as_bool() == b.as_bool() : a.as_string() == b.as_string();
  }
  const Object& left = a.as_object();
  const Object& right = b.as_object();
  if (left.size() != right.size()) return false;
  auto mirror = right.begin();
  for (const Member& member : left) {
    // Most often both sides have the same order; fall back to a search.
    const Value* other = mirror->first == member.first ? &mirror->second : right.find(member.first);
    ++mirror;
    if (other == nullptr || !(member.second == *other)) return false;
  }
  return true;
}

namespace {

// Builds a Value from RapidJSON's SAX events with an explicit stack, so depth costs no C++ stack.
class Builder {
 public:
  explicit Builder(const ParseOptions& options) : options_(options) {}

  bool Null() { return add(Value()); }
  bool Bool(bool b) { return add(Value(b)); }
  bool Int(int n) { return add(Value(n)); }
  bool Uint(unsigned n) { return add(Value(n)); }
  bool Int64(std::int64_t n) { return add(Value(static_cast<long>(n))); }
  bool Uint64(std::uint64_t n) { return add(Value(static_cast<unsigned long>(n))); }
  bool Double(double d) {
    // Just above the largest double RapidJSON rounds to infinity, which JSON cannot write.
    if (!std::isfinite(d)) {
      failure_ = "number too big to be stored in double";
      return false;
    }
    return add(Value(d));
  }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return add(Value(std::string(text, size)));
  }
  bool StartObject() { return open(Value(Object())); }
  bool StartArray() { return open(Value(Array())); }
  bool EndArray(rapidjson::SizeType) { return close(); }
  bool EndObject(rapidjson::SizeType) { return close(); }

  bool Key(const char* text, rapidjson::SizeType size, bool) {
    Frame& frame = stack_.back();
    frame.key.assign(text, size);
    return true;
  }

  Value take() { return std::move(root_); }
  const std::string& failure() const { return failure_; }

 private:
  struct Frame {
    Value value;
    std::string key;                       // the member being read
    std::unordered_set<std::string> keys;  // only once the object is large
  };
  static constexpr std::size_t kLargeObject = 16;

  bool open(Value value) {
    if (stack_.size() >= static_cast<std::size_t>(options_.max_depth)) {
      failure_ = "exceeded max depth of " + std::to_string(options_.max_depth);
      return false;
    }
    if (!count()) return false;
    stack_.push_back(Frame{std::move(value), {}, {}});
    return true;
  }

  bool close() {
    Value done = std::move(stack_.back().value);
    stack_.pop_back();
    return place(std::move(done));
  }

  bool add(Value value) { return count() && place(std::move(value)); }

  bool count() {
    if (++values_ <= options_.max_values) return true;
    failure_ = "document has too many values";
    return false;
  }

  bool place(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Frame& frame = stack_.back();
    if (frame.value.is_array()) {
      frame.value.as_array().push_back(std::move(value));
      return true;
    }
    Object& object = frame.value.as_object();
    if (seen(frame, object)) {
      if (options_.duplicate_keys != nullptr) options_.duplicate_keys->push_back(path());
      object.set(frame.key, std::move(value));
    } else {
      object.append(frame.key, std::move(value));
    }
    return true;
  }

  bool seen(Frame& frame, const Object& object) {
    if (object.size() < kLargeObject) return object.find(frame.key) != nullptr;
    if (frame.keys.empty()) {
      for (const Member& member : object) frame.keys.insert(member.first);
    }
    return !frame.keys.insert(frame.key).second;
  }

  std::string path() const {
    std::string text;
    for (const Frame& frame : stack_) {
      if (frame.value.is_array()) {
        text += '[' + std::to_string(frame.value.as_array().size()) + ']';
      } else {
        if (!text.empty()) text += '.';
        text += frame.key;
      }
    }
    return text;
  }

  const ParseOptions& options_;
  std::vector<Frame> stack_;
  std::size_t values_ = 0;
  Value root_;
  std::string failure_;
};

class StringStream {  // RapidJSON output stream over std::string
 public:
  using Ch = char;
  explicit StringStream(std::string& out) : out_(out) {}
  void Put(char c) { out_ += c; }
  void Flush() {}

 private:
  std::string& out_;
};

template <typename Writer>
void emit(const Value& value, Writer& writer) {
  switch (value.type()) {
    case Type::kNull:
      writer.Null();
      return;
    case Type::kBool:
      writer.Bool(value.as_bool());
      return;
    case Type::kInt:
      writer.Int64(value.as_int());
      return;
    case Type::kUint:
      writer.Uint64(value.as_uint());
      return;
    case Type::kDouble:
      writer.Double(value.as_double());
      return;
    case Type::kString: {
      const std::string& text = value.as_string();
      writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
      return;
    }
    case Type::kArray:
      writer.StartArray();
      for (const Value& item : value.as_array()) emit(item, writer);
      writer.EndArray();
      return;
    case Type::kObject:
      writer.StartObject();
      for (const Member& member : value.as_object()) {
        writer.Key(member.first.data(), static_cast<rapidjson::SizeType>(member.first.size()));
        emit(member.second, writer);
      }
      writer.EndObject();
      return;
  }
}

}  // namespace

Result<Value> parse(std::string_view text, const ParseOptions& options) {
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseFullPrecisionFlag;
  rapidjson::MemoryStream memory(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(memory);
  rapidjson::Reader reader;
  Builder builder(options);
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (result.IsError()) {
    std::string message = builder.failure();
    if (message.empty()) message = rapidjson::GetParseError_En(result.Code());
    return make_error(ErrorCode::kInvalidArgument,
                      message + " (at byte " + std::to_string(result.Offset()) + ")");
  }
  return builder.take();
}

void write_to(const Value& value, std::string& out) {
  StringStream stream(out);
  rapidjson::Writer<StringStream> writer(stream);
  emit(value, writer);
}

std::string write(const Value& value) {
  std::string out;
  write_to(value, out);
  return out;
}

std::string write_pretty(const Value& value) {
  std::string out;
  StringStream stream(out);
  rapidjson::PrettyWriter<StringStream> writer(stream);
  writer.SetIndent(' ', 2);
  emit(value, writer);
  return out;
}

void write_string(std::string_view text, std::string& out) {
  StringStream stream(out);
  rapidjson::Writer<StringStream> writer(stream);
  writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

}  // namespace coxswain::json
