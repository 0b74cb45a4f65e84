// Used by the generated codecs only: one small function per kind of field keeps them short to compile.
//
// get_* read a member if it is there and has the right type, and leave the target alone otherwise.
// put_* write a member; those without `required` leave zero values out, as Go's omitempty does.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libs/api/types/runtime.h"
#include "libs/common/json/json.h"

namespace coxswain::api::codec {

void read(const json::Value& value, std::string& out);
void read(const json::Value& value, bool& out);
void read(const json::Value& value, std::int32_t& out);
void read(const json::Value& value, std::int64_t& out);
void read(const json::Value& value, double& out);
void read(const json::Value& value, Time& out);
void read(const json::Value& value, MicroTime& out);
void read(const json::Value& value, IntOrString& out);
void read(const json::Value& value, json::Value& out);
void read_bytes(const json::Value& value, std::string& out);     // base64
void read_quantity(const json::Value& value, std::string& out);  // numbers are accepted

json::Value write(const std::string& value);
json::Value write(bool value);
json::Value write(std::int32_t value);
json::Value write(std::int64_t value);
json::Value write(double value);
json::Value write(const Time& value);
json::Value write(const MicroTime& value);
json::Value write(const IntOrString& value);
json::Value write(const json::Value& value);
json::Value write_bytes(const std::string& value);
// A kind inside another object (a volume claim template) carries no apiVersion and kind.
json::Value nested(json::Value object);

bool is_zero(const std::string& value);
bool is_zero(bool value);
bool is_zero(std::int32_t value);
bool is_zero(std::int64_t value);
bool is_zero(double value);
bool is_zero(const Time& value);
bool is_zero(const MicroTime& value);
bool is_zero(const IntOrString& value);
bool is_zero(const json::Value& value);

}  // namespace coxswain::api::codec
