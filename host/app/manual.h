#pragma once

#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace tenon {

// The page that `man tenon` shows, as roff: every verb with its words and options, taken from the
// parser itself.
std::string manual_page(const CLI::App& app, const std::string& version);

}  // namespace tenon
