#include "app/report_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tenon {
namespace {

constexpr double kWidth = 520, kHeight = 240;
constexpr double kLeft = 64, kRight = 12, kTop = 10, kBottom = 30;

struct Range {
  double low = 0, high = 1;
  double share(double value) const { return (value - low) / (high - low); }
};

Range range_of(std::vector<double> values) {
  const auto [low, high] = std::ranges::minmax(values);
  if (high > low) return {low, high};
  const double room = low == 0 ? 1 : std::abs(low) / 10;
  return {low - room, high + room};
}

std::string fixed_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

// Where the lines are drawn, and by which numbers.
struct Plane {
  Range x, y;
  bool is_logarithmic;
  double height_of(double value) const { return is_logarithmic ? std::log10(value) : value; }
  std::string place(double step, double value) const {
    const double across = kLeft + x.share(step) * (kWidth - kLeft - kRight);
    const double down = kHeight - kBottom - y.share(height_of(value)) * (kHeight - kTop - kBottom);
    return fixed_text(across) + "," + fixed_text(down);
  }
};

std::string axis_html(const Plane& plane) {
  constexpr int kMarks = 4;
  std::string html;
  for (int i = 0; i <= kMarks; ++i) {
    const double part = static_cast<double>(i) / kMarks;
    const double height = plane.y.low + part * (plane.y.high - plane.y.low);
    const double down = kHeight - kBottom - part * (kHeight - kTop - kBottom);
    const double across = kLeft + part * (kWidth - kLeft - kRight);
    html += "<line class='grid' x1='" + fixed_text(kLeft) + "' x2='" + fixed_text(kWidth - kRight) +
            "' y1='" + fixed_text(down) + "' y2='" + fixed_text(down) + "'/>";
    html += "<text x='" + fixed_text(kLeft - 6) + "' y='" + fixed_text(down + 4) +
            "' text-anchor='end'>" +
            short_number(plane.is_logarithmic ? std::pow(10, height) : height) + "</text>";
    html += "<text x='" + fixed_text(across) + "' y='" + fixed_text(kHeight - 10) +
            "' text-anchor='" + (i == kMarks ? "end" : "middle") + "'>" +
            short_number(std::round(plane.x.low + part * (plane.x.high - plane.x.low))) + "</text>";
  }
  return html;
}

std::string line_html(const ChartLine& line, const Plane& plane) {
  const std::string colour = "c" + std::to_string(line.colour);
  std::string points;
  for (const auto& [step, value] : line.points) points += plane.place(step, value) + " ";
  if (line.points.size() > 1) {
    return "<polyline class='" + colour + (line.is_dashed ? " dashed" : "") + "' points='" +
           points + "'/>";
  }
  const std::string place = plane.place(line.points[0].first, line.points[0].second);
  const std::size_t comma = place.find(',');
  return "<circle class='" + colour + "' r='3' cx='" + place.substr(0, comma) + "' cy='" +
         place.substr(comma + 1) + "'/>";
}

}  // namespace

std::string html_text(const std::string& text) {
  std::string escaped;
  for (const char character : text) {
    switch (character) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += character;
    }
  }
  return escaped;
}

std::string short_number(double value) {
  char text[32];
  constexpr double kThousands = 1e4;
  constexpr double kMillions = 1e7;
  if (std::abs(value) >= kThousands && std::abs(value) < kMillions) {
    std::snprintf(text, sizeof text, "%.4gk", value / 1e3);
    return text;
  }
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string chart_html(const Chart& chart) {
  std::vector<ChartLine> lines;
  std::vector<double> steps, heights;
  for (ChartLine line : chart.lines) {
    std::erase_if(line.points, [&](const auto& point) {
      return !std::isfinite(point.second) || (chart.is_logarithmic && point.second <= 0);
    });
    for (const auto& [step, value] : line.points) {
      steps.push_back(step);
      heights.push_back(chart.is_logarithmic ? std::log10(value) : value);
    }
    if (!line.points.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) return "";
  const Plane plane{range_of(steps), range_of(heights), chart.is_logarithmic};
  std::string html = "<figure><figcaption>" + html_text(chart.title) +
                     "</figcaption><svg viewBox='0 0 " + fixed_text(kWidth) + " " +
                     fixed_text(kHeight) + "' role='img'>" + axis_html(plane);
  if (chart.marked && plane.x.share(*chart.marked) >= 0 && plane.x.share(*chart.marked) <= 1) {
    const std::string across =
        fixed_text(kLeft + plane.x.share(*chart.marked) * (kWidth - kLeft - kRight));
    html += "<line class='marked' x1='" + across + "' x2='" + across + "' y1='" + fixed_text(kTop) +
            "' y2='" + fixed_text(kHeight - kBottom) +
            "'><title>the best evaluation</title></line>";
  }
  std::string legend;
  for (const ChartLine& line : lines) {
    html += line_html(line, plane);
    legend += "<span class='key c" + std::to_string(line.colour) +
              (line.is_dashed ? " dashed" : "") + "'>" + html_text(line.label) + "</span>";
  }
  return html + "</svg><div class='legend'>" + legend + "</div></figure>";
}

}  // namespace tenon
