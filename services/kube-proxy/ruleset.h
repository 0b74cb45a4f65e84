// The proxy's nftables table as a value: what should be there. Two rulesets give the smallest
// transaction that leads from one to the other. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace coxswain::proxy {

inline constexpr const char* kTable = "ip coxswain";

struct Ruleset {
  std::map<std::string, std::vector<std::string>> chains;          // name -> rules, in order
  std::map<std::string, std::string> sets;                         // name -> declaration body
  std::map<std::string, std::map<std::string, std::string>> maps;  // name -> key -> verdict
  bool operator==(const Ruleset&) const = default;
};

// The whole table from nothing, replacing whatever stands there, in one transaction.
std::string render_full(const Ruleset& wanted);
// From one state to the next. Empty when nothing changed. Sets that stay keep their elements.
std::string render_update(const Ruleset& current, const Ruleset& wanted);

}  // namespace coxswain::proxy
