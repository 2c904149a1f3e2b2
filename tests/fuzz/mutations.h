#pragma once

#include <random>
#include <string>
#include <vector>

namespace tenon::fuzz {

// One of the seeds, damaged in a few places, perhaps with a piece of another.
std::string mutate(const std::vector<std::string>& seeds, std::mt19937_64& random);

// The same for JSON, by whole tokens: most results are JSON still, and get past the JSON parser.
std::string mutate_json(const std::vector<std::string>& seeds, std::mt19937_64& random);

}  // namespace tenon::fuzz
