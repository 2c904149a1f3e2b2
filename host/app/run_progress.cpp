#include "app/run_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <vector>

namespace tenon {
namespace {

constexpr double kSmoothing = 0.3;

// Asked anew for each drawing: a terminal may be resized.
std::size_t terminal_columns() {
  constexpr std::size_t kUsual = 80;
  struct winsize size {};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return is_known ? size.ws_col : kUsual;
}

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// "1.2k", "35".
std::string amount_text(double value) {
  if (value >= 1e6) return short_text(std::round(value / 1e4) / 100) + "M";
  if (value >= 1e4) return short_text(std::round(value / 100) / 10) + "k";
  return short_text(value >= 10 ? std::round(value) : value);
}

// "1:02:03", "0:09".
std::string time_text(double seconds) {
  const auto all = static_cast<std::int64_t>(std::min(std::max(0.0, std::ceil(seconds)), 1e9));
  char text[48];
  if (all >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(all / 3600),
                  static_cast<long long>(all / 60 % 60), static_cast<long long>(all % 60));
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", static_cast<long long>(all / 60),
                  static_cast<long long>(all % 60));
  }
  return text;
}

}  // namespace

void Smoothed::add(double value) {
  sum_ = kSmoothing * value + (1 - kSmoothing) * sum_;
  weight_ = kSmoothing + (1 - kSmoothing) * weight_;
}

std::string bar_text(const StepProgress& step, double loss, const std::string& rate,
                     const std::string& left, std::size_t columns) {
  const std::string counts = " " + std::to_string(step.step) + "/" + std::to_string(step.steps);
  std::string text = counts + "  loss " + short_text(loss);
  constexpr std::size_t kLeastBar = 12;
  const std::size_t room = columns > kLeastBar ? columns - kLeastBar : 0;
  for (const std::string& part :
       {"  " + left + " left", "  " + rate, "  lr " + short_text(step.learning_rate)}) {
    if (text.size() + part.size() > room) break;
    text += part;
  }
  constexpr std::size_t kWidestBar = 30;
  if (text.size() + 4 > columns) return text.substr(1, columns);
  const std::size_t width = std::min(kWidestBar, columns - text.size() - 2);
  const auto done =
      static_cast<std::size_t>(static_cast<double>(width) * static_cast<double>(step.step) /
                               static_cast<double>(std::max<std::int64_t>(1, step.steps)));
  return "[" + std::string(done, '=') + std::string(width - done, ' ') + "]" + text;
}

RunProgress::RunProgress(bool shown) : shown_(shown), terminal_(::isatty(STDOUT_FILENO) != 0) {}

void RunProgress::operator()(const StepProgress& step) {
  if (!shown_) return;
  const bool last = step.step == step.steps;
  if (!terminal_) {
    if (last || step.step == 1 || step.step % std::max<std::int64_t>(1, step.steps / 10) == 0) {
      std::cout << "step " << step.step << "/" << step.steps << "  loss " << step.loss
                << std::endl;  // a reader of the pipe sees it now
    }
    return;
  }
  const Clock::time_point now = Clock::now();
  seconds_.add(std::chrono::duration<double>(now - last_).count());
  last_ = now;
  loss_.add(step.loss);
  amounts_.add(static_cast<double>(step.tokens > 0 ? step.tokens : step.rows));
  // Drawing takes longer than many a step.
  constexpr std::chrono::milliseconds kBetween{50};
  if (!last && is_drawn_ && now - last_drawn_ < kBetween) return;
  last_drawn_ = now;
  draw(step);
}

void RunProgress::draw(const StepProgress& step) {
  const double seconds = std::max(seconds_.value(), 1e-9);
  const std::string unit = step.tokens > 0 ? " tokens/s" : " rows/s";
  const double left = seconds * static_cast<double>(step.steps - step.step);
  const std::string line =
      bar_text(step, loss_.value(), amount_text(amounts_.value() / seconds) + unit, time_text(left),
               terminal_columns() - 1);
  // Standard output escapes what moves a terminal's cursor, but for this.
  std::cout << std::flush;
  std::printf("\r%s\x1b[K%s", line.c_str(), step.step == step.steps ? "\n" : "");
  std::fflush(stdout);
  is_drawn_ = step.step != step.steps;
}

void RunProgress::clear() {
  if (!is_drawn_) return;
  std::printf("\r\x1b[K");
  std::fflush(stdout);
  is_drawn_ = false;
}

}  // namespace tenon
