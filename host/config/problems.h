#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon {

// Where in a config something stands: a position in the file or a --set argument. Line 0 stands for
// the file as a whole.
struct Place {
  bool overridden = false;  // on the command line; ordered after everything in the file
  std::uint32_t line = 0;   // for --set: its number on the command line
  std::uint32_t column = 0;
  std::string text = {};  // "mlp.toml:12:1" or "--set adapter.r"

  bool operator<(const Place& other) const;
};

// Everything found wrong with a config, collected so that the user sees all of it at once.
class Problems {
 public:
  void add(Place place, std::string text);
  bool empty() const { return found_.empty(); }
  // Throws Error{Stage::kConfig} if there are any: one becomes the error's location and message;
  // several are listed under "N problems in FILE" in the order of their places.
  void throw_if_any(const std::string& file) const;

 private:
  struct Problem {
    Place place;
    std::string text;
  };
  std::vector<Problem> found_;
};

}  // namespace tenon
