// Rows of a Markdown table: | work | measured | etcd | ratio | goal | verdict |
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace coxswain::store::bench {

struct Goal {
  enum class Kind { kNone, kAtLeast, kAtMost };
  Kind kind = Kind::kNone;
  double value = 0;
};

struct Row {
  std::string work;
  double measured = 0;
  std::string unit;  // "/s", "us", ...
  std::string note;  // behind the number, in parentheses; empty: nothing
  // What etcd does in the same minute, where it is installed; else `quoted` stands there, as the number of
  // another day and machine. 0: nothing to compare with.
  std::optional<double> etcd;
  double quoted = 0;
  Goal goal;
};

inline Goal at_least(double value) { return {Goal::Kind::kAtLeast, value}; }
inline Goal at_most(double value) { return {Goal::Kind::kAtMost, value}; }

void print_header();
void print(const Row& row);
// "12,345", "131" or "2.41": three digits at least.
std::string show(double value);

}  // namespace coxswain::store::bench
