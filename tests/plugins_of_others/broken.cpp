// A plugin with one fault, chosen by a macro: FAILING_INIT, THROWING_INIT, SILENT_INIT,
// OTHER_MAJOR, NEWER_MINOR, NO_ENTRY, WRONG_ID, NO_FORWARD, FULL_LIBTORCH. Written on the C
// interface, since the C++ layer would not let these pass.
#include <tenon/tenon.h>
#include <stdexcept>

namespace {

tenon_status add_adapter(const tenon_layer_type *, const tenon_host *, const tenon_base *,
                         tenon_setup *, tenon_error *) {
  return TENON_OK;
}
tenon_status forward(const tenon_layer_type *, const tenon_host *, const tenon_base *,
                     const tenon_call *, tenon_tensor *, tenon_error *) {
  return TENON_OK;
}

tenon_status init(const tenon_plugin *, const tenon_host *host, tenon_error *error) {
#if defined(FAILING_INIT)
  const char *text = "the licence server does not answer";
  host->set_error(error, TENON_INTERNAL, text);
  return TENON_INTERNAL;
#elif defined(SILENT_INIT)
  return TENON_INTERNAL;
#elif defined(THROWING_INIT)
  throw std::runtime_error("boom");
#else
  (void)host;
  (void)error;
  return TENON_OK;
#endif
}

constexpr tenon_layer_type make_layer() {
  tenon_layer_type layer{};
  layer.struct_size = sizeof layer;
  layer.id = "acme.broken-layer";
  layer.method = "lora";
  layer.base_types = "*.MyScale";
  layer.add_adapter = add_adapter;
#ifndef NO_FORWARD
  layer.forward = forward;
#endif
  return layer;
}
constexpr tenon_layer_type kLayer = make_layer();
constexpr const tenon_layer_type *kLayers[] = {&kLayer};

constexpr unsigned kMajor =
#ifdef OTHER_MAJOR
    TENON_ABI_MAJOR + 7;
#else
    TENON_ABI_MAJOR;
#endif
constexpr unsigned kNeededMinor =
#ifdef NEWER_MINOR
    TENON_ABI_MINOR + 5;
#else
    0;
#endif

constexpr tenon_plugin make_plugin() {
  tenon_plugin plugin{};
  plugin.struct_size = sizeof plugin;
  plugin.abi_major = kMajor;
  plugin.abi_minor = TENON_ABI_MINOR;
  plugin.min_host_minor = kNeededMinor;
#ifdef WRONG_ID
  plugin.id = "acme.other";
#else
  plugin.id = "acme.broken";
#endif
  plugin.version = "1.0.0";
  plugin.compiler = __VERSION__;
  plugin.sdk_version = TENON_SDK_VERSION;
  plugin.n_layer_types = 1;
  plugin.layer_types = kLayers;
  plugin.init = init;
  return plugin;
}

constexpr tenon_stamp make_stamp() {
  tenon_stamp stamp{};
  for (unsigned i = 0; i < sizeof stamp.magic; ++i) stamp.magic[i] = TENON_STAMP_MAGIC[i];
  stamp.struct_size = sizeof stamp;
  stamp.kind = TENON_STAMP_LAYERS;
  stamp.abi_major = kMajor;
  stamp.abi_minor = TENON_ABI_MINOR;
  stamp.min_host_minor = kNeededMinor;
  stamp.pointer_bits = 64;
  const char id[] = "acme.broken";
  for (unsigned i = 0; i < sizeof id; ++i) stamp.id[i] = id[i];
  const char version[] = "1.0.0";
  for (unsigned i = 0; i < sizeof version; ++i) stamp.version[i] = version[i];
#ifdef FULL_LIBTORCH
  stamp.torch_version[0] = '1';
#endif
  return stamp;
}

}  // namespace

extern "C" {
constexpr tenon_stamp tenon_stamp_v1 = make_stamp();
#ifndef NO_ENTRY
constexpr tenon_plugin tenon_plugin_v1 = make_plugin();
#endif
}
