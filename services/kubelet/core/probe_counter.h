// Thresholds of one probe. Pure.
#pragma once

#include <algorithm>

#include "services/kubelet/core/model.h"

namespace coxswain::kubelet {

enum class ProbeKind { kLiveness, kReadiness, kStartup };

class ProbeCounter {
 public:
  ProbeCounter(ProbeKind kind, const v1::Probe& probe)
      : success_threshold_(std::max(1, probe.successThreshold)),
        failure_threshold_(probe.failureThreshold > 0 ? probe.failureThreshold : 3),
        passing_(kind == ProbeKind::kLiveness) {}

  // True when the verdict changed, or when failures reached the threshold.
  bool observe(bool success) {
    run_ = success == last_ ? run_ + 1 : 1;
    last_ = success;
    if (success) failed_for_good_ = false;
    if (run_ < (success ? success_threshold_ : failure_threshold_)) return false;
    const bool changed = passing_ != success || (!success && !failed_for_good_);
    passing_ = success;
    failed_for_good_ = !success;
    return changed;
  }
  bool passing() const { return passing_; }
  bool gave_up() const { return failed_for_good_; }  // failures reached the threshold

 private:
  const int success_threshold_;
  const int failure_threshold_;
  bool passing_;
  bool failed_for_good_ = false;
  bool last_ = false;
  int run_ = 0;
};

}  // namespace coxswain::kubelet
