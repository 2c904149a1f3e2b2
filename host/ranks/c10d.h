#pragma once

// LibTorch's c10d, whose headers are slow to compile and move between versions; for meeting.cpp and
// gloo_ranks.cpp alone. Of gloo itself only the headers are there, and of another version than that
// in LibTorch: nothing of gloo's is made, called or looked into.
#define USE_C10D_GLOO
#if __has_include(<torch/csrc/distributed/c10d/gloo/ProcessGroupGloo.hpp>)
#include <torch/csrc/distributed/c10d/gloo/ProcessGroupGloo.hpp>
#else
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif
#if __has_include(<torch/csrc/distributed/c10d/store/TCPStore.hpp>)
#include <torch/csrc/distributed/c10d/store/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/store/TCPStore.hpp>
#else
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif
