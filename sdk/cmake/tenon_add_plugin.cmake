# tenon_add_plugin(my_layer my_layer.cpp ...): one plugin, a shared library without the "lib" prefix
# that exports the two symbols of tenon/plugin.h and nothing else.
set(TENON_EXPORTS_MAP ${CMAKE_CURRENT_LIST_DIR}/exports.map)
function(tenon_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE tenon::sdk)
  target_compile_features(${name} PRIVATE cxx_std_20)
  set_target_properties(${name} PROPERTIES PREFIX ""
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_link_options(${name} PRIVATE "LINKER:--version-script=${TENON_EXPORTS_MAP}"
    "LINKER:--no-undefined")
  set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS ${TENON_EXPORTS_MAP})
endfunction()
