#include "libs/store/mvcc/history.h"

#include <algorithm>

#include "libs/common/base/wire.h"
#include "libs/store/raft/mutants.h"

namespace coxswain::store {
namespace {

constexpr std::string_view kAppliedKey = "applied";
constexpr std::string_view kCopiedKey = "copied";
constexpr std::string_view kSessionsKey = "sessions";
constexpr std::string_view kChecksKey = "checks";
constexpr std::string_view kSealKey = "seal";
constexpr std::string_view kRefusalKey = "refused";
constexpr std::size_t kSuffix = 9;  // NUL, then the inverted revision: newest first

Error damaged(const char* what) {
  return make_error(
      ErrorCode::kCorruption,
      std::string("the stored state is damaged: ") + what +
          "; restore a backup, or, with other members, replace this one (coxctl store member replace)");
}

std::string version_key(std::string_view key, Revision revision) {
  std::string out;
  out.reserve(key.size() + kSuffix);
  out.append(key);
  out.push_back('\0');
  put_big64(&out, ~static_cast<std::uint64_t>(revision));
  return out;
}

struct VersionKey {
  std::string_view key;
  Revision revision = 0;
};

VersionKey parse_version_key(std::string_view bytes) {
  if (bytes.size() <= kSuffix) return {};
  return {bytes.substr(0, bytes.size() - kSuffix),
          static_cast<Revision>(~get_big64(bytes.substr(bytes.size() - 8)))};
}

std::string version_value(const Entry& entry) {
  std::string out;
  out.reserve(entry.value.size() + 20);
  put_varint(&out, static_cast<std::uint64_t>(entry.create_revision));
  put_varint(&out, static_cast<std::uint64_t>(entry.version));
  out.append(entry.value);
  return out;
}

Result<EntryPtr> parse_version(const VersionKey& at, std::string_view bytes) {
  WireReader in(bytes);
  const auto created = static_cast<Revision>(in.varint());
  const auto number = static_cast<std::int64_t>(in.varint());
  if (!in.ok() || at.key.empty()) return damaged("a version row cannot be read");
  return make_entry(at.key, in.rest(), created, at.revision, number);
}

bool is_tombstone(std::string_view value) {
  WireReader in(value);
  in.varint();
  return in.varint() == 0;
}

std::string event_key(Revision revision) {
  std::string out;
  put_big64(&out, static_cast<std::uint64_t>(revision));
  return out;
}

struct EventRow {
  Event::Type type = Event::Type::kPut;
  std::string_view key;
  Revision previous = 0;
};

bool next_event(WireReader* in, EventRow* row) {
  if (in->done()) return false;
  row->type = in->varint() == 0 ? Event::Type::kPut : Event::Type::kDelete;
  row->key = in->bytes();
  row->previous = static_cast<Revision>(in->varint());
  return in->ok();
}

// What the rows of one moment add up to, these included; with what is this member's own.
StateHash seal_of(const Applied& applied) {
  const StateHash digest = applied.digest();
  std::string bytes;
  for (const std::uint64_t number : {digest.low, digest.high, static_cast<std::uint64_t>(applied.swept)})
    put_big64(&bytes, number);
  put_bytes(&bytes, raft::encode_configuration(applied.configuration));
  return hash_bytes(bytes + applied.checks.encode());
}

struct Seal {
  std::uint64_t index = 0;
  StateHash content;
  StateHash all;
};

std::string encode_seal(const Seal& seal) {
  std::string row;
  for (const std::uint64_t number :
       {seal.index, seal.content.high, seal.content.low, seal.all.high, seal.all.low})
    put_big64(&row, number);
  return row;
}

Result<Seal> decode_seal(std::string_view row) {
  if (row.size() != 40) return damaged("the seal has the wrong size");
  const auto number = [&](std::size_t i) { return get_big64(row.substr(8 * i)); };
  return Seal{number(0), {number(2), number(1)}, {number(4), number(3)}};
}

}  // namespace

StateHash Applied::digest() const {
  std::string bytes;
  for (const std::uint64_t number : {index, term, static_cast<std::uint64_t>(revision),
                                     static_cast<std::uint64_t>(compacted), content->low, content->high})
    put_big64(&bytes, number);
  return hash_bytes(bytes + sessions.encode());
}

void History::record(const std::vector<EventPtr>& events, EngineBatch* batch) {
  if (events.empty()) return;
  std::string row;
  for (const EventPtr& event : events) {
    put_varint(&row, event->type == Event::Type::kPut ? 0 : 1);
    put_bytes(&row, event->entry->key);
    put_varint(&row,
               event->previous == nullptr ? 0 : static_cast<std::uint64_t>(event->previous->mod_revision));
    batch->push_back(version_row(*event->entry));
  }
  batch->push_back({Family::kEvents, event_key(events.front()->revision), std::move(row)});
}

EngineWrite History::version_row(const Entry& entry) {
  return {Family::kVersions, version_key(entry.key, entry.mod_revision), version_value(entry)};
}

Result<EntryPtr> History::read_version_row(std::string_view key, std::string_view value) {
  return parse_version(parse_version_key(key), value);
}

void History::record_applied(const Applied& applied, EngineBatch* batch) {
  std::string row;
  put_big64(&row, applied.index);
  put_big64(&row, static_cast<std::uint64_t>(applied.revision));
  put_big64(&row, static_cast<std::uint64_t>(applied.compacted));
  put_big64(&row, static_cast<std::uint64_t>(applied.swept));
  put_big64(&row, applied.term);
  row += raft::encode_configuration(applied.configuration);
  batch->push_back({Family::kMeta, std::string(kAppliedKey), std::move(row)});
  if (!applied.sessions.empty())
    batch->push_back({Family::kMeta, std::string(kSessionsKey), applied.sessions.encode()});
  if (!applied.checks.empty())
    batch->push_back({Family::kMeta, std::string(kChecksKey), applied.checks.encode()});
  std::optional<std::string> seal;
  if (applied.content.has_value()) seal = encode_seal({applied.index, *applied.content, seal_of(applied)});
  batch->push_back({Family::kMeta, std::string(kSealKey), std::move(seal)});
}

void History::record_refusal(const std::string& reason, EngineBatch* batch) {
  batch->push_back({Family::kMeta, std::string(kRefusalKey), reason});
}

Result<std::string> History::refusal() const {
  COX_ASSIGN_OR_RETURN(std::optional<std::string> row, engine_->get(Family::kMeta, kRefusalKey));
  return std::move(row).value_or("");
}

Result<void> History::add_version(std::string_view row, std::string_view value, std::string* last,
                                  StateHash* content) {
  const VersionKey at = parse_version_key(row);
  if (at.key == *last) return {};
  last->assign(at.key);
  if (is_tombstone(value)) return {};
  COX_ASSIGN_OR_RETURN(const EntryPtr entry, parse_version(at, value));
  *content += hash_entry(*entry);
  return {};
}

void History::record_copied(bool copied, EngineBatch* batch) {
  batch->push_back({Family::kMeta, std::string(kCopiedKey),
                    copied ? std::optional<std::string>("") : std::optional<std::string>()});
}

Result<bool> History::copied() const {
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> row, engine_->get(Family::kMeta, kCopiedKey));
  return row.has_value();
}

Result<Applied> History::applied() const {
  Applied applied;
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> row, engine_->get(Family::kMeta, kAppliedKey));
  if (!row.has_value()) return applied;
  constexpr std::size_t kNumbers = 40, kNumbersOfFormat1 = 32;
  const std::string_view bytes(*row);
  if (bytes.size() < kNumbers && bytes.size() != kNumbersOfFormat1)
    return damaged("the applied row has the wrong size");
  applied.index = get_big64(bytes);
  applied.revision = static_cast<Revision>(get_big64(bytes.substr(8)));
  applied.compacted = static_cast<Revision>(get_big64(bytes.substr(16)));
  applied.swept = static_cast<Revision>(get_big64(bytes.substr(24)));
  applied.term = applied.index > 0 ? 1 : 0;  // format 1 knew no others
  if (bytes.size() >= kNumbers) {
    applied.term = get_big64(bytes.substr(32));
    COX_ASSIGN_OR_RETURN(applied.configuration, raft::decode_configuration(bytes.substr(kNumbers)));
  }
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> sessions, engine_->get(Family::kMeta, kSessionsKey));
  if (sessions.has_value()) {
    COX_ASSIGN_OR_RETURN(applied.sessions, Sessions::decode(*sessions));
  }
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> checks, engine_->get(Family::kMeta, kChecksKey));
  if (checks.has_value()) {
    COX_ASSIGN_OR_RETURN(applied.checks, Checks::decode(*checks));
  }
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> row_of_seal, engine_->get(Family::kMeta, kSealKey));
  if (!row_of_seal.has_value()) return applied;
  COX_ASSIGN_OR_RETURN(const Seal seal, decode_seal(*row_of_seal));
  // Behind it an older release has gone on, which knows nothing of seals.
  if (seal.index < applied.index) return applied;
  applied.content = seal.content;
  const bool whole = seal_of(applied) == seal.all || raft::planted(raft::Mutant::kLoadNotChecked);
  if (!whole) return damaged("the rows that say where it is do not belong together");
  return applied;
}

Result<Applied> History::load(State* state) const {
  COX_ASSIGN_OR_RETURN(Applied applied, this->applied());
  StateHash content;
  Revision newest = 0;
  std::string last;
  Result<void> outcome;
  COX_RETURN_IF_ERROR(engine_->scan(Family::kVersions, "", [&](std::string_view key, std::string_view value) {
    const VersionKey at = parse_version_key(key);
    if (at.key == last) return true;  // an older version
    last.assign(at.key);
    if (is_tombstone(value)) return true;
    Result<EntryPtr> entry = parse_version(at, value);
    if (!entry.ok() || at.revision > applied.revision) {
      outcome = entry.ok() ? damaged("a version is newer than the store") : std::move(entry).error();
      return false;
    }
    newest = std::max(newest, at.revision);
    content += hash_entry(**entry);
    state->load(std::move(entry).value());
    return true;
  }));
  COX_RETURN_IF_ERROR(std::move(outcome));
  if (applied.content.value_or(content) != content && !raft::planted(raft::Mutant::kLoadNotChecked))
    return damaged("the values in it are not those that were written");
  applied.content = content;
  if (raft::planted(raft::Mutant::kHashNotCarried)) applied.content = StateHash{};
  if (raft::planted(raft::Mutant::kRevisionReused)) applied.revision = newest;
  state->load_revisions(applied.revision, applied.compacted);
  return applied;
}

Result<EntryPtr> History::version(std::string_view key, Revision revision) const {
  COX_ASSIGN_OR_RETURN(const std::optional<std::string> row,
                       engine_->get(Family::kVersions, version_key(key, revision)));
  if (!row.has_value()) return damaged("a version named by an event is missing");
  return parse_version({key, revision}, *row);
}

void History::set_whole(bool whole) {
  if ((rebuilds_ % 2 == 0) != whole) ++rebuilds_;
}

Error History::not_whole() {
  return make_error(ErrorCode::kUnavailable, "the history is being rebuilt from the log; try again");
}

Result<EntryPtr> History::get(std::string_view key, Revision revision) const {
  const std::uint64_t began = rebuilds_;
  Result<EntryPtr> found = EntryPtr();
  COX_RETURN_IF_ERROR(engine_->scan(Family::kVersions, version_key(key, revision),
                                    [&](std::string_view row, std::string_view value) {
                                      const VersionKey at = parse_version_key(row);
                                      if (at.key == key && !is_tombstone(value))
                                        found = parse_version(at, value);
                                      return false;
                                    }));
  if (!is_whole(began)) return not_whole();
  return found;
}

Result<void> History::range(const RangeRequest& request, RangeResult* result) const {
  const std::uint64_t began = rebuilds_;
  std::string last;
  Result<void> outcome;
  COX_RETURN_IF_ERROR(engine_->scan(
      Family::kVersions, range_start(request), [&](std::string_view row, std::string_view value) {
        const VersionKey at = parse_version_key(row);
        if (!has_prefix(at.key, request.prefix)) return false;
        if (at.key == request.after || at.revision > request.revision || at.key == last) return true;
        last.assign(at.key);
        if (is_tombstone(value)) return true;
        if (request.limit != 0 && result->entries.size() == request.limit) {
          ++result->remaining;
          return true;
        }
        Result<EntryPtr> entry = parse_version(at, value);
        if (!entry.ok()) {
          outcome = std::move(entry).error();
          return false;
        }
        result->entries.push_back(std::move(entry).value());
        return true;
      }));
  if (!is_whole(began)) return not_whole();
  result->more = result->remaining > 0;
  return outcome;
}

Result<History::Page> History::events(Revision after, std::string_view prefix, std::size_t max_events,
                                      std::size_t max_scan) const {
  const std::uint64_t began = rebuilds_;
  Result<Page> page = read_events(after, prefix, max_events, max_scan);
  if (!is_whole(began)) return not_whole();  // whatever it is
  return page;
}

Result<History::Page> History::read_events(Revision after, std::string_view prefix, std::size_t max_events,
                                           std::size_t max_scan) const {
  struct Found {
    Event::Type type;
    std::string key;
    Revision revision;
    Revision previous;
  };
  std::vector<Found> found;
  Page page;
  page.upto = after;
  COX_RETURN_IF_ERROR(
      engine_->scan(Family::kEvents, event_key(after + 1), [&](std::string_view key, std::string_view value) {
        WireReader in(value);
        const auto revision = static_cast<Revision>(get_big64(key));
        for (EventRow row; next_event(&in, &row);) {
          if (has_prefix(row.key, prefix))
            found.push_back({row.type, std::string(row.key), revision, row.previous});
        }
        page.upto = revision;
        return found.size() < max_events && --max_scan > 0;
      }));
  for (Found& row : found) {
    Event event{row.type, nullptr, nullptr, row.revision};
    COX_ASSIGN_OR_RETURN(event.entry, version(row.key, row.revision));
    if (row.previous != 0) {
      COX_ASSIGN_OR_RETURN(event.previous, version(row.key, row.previous));
    }
    page.events.push_back(std::make_shared<const Event>(std::move(event)));
  }
  return page;
}

Result<Revision> History::sweep(Revision from, Revision to, std::size_t max_events,
                                EngineBatch* batch) const {
  Revision reached = to;
  std::size_t seen = 0;
  COX_RETURN_IF_ERROR(
      engine_->scan(Family::kEvents, event_key(from + 1), [&](std::string_view key, std::string_view value) {
        const auto revision = static_cast<Revision>(get_big64(key));
        if (revision > to) return false;
        WireReader in(value);
        for (EventRow row; next_event(&in, &row); ++seen) {
          const bool keep =
              raft::planted(raft::Mutant::kSweepLosesDelete) && row.type == Event::Type::kDelete;
          if (row.previous != 0 && !keep) {
            batch->push_back({Family::kVersions, version_key(row.key, row.previous), std::nullopt});
          }
          if (row.type == Event::Type::kDelete) {
            batch->push_back({Family::kVersions, version_key(row.key, revision), std::nullopt});
          }
        }
        batch->push_back({Family::kEvents, std::string(key), std::nullopt});
        if (seen < max_events) return true;
        reached = revision;
        return false;
      }));
  return reached;
}

}  // namespace coxswain::store
