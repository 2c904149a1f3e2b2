#pragma once

namespace tenon {

// The whole program: arguments in, exit status out. Every failure is printed, none escapes.
int run_program(int argc, const char* const* argv);

}  // namespace tenon
