// What the machine can do, and what this process has taken of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace coxswain::store::bench {

double now_seconds();           // of a clock that only goes forward
double processor_seconds();     // of this process: user and system, all threads
std::uint64_t written_bytes();  // that this process has caused to be written to disks (/proc/self/io)
std::uint64_t resident_bytes();
std::uint64_t allocated_bytes();  // that malloc has given out and not got back

// `fraction` of them are at most this. Sorts; of none: 0.
double percentile(std::vector<double>* values, double fraction);

// The median of writing `bytes` and fdatasync, one after the other into a file of `dir` that was written with
// zeros and synced before, in microseconds: the least that a durable write can take.
double raw_write_us(const std::string& dir, std::size_t bytes, int writes);

// Bytes that do not compress: a different piece of the same pool for every n.
std::string value_of(std::size_t bytes, std::uint64_t n);

}  // namespace coxswain::store::bench
