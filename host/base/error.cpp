#include "base/error.h"

#include <utility>

namespace tenon {
namespace {

std::string text_form(const Failure& failure) {
  std::string text;
  if (!failure.location.empty()) text += failure.location + ": ";
  text += failure.message;
  if (!failure.hint.empty()) text += "\n  " + failure.hint;
  return text;
}

}  // namespace

const char* stage_name(Stage stage) {
  switch (stage) {
    case Stage::kCommandLine:
      return "command line";
    case Stage::kConfig:
      return "config";
    case Stage::kPlugins:
      return "plugins";
    case Stage::kModel:
      return "model";
    case Stage::kInjection:
      return "injection";
    case Stage::kData:
      return "data";
    case Stage::kTraining:
      return "training";
    case Stage::kAdapter:
      return "adapter";
    case Stage::kOutput:
      return "output";
    case Stage::kInternal:
      break;
  }
  return "internal";
}

Error::Error(Failure failure) : failure_(std::move(failure)), text_(text_form(failure_)) {}

int Error::exit_status() const {
  switch (failure_.stage) {
    case Stage::kCommandLine:
    case Stage::kConfig:
    case Stage::kInjection:
      return 2;
    default:
      return 1;
  }
}

}  // namespace tenon
