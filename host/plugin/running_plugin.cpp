#include "plugin/running_plugin.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/log.h"

namespace tenon {

void RunningPlugin::watch_exit() {
  static const int kRegistered = ::on_exit([](int status, void*) { tell_exit(status); }, nullptr);
  (void)kRegistered;
}

void RunningPlugin::tell_exit(int status) {
  const Code code = current();
  if (code.id == nullptr) return;
  log::error("the plugin " + std::string(code.id) + " ended the program (exit) in " +
             code.function + "; nothing was saved");
  ::_exit(status == 0 ? 1 : status);
}

}  // namespace tenon
