// What goes over the wire and what is stored, without an etcd.
#include <catch2/catch.hpp>

#include "libs/store/etcd/grpc.h"
#include "libs/store/etcd/layout.h"
#include "libs/store/etcd/messages.h"
#include "libs/store/etcd/open.h"
#include "libs/store/etcd/protobuf.h"

namespace coxswain::store::etcd {
namespace {

std::string header(std::int64_t revision) {
  std::string out;
  put_field(&out, 1, std::int64_t{7});
  put_field(&out, 3, revision);
  return out;
}

std::string key_value(std::string_view key, std::string_view value, std::int64_t revision) {
  std::string out;
  put_field(&out, 1, key);
  put_field(&out, 2, revision);
  put_field(&out, 3, revision);
  put_field(&out, 4, std::int64_t{1});
  put_field(&out, 5, value);
  return out;
}

TEST_CASE("etcd: requests are the bytes that etcd expects") {
  // Worked out by hand from rpc.proto.
  CHECK(encode_range({"k", "l", 5, 3}) == std::string("\x0a\x01k\x12\x01l\x18\x03\x20\x05"));
  KeyRange count{"k"};
  count.count_only = true;
  CHECK(encode_range(count) == std::string("\x0a\x01k\x48\x01"));
  CHECK(encode_put("k", "v") == std::string("\x0a\x01k\x12\x01v"));
  CHECK(encode_compaction(300) == std::string("\x08\xac\x02"));
  CHECK(encode_watch_create({"k", "l"}, 9) == std::string("\x0a\x0a\x0a\x01k\x12\x01l\x18\x09\x40\x01"));
  TxnRequest absent;
  absent.compare_mod_revision("k", 0);  // zero inside of a oneof is written
  CHECK(absent.bytes() == std::string("\x0a\x07\x10\x02\x1a\x01k\x30\x00", 9));
  TxnRequest put;
  put.then_put("k", "v");
  CHECK(put.bytes() == std::string("\x12\x08\x12\x06\x0a\x01k\x12\x01v"));
}

TEST_CASE("etcd: answers are read, fields of newer releases skipped") {
  std::string range;
  put_field(&range, 1, header(12));
  put_field(&range, 2, key_value("a", "1", 3));
  put_field(&range, 2, key_value("b", "", 4));
  put_field(&range, 3, std::int64_t{1});
  put_field(&range, 4, std::int64_t{5});
  put_field(&range, 99, "from the future");
  range += std::string("\xa1\x06", 2) + "8 bytes.";  // field 100, fixed64
  const RangeResponse got = decode_range(range).value();
  CHECK(got.header.revision == 12);
  CHECK(got.header.cluster_id == 7);
  REQUIRE(got.kvs.size() == 2);
  CHECK(got.kvs[0].value == "1");
  CHECK(got.kvs[1].mod_revision == 4);
  CHECK(got.more);
  CHECK(got.count == 5);
}

TEST_CASE("etcd: malformed answers are refused") {
  std::string no_key;
  put_field(&no_key, 2, std::string("\x18\x03"));
  std::string negative;
  put_field(&negative, 2, key_value("a", "", -1));
  std::string put_without_revision;
  std::string event;
  std::string kv;
  put_field(&kv, 1, "a");
  put_field(&kv, 3, std::int64_t{4});
  put_field(&event, 2, kv);
  put_field(&put_without_revision, 11, event);
  CHECK_FALSE(decode_range(no_key).ok());
  CHECK_FALSE(decode_range(negative).ok());
  CHECK_FALSE(decode_watch(put_without_revision).ok());
  CHECK_FALSE(decode_range("\x0a\x05xx").ok());       // shorter than it says
  CHECK_FALSE(decode_range("\x0b").ok());             // a group
  CHECK_FALSE(decode_range(std::string(1, 0)).ok());  // field 0
  CHECK_FALSE(decode_range(std::string(11, '\xff')).ok());
  std::string event_of_deletion;
  put_field(&event_of_deletion, 1, std::int64_t{1});
  put_field(&event_of_deletion, 2, kv);
  std::string deletion;
  put_field(&deletion, 11, event_of_deletion);
  CHECK(decode_watch(deletion).value().events.front().deleted);
}

TEST_CASE("grpc: messages are cut out of any pieces") {
  const std::string two = std::string("\0\0\0\0\3abc", 8) + std::string("\0\0\0\0\0", 5);
  for (std::size_t piece = 1; piece <= two.size(); ++piece) {
    MessageReader reader(100);
    std::vector<std::string> got;
    for (std::size_t at = 0; at < two.size(); at += piece) {
      REQUIRE(reader.append(std::string_view(two).substr(at, piece)).ok());
      while (auto message = reader.next()) got.push_back(*message);
    }
    CHECK(got == std::vector<std::string>{"abc", ""});
  }
  MessageReader small(2);
  CHECK(small.append(two).error().code == ErrorCode::kResourceExhausted);
  CHECK_FALSE(small.next().has_value());
  MessageReader compressed(100);
  CHECK(compressed.append(std::string("\1\0\0\0\1x", 6)).error().code == ErrorCode::kCorruption);
  CHECK(decode_grpc_message("a%20b%3A%zz%4") == "a b:%zz%4");
  CHECK(decode_grpc_message(std::string(5000, 'x')).size() == 1024);
  CHECK(decode_grpc_message("one%0Aline") == "one line");
}

TEST_CASE("etcd: values carry who wrote them and where the revision goes") {
  const TxnId id = make_txn_id(1, 2);
  const std::string bytes = encode_envelope({id, 1, "<>"});
  const Envelope got = decode_envelope(bytes).value();
  CHECK(got.id == id);
  CHECK(spliced(got, 42) == "<42>");
  CHECK(spliced(decode_envelope(encode_envelope({id, kNoSplice, "x"})).value(), 42) == "x");
  CHECK(spliced(decode_envelope(encode_envelope({id, 0, ""})).value(), 7) == "7");
  CHECK_FALSE(decode_envelope(bytes.substr(0, 16)).ok());
  CHECK_FALSE(decode_envelope("somebody else's").ok());
  CHECK_FALSE(decode_envelope(id + "\x04" + "ab").ok());  // behind its end

  LastWords words{id, {{Op::Type::kDelete, "a", "bye", 3}, {Op::Type::kDelete, "b", "", kNoSplice}}};
  const LastWords back = decode_last_words(encode_last_words(words)).value();
  REQUIRE(back.deletions.size() == 2);
  CHECK(back.deletions[0].value == "bye");
  CHECK(back.deletions[0].splice_at == 3);
  CHECK(back.deletions[1].splice_at == kNoSplice);
  CHECK_FALSE(decode_last_words(encode_last_words(words) + "x").ok());
  CHECK_FALSE(decode_last_words(id + std::string("\xff\xff\xff\xff\x0f")).ok());
}

TEST_CASE("etcd: whose format it is") {
  CHECK(check_format(encode_format("a-b")).ok());
  CHECK_FALSE(check_format("coxswain etcd store 1x a-b").ok());
  CHECK(check_format("coxswain etcd store 2 a").error().message.find("newer release") != std::string::npos);
  CHECK(check_format("k8s").error().message.find("not written by Coxswain") != std::string::npos);
}

TEST_CASE("etcd: where it is") {
  const auto two = parse_etcd_target("etcd://a:1,[::1]:65535").value();
  REQUIRE(two.endpoints.size() == 2);
  CHECK(to_string(two.endpoints[0]) == "a:1");
  CHECK(to_string(two.endpoints[1]) == "[::1]:65535");
  CHECK_FALSE(two.plain);
  CHECK(parse_etcd_target("etcd://a").value().endpoints[0].port == 2379);
  CHECK(parse_etcd_target("etcd+plain://a").value().plain);
  for (const char* bad :
       {"", "etcd://", "a:1", "http://a:1", "etcd://a:0", "etcd://a:65536", "etcd://a:x", "etcd://a:1,",
        "etcd://:1", "etcd://::1", "etcd://[::1", "etcd://a/b", "etcd://u@a"}) {
    CAPTURE(bad);
    CHECK(parse_etcd_target(bad).error().code == ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace coxswain::store::etcd
