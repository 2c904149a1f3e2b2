#pragma once

#include <string_view>

// The program's log on standard error. This file's source is the only one that knows spdlog.
namespace tenon::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

// Once, from main, before anything logs. Colour is used on a terminal unless NO_COLOR is set.
void configure(Level level);

void debug(std::string_view text);
void info(std::string_view text);
void warning(std::string_view text);
void error(std::string_view text);

}  // namespace tenon::log
