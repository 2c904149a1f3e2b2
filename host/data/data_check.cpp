#include "data/data_check.h"

#include <ATen/ops/any.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/logical_not.h>
#include <ATen/ops/logical_or.h>
#include <ATen/ops/lt.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/nonzero.h>

#include "base/error.h"
#include "data/input_fit.h"
#include "objectives/cross_entropy.h"

namespace tenon {

void check_ids(const Dataset& data, const std::vector<IdTable>& tables) {
  if (data.images) return;
  std::vector<std::string> problems;
  for (const IdTable& table : tables) {
    if (table.input >= data.inputs.size()) continue;
    const auto bad = bad_id(data.inputs[table.input], data.input_names[table.input], table);
    if (bad) problems.push_back(*bad);
  }
  throw_data_problems(problems, data.source,
                      "are these the ids of this model's tokenizer and vocabulary?");
}

void check_classes(const Dataset& data, std::int64_t classes) {
  if (!data.target || !c10::isIntegralType(data.target->scalar_type(), true)) return;
  const at::Tensor flat = data.target->contiguous().flatten().to(at::kLong);
  const at::Tensor wrong = at::nonzero(at::logical_and(
      at::logical_or(at::lt(flat, 0), at::ge(flat, classes)), at::ne(flat, kIgnoredClass)));
  if (wrong.numel() == 0) return;
  const std::int64_t first = wrong[0].item<std::int64_t>();
  std::string text = "the target" +
                     (data.target_name.empty() ? "" : " `" + data.target_name + "`") +
                     " holds class " + std::to_string(flat[first].item<std::int64_t>()) + " in " +
                     place_text(*data.target, first);
  if (wrong.numel() > 1) text += ", and " + std::to_string(wrong.numel() - 1) + " more such";
  throw_data_problems({text + "; the model's first output has " + std::to_string(classes) +
                       " classes, counted from 0"},
                      data.source, "a target of -100 is ignored");
}

std::string not_finite_text(const at::Tensor& tensor, bool infinite) {
  if (!tensor.defined() || !tensor.is_floating_point() || tensor.numel() == 0) return "";
  const at::Tensor nan = at::isnan(tensor);
  const bool any_nan = nan.any().item<bool>();
  if (!any_nan && !infinite) return "";
  const at::Tensor wrong = any_nan ? nan : at::logical_not(at::isfinite(tensor));
  if (!any_nan && !wrong.any().item<bool>()) return "";
  const std::string what = any_nan ? "NaN" : "infinity";
  if (wrong.dim() == 0) return "is " + what;
  const at::Tensor rows = at::nonzero(wrong.reshape({wrong.size(0), -1}).any(1));
  std::string text = "holds " + what + " in row " + std::to_string(rows[0].item<std::int64_t>());
  if (rows.numel() > 1) text += " and " + std::to_string(rows.numel() - 1) + " more rows";
  return text;
}

std::vector<std::string> not_finite_data(const Dataset& data) {
  std::vector<std::string> found;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const std::string text = not_finite_text(tensor);
    if (!text.empty()) {
      found.push_back(std::string("`").append(name) + "` of " + data.source + " " + text);
    }
  };
  for (std::size_t i = 0; i < data.inputs.size(); ++i) add(data.input_names[i], data.inputs[i]);
  if (data.target) add(data.target_name, *data.target);
  return found;
}

}  // namespace tenon
