# tenon_add_model_plugin(my_models my_models.cpp ...): a library that offers C++ models, see
# <tenon/model_plugin.h>. It exports its table and stamp and nothing else.
set(TENON_MODEL_EXPORTS_MAP ${CMAKE_CURRENT_LIST_DIR}/model_exports.map)
function(tenon_add_model_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE LibTorch::LibTorch)
  target_include_directories(${name} SYSTEM PRIVATE
    $<TARGET_PROPERTY:tenon::tenon,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX ""
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_options(${name} PRIVATE "LINKER:--version-script=${TENON_MODEL_EXPORTS_MAP}"
    "LINKER:--no-undefined")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${TENON_MODEL_EXPORTS_MAP})
endfunction()
