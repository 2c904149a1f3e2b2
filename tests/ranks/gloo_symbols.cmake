# Of gloo only headers are there when tenon is built, and not of the gloo that LibTorch has inside: a
# table of virtual functions made by them, or a call, would be of another class. Usage:
#   cmake -D NM=<nm> -D TENON=<the program> -P gloo_symbols.cmake
cmake_minimum_required(VERSION 3.25)
set(wanted "GlooRanks::sum")
set(unwanted " (vtable|typeinfo|VTT) for (gloo|c10d::ProcessGroupGloo)::| U gloo::")
execute_process(COMMAND ${NM} --demangle ${TENON} COMMAND grep -E "${wanted}|${unwanted}"
  OUTPUT_VARIABLE symbols)
if(NOT symbols MATCHES "${wanted}")
  message(FATAL_ERROR "${TENON} was built without gloo's headers, or without its symbols")
endif()
if(symbols MATCHES "${unwanted}")
  message(FATAL_ERROR "tenon makes or calls what is gloo's:\n${symbols}")
endif()
