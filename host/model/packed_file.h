#pragma once

#include <map>
#include <memory>
#include <string>

#include "model/tensor_file.h"
#include "quantize/packed_weight.h"

// How packed weights stand in a safetensors file, beside plain ones, so that they are mapped where
// they are needed again. NF4 is laid out as bitsandbytes does it, which reads such files: `W` uint8
// (bytes, 1), `W.absmax`, `W.quant_map`, `W.nested_absmax`, `W.nested_quant_map`, and in
// `W.quant_state.bitsandbytes__nf4` the rest as JSON. int8: `W` int8 (rows, columns) and `W.scale`
// float32 (rows).
namespace tenon {

// `dtype`: that of the matrix in full width.
NamedTensors packed_entries(const std::string& name, const PackedWeight& weight,
                            at::ScalarType dtype);

// In the metadata of such a file, before a weight's name: the CRC-32 of its bytes in full width, by
// which an adapter knows its base.
inline constexpr const char* kRecordedCrc32 = "tenon.crc32.";

// What a file has under each name; aliasing its mapping.
using TensorsByName = std::map<std::string, at::Tensor>;

// The packed weight that stands under `name`, to be a matrix (rows, columns); nullptr if there is a
// plain one, or none. `used` gets the names of its entries. Throws std::invalid_argument with what
// does not fit.
std::shared_ptr<const PackedWeight> read_packed(const TensorsByName& file, const std::string& name,
                                                std::int64_t rows, std::int64_t columns,
                                                std::vector<std::string>& used);

}  // namespace tenon
