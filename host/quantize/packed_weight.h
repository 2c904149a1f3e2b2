#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

// In how many bits, and how, a frozen matrix is kept.
enum class PackedFormat {
  kInt8,  // a row: int8 numbers and one float32 scale, symmetric (torchao: Int8WeightOnlyConfig)
  kNf4,   // 64 numbers: 4 bits each and a scale, itself in 8 bits (QLoRA: NF4, double quantisation)
};

// "int8", "nf4".
std::optional<PackedFormat> packed_format(std::string_view name);
std::string_view name_of(PackedFormat format);

// Rows and columns of a matrix, counted from 0.
struct MatrixPart {
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
};

// A frozen matrix in few bits. Immutable, so that threads may read one together.
class PackedWeight {
 public:
  PackedWeight(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}
  virtual ~PackedWeight() = default;
  PackedWeight(const PackedWeight&) = delete;
  PackedWeight& operator=(const PackedWeight&) = delete;

  virtual PackedFormat format() const = 0;
  // The tensors that make it up, under the names that they have behind the weight's own in a file:
  // "" for the numbers themselves.
  virtual std::vector<std::pair<std::string, at::Tensor>> parts() const = 0;
  // The numbers of a part of one row, `out` having room for as many; they are those of the original
  // rounded to what the format can say.
  virtual void unpack_row(std::int64_t row, std::int64_t first_column, std::int64_t columns,
                          float* out) const = 0;

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t bytes() const;  // in memory
  // A part in full width: (part.rows, part.columns), contiguous.
  at::Tensor unpack(const MatrixPart& part, at::ScalarType dtype) const;
  at::Tensor unpack(at::ScalarType dtype) const { return unpack({0, rows_, 0, columns_}, dtype); }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
};

// A matrix of floating-point numbers, all finite. Takes row after row, so that beside the packed
// numbers little memory is needed.
std::shared_ptr<const PackedWeight> pack(const at::Tensor& matrix, PackedFormat format);

}  // namespace tenon
