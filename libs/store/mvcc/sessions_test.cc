#include "libs/store/mvcc/sessions.h"

#include <catch2/catch.hpp>

#include "libs/store/mvcc/command.h"

namespace coxswain::store {
namespace {

TEST_CASE("a command is admitted once, in whatever order and however often it comes") {
  Sessions sessions;
  CHECK(sessions.incarnation(7) == 0);
  for (const std::uint64_t number : {1, 2, 5, 4, 9}) CHECK(sessions.admit({7, 100, number, 1}));
  for (const std::uint64_t number : {1, 2, 5, 4, 9}) CHECK_FALSE(sessions.admit({7, 100, number, 1}));
  CHECK(sessions.admit({7, 100, 3, 1}));
  CHECK(sessions.admit({8, 100, 3, 1}));  // another member's
  for (const std::uint64_t number : {1, 2, 3, 4, 5, 9}) CHECK(sessions.applied(7, 100, number));
  for (const std::uint64_t number : {6, 7, 8, 10}) CHECK_FALSE(sessions.applied(7, 100, number));
  CHECK_FALSE(sessions.applied(7, 99, 1));
  CHECK(sessions.incarnation(7) == 100);
}

TEST_CASE("what nobody waits for any more is never admitted") {
  Sessions sessions;
  CHECK(sessions.admit({1, 5, 1, 1}));
  CHECK(sessions.admit({1, 5, 10, 8}));       // 2 to 7 were given up
  CHECK_FALSE(sessions.admit({1, 5, 4, 1}));  // and come late
  CHECK(sessions.admit({1, 5, 8, 8}));
  CHECK(sessions.admit({1, 5, 9, 8}));
  CHECK_FALSE(sessions.admit({1, 5, 10, 8}));
  CHECK(sessions.encode().size() < 10);  // nothing but where it is
}

TEST_CASE("a process that is started again begins anew, and what is left of the old one does not count") {
  Sessions sessions;
  CHECK(sessions.admit({1, 5, 1, 1}));
  CHECK(sessions.admit({1, 6, 1, 1}));
  CHECK_FALSE(sessions.admit({1, 5, 2, 1}));
  CHECK(sessions.admit({1, 6, 2, 1}));
  CHECK(sessions.incarnation(1) == 6);
}

TEST_CASE("sessions and origins are stored and read again; damage is told") {
  Sessions sessions;
  for (const std::uint64_t number : {1, 2, 5, 9}) sessions.admit({7, 100, number, 1});
  sessions.admit({3, 1, 1, 1});
  const std::string bytes = sessions.encode();
  CHECK(Sessions::decode(bytes).value() == sessions);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(Sessions::decode(bytes.substr(0, size)).ok());
  CHECK_FALSE(Sessions::decode(bytes + '\0').ok());

  const Origin origin{7, 1ull << 60, 42, 41};
  const auto command = decode_command(encode_with_origin(origin, encode_compact(12))).value();
  CHECK(command.origin == origin);
  CHECK(command.compact_to == 12);
  CHECK_FALSE(decode_command(encode_compact(12)).value().origin.has_value());
  CHECK_FALSE(decode_command(encode_with_origin(origin, "")).ok());
  CHECK_FALSE(decode_command(encode_with_origin(origin, encode_with_origin(origin, encode_compact(1)))).ok());
}

}  // namespace
}  // namespace coxswain::store
