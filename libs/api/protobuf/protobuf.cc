#include "libs/api/protobuf/protobuf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "libs/api/protobuf/wire.h"
#include "libs/api/schema/schema.h"
#include "libs/common/base/clock.h"
#include "libs/common/base/strings.h"

namespace coxswain::api::protobuf {
namespace {

using schema::AnyKind;
using schema::Container;
using schema::Field;
using schema::Kind;
using schema::Type;

constexpr int kMaxDepth = 64;                // of messages, embedded objects included
constexpr std::size_t kMaxValues = 500'000;  // list items and map entries: two bytes each can ask for one
constexpr std::string_view kMagic("k8s\0", 4);

// One decode: collects the first failure and stops everything after it.
class Decoder {
 public:
  bool object(std::string_view bytes, std::size_t origin, DecodedObject& out, int depth);
  bool message(WireReader reader, const Type& type, json::Object& out, int depth);
  bool failed() const { return !failure_.empty(); }
  const std::string& failure() const { return failure_; }
  bool fail(std::size_t offset, const std::string& why) {
    if (failure_.empty()) failure_ = "protobuf: " + why + " (at byte " + std::to_string(offset) + ")";
    return false;
  }

 private:
  bool inlined(WireReader reader, const Type& type, std::int32_t path, json::Object& out, int depth);
  bool field(WireReader& reader, const WireField& wire, const Field& field, json::Object& out, int depth);
  bool repeated(WireReader& reader, const WireField& wire, const Field& field, json::Object& out, int depth);
  bool map_entry(WireReader& reader, const WireField& wire, const Field& field, json::Object& out, int depth);
  bool value(WireReader& reader, const WireField& wire, const Field& field, json::Value& out, int depth);
  bool scalar(const WireReader& reader, const WireField& wire, const Field& field, json::Value& out);
  bool any(WireReader& reader, const WireField& wire, const Field& field, json::Value& out, int depth);
  bool props_or(WireReader& reader, const WireField& wire, const Field& field, json::Value& out, int depth);
  bool string_list(WireReader reader, json::Value& out);
  bool text(const WireReader& reader, std::string_view bytes, std::string_view& out);
  bool embedded(const WireReader& reader, std::string_view raw, json::Value& out, int depth);
  bool count_value(const WireReader& reader);
  bool text_message(WireReader reader, std::uint32_t number, std::string_view& out);
  bool time(const WireReader& reader, const WireField& wire, bool micro, json::Value& out);
  bool int_or_string(WireReader reader, json::Value& out);
  void add_required(const Type& type, json::Object& out);

  std::string failure_;
  std::size_t values_ = 0;
};

bool is_varint_kind(Kind kind) { return kind == Kind::kBool || kind == Kind::kInt32 || kind == Kind::kInt64; }

json::Value varint_value(Kind kind, std::uint64_t n) {
  if (kind == Kind::kBool) return json::Value(n != 0);
  if (kind == Kind::kInt32) return json::Value(static_cast<int>(static_cast<std::int32_t>(n)));
  return json::Value(static_cast<long>(n));
}

// Go writes every non-pointer scalar, zero or not, and leaves zero ones out of JSON.
bool is_omitted_zero(const Field& field, const json::Value& value) {
  if (field.required || field.nullable || field.container != Container::kOne) return false;
  if (value.is_string()) return value.as_string().empty();
  if (value.is_bool()) return !value.as_bool();
  if (value.is_number()) return value.as_double() == 0;
  return value.is_null();
}

// Text must be UTF-8: what is stored is JSON, and must be read back.
bool Decoder::text(const WireReader& reader, std::string_view bytes, std::string_view& out) {
  if (!is_utf8(bytes)) return fail(reader.offset_of(bytes), "text is not UTF-8");
  out = bytes;
  return true;
}

bool Decoder::count_value(const WireReader& reader) {
  return ++values_ <= kMaxValues ||
         fail(reader.offset(), "more than " + std::to_string(kMaxValues) + " list items and map entries");
}

bool Decoder::text_message(WireReader reader, std::uint32_t number, std::string_view& out) {
  WireField wire;
  while (!reader.at_end()) {
    if (!reader.next(wire)) return fail(reader.offset(), "damaged message");
    if (wire.number == number && wire.type == WireType::kBytes) out = wire.bytes;
  }
  return true;
}

bool Decoder::time(const WireReader& outer, const WireField& wire, bool micro, json::Value& out) {
  WireReader reader(wire.bytes, outer.offset_of(wire.bytes));
  WireField part;
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  while (!reader.at_end()) {
    if (!reader.next(part)) return fail(reader.offset(), "damaged time");
    if (part.number == 1) seconds = static_cast<std::int64_t>(part.varint);
    if (part.number == 2) nanos = static_cast<std::int32_t>(part.varint);
  }
  constexpr std::int64_t kYear1 = -62135596800;
  constexpr std::int64_t kYear10000 = 253402300800;
  if (seconds < kYear1 || seconds >= kYear10000 || nanos < 0 || nanos > 999'999'999) {
    return fail(reader.offset(), "time out of range");
  }
  // An empty message is the zero time.
  if (wire.bytes.empty() || seconds == kYear1) {
    out = json::Value();
    return true;
  }
  std::string text = format_rfc3339(seconds * 1000);
  if (micro) {
    text.pop_back();
    std::string digits = std::to_string(nanos / 1000);
    text += "." + std::string(6 - digits.size(), '0') + digits + "Z";
  }
  out = json::Value(std::move(text));
  return true;
}

bool Decoder::int_or_string(WireReader reader, json::Value& out) {
  WireField part;
  std::uint64_t type = 0;
  std::int32_t number = 0;
  std::string text;
  while (!reader.at_end()) {
    if (!reader.next(part)) return fail(reader.offset(), "damaged int-or-string");
    if (part.number == 1) type = part.varint;
    if (part.number == 2) number = static_cast<std::int32_t>(part.varint);
    std::string_view checked;
    if (part.number != 3) continue;
    if (!this->text(reader, part.bytes, checked)) return false;
    text = checked;
  }
  out = type == 0 ? json::Value(static_cast<int>(number)) : json::Value(std::move(text));
  return true;
}

bool Decoder::string_list(WireReader reader, json::Value& out) {
  WireField part;
  out = json::Value::array();
  while (!reader.at_end()) {
    if (!reader.next(part)) return fail(reader.offset(), "damaged list");
    if (part.number != 1 || part.type != WireType::kBytes) continue;
    std::string_view item;
    if (!text(reader, part.bytes, item) || !count_value(reader)) return false;
    out.push_back(item);
  }
  return true;
}

bool Decoder::scalar(const WireReader& reader, const WireField& wire, const Field& field, json::Value& out) {
  const bool wants_varint = is_varint_kind(field.kind);
  if (field.kind == Kind::kDouble) {
    if (wire.type != WireType::kFixed64)
      return fail(reader.offset(), "field " + std::string(field.name) + " is no double");
    const double number = std::bit_cast<double>(wire.varint);
    if (!std::isfinite(number))
      return fail(reader.offset(), "field " + std::string(field.name) + " is no finite number");
    // Whole numbers print without a fraction in JSON.
    const bool whole =
        number < 1e15 && number > -1e15 && number == static_cast<double>(static_cast<long>(number));
    out = whole ? json::Value(static_cast<long>(number)) : json::Value(number);
    return true;
  }
  if (wire.type != (wants_varint ? WireType::kVarint : WireType::kBytes)) {
    return fail(reader.offset(), "field " + std::string(field.name) + " has the wrong wire type");
  }
  if (wants_varint) {
    out = varint_value(field.kind, wire.varint);
    return true;
  }
  const WireReader inner(wire.bytes, reader.offset_of(wire.bytes));
  std::string_view checked;
  switch (field.kind) {
    case Kind::kBytes:
      out = json::Value(base64_encode(wire.bytes));
      return true;
    case Kind::kTime:
      return time(reader, wire, false, out);
    case Kind::kMicroTime:
      return time(reader, wire, true, out);
    case Kind::kIntOrString:
      return int_or_string(inner, out);
    case Kind::kQuantity:
      if (!text_message(inner, 1, checked) || !text(inner, checked, checked)) return false;
      out = json::Value(checked.empty() ? std::string_view("0") : checked);
      return true;
    case Kind::kDuration: {
      WireReader reader_inner = inner;
      WireField part;
      std::int64_t nanos = 0;
      while (!reader_inner.at_end()) {
        if (!reader_inner.next(part)) return fail(reader_inner.offset(), "damaged duration");
        if (part.number == 1) nanos = static_cast<std::int64_t>(part.varint);
      }
      out = json::Value(std::to_string(nanos / 1'000'000'000) + "s");
      return true;
    }
    default:
      if (!text(reader, wire.bytes, checked)) return false;
      out = json::Value(checked);
      return true;
  }
}

bool Decoder::props_or(WireReader& reader, const WireField& wire, const Field& field, json::Value& out,
                       int depth) {
  WireReader inner(wire.bytes, reader.offset_of(wire.bytes));
  WireField part;
  while (!inner.at_end()) {
    if (!inner.next(part)) return fail(inner.offset(), "damaged schema");
    // OrArray: schema = 1, schemas = 2.  OrBool: allows = 1, schema = 2.  OrStringArray: schema = 1, property
    // = 2.
    const bool is_bool = field.any == AnyKind::kJsonSchemaPropsOrBool;
    if (is_bool && part.number == 1) {
      if (!out.is_object()) out = json::Value(part.varint != 0);
    } else if (part.type == WireType::kBytes && part.number == (is_bool ? 2U : 1U)) {
      json::Object object;
      if (!message(WireReader(part.bytes, inner.offset_of(part.bytes)), *field.type, object, depth + 1))
        return false;
      out = json::Value(std::move(object));
    } else if (part.type == WireType::kBytes && part.number == 2) {
      if (!out.is_array()) out = json::Value::array();
      if (!count_value(inner)) return false;
      if (field.any == AnyKind::kJsonSchemaPropsOrStringArray) {
        std::string_view item;
        if (!text(inner, part.bytes, item)) return false;
        out.push_back(item);
      } else {
        json::Object object;
        if (!message(WireReader(part.bytes, inner.offset_of(part.bytes)), *field.type, object, depth + 1))
          return false;
        out.push_back(json::Value(std::move(object)));
      }
    }
  }
  return true;
}

bool Decoder::any(WireReader& reader, const WireField& wire, const Field& field, json::Value& out,
                  int depth) {
  if (wire.type != WireType::kBytes)
    return fail(reader.offset(), "field " + std::string(field.name) + " has the wrong wire type");
  if (depth > kMaxDepth) return fail(reader.offset(), "nested too deeply");
  if (field.any != AnyKind::kRawExtension && field.any != AnyKind::kFieldsV1 && field.any != AnyKind::kJson) {
    return props_or(reader, wire, field, out, depth);
  }
  std::string_view raw;
  if (!text_message(WireReader(wire.bytes, reader.offset_of(wire.bytes)), 1, raw)) return false;
  if (raw.empty()) {
    out = json::Value();
    return true;
  }
  return embedded(reader, raw, out, depth);
}

// An object inside an object: protobuf with its own envelope, or JSON. Both count towards the one depth.
bool Decoder::embedded(const WireReader& reader, std::string_view raw, json::Value& out, int depth) {
  if (raw.starts_with(kMagic)) {
    DecodedObject inner;
    if (!object(raw, reader.offset_of(raw), inner, depth + 1)) return false;
    out = std::move(inner.value);
    return true;
  }
  json::ParseOptions options;
  options.max_depth = kMaxDepth - depth;
  options.max_values = kMaxValues;
  auto parsed = json::parse(raw, options);
  if (!parsed.ok()) return fail(reader.offset_of(raw), "embedded JSON: " + parsed.error().message);
  out = std::move(*parsed);
  return true;
}

bool Decoder::value(WireReader& reader, const WireField& wire, const Field& field, json::Value& out,
                    int depth) {
  if (field.kind == Kind::kAny) return any(reader, wire, field, out, depth);
  if (field.kind != Kind::kStruct) return scalar(reader, wire, field, out);
  if (wire.type != WireType::kBytes)
    return fail(reader.offset(), "field " + std::string(field.name) + " has the wrong wire type");
  json::Object object;
  if (!message(WireReader(wire.bytes, reader.offset_of(wire.bytes)), *field.type, object, depth + 1))
    return false;
  out = json::Value(std::move(object));
  return true;
}

bool Decoder::map_entry(WireReader& reader, const WireField& wire, const Field& field, json::Object& out,
                        int depth) {
  if (wire.type != WireType::kBytes)
    return fail(reader.offset(), "field " + std::string(field.name) + " has the wrong wire type");
  WireReader entry(wire.bytes, reader.offset_of(wire.bytes));
  WireField part;
  std::string key;
  json::Value item;
  if (field.kind == Kind::kString || field.kind == Kind::kBytes) item = json::Value("");
  if (field.kind == Kind::kQuantity) item = json::Value("0");
  while (!entry.at_end()) {
    if (!entry.next(part)) return fail(entry.offset(), "damaged map entry");
    if (part.number == 1 && part.type == WireType::kBytes) {
      std::string_view checked;
      if (!text(entry, part.bytes, checked)) return false;
      key = checked;
    }
    if (part.number != 2) continue;
    const bool good = field.container == Container::kMapOfList
                          ? part.type == WireType::kBytes &&
                                string_list(WireReader(part.bytes, entry.offset_of(part.bytes)), item)
                          : value(entry, part, field, item, depth);
    if (!good) return fail(entry.offset(), "damaged map value");
  }
  if (!count_value(reader)) return false;
  json::Value& map = out[field.name];
  if (!map.is_object()) map = json::Value::object();
  map.as_object().append(std::move(key), std::move(item));  // drop_shadowed_entries sees to duplicates
  return true;
}

// The last entry of a key wins. Once per map and not per entry, which would take time quadratic in
// the entries.
void drop_shadowed_entries(json::Object& map) {
  if (map.size() < 2) return;
  std::vector<const json::Member*> sorted;
  sorted.reserve(map.size());
  for (const json::Member& member : map) sorted.push_back(&member);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return a->first != b->first ? a->first < b->first : a < b; });
  const auto same = [](const auto* a, const auto* b) { return a->first == b->first; };
  if (std::adjacent_find(sorted.begin(), sorted.end(), same) == sorted.end()) return;
  std::vector<const json::Member*> last;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i + 1 == sorted.size() || !same(sorted[i], sorted[i + 1])) last.push_back(sorted[i]);
  }
  std::sort(last.begin(), last.end());  // back to their order on the wire
  json::Object kept;
  for (const json::Member* member : last) kept.append(member->first, member->second);
  map = std::move(kept);
}

bool Decoder::repeated(WireReader& reader, const WireField& wire, const Field& field, json::Object& out,
                       int depth) {
  if (json::Value& list = out[field.name]; !list.is_array()) list = json::Value::array();
  if (is_varint_kind(field.kind) && wire.type == WireType::kBytes) {  // packed
    WireReader packed(wire.bytes, reader.offset_of(wire.bytes));
    std::uint64_t n = 0;
    while (!packed.at_end()) {
      if (!packed.read_varint(n)) return fail(packed.offset(), "damaged packed list");
      if (!count_value(packed)) return false;
      out[field.name].push_back(varint_value(field.kind, n));
    }
    return true;
  }
  json::Value item;
  if (!count_value(reader) || !value(reader, wire, field, item, depth)) return false;
  out[field.name].push_back(std::move(item));
  return true;
}

bool Decoder::field(WireReader& reader, const WireField& wire, const Field& field, json::Object& out,
                    int depth) {
  if (field.container == Container::kList) return repeated(reader, wire, field, out, depth);
  if (field.container != Container::kOne) return map_entry(reader, wire, field, out, depth);
  json::Value item;
  if (!value(reader, wire, field, item, depth)) return false;
  if (!is_omitted_zero(field, item)) out.set(field.name, std::move(item));
  return true;
}

// Fields of messages that JSON shows flattened: `path` names the messages passed through so far.
bool Decoder::inlined(WireReader reader, const Type& type, std::int32_t path, json::Object& out, int depth) {
  if (depth > kMaxDepth) return fail(reader.offset(), "nested too deeply");
  WireField wire;
  while (!reader.at_end()) {
    if (!reader.next(wire)) return fail(reader.offset(), "damaged message " + std::string(type.name));
    const auto number = static_cast<std::int32_t>(wire.number);
    const Field* match = nullptr;
    bool passes_through = false;
    for (const Field& candidate : type.fields) {
      if (candidate.protobuf_inline == path && candidate.protobuf_number == number) match = &candidate;
      const std::int32_t deeper = path * 256 + number;
      passes_through |= candidate.protobuf_inline == deeper || (candidate.protobuf_inline >> 8) == deeper;
    }
    if (match != nullptr) {
      if (!field(reader, wire, *match, out, depth)) return false;
    } else if (passes_through && wire.type == WireType::kBytes && path < 65536) {
      if (!inlined(WireReader(wire.bytes, reader.offset_of(wire.bytes)), type, path * 256 + number, out,
                   depth + 1))
        return false;
    }
  }
  return true;
}

// Go prints required fields even when they are zero and so absent from the wire.
void Decoder::add_required(const Type& type, json::Object& out) {
  for (const Field& f : type.fields) {
    if (!f.required || f.protobuf_number == 0 || out.find(f.name) != nullptr) continue;
    if (f.container == Container::kOne && f.kind == Kind::kString) out.set(f.name, "");
  }
}

bool Decoder::message(WireReader reader, const Type& type, json::Object& out, int depth) {
  if (depth > kMaxDepth) return fail(reader.offset(), "nested too deeply");
  if (!inlined(reader, type, 0, out, depth)) return false;
  for (const Field& field : type.fields) {
    if (field.container != Container::kMap && field.container != Container::kMapOfList) continue;
    json::Value* map = out.find(field.name);
    if (map != nullptr && map->is_object()) drop_shadowed_entries(map->as_object());
  }
  add_required(type, out);
  return true;
}

const Type* type_of(std::string_view api_version, std::string_view kind) {
  const std::size_t slash = api_version.find('/');
  const std::string_view group = slash == std::string_view::npos ? "" : api_version.substr(0, slash);
  const std::string_view version =
      slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  if (const schema::Resource* resource = schema::find_kind(group, version, kind)) return resource->type;
  // Kinds that no collection holds: options are accepted under any group, as upstream does.
  static constexpr std::string_view kOptions[] = {"DeleteOptions", "CreateOptions", "UpdateOptions",
                                                  "PatchOptions",  "GetOptions",    "ListOptions",
                                                  "Status"};
  for (const std::string_view option : kOptions) {
    if (kind == option) return schema::find_type("io.k8s.apimachinery.pkg.apis.meta.v1." + std::string(kind));
  }
  const std::string package(group.substr(0, group.find('.')));
  return schema::find_type("io.k8s.api." + (package.empty() ? std::string("core") : package) + "." +
                           std::string(version) + "." + std::string(kind));
}

struct Envelope {
  std::string_view api_version, kind, raw;
  std::size_t raw_offset = 0;
};

// `origin` is where `bytes` starts in the whole body. False: `why` and `offset` say what is wrong.
bool read_envelope(std::string_view bytes, std::size_t origin, Envelope& envelope, std::string& why,
                   std::size_t& offset) {
  const auto damaged = [&](std::size_t at, std::string reason) {
    why = std::move(reason);
    offset = at;
    return false;
  };
  if (!bytes.starts_with(kMagic))
    return damaged(origin, "the body does not start with the Kubernetes magic bytes");
  WireReader reader(bytes.substr(kMagic.size()), origin + kMagic.size());
  WireField wire;
  while (!reader.at_end()) {
    if (!reader.next(wire)) return damaged(reader.offset(), "damaged envelope");
    if (wire.number == 2 && wire.type == WireType::kBytes) {
      envelope.raw = wire.bytes;
      envelope.raw_offset = reader.offset_of(wire.bytes);
    }
    if (wire.number == 3 && !wire.bytes.empty())
      return damaged(reader.offset(), "encoded content is not supported");
    if (wire.number != 1 || wire.type != WireType::kBytes) continue;
    WireReader meta(wire.bytes, reader.offset_of(wire.bytes));
    WireField part;
    while (!meta.at_end()) {
      if (!meta.next(part)) return damaged(meta.offset(), "damaged envelope");
      if (part.number == 1) envelope.api_version = part.bytes;
      if (part.number == 2) envelope.kind = part.bytes;
    }
  }
  return true;
}

bool Decoder::object(std::string_view bytes, std::size_t origin, DecodedObject& out, int depth) {
  if (depth > kMaxDepth) return fail(origin, "nested too deeply");
  Envelope envelope;
  std::string why;
  std::size_t offset = 0;
  if (!read_envelope(bytes, origin, envelope, why, offset)) return fail(offset, why);
  if (!is_utf8(envelope.api_version) || !is_utf8(envelope.kind))
    return fail(origin, "apiVersion or kind is not UTF-8");
  const Type* type = type_of(envelope.api_version, envelope.kind);
  if (type == nullptr) {
    return fail(origin, "no kind \"" + std::string(envelope.kind) + "\" is registered for version \"" +
                            std::string(envelope.api_version) + "\"");
  }
  json::Object object;
  object.append("apiVersion", json::Value(envelope.api_version));
  object.append("kind", json::Value(envelope.kind));
  if (!message(WireReader(envelope.raw, envelope.raw_offset), *type, object, depth)) return false;
  out = {std::string(envelope.api_version), std::string(envelope.kind), json::Value(std::move(object))};
  return true;
}

}  // namespace

Result<DecodedObject> decode(std::string_view bytes) {
  Decoder decoder;
  DecodedObject decoded;
  if (!decoder.object(bytes, 0, decoded, 0))
    return make_error(ErrorCode::kInvalidArgument, decoder.failure());
  return decoded;
}

}  // namespace coxswain::api::protobuf
