// Small string helpers over std::string_view, used everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coxswain {

std::vector<std::string> split(std::string_view text, char separator);  // keeps empty parts
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);                    // ASCII white space
std::string to_lower(std::string_view text);                     // ASCII
bool iequals(std::string_view a, std::string_view b);            // ASCII, ignoring case
std::optional<std::int64_t> parse_int64(std::string_view text);  // whole text, base 10
std::optional<std::uint64_t> parse_uint64(std::string_view text);
// Milliseconds of "10s", "1m30s", "1500ms", "2h": whole numbers with units, from large to small, at most a
// year.
std::optional<std::int64_t> parse_duration_ms(std::string_view text);

std::string base64_encode(std::string_view bytes);                // RFC 4648 §4, padded
std::optional<std::string> base64_decode(std::string_view text);  // strict; nullopt if malformed
std::string base64url_encode(std::string_view bytes);             // RFC 4648 §5, no padding
std::optional<std::string> base64url_decode(std::string_view text);
std::string hex_encode(std::string_view bytes);  // lower case

std::string url_encode(std::string_view text);  // RFC 3986 unreserved kept
std::optional<std::string> url_decode(std::string_view text, bool plus_is_space = false);

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);  // Castagnoli
std::uint32_t fnv1a_32(std::string_view bytes);
std::uint64_t fnv1a_64(std::string_view bytes);

// True when equal; time does not depend on where they differ.
bool constant_time_equal(std::string_view a, std::string_view b);

}  // namespace coxswain
