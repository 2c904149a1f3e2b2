#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

// The outputs and the target of a batch in the shapes that a loss compares.
namespace tenon {

[[noreturn]] void fail_loss(const std::string& message, const std::string& hint = "");

// The output of this number. Throws Error{kTraining} where the model has none, or no floats in it.
const at::Tensor& output_of(const std::string& loss, std::size_t number,
                            const std::vector<at::Tensor>& outputs);
const at::Tensor& required_target(const std::string& loss, const std::optional<at::Tensor>& target);

// Scores and targets of the same leading sizes, classes in dimension 1.
struct Classified {
  at::Tensor scores;
  at::Tensor target;
};
// Of a loss of classes or tokens.
Classified arrange_classes(const std::string& loss, const at::Tensor& output,
                           const at::Tensor& target);
// Each judged class as a row: scores (n, classes), target (n), and of which row of the batch it is.
struct JudgedRows {
  at::Tensor scores;
  at::Tensor target;
  at::Tensor rows;
};
JudgedRows judged_rows(const Classified& classified, std::int64_t batch_rows);

// The target in the output's shape, in a dtype that loses nothing of either.
at::Tensor arrange_numbers(const std::string& loss, const at::Tensor& output,
                           const at::Tensor& target);

}  // namespace tenon
