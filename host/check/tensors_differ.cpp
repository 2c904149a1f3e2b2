#include "check/tensors_differ.h"

#include <ATen/ATen.h>

#include <sstream>

namespace tenon {
namespace {

std::string differ(const at::Tensor& expected, const at::Tensor& actual, double tolerance) {
  std::ostringstream text;
  if (expected.sizes() != actual.sizes()) {
    text << "has shape " << actual.sizes() << ", not " << expected.sizes();
  } else if (expected.scalar_type() != actual.scalar_type()) {
    text << "is of type " << actual.scalar_type() << ", not " << expected.scalar_type();
  } else if (expected.numel() > 0) {
    const at::Tensor wide = expected.detach().to(at::kCPU, at::kDouble);
    const double difference =
        (actual.detach().to(at::kCPU, at::kDouble) - wide).abs().max().item<double>();
    const double largest = wide.abs().max().item<double>();
    // Written so that NaN counts as a difference.
    if (!(difference <= tolerance * largest)) {
      text << "differs by " << difference << " where the largest value is " << largest;
    }
  }
  return text.str();
}

}  // namespace

std::string tensors_differ(const std::vector<at::Tensor>& expected,
                           const std::vector<at::Tensor>& actual, double tolerance) {
  if (expected.size() != actual.size()) {
    return "there are " + std::to_string(actual.size()) + " outputs, not " +
           std::to_string(expected.size());
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string difference = differ(expected[i], actual[i], tolerance);
    if (!difference.empty()) return "output " + std::to_string(i) + " " + difference;
  }
  return "";
}

}  // namespace tenon
