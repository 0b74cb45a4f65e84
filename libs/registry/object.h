// Stored objects: their keys, their bytes, and what is parsed out of the bytes for filters.
//
// Key:   /registry/GROUP/PLURAL/[NAMESPACE/]NAME, GROUP "core" for the legacy one.
// Bytes: compact JSON {"kind":..,"apiVersion":..,"metadata":{..,"resourceVersion":"R",..},...}; R is
// spliced in by the store at commit. They are sent to clients as they are.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/api/schema/schema.h"
#include "libs/common/json/json.h"
#include "libs/registry/strategy.h"
#include "libs/store/store.h"

namespace coxswain::registry {

// Ends with '/'. `ns` empty: all namespaces.
std::string key_prefix(const api::schema::Resource& resource, std::string_view ns);
std::string object_key(const api::schema::Resource& resource, std::string_view ns, std::string_view name);
std::string claim_key(std::string_view claim);

std::string api_version(const api::schema::Resource& resource);  // "apps/v1", "v1"

struct Encoded {
  std::string bytes;  // without the resourceVersion
  std::size_t splice_at = 0;
};
// `object` is complete but for metadata.resourceVersion, which is ignored. The strategy's to_storage
// has been applied already.
Encoded encode(const json::Value& object);
// Would committing `encoded` over `stored` change nothing but the revision?
bool same_content(const Encoded& encoded, const store::Entry& stored);

// Parses stored bytes; they are ours, so failure is a broken invariant.
json::Value decode_stored(const store::Entry& entry);
// With resourceVersion `revision` instead of its own: an old state sent at a later revision.
std::string with_revision(const store::Entry& entry, store::Revision revision);

// What filters look at. Immutable; hangs on the entry as its attachment.
struct Meta {
  std::string ns;
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
  FieldValues fields;  // selectable ones, metadata.name and metadata.namespace included
};
std::shared_ptr<const Meta> make_meta(const api::schema::Resource& resource, const Strategy& strategy,
                                      const json::Value& stored);
// The entry's attachment, computed on first use.
std::shared_ptr<const Meta> meta_of(const api::schema::Resource& resource, const Strategy& strategy,
                                    const store::Entry& entry);

}  // namespace coxswain::registry
