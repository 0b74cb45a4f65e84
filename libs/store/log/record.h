// One record of a log segment, and the segment's header; see docs/store.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coxswain::store {

inline constexpr std::size_t kSegmentHeaderBytes = 32;
inline constexpr std::size_t kRecordHeaderBytes = 32;

struct Record {
  std::uint64_t index = 0;
  std::uint64_t durable = 0;  // the last record known to be durable when this one was written
  std::string_view payload;
  std::size_t bytes = 0;  // with header and padding
};

std::size_t record_bytes(std::size_t payload_bytes);
void append_record(std::string* out, std::uint64_t index, std::uint64_t durable, std::string_view head,
                   std::string_view body);
// Nothing: not a whole, undamaged record.
std::optional<Record> parse_record(std::string_view bytes);

std::string make_segment_header(std::uint64_t first_index);
std::optional<std::uint64_t> parse_segment_header(std::string_view bytes);

}  // namespace coxswain::store
