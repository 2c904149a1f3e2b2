#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "app/program.h"

int main(int argc, char** argv) {
  const int status = tenon::run_program(argc, argv);
  const bool written = std::cout.flush() && std::fflush(nullptr) == 0;
  if (!written) std::fputs("error: standard output could not be written\n", stderr);
  // LibTorch needs a fifth of a short run to take its operator tables apart; nothing of ours is
  // left to close.
  std::_Exit(status == 0 && !written ? 1 : status);
}
