#include "graph/parameter_init.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <stdexcept>

namespace tenon {
namespace {

// torch.nn.init.kaiming_uniform_: U(-bound, bound), bound = gain * sqrt(3 / fan_in),
// gain = sqrt(2 / (1 + a^2)); fan_in counts all dimensions but the first.
double kaiming_bound(const at::Tensor& tensor, double a) {
  if (tensor.dim() < 2) {
    throw std::invalid_argument("kaiming_uniform needs at least two dimensions");
  }
  const double fan_in = static_cast<double>(tensor.numel()) /
                        static_cast<double>(std::max<std::int64_t>(1, tensor.size(0)));
  if (fan_in == 0) return 0;
  return std::sqrt(2.0 / (1.0 + a * a)) * std::sqrt(3.0 / fan_in);
}

}  // namespace

at::Generator make_generator(std::uint64_t seed) {
  return at::make_generator<at::CPUGeneratorImpl>(seed);
}

void initialise(at::Tensor& tensor, const std::string& init, double a, double b,
                at::Generator generator) {
  const at::NoGradGuard no_grad;
  if (init == "zeros") {
    tensor.zero_();
  } else if (init == "ones") {
    tensor.fill_(1);
  } else if (init == "constant") {
    tensor.fill_(a);
  } else if (init == "normal") {
    tensor.normal_(a, b, std::move(generator));
  } else if (init == "uniform") {
    tensor.uniform_(a, b, std::move(generator));
  } else if (init == "kaiming_uniform") {
    const double bound = kaiming_bound(tensor, a);
    tensor.uniform_(-bound, bound, std::move(generator));
  } else {
    throw std::invalid_argument("there is no initialisation `" + init + "`");
  }
}

}  // namespace tenon
