#include "services/scheduler/cycle.h"

#include <algorithm>

namespace coxswain::scheduler {
namespace {

// The first plugin that refuses ends the look at a node, as upstream: its reasons are the ones shown.
bool fits(const PodInfo& pod, const NodeInfo& node, Decision& decision, std::vector<std::string>& reasons) {
  for (const Plugin* plugin : plugins()) {
    if (plugin->filter == nullptr) continue;
    plugin->filter(pod, node, reasons);
    if (reasons.empty()) continue;
    for (std::string& reason : reasons) ++decision.reasons[std::move(reason)];
    decision.retry_on |= plugin->retry_on;
    if (plugin->preemption_may_help != nullptr && plugin->preemption_may_help(pod, node))
      ++decision.helped_by_preemption;
    reasons.clear();
    return false;
  }
  return true;
}

void add_scores(const Plugin& plugin, const PodInfo& pod, const std::vector<const NodeInfo*>& nodes,
                const ScoreContext& context, std::vector<std::int64_t>& totals) {
  std::vector<std::int64_t> scores(nodes.size());
  std::int64_t highest = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    scores[i] = plugin.score(pod, *nodes[i], context);
    highest = std::max(highest, scores[i]);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    std::int64_t score = scores[i];
    if (plugin.normalize != Normalize::kNone) score = highest == 0 ? 0 : score * 100 / highest;
    if (plugin.normalize == Normalize::kByMaximumReversed) score = 100 - score;
    totals[i] += score * plugin.weight;
  }
}

// Sorted as text, counts included, as upstream sorts them.
std::string list_reasons(std::size_t nodes, const std::map<std::string, int>& reasons) {
  std::vector<std::string> parts;
  for (const auto& [reason, count] : reasons) parts.push_back(std::to_string(count) + " " + reason);
  std::sort(parts.begin(), parts.end());
  std::string text = "0/" + std::to_string(nodes) + " nodes are available:";
  for (std::size_t i = 0; i < parts.size(); ++i) text += (i == 0 ? " " : ", ") + parts[i];
  return text + ".";
}

}  // namespace

std::string Decision::message() const {
  if (nodes_total == 0) return "no nodes available to schedule pods";
  const std::string text = list_reasons(nodes_total, reasons) + " preemption: ";
  if (never_preempts) return text + "not eligible due to preemptionPolicy=Never.";
  std::map<std::string, int> why_not;
  if (helped_by_preemption > 0)
    why_not["No preemption victims found for incoming pod"] = helped_by_preemption;
  const int hopeless = static_cast<int>(nodes_total) - helped_by_preemption;
  if (hopeless > 0) why_not["Preemption is not helpful for scheduling"] = hopeless;
  return text + list_reasons(nodes_total, why_not);
}

std::size_t feasible_nodes_wanted(std::size_t nodes) {
  constexpr std::size_t kAtLeast = 100;
  if (nodes <= kAtLeast) return nodes;
  const std::size_t percent = nodes / 125 >= 45 ? 5 : 50 - nodes / 125;
  return std::max(kAtLeast, nodes * percent / 100);
}

Decision decide(const PodInfo& pod, const Cluster& cluster, std::size_t start, std::uint64_t pick) {
  Decision decision;
  const auto& all = cluster.nodes();
  decision.nodes_total = all.size();
  decision.retry_on = kNodeAdded;
  decision.never_preempts = pod.never_preempts;
  const std::size_t wanted = feasible_nodes_wanted(all.size());
  std::vector<const NodeInfo*> feasible;
  std::vector<std::string> reasons;
  for (std::size_t i = 0; i < all.size() && feasible.size() < wanted; ++i) {
    const NodeInfo& node = *all[(start + i) % all.size()];
    ++decision.nodes_seen;
    if (fits(pod, node, decision, reasons)) feasible.push_back(&node);
  }
  if (feasible.empty()) return decision;
  std::vector<std::int64_t> totals(feasible.size(), 0);
  if (feasible.size() > 1) {
    const ScoreContext context{static_cast<std::int64_t>(all.size()), &cluster.image_nodes()};
    for (const Plugin* plugin : plugins()) {
      if (plugin->score != nullptr) add_scores(*plugin, pod, feasible, context, totals);
    }
  }
  const std::int64_t best = *std::max_element(totals.begin(), totals.end());
  const auto ties = static_cast<std::uint64_t>(std::count(totals.begin(), totals.end(), best));
  std::uint64_t skip = pick % ties;
  for (std::size_t i = 0; i < feasible.size(); ++i) {
    if (totals[i] != best) continue;
    if (skip-- == 0) {
      decision.node = feasible[i]->name;
      break;
    }
  }
  return decision;
}

}  // namespace coxswain::scheduler
