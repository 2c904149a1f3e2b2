#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

struct ChartLine {
  std::string label;
  int colour = 0;          // of the page's palette
  bool is_dashed = false;  // an evaluation's
  std::vector<std::pair<double, double>> points;
};

struct Chart {
  std::string title;
  std::vector<ChartLine> lines;
  std::optional<double> marked;  // a step: the best
  bool is_logarithmic = false;
};

// The chart as a figure with an inline SVG, whose colours are the page's; "" without any point.
std::string chart_html(const Chart& chart);

// Text between tags.
std::string html_text(const std::string& text);

// "0.00123", "1.2e-09", "12.35k": as many digits as one reads.
std::string short_number(double value);

}  // namespace tenon
