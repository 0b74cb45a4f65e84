#include "libs/store/log/record.h"

#include "libs/common/base/strings.h"

namespace coxswain::store {
namespace {

constexpr std::uint32_t kRecordMagic = 0x43585245;  // "ERXC" on disk
constexpr std::string_view kSegmentMagic = "COXWLOG1";

void put32(std::string* out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}
void put64(std::string* out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out->push_back(static_cast<char>(value >> shift));
}
std::uint64_t get_little(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}
std::uint32_t get32(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(get_little(bytes, at, 4));
}
std::uint64_t get64(std::string_view bytes, std::size_t at) { return get_little(bytes, at, 8); }

}  // namespace

std::size_t record_bytes(std::size_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + 7) & ~std::size_t{7};
}

void append_record(std::string* out, std::uint64_t index, std::uint64_t durable, std::string_view head,
                   std::string_view body) {
  const std::size_t start = out->size();
  const std::size_t size = head.size() + body.size();
  put32(out, kRecordMagic);
  put32(out, static_cast<std::uint32_t>(size));
  put64(out, index);
  put64(out, durable);
  put32(out, crc32c(body, crc32c(head)));
  put32(out, crc32c(std::string_view(*out).substr(start, kRecordHeaderBytes - 4)));
  out->append(head);
  out->append(body);
  out->resize(start + record_bytes(size), '\0');
}

std::optional<Record> parse_record(std::string_view bytes) {
  if (bytes.size() < kRecordHeaderBytes || get32(bytes, 0) != kRecordMagic) return std::nullopt;
  if (get32(bytes, 28) != crc32c(bytes.substr(0, kRecordHeaderBytes - 4))) return std::nullopt;
  const std::size_t size = get32(bytes, 4);
  if (record_bytes(size) > bytes.size()) return std::nullopt;
  const std::string_view payload = bytes.substr(kRecordHeaderBytes, size);
  if (get32(bytes, 24) != crc32c(payload)) return std::nullopt;
  return Record{get64(bytes, 8), get64(bytes, 16), payload, record_bytes(size)};
}

std::string make_segment_header(std::uint64_t first_index) {
  std::string out(kSegmentMagic);
  put64(&out, first_index);
  put64(&out, 0);  // reserved
  put32(&out, 0);
  put32(&out, crc32c(out));
  return out;
}

std::optional<std::uint64_t> parse_segment_header(std::string_view bytes) {
  if (bytes.size() < kSegmentHeaderBytes || bytes.substr(0, 8) != kSegmentMagic) return std::nullopt;
  if (get32(bytes, 28) != crc32c(bytes.substr(0, 28))) return std::nullopt;
  return get64(bytes, 8);
}

}  // namespace coxswain::store
