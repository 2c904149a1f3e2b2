#include "app/program.h"

int main(int argc, char** argv) { return tenon::run_program(argc, argv); }
