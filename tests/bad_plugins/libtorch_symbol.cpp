// no-libtorch: calls LibTorch's C++ interface, which is another one in each release.
#define INIT init
#include "additive.h"

namespace at {
void set_num_threads(int);
}
static tenon_status init(const tenon_host *, tenon_error *) {
  at::set_num_threads(1);
  return TENON_OK;
}
