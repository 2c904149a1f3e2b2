#include "plugin/dropout_mask.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cmath>
#include <mutex>

// Vector code for what the processor has, chosen at load: before ThreadSanitizer could watch it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__)
#define TENON_VECTORISED __attribute__((target_clones("default", "avx2", "avx512f"), flatten))
#else
#define TENON_VECTORISED
#endif

namespace tenon {
namespace {

constexpr std::int64_t kGrainSize = 1 << 15;

// A bijection of 32-bit words in which every input bit flips about half of the output bits.
inline std::uint32_t mixed(std::uint32_t word) {
  word = (word ^ (word >> 16)) * 0x21f0aaadU;
  word = (word ^ (word >> 15)) * 0x735a2d97U;
  return word ^ (word >> 15);
}

// The factor of each element of a run that starts at `first`. Elements are counted in 32 bits: a
// longer tensor starts anew with other keys.
struct MaskRun {
  std::uint32_t key;
  std::uint32_t second_key;
  std::uint32_t first;
  std::uint32_t threshold;  // kept below it
  float factor;

  float operator[](std::int64_t i) const {
    const std::uint32_t word = mixed(first + static_cast<std::uint32_t>(i) + key);
    return mixed(word ^ second_key) < threshold ? factor : 0.0F;
  }
};

MaskRun run_at(std::int64_t seed, double p, std::int64_t begin) {
  const auto bits = static_cast<std::uint64_t>(seed);
  const auto high = static_cast<std::uint32_t>(static_cast<std::uint64_t>(begin) >> 32);
  const double kept = std::round((1 - p) * 4294967296.0);
  return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32) + mixed(high),
          static_cast<std::uint32_t>(begin),
          static_cast<std::uint32_t>(std::min(kept, 4294967295.0)),
          static_cast<float>(1 / (1 - p))};
}

TENON_VECTORISED void write_product(float* out, const float* x, MaskRun mask, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = x[i] * mask[i];
}

TENON_VECTORISED void add_product(float* sum, const float* term, MaskRun mask, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] += term[i] * mask[i];
}

// Calls body(first element, mask from there, count) on several threads. No piece crosses 2^32.
template <typename Body>
void for_each_piece(std::int64_t seed, double p, std::int64_t count, const Body& body) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 32;
  for (std::int64_t piece = 0; piece < count; piece += kPiece) {
    at::parallel_for(piece, std::min(count, piece + kPiece), kGrainSize,
                     [&](std::int64_t begin, std::int64_t end) {
                       body(begin, run_at(seed, p, begin), end - begin);
                     });
  }
}

bool is_plain_float(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.is_cpu() && tensor.is_contiguous();
}

}  // namespace

DropoutMask DropoutMask::draw(double p) {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return {
      static_cast<std::int64_t>(at::check_generator<at::CPUGeneratorImpl>(generator)->random64()),
      p};
}

// A device draws by a generator of its own from the seed, the same numbers each time.
at::Tensor DropoutMask::drawn_on_device_of(const at::Tensor& x) const {
  at::Generator generator = at::globalContext()
                                .getAcceleratorHooksInterface(x.device().type())
                                .getNewGenerator(x.device().index());
  generator.set_current_seed(static_cast<std::uint64_t>(seed_));
  at::Tensor mask = at::empty(x.sizes(), x.options().memory_format(at::MemoryFormat::Contiguous));
  return mask.bernoulli_(1 - p_, generator).mul_(1 / (1 - p_));
}

at::Tensor DropoutMask::tensor_like(const at::Tensor& x) const {
  if (!x.is_cpu()) return drawn_on_device_of(x);
  const at::Tensor ones = at::ones(x.sizes(), x.options().dtype(at::kFloat).device(at::kCPU));
  return apply(ones).to(x.options());
}

at::Tensor DropoutMask::apply(const at::Tensor& x) const {
  if (!is_plain_float(x)) return at::mul(x, tensor_like(x)).contiguous();
  at::Tensor out = at::empty(x.sizes(), x.options());
  float* to = out.mutable_data_ptr<float>();
  const float* from = x.const_data_ptr<float>();
  for_each_piece(seed_, p_, x.numel(), [&](std::int64_t at, const MaskRun& mask, std::int64_t n) {
    write_product(to + at, from + at, mask, n);
  });
  return out;
}

void DropoutMask::add_masked(at::Tensor& sum, const at::Tensor& term) const {
  if (!is_plain_float(sum) || !is_plain_float(term)) {
    sum.add_(at::mul(term, tensor_like(term)));
    return;
  }
  float* to = sum.mutable_data_ptr<float>();
  const float* from = term.const_data_ptr<float>();
  for_each_piece(seed_, p_, sum.numel(), [&](std::int64_t at, const MaskRun& mask, std::int64_t n) {
    add_product(to + at, from + at, mask, n);
  });
}

}  // namespace tenon
