// What the starts from data see of a layer: the rows of its inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <tenon/sdk.hpp>

#include "lora/operators.hpp"

namespace lora {

// Which positions count: those of the mask that also have a label other than `unlabelled`, where
// each position has one (PEFT: prepare_model_inputs_fn_language_modeling). Empty: all.
Tensor used_positions(const tenon::Observed& call, std::optional<std::int64_t> unlabelled);

// A layer's input as (rows, features): its used positions, or all where the positions are not this
// input's.
Tensor used_rows(const Tensor& input, const Tensor& positions);

// Whether the type is a fully connected layer, whose weight is one matrix.
bool is_linear(std::string_view type);

// Which dimension of its weight is that of its inputs.
std::size_t in_dimension(std::string_view type);

// Its weight as (out, in), and the other way round.
Tensor turn_matrix(std::string_view type, const Tensor& weight);

}  // namespace lora
