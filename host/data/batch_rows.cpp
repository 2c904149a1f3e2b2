#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>

#include "data/data_source.h"

namespace tenon {

namespace {

// Uniform in [0, bound). Written out, as the standard leaves its distributions to the library.
std::uint64_t uniform_below(std::mt19937_64& generator, std::uint64_t bound) {
  const std::uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound: what would bias the rest
  std::uint64_t number = generator();
  while (number < rejected) number = generator();
  return number % bound;
}

void shuffle_rows(std::vector<std::int64_t>& rows, std::uint64_t seed, std::int64_t epoch) {
  const auto turn = static_cast<std::uint64_t>(epoch);
  std::seed_seq mixed{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32),
                      static_cast<std::uint32_t>(turn), static_cast<std::uint32_t>(turn >> 32)};
  std::mt19937_64 generator(mixed);
  for (std::size_t i = rows.size(); i > 1; --i) {
    std::swap(rows[i - 1], rows[uniform_below(generator, i)]);
  }
}

// Not the whole epoch, so that shuffling still mixes what comes together.
constexpr std::int64_t kBatchesSortedTogether = 50;

void sort_by_length(std::vector<std::int64_t>& order, const std::vector<std::int64_t>& lengths,
                    std::int64_t batch_size) {
  const auto longer = [&](std::int64_t one, std::int64_t other) {
    return lengths[static_cast<std::size_t>(one)] > lengths[static_cast<std::size_t>(other)];
  };
  const auto count = static_cast<std::int64_t>(order.size());
  for (std::int64_t first = 0; first < count;) {
    const std::int64_t last = std::min(first + kBatchesSortedTogether * batch_size, count);
    std::stable_sort(order.begin() + first, order.begin() + last, longer);
    first = last;
  }
}

}  // namespace

std::vector<std::vector<std::int64_t>> batch_rows(std::int64_t rows, std::int64_t batch_size,
                                                  bool shuffle, std::uint64_t seed,
                                                  std::int64_t epoch, bool fixed_size,
                                                  const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  std::iota(order.begin(), order.end(), 0);
  if (shuffle) shuffle_rows(order, seed, epoch);
  if (!lengths.empty()) sort_by_length(order, lengths, batch_size);

  std::vector<std::vector<std::int64_t>> batches;
  for (std::int64_t first = 0; first < rows; first += batch_size) {
    const std::int64_t last = std::min(first + batch_size, rows);
    if (fixed_size && last - first < batch_size) break;
    batches.emplace_back(order.begin() + first, order.begin() + last);
  }
  return batches;
}

}  // namespace tenon
