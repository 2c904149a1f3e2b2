#include "data/shared_inputs.h"

#include <ATen/ops/max.h>
#include <ATen/ops/min.h>

#include <algorithm>
#include <set>

#include "base/suggest.h"

namespace tenon {
namespace {

std::string quoted_name(const std::string& name) { return "`" + name + "`"; }

bool is_number(const InputSpec& input) { return input.checked && input.dimensions.empty(); }

// Whether the export lets the two have different sizes in dimension 0.
bool are_unrelated(const InputSpec& one, const InputSpec& other) {
  if (!one.checked || !other.checked) return false;  // nothing is known of them
  const DimensionSpec& first = one.dimensions.front();
  const DimensionSpec& second = other.dimensions.front();
  const auto names = [](const DimensionSpec& dimension) {
    std::set<std::string> symbols;
    if (!dimension.symbol.empty()) symbols.insert(dimension.symbol);
    if (dimension.derived != nullptr) {
      for (const auto& variable : dimension.derived->variables()) symbols.insert(variable.name);
    }
    return symbols;
  };
  if (first.fixed >= 0 && second.fixed >= 0) return first.fixed != second.fixed;
  const std::set<std::string> symbols = names(first);
  return std::ranges::none_of(names(second),
                              [&](const std::string& name) { return symbols.contains(name); });
}

class RowSettler {
 public:
  RowSettler(Dataset& data, const std::vector<InputSpec>& inputs,
             std::vector<std::string>& problems)
      : data_(data), inputs_(inputs), problems_(problems), named_(inputs.size()) {}

  void settle(const std::vector<std::string>& named) {
    take_names(named);
    check_dimensions();
    if (!problems_.empty()) return;
    data_.rows = find_rows();
    data_.shared = named_;
    std::vector<std::size_t> others;  // with another number of rows
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (has_rows(i) && data_.inputs[i].size(0) != data_.rows) others.push_back(i);
    }
    const bool fits =
        std::ranges::all_of(others, [&](std::size_t i) { return is_unrelated_to_rows(i); });
    // Where no input has the target's rows, all of them may as well be wrong.
    if (!fits || (!others.empty() && others.size() == count_with_rows() && !any_pair(others))) {
      return report_differences();
    }
    for (const std::size_t i : others) data_.shared[i] = true;
    find_one_batch();
    tell(others);
  }

 private:
  bool has_rows(std::size_t input) const { return !named_[input] && !is_number(inputs_[input]); }

  std::size_t count_with_rows() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < inputs_.size(); ++i) count += has_rows(i) ? 1 : 0;
    return count;
  }

  void take_names(const std::vector<std::string>& named) {
    std::vector<std::string> known;
    for (const InputSpec& input : inputs_) known.push_back(input.name);
    for (const std::string& name : named) {
      const auto found = std::ranges::find_if(inputs_, [&](const InputSpec& input) {
        return input.name == name || input.argument_name == name;
      });
      if (found != inputs_.end()) {
        named_[static_cast<std::size_t>(found - inputs_.begin())] = true;
        continue;
      }
      const std::string near = did_you_mean(name, known);
      problems_.push_back(quoted_name(name) + " in [data] shared is no input of the model; " +
                          (near.empty() ? "its inputs are " + join(known) : near));
    }
  }

  void check_dimensions() {
    const auto check = [&](const std::string& name, const at::Tensor& tensor) {
      if (tensor.dim() > 0) return;
      problems_.push_back(quoted_name(name) + " is a single number; rows go in dimension 0");
    };
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (has_rows(i)) check(data_.input_names[i], data_.inputs[i]);
    }
    if (data_.target) check(data_.target_name, *data_.target);
  }

  // The target's, else those of the first input that has any.
  std::int64_t find_rows() const {
    if (data_.target) return data_.target->size(0);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (has_rows(i)) return data_.inputs[i].size(0);
    }
    return 1;
  }

  bool is_unrelated_to_rows(std::size_t input) const {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const bool has_them = has_rows(i) && data_.inputs[i].size(0) == data_.rows;
      if (has_them && !are_unrelated(inputs_[input], inputs_[i])) return false;
    }
    return inputs_[input].checked;
  }

  bool any_pair(const std::vector<std::size_t>& among) const {
    return std::ranges::any_of(among, [&](std::size_t i) {
      return std::ranges::any_of(
          among, [&](std::size_t k) { return i != k && are_unrelated(inputs_[i], inputs_[k]); });
    });
  }

  void report_differences() {
    std::vector<std::string> counts;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!has_rows(i)) continue;
      counts.push_back(quoted_name(data_.input_names[i]) + " " +
                       std::to_string(data_.inputs[i].size(0)));
    }
    if (data_.target) {
      counts.push_back(quoted_name(data_.target_name) + " " + std::to_string(data_.rows));
    }
    problems_.push_back("the tensors differ in rows: " + join(counts));
  }

  bool holds_rows_numbers(const at::Tensor& tensor) const {
    const bool is_pairs = c10::isIntegralType(tensor.scalar_type(), /*includeBool=*/false) &&
                          tensor.dim() == 2 && tensor.size(0) == 2 && tensor.numel() > 0;
    return is_pairs && tensor.min().item<std::int64_t>() >= 0 &&
           tensor.max().item<std::int64_t>() < data_.rows;
  }

  void find_one_batch() {
    bool any_with_rows = false;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (is_number(inputs_[i])) continue;
      any_with_rows = any_with_rows || !data_.shared[i];
      if (!data_.shared[i] || !holds_rows_numbers(data_.inputs[i])) continue;
      data_.is_one_batch = true;
      data_.notes.push_back(quoted_name(inputs_[i].name) +
                            " holds pairs of rows' numbers, so all " + std::to_string(data_.rows) +
                            " rows are one batch, in their order: batch_size and shuffle have no "
                            "meaning");
    }
    if (any_with_rows || data_.is_one_batch) return;
    data_.is_one_batch = true;
    data_.notes.emplace_back("no input has the target's rows, so the file is one batch");
  }

  void tell(const std::vector<std::size_t>& found) {
    if (!data_.is_one_batch) {
      for (const std::size_t i : found) {
        data_.notes.push_back(
            quoted_name(inputs_[i].name) + " has " + std::to_string(data_.inputs[i].size(0)) +
            " in dimension 0 where the others have " + std::to_string(data_.rows) +
            " rows, and the export does not relate them: it is the same for all rows");
      }
    }
    // As many by chance, or as many rows: the export tells neither.
    for (std::size_t i = 1; i < inputs_.size() && !data_.is_one_batch; ++i) {
      const bool has_them = has_rows(i) && !data_.shared[i];
      if (!has_them || data_.shared[0] || !has_rows(0)) continue;
      if (!are_unrelated(inputs_[0], inputs_[i])) continue;
      data_.notes.push_back(quoted_name(inputs_[i].name) + " is taken as rows, as many as " +
                            quoted_name(inputs_[0].name) +
                            " has, though the export does not relate them; if it is the same for "
                            "all rows, set [data] shared = [\"" +
                            inputs_[i].name + "\"]");
    }
  }

  Dataset& data_;
  const std::vector<InputSpec>& inputs_;
  std::vector<std::string>& problems_;
  std::vector<bool> named_;
};

}  // namespace

void settle_rows(Dataset& data, const std::vector<InputSpec>& inputs,
                 const std::vector<std::string>& named, std::vector<std::string>& problems) {
  RowSettler(data, inputs, problems).settle(named);
}

}  // namespace tenon
