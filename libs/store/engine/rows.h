// Rows of an engine as bytes, for states that are sent or saved:
//   rows := n, n × (family, key bytes, 0 | 1 value bytes)
// Numbers are varints, bytes have their length in front.
#pragma once

#include <string>
#include <string_view>

#include "libs/store/engine/engine.h"

namespace coxswain::store {

std::string encode_rows(const EngineBatch& batch);
Result<EngineBatch> decode_rows(std::string_view bytes);  // kCorruption

}  // namespace coxswain::store
