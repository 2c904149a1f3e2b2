#include "interpreter/package_operators.h"

#include <ATen/ATen.h>
#include <torch/library.h>

namespace tenon {
namespace {

// transformers' mixtures of experts: rows sorted by expert, `ends` the row behind each expert's
// last; output = input[rows of e] @ weight[e].
at::Tensor grouped_mm(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& ends) {
  TORCH_CHECK(
      input.dim() == 2 && weight.dim() == 3 && ends.dim() == 1 && ends.size(0) == weight.size(0),
      "grouped_mm_fallback: input ", input.sizes(), ", weight ", weight.sizes(), " and offsets ",
      ends.sizes(), " do not fit");
  std::vector<at::Tensor> parts;
  std::int64_t start = 0;
  const at::Tensor numbers = ends.to(at::kCPU, at::kLong);
  for (std::int64_t expert = 0; expert < weight.size(0); ++expert) {
    const std::int64_t end = numbers[expert].item<std::int64_t>();
    TORCH_CHECK(end >= start && end <= input.size(0), "grouped_mm_fallback: the offsets ", numbers,
                " do not ascend within ", input.size(0), " rows");
    if (end == start) continue;
    parts.push_back(at::mm(input.slice(0, start, end), weight[expert]));
    start = end;
  }
  // Rows behind the last expert's belong to none.
  if (start < input.size(0) || parts.empty()) {
    parts.push_back(at::zeros({input.size(0) - start, weight.size(2)}, input.options()));
  }
  return at::cat(parts);
}

}  // namespace

std::optional<c10::OperatorHandle> find_operator(const std::string& name,
                                                 const std::string& overload) {
  const auto find = [&] { return c10::Dispatcher::singleton().findSchema({name, overload}); };
  const auto found = find();
  if (found || name != "transformers::grouped_mm_fallback") return found;
  // LibTorch keeps a definition as long as this object lives.
  static torch::Library library(torch::Library::FRAGMENT, "transformers", std::nullopt, __FILE__,
                                __LINE__);
  static const bool defined = [] {
    library.def("grouped_mm_fallback(Tensor input, Tensor weight, Tensor offs) -> Tensor",
                torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(grouped_mm)));
    return true;
  }();
  return defined ? find() : std::nullopt;
}

}  // namespace tenon
