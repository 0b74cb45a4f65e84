// Snapshot files: refused, or read the same way in pieces of any size. The first byte says how long the
// pieces are; the second, whether the checksums are made right first, so that what is behind them is read as
// well.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "libs/common/base/check.h"
#include "libs/common/base/strings.h"
#include "libs/store/backup/snapshot_file.h"

namespace {

using namespace coxswain::store;  // NOLINT

void set_little32(std::string* file, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i, value >>= 8) (*file)[at + i] = static_cast<char>(value);
}

// Frames with their checksums made right, as far as their lengths go.
void seal(std::string* file) {
  for (std::size_t at = 8; at + 16 <= file->size();) {
    std::uint32_t length = 0;
    for (std::size_t i = 4; i-- > 0;) length = length << 8 | static_cast<unsigned char>((*file)[at + i]);
    length %= 4096;
    const std::size_t payload = std::min<std::size_t>(length, file->size() - at - 16);
    set_little32(file, at, static_cast<std::uint32_t>(payload));
    set_little32(file, at + 4, coxswain::crc32c(std::string_view(*file).substr(at + 16, payload)));
    set_little32(file, at + 12, coxswain::crc32c(std::string_view(*file).substr(at, 12)));
    at += 16 + payload;
  }
}

std::string read(std::string_view file, std::size_t piece) {
  std::string seen;
  SnapshotDecoder decoder({[&](const SnapshotHeader& header) {
                             seen += header.cluster_id + std::to_string(header.revision);
                             return coxswain::Result<void>();
                           },
                           [&](const EntryPtr& entry) {
                             put_entry(&seen, *entry);
                             return coxswain::Result<void>();
                           }});
  for (std::size_t at = 0; at < file.size(); at += piece)
    if (!decoder.feed(file.substr(at, piece)).ok()) break;
  const auto summary = decoder.finish();
  COX_CHECK(!summary.ok() || summary->bytes == file.size());
  return seen + (summary.ok() ? summary->state_hash : summary.error().message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string file(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[1] % 2 == 1) seal(&file);
  const std::string pieces = read(file, data[0] + 1u);
  const std::string whole = read(file, file.size() + 1);
  // Being cut off is told with the number of bytes that were there: the same either way, too.
  COX_CHECK(pieces == whole);
  return 0;
}
