#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace tenon {

bool is_integer(const OrderedJson& json);  // fits std::int64_t

// What is wrong with a JSON file, collected so that all of it is reported at once.
class JsonProblems {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }
  // "`layers[0].name` must be a string, it is 7"
  void wrong_type(const std::string& key, std::string_view wanted, const OrderedJson& found);
  // Every one of `keys` must be in `table`, and no other; `prefix` is the table's own place.
  void check_keys(const OrderedJson& table, const std::string& prefix,
                  std::initializer_list<std::string_view> keys);
  // Throws Error(`context`) with the problems as lines below its message.
  void throw_if_any(Failure context) const;

 private:
  std::vector<std::string> problems_;
};

}  // namespace tenon
