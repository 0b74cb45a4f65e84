#include "libs/store/engine/rows.h"

#include "libs/common/base/wire.h"

namespace coxswain::store {

std::string encode_rows(const EngineBatch& batch) {
  std::string out;
  put_varint(&out, batch.size());
  for (const EngineWrite& row : batch) {
    put_varint(&out, static_cast<std::uint64_t>(row.family));
    put_bytes(&out, row.key);
    put_varint(&out, row.value.has_value() ? 1 : 0);
    if (row.value.has_value()) put_bytes(&out, *row.value);
  }
  return out;
}

Result<EngineBatch> decode_rows(std::string_view bytes) {
  WireReader reader(bytes);
  EngineBatch batch;
  for (std::uint64_t left = reader.varint(); left > 0 && reader.ok(); --left) {
    const std::uint64_t family = reader.varint();
    if (family >= static_cast<std::uint64_t>(kFamilies)) reader.fail();
    EngineWrite row{static_cast<Family>(family), std::string(reader.bytes()), std::nullopt};
    const std::uint64_t there = reader.varint();
    if (there > 1) reader.fail();
    if (there == 1) row.value = std::string(reader.bytes());
    if (reader.ok()) batch.push_back(std::move(row));
  }
  if (!reader.ok() || !reader.done()) return make_error(ErrorCode::kCorruption, "not rows of a state");
  return batch;
}

}  // namespace coxswain::store
