// Bits that flip, in memory and on disk.
#include <algorithm>

#include "libs/store/log/record.h"
#include "tests/simulation/member.h"

namespace coxswain::simulation {
namespace {

std::string flip(std::string bytes, std::size_t from, Random& random) {
  const std::size_t at = from + random.below(bytes.size() - from);
  bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
  return bytes;
}

struct Found {
  std::uint64_t offset = 0;
  store::Record record;
};

// The records of a segment.
std::vector<Found> records_of(std::string_view bytes) {
  std::vector<Found> found;
  std::size_t at = store::kSegmentHeaderBytes;
  while (at < bytes.size()) {
    const std::optional<store::Record> record = store::parse_record(bytes.substr(at));
    if (!record.has_value()) break;
    found.push_back({at, *record});
    at += record->bytes;
  }
  return found;
}

}  // namespace

// A bit of a current value, or of one of the rows that say where the state is. Not of their first number, the
// index: behind a seal an older release may have gone on.
store::EngineWrite* choose_row(std::vector<store::EngineBatch>* batches, Random& random) {
  std::vector<store::EngineWrite*> rows;
  std::string last;
  for (store::EngineBatch& batch : *batches) {
    for (store::EngineWrite& row : batch) {
      const std::string& value = *row.value;
      const std::string key = row.key.substr(0, row.key.size() - std::min<std::size_t>(row.key.size(), 9));
      const bool newest = row.family == store::Family::kVersions && std::exchange(last, key) != key;
      const bool current = newest && value.size() > 2 && value[1] != '\0';  // not a deletion
      if ((current || row.family == store::Family::kMeta) && value.size() > 8) rows.push_back(&row);
    }
  }
  if (rows.empty()) return nullptr;
  store::EngineWrite* row = rows[random.below(rows.size())];
  const bool numbers = row->family == store::Family::kMeta && (row->key == "applied" || row->key == "seal");
  row->value = flip(*row->value, numbers ? 8 : 0, random);
  return row;
}

bool Member::plant(Damage damage) {
  if (!up() || working_) return false;
  bool done = false;
  switch (damage) {
    case Damage::kNone:
      return false;
    case Damage::kValueInMemory:
      done = damage_value();
      break;
    case Damage::kOtherState:
      done = add_key();
      break;
    case Damage::kRow:
      done = damage_row();
      break;
    case Damage::kLog:
      done = damage_log();
      break;
  }
  if (!done) return false;
  planted_ = damage;
  checker_.on_damage(id_);
  if (outside_.verbose()) note("damage of kind " + std::to_string(static_cast<int>(damage)));
  if (damage == Damage::kRow) crash();  // else nobody reads it
  return true;
}

bool Member::damage_value() {
  std::vector<store::EntryPtr> cold;
  member_->state().snapshot().index.scan("cold-", [&](const store::EntryPtr& entry) {
    if (!store::has_prefix(entry->key, "cold-")) return false;
    cold.push_back(entry);
    return true;
  });
  if (cold.empty()) return false;
  const std::string_view value = cold[random_.below(cold.size())]->value;
  flip(std::string(value), 0, random_).copy(const_cast<char*>(value.data()), value.size());
  return true;
}

bool Member::add_key() {
  const store::Revision now = member_->state().snapshot().revision;
  if (now == 0) return false;
  const auto key = store::make_entry("cold-none", std::to_string(random_.next()), now, now, 1);
  const_cast<store::State&>(member_->state()).load(key);
  *const_cast<store::Applied&>(member_->applied()).content += hash_entry(*key);
  return true;
}

bool Member::damage_row() {
  std::vector<store::EngineBatch> rows;
  const auto image = engine_->image();
  for (;;) {
    rows.push_back(*(*image)->next(1000));
    if (rows.back().empty()) break;
  }
  store::EngineWrite* row = choose_row(&rows, random_);
  if (row == nullptr) return false;
  engine_->fail_writes(0);
  engine_->fail_flushes(0);
  return engine_->write({*row}).ok() && engine_->flush().ok();
}

// Of a record that others behind it, in the log now, know to have been durable: else it looks like a torn
// one.
bool Member::damage_log() {
  const auto names = env_.list("/log");
  if (!names.ok()) return false;
  std::vector<std::string> paths;
  for (const std::string& name : *names) paths.push_back("/log/" + name);
  std::sort(paths.begin(), paths.end());
  const std::string& path = paths[random_.below(paths.size())];
  const auto read = [&](const std::string& from) {
    const auto file = env_.open(from, false);
    return file.ok() ? *(*file)->read_at(0, 1 << 20) : std::string();
  };
  const std::string bytes = read(path), open = read(paths.back());
  std::uint64_t durable = 0;
  for (const Found& found : records_of(open)) durable = std::max(durable, found.record.durable);
  std::vector<Found> candidates = records_of(bytes);
  std::erase_if(candidates, [&](const Found& found) { return found.record.index > durable; });
  if (candidates.empty()) return false;
  const Found& victim = candidates[random_.below(candidates.size())];
  return env_.flip_bit(path, victim.offset + random_.below(victim.record.bytes));
}

}  // namespace coxswain::simulation
