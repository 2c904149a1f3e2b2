#pragma once

#include <string>
#include <vector>

#include "data/data_source.h"
#include "model/id_tables.h"

// What of a dataset a model cannot take, told by tensor, row and value before anything is trained.
namespace tenon {

// Ids that the model's tables do not have. Throws Error{Stage::kData}.
void check_ids(const Dataset& data, const std::vector<IdTable>& tables);

// Classes other than 0 to `classes` - 1 and the ignored one. Throws Error{Stage::kData}.
void check_classes(const Dataset& data, std::int64_t classes);

// Where a tensor holds NaN (or, with `infinite`, what is not finite either): "row 40 and 23 more
// rows hold NaN"; "" where nowhere.
std::string not_finite_text(const at::Tensor& tensor, bool infinite = true);

// The tensors of a dataset that hold what is not finite, one sentence each.
std::vector<std::string> not_finite_data(const Dataset& data);

}  // namespace tenon
