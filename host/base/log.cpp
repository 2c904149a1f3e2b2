#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/printable.h"

namespace tenon::log {
namespace {

spdlog::string_view_t prefix_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "debug: ";
    case spdlog::level::warn:
      return "warning: ";
    case spdlog::level::err:
      return "error: ";
    default:
      return "";
  }
}

// "warning: " and the like; nothing for plain information, which is what the program has to say.
class LevelPrefix : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& buffer) override {
    const spdlog::string_view_t prefix = prefix_of(message.level);
    buffer.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<LevelPrefix>();
  }
};

bool colour_is_refused() {
  const char* no_color = std::getenv("NO_COLOR");
  return no_color != nullptr && *no_color != '\0';
}

spdlog::logger make_logger() {
  const auto mode = colour_is_refused() ? spdlog::color_mode::never : spdlog::color_mode::automatic;
  auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode);
  auto formatter = std::make_unique<spdlog::pattern_formatter>("");
  formatter->add_flag<LevelPrefix>('*').set_pattern("%^%*%$%v");
  sink->set_formatter(std::move(formatter));
  return spdlog::logger("tenon", std::move(sink));
}

// The one logger of the process; made at the first use so that it writes to standard error even
// where nothing was configured.
spdlog::logger& logger() {
  static spdlog::logger instance = make_logger();
  return instance;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      break;
  }
  return spdlog::level::off;
}

constexpr std::size_t kMostLogged = 8000;

// The text goes through as it is, for braces in it are not a format, but for what terminals obey.
void write(spdlog::level::level_enum level, std::string_view text) {
  const std::string shown = printable_excerpt(text, kMostLogged);
  logger().log(level, spdlog::string_view_t(shown.data(), shown.size()));
}

}  // namespace

void configure(Level level) { logger().set_level(spdlog_level(level)); }

void debug(std::string_view text) { write(spdlog::level::debug, text); }
void info(std::string_view text) { write(spdlog::level::info, text); }
void warning(std::string_view text) { write(spdlog::level::warn, text); }
void error(std::string_view text) { write(spdlog::level::err, text); }

}  // namespace tenon::log
