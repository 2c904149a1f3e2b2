/* A sound layer in C: y = base(x) + scaling * offset, on torch.nn.Linear with a bias. A bad plugin
 * defines one of the names below before it includes this file, and then what it names:
 *
 *   INIT ADD_ADAPTER FORWARD MERGED_WEIGHT   a function in place of the sound one
 *   LAYER_ID PARAMETER_NAME BASE_TYPES STAMP_VERSION START   a string
 *   FLAGS                                    bits of TENON_LAYER_*
 *   EXTENSION                                a function; a sound layer has none
 *   OPTION                                   the layer type's one option; a sound layer has none
 */
#pragma once

#include <string.h>
#include <tenon/tenon.h>

#ifndef INIT
#define INIT sound_init
#endif
#ifndef ADD_ADAPTER
#define ADD_ADAPTER sound_add_adapter
#endif
#ifndef FORWARD
#define FORWARD sound_forward
#endif
#ifndef MERGED_WEIGHT
#define MERGED_WEIGHT sound_merged_weight
#endif
#ifndef LAYER_ID
#define LAYER_ID "acme.additive-layer"
#endif
#ifndef PARAMETER_NAME
#define PARAMETER_NAME "lora_offset"
#endif
#ifndef BASE_TYPES
#define BASE_TYPES "torch.nn.Linear"
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef START
#define START "zeros"
#endif
#ifndef STAMP_VERSION
#define STAMP_VERSION "1.0.0"
#endif

static inline tenon_status fail(const tenon_host *host, tenon_error *error, tenon_status status,
                                const char *text) {
  host->set_error(error, status, text);
  return status;
}

static inline int64_t find_bias(const tenon_base *base) {
  for (uint32_t i = 0; i < base->n_weights; ++i) {
    if (strcmp(base->weights[i]->name, "bias") == 0) return i;
  }
  return -1;
}

/* *sum = a + alpha * b */
static inline tenon_status add_scaled(const tenon_host *host, tenon_tensor a, tenon_tensor b,
                                      double alpha, tenon_tensor *sum, tenon_error *error) {
  tenon_op *add = NULL;
  tenon_status status = host->resolve("aten::add", "Tensor", &add, error);
  if (status != TENON_OK) return status;
  tenon_value arguments[3];
  memset(arguments, 0, sizeof arguments);
  arguments[0].tag = TENON_VALUE_TENSOR;
  arguments[0].u.t = a;
  arguments[1].tag = TENON_VALUE_TENSOR;
  arguments[1].u.t = b;
  arguments[2].tag = TENON_VALUE_DOUBLE;
  arguments[2].u.d = alpha;
  tenon_value result;
  status = host->call(add, arguments, 3, &result, 1, error);
  if (status == TENON_OK) *sum = result.u.t;
  return status;
}

static inline tenon_status run_base(const tenon_host *host, const tenon_call *call, tenon_tensor *y,
                                    tenon_error *error) {
  return host->run_base(call->context, NULL, 0, NULL, NULL, 0, y, NULL, 1, error);
}

static inline tenon_status sound_init(const tenon_plugin *self, const tenon_host *host,
                                      tenon_error *error) {
  (void)self;
  (void)host;
  (void)error;
  return TENON_OK;
}

static inline tenon_status sound_add_adapter(const tenon_layer_type *self, const tenon_host *host,
                                             const tenon_base *base, tenon_setup *setup,
                                             tenon_error *error) {
  (void)self;
  const int64_t bias = find_bias(base);
  if (bias < 0) return fail(host, error, TENON_UNSUPPORTED, "the layer has no bias");
  tenon_parameter offset;
  memset(&offset, 0, sizeof offset);
  offset.struct_size = sizeof offset;
  offset.flags = TENON_PARAMETER_TRAINABLE;
  offset.name = PARAMETER_NAME;
  offset.shape = base->weights[bias]->shape;
  offset.ndim = base->weights[bias]->ndim;
  offset.dtype = -1;
  offset.init = START;
  uint32_t index = 0;
  return host->add_parameter(setup, &offset, &index, error);
}

static inline tenon_status sound_forward(const tenon_layer_type *self, const tenon_host *host,
                                         const tenon_base *base, const tenon_call *call,
                                         tenon_tensor *outputs, tenon_error *error) {
  (void)self;
  (void)base;
  tenon_tensor y = NULL;
  tenon_status status = run_base(host, call, &y, error);
  for (uint32_t i = 0; status == TENON_OK && i < call->n_adapters; ++i) {
    const tenon_adapter *adapter = call->adapters[i];
    tenon_tensor sum = NULL;
    status = add_scaled(host, y, adapter->params[0], adapter->scaling, &sum, error);
    host->release(y);
    y = sum;
  }
  if (status == TENON_OK) outputs[0] = y;
  return status;
}

static inline tenon_status sound_merged_weight(const tenon_layer_type *self, const tenon_host *host,
                                               const tenon_base *base, const tenon_call *call,
                                               uint32_t weight, tenon_tensor *merged,
                                               tenon_error *error) {
  (void)self;
  if ((int64_t)weight != find_bias(base)) return TENON_OK;
  const tenon_adapter *adapter = call->adapters[0];
  return add_scaled(host, call->weights[weight], adapter->params[0], adapter->scaling, merged,
                    error);
}

static tenon_status INIT(const tenon_plugin *, const tenon_host *, tenon_error *);
static tenon_status ADD_ADAPTER(const tenon_layer_type *, const tenon_host *, const tenon_base *,
                                tenon_setup *, tenon_error *);
static tenon_status FORWARD(const tenon_layer_type *, const tenon_host *, const tenon_base *,
                            const tenon_call *, tenon_tensor *, tenon_error *);
static tenon_status MERGED_WEIGHT(const tenon_layer_type *, const tenon_host *, const tenon_base *,
                                  const tenon_call *, uint32_t, tenon_tensor *, tenon_error *);

#ifdef EXTENSION
static const void *EXTENSION(const tenon_layer_type *, const char *);
#endif

#ifdef OPTION
static const tenon_option *const kOptions[] = {&OPTION};
#endif

static const tenon_layer_type kLayer = {
    .struct_size = sizeof(tenon_layer_type),
    .flags = FLAGS,
    .id = LAYER_ID,
    .method = "lora",
    .base_types = BASE_TYPES,
    .title = "lora.Additive",
    .doc = "A trainable offset of the output.",
    .add_adapter = ADD_ADAPTER,
    .forward = FORWARD,
    .merged_weight = MERGED_WEIGHT,
#ifdef EXTENSION
    .extension = EXTENSION,
#endif
#ifdef OPTION
    .n_options = 1,
    .options = kOptions,
#endif
};
static const tenon_layer_type *const kLayers[] = {&kLayer};

const tenon_plugin tenon_plugin_v1 = {
    .struct_size = sizeof(tenon_plugin),
    .abi_major = TENON_ABI_MAJOR,
    .abi_minor = TENON_ABI_MINOR,
    .id = "acme.additive",
    .version = "1.0.0",
    .compiler = __VERSION__,
    .sdk_version = TENON_SDK_VERSION,
    .n_layer_types = 1,
    .layer_types = kLayers,
    .init = INIT,
};

const tenon_stamp tenon_stamp_v1 = {
    .magic = {'T', 'E', 'N', 'O', 'N', 'P', 'L', 'G'},
    .struct_size = sizeof(tenon_stamp),
    .kind = TENON_STAMP_LAYERS,
    .abi_major = TENON_ABI_MAJOR,
    .abi_minor = TENON_ABI_MINOR,
    .pointer_bits = 64,
    .id = "acme.additive",
    .version = STAMP_VERSION,
    .sdk_version = TENON_SDK_VERSION,
};
