#pragma once

#include <ATen/ops/arange.h>

#include <cstdint>

#include "data/data_source.h"

namespace tenon::testing {

// Rows of which each tells its number: inputs (rows, 2) that count on, the target is the row.
inline Dataset numbered_rows(std::int64_t rows) {
  Dataset data;
  data.input_names = {"x"};
  data.inputs = {at::arange(rows * 2, at::kFloat).reshape({rows, 2})};
  data.target = at::arange(rows, at::kLong);
  data.rows = rows;
  data.source = "train.csv";
  return data;
}

}  // namespace tenon::testing
