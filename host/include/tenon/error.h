// What Tenon throws.
#pragma once

#include <exception>
#include <string>

namespace tenon {

// Where on the line config -> plugins -> model -> injection -> training -> adapter a failure was
// found. The stage decides the exit status: what the user typed is 2, everything else is 1.
enum class Stage {
  kCommandLine,  // exit 2
  kConfig,       // exit 2
  kPlugins,
  kModel,
  kInjection,  // exit 2: targets unmatched or unsupported, bad regex
  kData,
  kTraining,
  kAdapter,
  kOutput,
  kInternal,
};

// "command line", "config", "plugins", ... as in the JSON of an error.
const char* stage_name(Stage stage);

// What an Error says. `message`: the thing and what is wrong with it. `hint`: the next step, may be
// empty. `location`: file, file:line:column or module path, may be empty.
struct Failure {
  Stage stage = Stage::kInternal;
  std::string message = {};
  std::string hint = {};
  std::string location = {};
};

// The only exception type of Tenon: thrown where the fault is found.
class Error : public std::exception {
 public:
  explicit Error(Failure failure);

  const Failure& failure() const { return failure_; }
  int exit_status() const;
  // "location: message\n  hint", the text form for people.
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Failure failure_;
  std::string text_;
};

}  // namespace tenon
