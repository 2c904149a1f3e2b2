// no-libtorch: calls LibTorch's C++ interface, which is another one in each release.
#define INIT init
#include "additive.h"

namespace at {
void set_num_threads(int);
}
static tenon_status init(const tenon_plugin *self, const tenon_host *, tenon_error *) {
  (void)self;
  at::set_num_threads(1);
  return TENON_OK;
}
