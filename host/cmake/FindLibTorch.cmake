# Finds LibTorch by its files: target LibTorch::LibTorch.
#
# Torch's own TorchConfig.cmake is not used: for a torch that was built with CUDA it insists on the
# CUDA toolkit, which nobody needs in order to link against the libraries. Torch_DIR (the folder that
# holds TorchConfig.cmake) and CMAKE_PREFIX_PATH are honoured in its place.
find_path(LibTorch_CONFIG_DIR TorchConfig.cmake
  HINTS ${Torch_DIR} $ENV{Torch_DIR}
  PATH_SUFFIXES share/cmake/Torch torch/share/cmake/Torch)
if(LibTorch_CONFIG_DIR)
  get_filename_component(LibTorch_ROOT "${LibTorch_CONFIG_DIR}/../../.." ABSOLUTE)
  find_library(LibTorch_TORCH_CPU torch_cpu PATHS "${LibTorch_ROOT}/lib" NO_DEFAULT_PATH)
  find_library(LibTorch_C10 c10 PATHS "${LibTorch_ROOT}/lib" NO_DEFAULT_PATH)
  find_path(LibTorch_INCLUDE_DIR ATen/ATen.h PATHS "${LibTorch_ROOT}/include" NO_DEFAULT_PATH)
  if(EXISTS "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h")
    set(_libtorch_version_file "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h")
  else()
    set(_libtorch_version_file "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h")
  endif()
  file(STRINGS "${_libtorch_version_file}" _libtorch_version_lines
    REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX MATCHALL "[0-9]+" _libtorch_version_parts "${_libtorch_version_lines}")
  list(JOIN _libtorch_version_parts "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_TORCH_CPU LibTorch_C10 LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION)

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    "${LibTorch_INCLUDE_DIR}" "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # Not libtorch.so, which does nothing but pull in every back end: in a build for CUDA it wants
  # NVIDIA's libraries, which a machine without a GPU lacks. The host loads libtorch_cuda itself when
  # a config asks for the device.
  target_link_libraries(LibTorch::LibTorch INTERFACE "${LibTorch_TORCH_CPU}" "${LibTorch_C10}")
  # LibTorch is built without debug checks; headers that disagree make its own assertions fire.
  target_compile_definitions(LibTorch::LibTorch INTERFACE NDEBUG)
endif()
