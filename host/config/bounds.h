#pragma once

#include <limits>
#include <string>

namespace tenon {

// What a number may be; NaN and infinity never are.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool low_included = true;
  bool high_included = false;

  bool hold(double value) const;
  std::string text() const;  // "at least 0 and less than 1"
};
Bounds at_least(double low);
Bounds above(double low);
Bounds half_open(double low, double high);  // low <= value < high
Bounds closed(double low, double high);     // low <= value <= high
Bounds between(double low, double high);    // low < value < high

}  // namespace tenon
