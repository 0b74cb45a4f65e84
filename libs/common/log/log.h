// Structured one-line logs to stderr: time, level, message, then key="value" pairs.
//   log_info("pod started", {{"pod", name}, {"took_ms", std::to_string(ms)}});
// Thread-safe. Never log secrets, tokens, keys or bodies of Secrets.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace coxswain {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogField = std::pair<std::string_view, std::string>;

void set_log_level(LogLevel level);
bool parse_log_level(std::string_view text, LogLevel* level);  // debug info warning error
void log_at(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view m, std::initializer_list<LogField> f = {}) {
  log_at(LogLevel::kDebug, m, f);
}
inline void log_info(std::string_view m, std::initializer_list<LogField> f = {}) {
  log_at(LogLevel::kInfo, m, f);
}
inline void log_warning(std::string_view m, std::initializer_list<LogField> f = {}) {
  log_at(LogLevel::kWarning, m, f);
}
inline void log_error(std::string_view m, std::initializer_list<LogField> f = {}) {
  log_at(LogLevel::kError, m, f);
}

}  // namespace coxswain
