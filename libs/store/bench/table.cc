#include "libs/store/bench/table.h"

#include <cstdio>

namespace coxswain::store::bench {

std::string show(double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
  std::string text = buffer;
  if (value < 100) return text;
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

void print_header() {
  std::printf("| work | measured | etcd | ratio | goal | |\n|---|---|---|---|---|---|\n");
}

void print(const Row& row) {
  const auto with_unit = [&](double value) {
    return show(value) + (row.unit.empty() || row.unit.front() == '/' ? "" : " ") + row.unit;
  };
  const double etcd = row.etcd.value_or(row.quoted);
  std::string peer = "-", ratio = "-", goal = "-", verdict;
  if (etcd > 0) {
    peer = with_unit(etcd) + (row.etcd.has_value() ? "" : " (quoted)");
    const bool more_is_better = row.goal.kind != Goal::Kind::kAtMost;
    ratio = show(more_is_better ? row.measured / etcd : etcd / row.measured) + "x";
  }
  if (row.goal.kind != Goal::Kind::kNone) {
    const bool least = row.goal.kind == Goal::Kind::kAtLeast;
    goal = (least ? ">= " : "<= ") + with_unit(row.goal.value);
    const bool reached = least ? row.measured >= row.goal.value : row.measured <= row.goal.value;
    verdict = reached ? "reached" : "missed";
  }
  const std::string note = row.note.empty() ? "" : " (" + row.note + ")";
  std::printf("| %s | %s%s | %s | %s | %s | %s |\n", row.work.c_str(), with_unit(row.measured).c_str(),
              note.c_str(), peer.c_str(), ratio.c_str(), goal.c_str(), verdict.c_str());
  std::fflush(stdout);
}

}  // namespace coxswain::store::bench
