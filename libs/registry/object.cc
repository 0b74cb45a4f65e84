#include "libs/registry/object.h"

namespace coxswain::registry {
namespace {

constexpr std::string_view kRevisionMember = "\"resourceVersion\":\"";

void begin_member(std::string& out, std::string_view key, bool& first) {
  if (!first) out += ',';
  first = false;
  json::write_string(key, out);
  out += ':';
}

void write_metadata(const json::Value* metadata, Encoded& out) {
  static constexpr std::string_view kHead[] = {"name", "generateName", "namespace", "uid"};
  out.bytes += '{';
  bool first = true;
  for (const std::string_view key : kHead) {
    const json::Value* value = metadata == nullptr ? nullptr : metadata->find(key);
    if (value == nullptr) continue;
    begin_member(out.bytes, key, first);
    json::write_to(*value, out.bytes);
  }
  if (!first) out.bytes += ',';
  out.bytes += kRevisionMember;
  out.splice_at = out.bytes.size();
  out.bytes += '"';
  if (metadata != nullptr && metadata->is_object()) {
    first = false;
    for (const json::Member& member : metadata->as_object()) {
      if (member.first == "resourceVersion") continue;
      bool is_head = false;
      for (const std::string_view key : kHead) is_head = is_head || member.first == key;
      if (is_head) continue;
      begin_member(out.bytes, member.first, first);
      json::write_to(member.second, out.bytes);
    }
  }
  out.bytes += '}';
}

std::string field_text(const json::Value* value) {
  if (value == nullptr) return {};
  if (value->is_string()) return value->as_string();
  if (value->is_bool()) return value->as_bool() ? "true" : "false";
  if (value->is_number()) return json::write(*value);
  return {};
}

const json::Value* find_dotted(const json::Value& object, std::string_view path) {
  const json::Value* at = &object;
  while (at != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    at = at->find(path.substr(0, dot));
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
  }
  return at;
}

}  // namespace

std::string key_prefix(const api::schema::Resource& resource, std::string_view ns) {
  std::string key = "/registry/";
  key += resource.storage_group.empty() ? std::string_view("core") : resource.storage_group;
  key += '/';
  key += resource.plural;
  key += '/';
  if (resource.namespaced && !ns.empty()) {
    key += ns;
    key += '/';
  }
  return key;
}

std::string object_key(const api::schema::Resource& resource, std::string_view ns, std::string_view name) {
  std::string key = key_prefix(resource, ns);
  key += name;
  return key;
}

std::string claim_key(std::string_view claim) { return "/claims/" + std::string(claim); }

std::string api_version(const api::schema::Resource& resource) {
  if (resource.group.empty()) return std::string(resource.version);
  return std::string(resource.group) + "/" + std::string(resource.version);
}

Encoded encode(const json::Value& object) {
  Encoded out;
  out.bytes.reserve(1024);
  out.bytes += "{\"kind\":";
  json::write_string(object.get_string("kind"), out.bytes);
  out.bytes += ",\"apiVersion\":";
  json::write_string(object.get_string("apiVersion"), out.bytes);
  out.bytes += ",\"metadata\":";
  write_metadata(object.find("metadata"), out);
  bool first = false;
  for (const json::Member& member : object.as_object()) {
    if (member.first == "kind" || member.first == "apiVersion" || member.first == "metadata") continue;
    begin_member(out.bytes, member.first, first);
    json::write_to(member.second, out.bytes);
  }
  out.bytes += '}';
  return out;
}

bool same_content(const Encoded& encoded, const store::Entry& stored) {
  const std::string revision = std::to_string(stored.mod_revision);
  const std::string_view bytes = encoded.bytes;
  const std::string_view value = stored.value;
  if (value.size() != bytes.size() + revision.size()) return false;
  return value.substr(0, encoded.splice_at) == bytes.substr(0, encoded.splice_at) &&
         value.substr(encoded.splice_at + revision.size()) == bytes.substr(encoded.splice_at);
}

json::Value decode_stored(const store::Entry& entry) {
  json::ParseOptions options;
  options.max_depth = 256;
  Result<json::Value> value = json::parse(entry.value, options);
  COX_CHECK(value.ok());
  return std::move(value).value();
}

std::string with_revision(const store::Entry& entry, store::Revision revision) {
  const std::string own = std::string(kRevisionMember) + std::to_string(entry.mod_revision) + "\"";
  std::string bytes(entry.value);
  const std::size_t at = bytes.find(own);
  if (at == std::string::npos) return bytes;
  return bytes.replace(at, own.size(), std::string(kRevisionMember) + std::to_string(revision) + "\"");
}

std::shared_ptr<const Meta> make_meta(const api::schema::Resource& resource, const Strategy& strategy,
                                      const json::Value& stored) {
  auto meta = std::make_shared<Meta>();
  if (const json::Value* metadata = stored.find("metadata")) {
    meta->ns = metadata->get_string("namespace");
    meta->name = metadata->get_string("name");
    if (const json::Value* labels = metadata->find("labels"); labels != nullptr && labels->is_object()) {
      for (const json::Member& label : labels->as_object()) {
        if (label.second.is_string()) meta->labels.emplace_back(label.first, label.second.as_string());
      }
    }
  }
  if (strategy.selectable_fields != nullptr) {
    strategy.selectable_fields(stored, meta->fields);
  } else {
    for (const std::string_view path : resource.field_selectors) {
      meta->fields.emplace_back(std::string(path), field_text(find_dotted(stored, path)));
    }
  }
  meta->fields.emplace_back("metadata.name", meta->name);
  meta->fields.emplace_back("metadata.namespace", meta->ns);
  return meta;
}

std::shared_ptr<const Meta> meta_of(const api::schema::Resource& resource, const Strategy& strategy,
                                    const store::Entry& entry) {
  if (std::shared_ptr<const void> attached = entry.attachment()) {
    return std::static_pointer_cast<const Meta>(attached);
  }
  std::shared_ptr<const Meta> meta = make_meta(resource, strategy, decode_stored(entry));
  entry.set_attachment(meta);
  return meta;
}

}  // namespace coxswain::registry
