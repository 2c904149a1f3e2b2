#include "declared/declared_arguments.h"

#include <algorithm>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {

template <typename T>
T DeclaredArguments::require(const std::string& name, const char* wanted) {
  if (!has(name)) fail(layer_.type + " needs `" + name + "`");
  const T* value = std::get_if<T>(&layer_.arguments.at(name));
  if (value == nullptr) fail("`" + name + "` must be " + wanted);
  return *value;
}

bool DeclaredArguments::has(const std::string& name) {
  read_.insert(name);
  return layer_.arguments.contains(name);
}

std::int64_t DeclaredArguments::integer(const std::string& name) {
  return require<std::int64_t>(name, "a whole number");
}

std::int64_t DeclaredArguments::integer(const std::string& name, std::int64_t otherwise) {
  return has(name) ? integer(name) : otherwise;
}

std::int64_t DeclaredArguments::size(const std::string& name) {
  const std::int64_t size = integer(name);
  if (size < 1) fail("`" + name + "` must be at least 1");
  return size;
}

bool DeclaredArguments::truth(const std::string& name, bool otherwise) {
  return has(name) ? require<bool>(name, "true or false") : otherwise;
}

double DeclaredArguments::real(const std::string& name, double otherwise) {
  if (!has(name)) return otherwise;
  if (const auto* whole = std::get_if<std::int64_t>(&layer_.arguments.at(name))) {
    return static_cast<double>(*whole);
  }
  return require<double>(name, "a number");
}

std::string DeclaredArguments::text(const std::string& name, const std::string& otherwise) {
  return has(name) ? require<std::string>(name, "a string") : otherwise;
}

std::string DeclaredArguments::choice(const std::string& name, const std::string& otherwise,
                                      const std::vector<std::string>& choices) {
  std::string chosen = text(name, otherwise);
  if (std::find(choices.begin(), choices.end(), chosen) == choices.end()) {
    fail("`" + name + "` must be one of " + join(choices) + ", not `" + chosen + "`",
         did_you_mean(chosen, choices));
  }
  return chosen;
}

bool DeclaredArguments::is_text(const std::string& name) const {
  const auto found = layer_.arguments.find(name);
  return found != layer_.arguments.end() && std::holds_alternative<std::string>(found->second);
}

std::vector<std::int64_t> DeclaredArguments::sizes(const std::string& name, std::size_t count,
                                                   std::optional<std::int64_t> otherwise) {
  if (!has(name) && otherwise) return std::vector<std::int64_t>(count, *otherwise);
  if (has(name) && std::holds_alternative<std::vector<std::int64_t>>(layer_.arguments.at(name))) {
    auto list = require<std::vector<std::int64_t>>(name, "a list of whole numbers");
    if (count != 0 && list.size() != count) {
      fail("`" + name + "` wants " + std::to_string(count) + " numbers");
    }
    return list;
  }
  return std::vector<std::int64_t>(std::max<std::size_t>(count, 1), integer(name));
}

void DeclaredArguments::finish() const {
  const std::vector<std::string> known(read_.begin(), read_.end());
  for (const auto& [name, value] : layer_.arguments) {
    if (!read_.contains(name)) {
      fail("`" + name + "` is not an argument of " + layer_.type + " here",
           did_you_mean(name, known));
    }
  }
}

void DeclaredArguments::fail(const std::string& message, const std::string& hint) const {
  throw Error({.stage = Stage::kConfig,
               .message = "layer `" + layer_.name + "`: " + message,
               .hint = hint,
               .location = layer_.location});
}

}  // namespace tenon
