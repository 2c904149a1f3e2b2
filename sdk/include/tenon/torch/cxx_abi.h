/* The C++ ABI that code beside LibTorch is built with, as a text: two sides that differ in it
 * cannot exchange a std::string. */
#pragma once

#ifdef __cplusplus
#include <string>
#endif

#if defined(_LIBCPP_VERSION)
#define TENON_CXX_ABI "libc++"
#elif defined(_GLIBCXX_USE_CXX11_ABI) && _GLIBCXX_USE_CXX11_ABI
#define TENON_CXX_ABI "libstdc++-cxx11"
#else
#define TENON_CXX_ABI "libstdc++-old"
#endif
