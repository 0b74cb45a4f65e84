#include "libs/store/store.h"

#include <charconv>
#include <cstring>
#include <future>

namespace coxswain::store {
namespace {

// Memory with some more behind it.
template <typename T>
struct WithTail {
  using value_type = T;
  explicit WithTail(std::size_t bytes) : tail(bytes) {}
  template <typename U>
  WithTail(const WithTail<U>& other) : tail(other.tail) {}  // NOLINT: allocators convert
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T) + tail)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory); }
  bool operator==(const WithTail&) const { return true; }
  std::size_t tail;
};

}  // namespace

Entry::Entry(const Parts& parts, Revision created, Revision modified, std::int64_t n)
    : create_revision(created), mod_revision(modified), version(n) {
  char* const memory = reinterpret_cast<char*>(this + 1);
  char* end = memory;
  for (const std::string_view part : {parts.key, parts.head, parts.number, parts.tail}) {
    if (!part.empty()) std::memcpy(end, part.data(), part.size());
    end += part.size();
  }
  key = {memory, parts.key.size()};
  value = {memory + key.size(), static_cast<std::size_t>(end - memory) - key.size()};
}

EntryPtr make_entry(std::string_view key, std::string_view value, Revision created, Revision modified,
                    std::int64_t version, std::size_t splice_at) {
  char digits[20];
  Entry::Parts parts{key, value, {}, {}};
  if (splice_at != kNoSplice) {
    const char* const end = std::to_chars(digits, digits + sizeof digits, modified).ptr;
    parts = {key,
             value.substr(0, splice_at),
             {digits, static_cast<std::size_t>(end - digits)},
             value.substr(splice_at)};
  }
  const std::size_t bytes = key.size() + value.size() + parts.number.size();
  return std::allocate_shared<Entry>(WithTail<Entry>(bytes), parts, created, modified, version);
}

void Entry::set_attachment(std::shared_ptr<const void> a) const {
  const auto* mine = new std::shared_ptr<const void>(std::move(a));
  const std::shared_ptr<const void>* nothing = nullptr;
  if (!attachment_.compare_exchange_strong(nothing, mine, std::memory_order_acq_rel)) delete mine;
}

Result<TxnResult> Store::txn_wait(Txn txn) {
  auto promise = std::make_shared<std::promise<Result<TxnResult>>>();
  auto future = promise->get_future();
  this->txn(std::move(txn), [promise](Result<TxnResult> result) { promise->set_value(std::move(result)); });
  return future.get();
}

}  // namespace coxswain::store
