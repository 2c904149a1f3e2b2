#include <cstdio>
#include <cstdlib>
#include <iostream>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "app/program.h"

namespace {

// A step frees and allocates the same activations again and again. The C library would hand the
// larger ones back to the system each time and have it clear them anew: a tenth of a step.
void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // the most that it accepts
  mallopt(M_TRIM_THRESHOLD, 256 * kMiB);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  const int status = tenon::run_program(argc, argv);
  const bool written = std::cout.flush() && std::fflush(nullptr) == 0;
  if (!written) std::fputs("error: standard output could not be written\n", stderr);
  // LibTorch needs a fifth of a short run to take its operator tables apart; nothing of ours is
  // left to close.
  std::_Exit(status == 0 && !written ? 1 : status);
}
