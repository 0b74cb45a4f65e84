#include "cli/suggest.h"

#include <algorithm>
#include <utility>

namespace coxswain::cli {
namespace {

// How many letters to change, insert or drop: Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::string suggest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t nearest = word.size() < 4 ? 2 : 3;  // two slips in a word, one in a short one
  for (const std::string& candidate : candidates) {
    const std::size_t far = distance(word, candidate);
    if (far >= nearest || far >= candidate.size()) continue;
    nearest = far;
    best = candidate;
  }
  return best;
}

}  // namespace coxswain::cli
