#include "data/input_fit.h"

#include <ATen/ops/ge.h>
#include <ATen/ops/le.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logical_not.h>
#include <ATen/ops/nonzero.h>

#include <set>
#include <sstream>

#include "base/error.h"
#include "base/suggest.h"
#include "model/id_tables.h"
#include "model/input_check.h"
#include "objectives/tensor_text.h"

namespace tenon {

namespace {

// Bits that hold an integer type's magnitude, or a floating type's exact integers; 0 for others.
int value_bits(at::ScalarType dtype) {
  switch (dtype) {
    case at::kBool:
      return 1;
    case at::kChar:
      return 7;
    case at::kByte:
    case at::kBFloat16:
      return 8;
    case at::kHalf:
      return 11;
    case at::kShort:
      return 15;
    case at::kUInt16:
      return 16;
    case at::kFloat:
      return 24;
    case at::kInt:
      return 31;
    case at::kUInt32:
      return 32;
    case at::kDouble:
      return 53;
    case at::kLong:
      return 63;
    case at::kUInt64:
      return 64;
    default:
      return 0;
  }
}

bool is_integer(at::ScalarType dtype) { return c10::isIntegralType(dtype, /*includeBool=*/true); }

bool is_signed_integer(at::ScalarType dtype) {
  return dtype == at::kChar || dtype == at::kShort || dtype == at::kInt || dtype == at::kLong;
}

// An input whose dtype the model does not tell (a declared model) may be numbers or indices: the
// data decide which, and only the width is made the usual one.
at::ScalarType wanted_dtype(const at::Tensor& tensor, const InputSpec& input) {
  if (input.checked) return input.dtype;
  if (tensor.is_floating_point() && c10::isFloatingType(input.dtype)) return input.dtype;
  if (is_signed_integer(tensor.scalar_type()) || tensor.scalar_type() == at::kByte) {
    return at::kLong;
  }
  return tensor.scalar_type();
}

void check_shape(const at::Tensor& tensor, const InputSpec& input, const std::string& label,
                 std::vector<std::string>& problems) {
  if (!input.checked) return;
  const std::string has = label + " has the shape " + shape_text(tensor.sizes()) + "; ";
  if (static_cast<std::size_t>(tensor.dim()) != input.dimensions.size()) {
    problems.push_back(has + "the model's input `" + input.name + "` has " +
                       std::to_string(input.dimensions.size()) + " dimensions");
    return;
  }
  for (std::size_t i = 1; i < input.dimensions.size(); ++i) {
    const std::int64_t fixed = input.dimensions[i].fixed;
    if (fixed < 0 || tensor.size(static_cast<std::int64_t>(i)) == fixed) continue;
    problems.push_back(has + fixed_size_text(input, i, tensor.size(static_cast<std::int64_t>(i))));
  }
}

}  // namespace

bool is_fitting_cast(at::ScalarType from, at::ScalarType to) {
  if (from == to) return true;
  if (c10::isFloatingType(from)) return c10::isFloatingType(to);
  if (!is_integer(from) || value_bits(to) == 0) return false;
  if (is_signed_integer(from) && is_integer(to) && !is_signed_integer(to)) return false;
  return value_bits(from) <= value_bits(to);
}

at::Tensor fit_input(const at::Tensor& tensor, const InputSpec& input, const std::string& label,
                     std::vector<std::string>& problems) {
  check_shape(tensor, input, label, problems);
  const at::ScalarType dtype = wanted_dtype(tensor, input);
  if (is_fitting_cast(tensor.scalar_type(), dtype)) return tensor.to(dtype);
  problems.push_back(label + " is " + dtype_text(tensor.scalar_type()) + "; the model's input `" +
                     input.name + "` is " + dtype_text(dtype));
  return tensor;
}

at::Tensor fit_target(const at::Tensor& target, const LossKind& loss, const std::string& label,
                      std::vector<std::string>& problems) {
  const at::ScalarType dtype = target.scalar_type();
  if (loss.target == TargetKind::kAny) return target;
  if (loss.target == TargetKind::kNumbers) {
    if (c10::isFloatingType(dtype)) {
      check_target(target, loss, label, problems);
      return target;
    }
    problems.push_back(label + " is " + dtype_text(dtype) + "; the loss " + loss.name +
                       " takes a float32 target");
    return target;
  }
  if (dtype != at::kBool && is_fitting_cast(dtype, at::kLong)) return target.to(at::kLong);
  problems.push_back(label + " is " + dtype_text(dtype) + "; the loss " + loss.name +
                     " takes an int64 target");
  return target;
}

void check_target(const at::Tensor& target, const LossKind& loss, const std::string& label,
                  std::vector<std::string>& problems) {
  if (loss.name != "bce_with_logits" && loss.name != "bce") return;
  const at::Tensor flat = target.contiguous().flatten();
  const at::Tensor wrong =
      at::nonzero(at::logical_not(at::logical_and(at::ge(flat, 0), at::le(flat, 1))));
  if (wrong.numel() == 0) return;
  const std::int64_t first = wrong[0].item<std::int64_t>();
  std::ostringstream text;
  text << label << " is " << flat[first].item<double>() << " in " << place_text(target, first);
  if (wrong.numel() > 1) text << ", and " << wrong.numel() - 1 << " more are out of range";
  problems.push_back(text.str() + "; the loss " + loss.name + " takes targets from 0 to 1");
}

at::Tensor fit_weights(const at::Tensor& weights, const std::string& label,
                       std::vector<std::string>& problems) {
  if (weights.dim() != 1 || c10::isComplexType(weights.scalar_type())) {
    problems.push_back(label + " is of shape " + shape_text(weights.sizes()) +
                       "; a weight is one number for each row");
    return weights;
  }
  const at::Tensor numbers = weights.to(at::kDouble);
  const bool is_usable = numbers.numel() == 0 ||
                         (numbers.isfinite().all().item<bool>() &&
                          numbers.min().item<double>() >= 0 && numbers.max().item<double>() > 0);
  if (!is_usable) {
    problems.push_back(label + " must hold finite weights of at least 0, and not only zeros");
  }
  return numbers;
}

void check_weights(const at::Tensor& weights, std::int64_t rows,
                   std::vector<std::string>& problems) {
  if (weights.size(0) == rows) return;
  problems.push_back("there are " + std::to_string(weights.size(0)) + " weights of " +
                     std::to_string(rows) + " rows");
}

void throw_data_problems(const std::vector<std::string>& problems, const std::string& source,
                         const std::string& hint) {
  if (problems.empty()) return;
  std::string message = problems.front();
  if (problems.size() > 1) {
    message = "the data do not fit in " + std::to_string(problems.size()) + " ways:\n  " +
              join(problems, "\n  ");
  }
  throw Error{{.stage = Stage::kData, .message = message, .hint = hint, .location = source}};
}

}  // namespace tenon
