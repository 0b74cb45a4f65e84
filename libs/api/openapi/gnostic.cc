#include "libs/api/openapi/gnostic.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace coxswain::api::openapi {
namespace {

// One message under construction.
class Message {
 public:
  void add_bytes(std::uint32_t number, std::string_view bytes) {
    varint((number << 3) | 2);
    varint(bytes.size());
    bytes_.append(bytes);
  }
  void add_bool(std::uint32_t number, bool value) {
    varint(number << 3);
    varint(value ? 1 : 0);
  }
  void add(std::uint32_t number, const Message& inner) { add_bytes(number, inner.bytes_); }
  std::string take() { return std::move(bytes_); }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  std::string bytes_;
};

// How a JSON member is carried.
enum class Shape {
  kText,
  kTexts,
  kBool,
  kAny,
  kAnys,
  kSchema,
  kSchemas,
  kType,        // TypeItem: one name or several
  kItems,       // ItemsItem
  kProperties,  // Properties, Definitions: named schemas
  kAdditional,  // AdditionalPropertiesItem: a schema or a boolean
  kSchemaItem,  // SchemaItem
  kInfo,
  kPaths,
  kOperation,
  kParameters,
  kResponses,
};

struct Row {
  std::string_view name;
  std::uint32_t number;
  Shape shape;
};

constexpr Row kSchemaRows[] = {
    {"$ref", 1, Shape::kText},
    {"format", 2, Shape::kText},
    {"title", 3, Shape::kText},
    {"description", 4, Shape::kText},
    {"default", 5, Shape::kAny},
    {"uniqueItems", 16, Shape::kBool},
    {"required", 19, Shape::kTexts},
    {"enum", 20, Shape::kAnys},
    {"additionalProperties", 21, Shape::kAdditional},
    {"type", 22, Shape::kType},
    {"items", 23, Shape::kItems},
    {"allOf", 24, Shape::kSchemas},
    {"properties", 25, Shape::kProperties},
};
constexpr Row kDocumentRows[] = {
    {"swagger", 1, Shape::kText},
    {"info", 2, Shape::kInfo},
    {"paths", 8, Shape::kPaths},
    {"definitions", 9, Shape::kProperties},
};
constexpr Row kInfoRows[] = {
    {"title", 1, Shape::kText}, {"version", 2, Shape::kText}, {"description", 3, Shape::kText}};
constexpr Row kPathRows[] = {
    {"get", 2, Shape::kOperation},    {"put", 3, Shape::kOperation},   {"post", 4, Shape::kOperation},
    {"delete", 5, Shape::kOperation}, {"patch", 8, Shape::kOperation}, {"parameters", 9, Shape::kParameters},
};
constexpr Row kOperationRows[] = {
    {"description", 3, Shape::kText},      {"operationId", 5, Shape::kText},
    {"produces", 6, Shape::kTexts},        {"consumes", 7, Shape::kTexts},
    {"parameters", 8, Shape::kParameters}, {"responses", 9, Shape::kResponses},
};
constexpr Row kBodyRows[] = {
    {"description", 1, Shape::kText}, {"name", 2, Shape::kText},     {"in", 3, Shape::kText},
    {"required", 4, Shape::kBool},    {"schema", 5, Shape::kSchema},
};
constexpr Row kQueryRows[] = {
    {"required", 1, Shape::kBool}, {"in", 2, Shape::kText},   {"description", 3, Shape::kText},
    {"name", 4, Shape::kText},     {"type", 6, Shape::kText}, {"uniqueItems", 20, Shape::kBool},
};
constexpr Row kPathParameterRows[] = {
    {"required", 1, Shape::kBool}, {"in", 2, Shape::kText},   {"description", 3, Shape::kText},
    {"name", 4, Shape::kText},     {"type", 5, Shape::kText}, {"uniqueItems", 19, Shape::kBool},
};
constexpr Row kResponseRows[] = {{"description", 1, Shape::kText}, {"schema", 2, Shape::kSchemaItem}};

// Field numbers of `vendor_extension`, which every message has somewhere else.
constexpr std::uint32_t kSchemaExtension = 31, kOperationExtension = 13, kNoExtension = 0;

Message encode(const json::Value& value, std::span<const Row> rows, std::uint32_t extension);
Message schema(const json::Value& value) { return encode(value, kSchemaRows, kSchemaExtension); }

Message any(const json::Value& value) {
  Message out;
  out.add_bytes(2, json::write(value));
  return out;
}

Message named(std::string_view name, const Message& value) {
  Message out;
  out.add_bytes(1, name);
  out.add(2, value);
  return out;
}

Message wrap(std::uint32_t number, const Message& inner) {
  Message out;
  out.add(number, inner);
  return out;
}

Message parameter(const json::Value& value) {
  const std::string in = value.get_string("in");
  if (in == "body") return wrap(1, encode(value, kBodyRows, kNoExtension));
  const Message inner = in == "path" ? wrap(4, encode(value, kPathParameterRows, kNoExtension))
                                     : wrap(3, encode(value, kQueryRows, kNoExtension));
  return wrap(2, inner);
}

Message type_names(const json::Value& value) {
  Message out;
  if (value.is_string()) out.add_bytes(1, value.as_string());
  if (value.is_array()) {
    for (const json::Value& name : value.as_array()) out.add_bytes(1, name.as_string());
  }
  return out;
}

Message additional(const json::Value& value) {
  Message out;
  if (value.is_bool())
    out.add_bool(2, value.as_bool());
  else
    out.add(1, schema(value));
  return out;
}

// Objects whose members are named values of one kind.
Message members(const json::Value& value, Shape shape) {
  Message out;
  for (const json::Member& member : value.as_object()) {
    if (shape == Shape::kProperties) {
      out.add(1, named(member.first, schema(member.second)));
    } else if (shape == Shape::kPaths) {
      out.add(2, named(member.first, encode(member.second, kPathRows, kNoExtension)));
    } else {
      out.add(1, named(member.first, wrap(1, encode(member.second, kResponseRows, kNoExtension))));
    }
  }
  return out;
}

void add_list(const Row& row, const json::Value& value, Message& out) {
  for (const json::Value& item : value.as_array()) {
    if (row.shape == Shape::kTexts)
      out.add_bytes(row.number, item.as_string());
    else if (row.shape == Shape::kAnys)
      out.add(row.number, any(item));
    else if (row.shape == Shape::kSchemas)
      out.add(row.number, schema(item));
    else
      out.add(row.number, wrap(1, parameter(item)));
  }
}

void add_member(const Row& row, const json::Value& value, Message& out) {
  switch (row.shape) {
    case Shape::kText:
      return out.add_bytes(row.number, value.as_string());
    case Shape::kBool:
      return out.add_bool(row.number, value.as_bool());
    case Shape::kTexts:
    case Shape::kAnys:
    case Shape::kSchemas:
    case Shape::kParameters:
      return add_list(row, value, out);
    case Shape::kAny:
      return out.add(row.number, any(value));
    case Shape::kSchema:
      return out.add(row.number, schema(value));
    case Shape::kType:
      return out.add(row.number, type_names(value));
    case Shape::kItems:
    case Shape::kSchemaItem:
      return out.add(row.number, wrap(1, schema(value)));
    case Shape::kAdditional:
      return out.add(row.number, additional(value));
    case Shape::kProperties:
    case Shape::kPaths:
    case Shape::kResponses:
      return out.add(row.number, members(value, row.shape));
    case Shape::kInfo:
      return out.add(row.number, encode(value, kInfoRows, kNoExtension));
    case Shape::kOperation:
      return out.add(row.number, encode(value, kOperationRows, kOperationExtension));
  }
}

Message encode(const json::Value& value, std::span<const Row> rows, std::uint32_t extension) {
  Message out;
  for (const json::Member& member : value.as_object()) {
    if (extension != kNoExtension && member.first.rfind("x-", 0) == 0) {
      out.add(extension, named(member.first, any(member.second)));
      continue;
    }
    for (const Row& row : rows) {
      if (row.name == member.first) add_member(row, member.second, out);
    }
  }
  return out;
}

}  // namespace

std::string openapi_v2_protobuf(const json::Value& document) {
  return encode(document, kDocumentRows, kNoExtension).take();
}

}  // namespace coxswain::api::openapi
