/* The layout of everything that crosses the boundary, frozen: plugins that were built with an older
 * SDK rely on each of these numbers. A line is added where a minor version appends a field or a
 * value, and the size of the struct grows; no other line ever changes.
 *
 * Compiled as C11 and as C++20. */
#include <stddef.h>

#include "tenon/draft/data_start.h"
#include "tenon/draft/factors.h"
#include "tenon/draft/files.h"
#include "tenon/draft/generators.h"
#include "tenon/draft/groups.h"
#include "tenon/draft/keys.h"
#include "tenon/draft/losses.h"
#include "tenon/draft/metrics.h"
#include "tenon/draft/targets.h"
#include "tenon/draft/training.h"
#include "tenon/ext/autograd.h"
#include "tenon/ext/mergeable.h"
#include "tenon/ext/siblings.h"
#include "tenon/tenon.h"

#ifdef __cplusplus
#define HOLDS(condition) static_assert(condition, #condition)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#endif
#define VALUE(name, number) HOLDS((name) == (number))
#define SIZE(type, bytes) HOLDS(sizeof(type) == (bytes))
#define FIELD(type, name, bytes) HOLDS(offsetof(type, name) == (bytes))

SIZE(void *, 8);
SIZE(tenon_status, 4);
SIZE(tenon_tensor, 8);

VALUE(TENON_OK, 0);
VALUE(TENON_INVALID_ARGUMENT, 1);
VALUE(TENON_UNSUPPORTED, 2);
VALUE(TENON_BAD_SHAPE, 3);
VALUE(TENON_BAD_DTYPE, 4);
VALUE(TENON_OUT_OF_MEMORY, 5);
VALUE(TENON_OPERATOR_FAILED, 6);
VALUE(TENON_WRONG_VERSION, 7);
VALUE(TENON_INTERNAL, 8);
VALUE(TENON_DTYPE_UINT8, 0);
VALUE(TENON_DTYPE_INT8, 1);
VALUE(TENON_DTYPE_INT16, 2);
VALUE(TENON_DTYPE_INT32, 3);
VALUE(TENON_DTYPE_INT64, 4);
VALUE(TENON_DTYPE_FLOAT16, 5);
VALUE(TENON_DTYPE_FLOAT32, 6);
VALUE(TENON_DTYPE_FLOAT64, 7);
VALUE(TENON_DTYPE_BOOL, 11);
VALUE(TENON_DTYPE_BFLOAT16, 15);

SIZE(tenon_tensor_info, 72);
FIELD(tenon_tensor_info, struct_size, 0);
FIELD(tenon_tensor_info, ndim, 4);
FIELD(tenon_tensor_info, shape, 8);
FIELD(tenon_tensor_info, strides, 16);
FIELD(tenon_tensor_info, dtype, 24);
FIELD(tenon_tensor_info, device_type, 28);
FIELD(tenon_tensor_info, device_index, 32);
FIELD(tenon_tensor_info, requires_grad, 36);
FIELD(tenon_tensor_info, elements, 40);
FIELD(tenon_tensor_info, data, 48);
FIELD(tenon_tensor_info, storage_offset, 56);
FIELD(tenon_tensor_info, is_contiguous, 64);
FIELD(tenon_tensor_info, is_leaf, 68);

VALUE(TENON_VALUE_NONE, 0);
VALUE(TENON_VALUE_INT, 1);
VALUE(TENON_VALUE_DOUBLE, 2);
VALUE(TENON_VALUE_BOOL, 3);
VALUE(TENON_VALUE_TENSOR, 4);
VALUE(TENON_VALUE_INT_LIST, 5);
VALUE(TENON_VALUE_DOUBLE_LIST, 6);
VALUE(TENON_VALUE_TENSOR_LIST, 7);
VALUE(TENON_VALUE_STRING, 8);
VALUE(TENON_VALUE_DTYPE, 9);
VALUE(TENON_VALUE_DEFAULT, 10);
VALUE(TENON_VALUE_BOOL_LIST, 11);
VALUE(TENON_VALUE_STRING_LIST, 12);
VALUE(TENON_VALUE_LIST, 13);
VALUE(TENON_VALUE_GENERATOR, 14);
VALUE(TENON_VALUE_TABLE, 15);

SIZE(tenon_value, 16);
FIELD(tenon_value, tag, 0);
FIELD(tenon_value, n, 4);
FIELD(tenon_value, u, 8);

SIZE(tenon_entry, 24);
FIELD(tenon_entry, key, 0);
FIELD(tenon_entry, value, 8);

VALUE(TENON_OPTION_BOOL, 1);
VALUE(TENON_OPTION_INT, 2);
VALUE(TENON_OPTION_DOUBLE, 4);
VALUE(TENON_OPTION_STRING, 8);
VALUE(TENON_OPTION_BOOL_LIST, 16);
VALUE(TENON_OPTION_INT_LIST, 32);
VALUE(TENON_OPTION_DOUBLE_LIST, 64);
VALUE(TENON_OPTION_STRING_LIST, 128);
VALUE(TENON_OPTION_TABLE, 256);
VALUE(TENON_OPTION_PATTERNS, 512);
VALUE(TENON_OPTION_MODULES, 1024);
VALUE(TENON_OPTION_REQUIRED, 1);
VALUE(TENON_OPTION_NULLABLE, 2);
VALUE(TENON_OPTION_HEEDED, 4);
VALUE(TENON_OPTION_UNSUPPORTED, 8);
VALUE(TENON_OPTION_UNUSED, 16);
VALUE(TENON_OPTION_OF_START, 32);
VALUE(TENON_OPTION_CHANGEABLE, 64);

SIZE(tenon_option, 120);
FIELD(tenon_option, struct_size, 0);
FIELD(tenon_option, flags, 4);
FIELD(tenon_option, key, 8);
FIELD(tenon_option, types, 16);
FIELD(tenon_option, n_choices, 20);
FIELD(tenon_option, initial, 24);
FIELD(tenon_option, minimum, 40);
FIELD(tenon_option, maximum, 56);
FIELD(tenon_option, choices, 72);
FIELD(tenon_option, help, 80);
FIELD(tenon_option, pattern_key, 88);
FIELD(tenon_option, former_keys, 96);
FIELD(tenon_option, n_former_keys, 104);
FIELD(tenon_option, n_fields, 108);
FIELD(tenon_option, fields, 112);

VALUE(TENON_WEIGHT_IS_BUFFER, 1);
VALUE(TENON_WEIGHT_IS_TARGET, 2);

SIZE(tenon_weight_info, 32);
FIELD(tenon_weight_info, struct_size, 0);
FIELD(tenon_weight_info, flags, 4);
FIELD(tenon_weight_info, name, 8);
FIELD(tenon_weight_info, shape, 16);
FIELD(tenon_weight_info, ndim, 24);
FIELD(tenon_weight_info, dtype, 28);

SIZE(tenon_base, 48);
FIELD(tenon_base, struct_size, 0);
FIELD(tenon_base, n_weights, 4);
FIELD(tenon_base, type, 8);
FIELD(tenon_base, module_path, 16);
FIELD(tenon_base, operator_name, 24);
FIELD(tenon_base, weights, 32);
FIELD(tenon_base, n_inputs, 40);
FIELD(tenon_base, n_outputs, 44);

VALUE(TENON_PARAMETER_TRAINABLE, 1);
VALUE(TENON_PARAMETER_BUFFER, 2);
VALUE(TENON_PARAMETER_KEEP_FP32, 4);
VALUE(TENON_PARAMETER_NOT_SAVED, 8);

SIZE(tenon_parameter, 64);
FIELD(tenon_parameter, struct_size, 0);
FIELD(tenon_parameter, flags, 4);
FIELD(tenon_parameter, name, 8);
FIELD(tenon_parameter, shape, 16);
FIELD(tenon_parameter, ndim, 24);
FIELD(tenon_parameter, dtype, 28);
FIELD(tenon_parameter, init, 32);
FIELD(tenon_parameter, init_a, 40);
FIELD(tenon_parameter, init_b, 48);
FIELD(tenon_parameter, shared_key, 56);

SIZE(tenon_adapter, 48);
FIELD(tenon_adapter, struct_size, 0);
FIELD(tenon_adapter, n_params, 4);
FIELD(tenon_adapter, name, 8);
FIELD(tenon_adapter, params, 16);
FIELD(tenon_adapter, scaling, 24);
FIELD(tenon_adapter, state, 32);
FIELD(tenon_adapter, rows, 40);

VALUE(TENON_CALL_TRAINING, 1);
VALUE(TENON_CALL_GRAD_ENABLED, 2);

SIZE(tenon_call, 56);
FIELD(tenon_call, struct_size, 0);
FIELD(tenon_call, flags, 4);
FIELD(tenon_call, inputs, 8);
FIELD(tenon_call, weights, 16);
FIELD(tenon_call, adapters, 24);
FIELD(tenon_call, n_inputs, 32);
FIELD(tenon_call, n_weights, 36);
FIELD(tenon_call, n_adapters, 40);
FIELD(tenon_call, n_outputs, 44);
FIELD(tenon_call, context, 48);

SIZE(tenon_start, 72);
FIELD(tenon_start, struct_size, 0);
FIELD(tenon_start, flags, 4);
FIELD(tenon_start, weights, 8);
FIELD(tenon_start, params, 16);
FIELD(tenon_start, n_weights, 24);
FIELD(tenon_start, n_params, 28);
FIELD(tenon_start, scaling, 32);
FIELD(tenon_start, state, 40);
FIELD(tenon_start, generator, 48);
FIELD(tenon_start, params_owned, 56);
FIELD(tenon_start, weights_owned, 64);

VALUE(TENON_LAYER_ROWS, 1);
VALUE(TENON_LAYER_RESIZES, 2);
VALUE(TENON_LAYER_BESIDE, 4);

SIZE(tenon_layer_type, 136);
FIELD(tenon_layer_type, struct_size, 0);
FIELD(tenon_layer_type, flags, 4);
FIELD(tenon_layer_type, priority, 8);
FIELD(tenon_layer_type, n_options, 12);
FIELD(tenon_layer_type, user, 16);
FIELD(tenon_layer_type, id, 24);
FIELD(tenon_layer_type, method, 32);
FIELD(tenon_layer_type, base_types, 40);
FIELD(tenon_layer_type, title, 48);
FIELD(tenon_layer_type, doc, 56);
FIELD(tenon_layer_type, options, 64);
FIELD(tenon_layer_type, validate, 72);
FIELD(tenon_layer_type, add_adapter, 80);
FIELD(tenon_layer_type, prepare, 88);
FIELD(tenon_layer_type, release, 96);
FIELD(tenon_layer_type, initialise, 104);
FIELD(tenon_layer_type, forward, 112);
FIELD(tenon_layer_type, merged_weight, 120);
FIELD(tenon_layer_type, extension, 128);

VALUE(TENON_METHOD_EXCLUDES, 1);
VALUE(TENON_METHOD_LAYERS, 2);
VALUE(TENON_METHOD_BIASES, 4);
VALUE(TENON_METHOD_PARAMETERS, 8);
VALUE(TENON_METHOD_TOKENS, 16);
VALUE(TENON_METHOD_TIES, 32);

SIZE(tenon_method, 72);
FIELD(tenon_method, struct_size, 0);
FIELD(tenon_method, flags, 4);
FIELD(tenon_method, max_active, 8);
FIELD(tenon_method, n_keys, 12);
FIELD(tenon_method, user, 16);
FIELD(tenon_method, name, 24);
FIELD(tenon_method, peft_type, 32);
FIELD(tenon_method, doc, 40);
FIELD(tenon_method, keys, 48);
FIELD(tenon_method, scaling, 56);
FIELD(tenon_method, extension, 64);

VALUE(TENON_LOG_DEBUG, 0);
VALUE(TENON_LOG_INFO, 1);
VALUE(TENON_LOG_WARNING, 2);

SIZE(tenon_host, 152);
FIELD(tenon_host, struct_size, 0);
FIELD(tenon_host, abi_major, 4);
FIELD(tenon_host, abi_minor, 8);
FIELD(tenon_host, reserved, 12);
FIELD(tenon_host, version, 16);
FIELD(tenon_host, torch_version, 24);
FIELD(tenon_host, extension, 32);
FIELD(tenon_host, set_error, 40);
FIELD(tenon_host, log, 48);
FIELD(tenon_host, option, 56);
FIELD(tenon_host, add_parameter, 64);
FIELD(tenon_host, attribute, 72);
FIELD(tenon_host, retain, 80);
FIELD(tenon_host, release, 88);
FIELD(tenon_host, describe, 96);
FIELD(tenon_host, resolve, 104);
FIELD(tenon_host, argument_index, 112);
FIELD(tenon_host, call, 120);
FIELD(tenon_host, release_results, 128);
FIELD(tenon_host, run_base, 136);
FIELD(tenon_host, set_grad_enabled, 144);

VALUE(TENON_STAMP_LAYERS, 1);
VALUE(TENON_STAMP_METHODS, 2);
VALUE(TENON_STAMP_MODELS, 4);
VALUE(TENON_STAMP_LOSSES, 8);
VALUE(TENON_STAMP_METRICS, 16);

SIZE(tenon_stamp, 256);
FIELD(tenon_stamp, magic, 0);
FIELD(tenon_stamp, struct_size, 8);
FIELD(tenon_stamp, kind, 12);
FIELD(tenon_stamp, abi_major, 16);
FIELD(tenon_stamp, abi_minor, 20);
FIELD(tenon_stamp, min_host_minor, 24);
FIELD(tenon_stamp, pointer_bits, 28);
FIELD(tenon_stamp, id, 32);
FIELD(tenon_stamp, version, 96);
FIELD(tenon_stamp, sdk_version, 128);
FIELD(tenon_stamp, torch_version, 144);
FIELD(tenon_stamp, cxx_abi, 176);
FIELD(tenon_stamp, architecture, 208);
FIELD(tenon_stamp, torch_minimum, 224);

SIZE(tenon_plugin, 112);
FIELD(tenon_plugin, struct_size, 0);
FIELD(tenon_plugin, abi_major, 4);
FIELD(tenon_plugin, abi_minor, 8);
FIELD(tenon_plugin, min_host_minor, 12);
FIELD(tenon_plugin, user, 16);
FIELD(tenon_plugin, id, 24);
FIELD(tenon_plugin, version, 32);
FIELD(tenon_plugin, vendor, 40);
FIELD(tenon_plugin, license, 48);
FIELD(tenon_plugin, compiler, 56);
FIELD(tenon_plugin, sdk_version, 64);
FIELD(tenon_plugin, n_layer_types, 72);
FIELD(tenon_plugin, n_methods, 76);
FIELD(tenon_plugin, layer_types, 80);
FIELD(tenon_plugin, methods, 88);
FIELD(tenon_plugin, init, 96);
FIELD(tenon_plugin, extension, 104);

SIZE(tenon_function, 48);
FIELD(tenon_function, struct_size, 0);
FIELD(tenon_function, n_outputs, 4);
FIELD(tenon_function, n_saved, 8);
FIELD(tenon_function, reserved, 12);
FIELD(tenon_function, user, 16);
FIELD(tenon_function, name, 24);
FIELD(tenon_function, forward, 32);
FIELD(tenon_function, backward, 40);

SIZE(tenon_autograd, 16);
FIELD(tenon_autograd, struct_size, 0);
FIELD(tenon_autograd, reserved, 4);
FIELD(tenon_autograd, apply, 8);

SIZE(tenon_mergeable, 16);
FIELD(tenon_mergeable, struct_size, 0);
FIELD(tenon_mergeable, reserved, 4);
FIELD(tenon_mergeable, check, 8);

SIZE(tenon_siblings, 16);
FIELD(tenon_siblings, struct_size, 0);
FIELD(tenon_siblings, reserved, 4);
FIELD(tenon_siblings, forward, 8);

SIZE(tenon_files, 16);
FIELD(tenon_files, struct_size, 0);
FIELD(tenon_files, reserved, 4);
FIELD(tenon_files, save, 8);

SIZE(tenon_files_host, 24);
FIELD(tenon_files_host, struct_size, 0);
FIELD(tenon_files_host, reserved, 4);
FIELD(tenon_files_host, set_key, 8);
FIELD(tenon_files_host, set_parameter, 16);

SIZE(tenon_generators, 24);
FIELD(tenon_generators, struct_size, 0);
FIELD(tenon_generators, reserved, 4);
FIELD(tenon_generators, make, 8);
FIELD(tenon_generators, release, 16);

VALUE(TENON_JUDGED_ANY, 0);
VALUE(TENON_JUDGED_CLASSES, 1);
VALUE(TENON_JUDGED_NUMBERS, 2);
VALUE(TENON_JUDGED_NONE, 3);

SIZE(tenon_loss_batch, 48);
FIELD(tenon_loss_batch, struct_size, 0);
FIELD(tenon_loss_batch, n_outputs, 4);
FIELD(tenon_loss_batch, setup, 8);
FIELD(tenon_loss_batch, outputs, 16);
FIELD(tenon_loss_batch, prediction, 24);
FIELD(tenon_loss_batch, target, 32);
FIELD(tenon_loss_batch, weights, 40);

SIZE(tenon_loss, 64);
FIELD(tenon_loss, struct_size, 0);
FIELD(tenon_loss, judged, 4);
FIELD(tenon_loss, user, 8);
FIELD(tenon_loss, name, 16);
FIELD(tenon_loss, doc, 24);
FIELD(tenon_loss, options, 32);
FIELD(tenon_loss, n_options, 40);
FIELD(tenon_loss, reserved, 44);
FIELD(tenon_loss, validate, 48);
FIELD(tenon_loss, loss, 56);

SIZE(tenon_losses, 16);
FIELD(tenon_losses, struct_size, 0);
FIELD(tenon_losses, n_losses, 4);
FIELD(tenon_losses, losses, 8);

VALUE(TENON_METRIC_GREATER_IS_BETTER, 1);

SIZE(tenon_metric, 80);
FIELD(tenon_metric, struct_size, 0);
FIELD(tenon_metric, flags, 4);
FIELD(tenon_metric, judged, 8);
FIELD(tenon_metric, n_options, 12);
FIELD(tenon_metric, user, 16);
FIELD(tenon_metric, name, 24);
FIELD(tenon_metric, doc, 32);
FIELD(tenon_metric, options, 40);
FIELD(tenon_metric, start, 48);
FIELD(tenon_metric, add, 56);
FIELD(tenon_metric, value, 64);
FIELD(tenon_metric, release, 72);

SIZE(tenon_metrics, 16);
FIELD(tenon_metrics, struct_size, 0);
FIELD(tenon_metrics, n_metrics, 4);
FIELD(tenon_metrics, metrics, 8);

VALUE(TENON_GROUP_FAST, 1);
VALUE(TENON_GROUP_EMBEDDING, 2);
VALUE(TENON_GROUP_NO_DECAY, 4);

SIZE(tenon_group, 32);
FIELD(tenon_group, struct_size, 0);
FIELD(tenon_group, flags, 4);
FIELD(tenon_group, learning_rate, 8);
FIELD(tenon_group, weight_decay, 16);
FIELD(tenon_group, down, 24);
FIELD(tenon_group, reserved, 28);

SIZE(tenon_groups, 16);
FIELD(tenon_groups, struct_size, 0);
FIELD(tenon_groups, reserved, 4);
FIELD(tenon_groups, group, 8);

SIZE(tenon_target, 32);
FIELD(tenon_target, model_type, 0);
FIELD(tenon_target, names, 8);
FIELD(tenon_target, expression, 16);
FIELD(tenon_target, n_names, 24);
FIELD(tenon_target, reserved, 28);

SIZE(tenon_targets, 16);
FIELD(tenon_targets, struct_size, 0);
FIELD(tenon_targets, n_targets, 4);
FIELD(tenon_targets, targets, 8);

SIZE(tenon_training_layer, 72);
FIELD(tenon_training_layer, struct_size, 0);
FIELD(tenon_training_layer, n_params, 4);
FIELD(tenon_training_layer, base, 8);
FIELD(tenon_training_layer, setup, 16);
FIELD(tenon_training_layer, layer_type, 24);
FIELD(tenon_training_layer, names, 32);
FIELD(tenon_training_layer, params, 40);
FIELD(tenon_training_layer, gradients, 48);
FIELD(tenon_training_layer, scaling, 56);
FIELD(tenon_training_layer, state, 64);

SIZE(tenon_training_run, 48);
FIELD(tenon_training_run, struct_size, 0);
FIELD(tenon_training_run, n_layers, 4);
FIELD(tenon_training_run, step, 8);
FIELD(tenon_training_run, total_steps, 16);
FIELD(tenon_training_run, adapter, 24);
FIELD(tenon_training_run, layers, 32);
FIELD(tenon_training_run, store, 40);

SIZE(tenon_training, 32);
FIELD(tenon_training, struct_size, 0);
FIELD(tenon_training, reserved, 4);
FIELD(tenon_training, before_step, 8);
FIELD(tenon_training, after_step, 16);
FIELD(tenon_training, regularise, 24);

SIZE(tenon_training_host, 24);
FIELD(tenon_training_host, struct_size, 0);
FIELD(tenon_training_host, reserved, 4);
FIELD(tenon_training_host, keep, 8);
FIELD(tenon_training_host, kept, 16);

VALUE(TENON_NEEDS_DATA, 1);
VALUE(TENON_NEEDS_RANKS, 2);
VALUE(TENON_NEEDS_GRADIENTS, 4);

SIZE(tenon_data_layer, 48);
FIELD(tenon_data_layer, struct_size, 0);
FIELD(tenon_data_layer, n_weights, 4);
FIELD(tenon_data_layer, base, 8);
FIELD(tenon_data_layer, setup, 16);
FIELD(tenon_data_layer, layer_type, 24);
FIELD(tenon_data_layer, weights, 32);
FIELD(tenon_data_layer, scaling, 40);

SIZE(tenon_data_run, 40);
FIELD(tenon_data_run, struct_size, 0);
FIELD(tenon_data_run, n_layers, 4);
FIELD(tenon_data_run, layers, 8);
FIELD(tenon_data_run, setup, 16);
FIELD(tenon_data_run, batches_per_epoch, 24);
FIELD(tenon_data_run, largest_size, 32);

SIZE(tenon_observed, 64);
FIELD(tenon_observed, struct_size, 0);
FIELD(tenon_observed, layer, 4);
FIELD(tenon_observed, batch, 8);
FIELD(tenon_observed, n_inputs, 16);
FIELD(tenon_observed, n_outputs, 20);
FIELD(tenon_observed, inputs, 24);
FIELD(tenon_observed, outputs, 32);
FIELD(tenon_observed, positions, 40);
FIELD(tenon_observed, target, 48);
FIELD(tenon_observed, output_gradients, 56);

SIZE(tenon_data_start, 56);
FIELD(tenon_data_start, struct_size, 0);
FIELD(tenon_data_start, reserved, 4);
FIELD(tenon_data_start, needs, 8);
FIELD(tenon_data_start, begin, 16);
FIELD(tenon_data_start, observe, 24);
FIELD(tenon_data_start, after_batch, 32);
FIELD(tenon_data_start, finish, 40);
FIELD(tenon_data_start, release, 48);

SIZE(tenon_data_start_host, 48);
FIELD(tenon_data_start_host, struct_size, 0);
FIELD(tenon_data_start_host, reserved, 4);
FIELD(tenon_data_start_host, set_parameter, 8);
FIELD(tenon_data_start_host, set_weight, 16);
FIELD(tenon_data_start_host, set_key, 24);
FIELD(tenon_data_start_host, leave_out, 32);
FIELD(tenon_data_start_host, note, 40);

VALUE(TENON_FACTORS_TRANSPOSED, 1);

SIZE(tenon_factor_form, 40);
FIELD(tenon_factor_form, down, 0);
FIELD(tenon_factor_form, up, 8);
FIELD(tenon_factor_form, bias, 16);
FIELD(tenon_factor_form, magnitude, 24);
FIELD(tenon_factor_form, flags, 32);
FIELD(tenon_factor_form, reserved, 36);

VALUE(TENON_START_CHANGES_BASE, 1);
VALUE(TENON_START_FROM_DATA, 2);
VALUE(TENON_START_OF_LAYER, 4);

SIZE(tenon_factor_start, 24);
FIELD(tenon_factor_start, name, 0);
FIELD(tenon_factor_start, table, 8);
FIELD(tenon_factor_start, flags, 16);
FIELD(tenon_factor_start, reserved, 20);

SIZE(tenon_factor_keys, 72);
FIELD(tenon_factor_keys, struct_size, 0);
FIELD(tenon_factor_keys, n_starts, 4);
FIELD(tenon_factor_keys, rank, 8);
FIELD(tenon_factor_keys, alpha, 16);
FIELD(tenon_factor_keys, root, 24);
FIELD(tenon_factor_keys, bias, 32);
FIELD(tenon_factor_keys, magnitude, 40);
FIELD(tenon_factor_keys, dropout, 48);
FIELD(tenon_factor_keys, start, 56);
FIELD(tenon_factor_keys, starts, 64);

VALUE(TENON_FACTORS_GENERAL, 1);

SIZE(tenon_factors, 48);
FIELD(tenon_factors, struct_size, 0);
FIELD(tenon_factors, flags, 4);
FIELD(tenon_factors, n_forms, 8);
FIELD(tenon_factors, n_converted, 12);
FIELD(tenon_factors, forms, 16);
FIELD(tenon_factors, keys, 24);
FIELD(tenon_factors, conversion, 32);
FIELD(tenon_factors, converted, 40);

SIZE(tenon_layer_factors, 16);
FIELD(tenon_layer_factors, struct_size, 0);
FIELD(tenon_layer_factors, reserved, 4);
FIELD(tenon_layer_factors, form, 8);

SIZE(tenon_keys_rules, 16);
FIELD(tenon_keys_rules, struct_size, 0);
FIELD(tenon_keys_rules, reserved, 4);
FIELD(tenon_keys_rules, settle, 8);

SIZE(tenon_keys_host, 32);
FIELD(tenon_keys_host, struct_size, 0);
FIELD(tenon_keys_host, reserved, 4);
FIELD(tenon_keys_host, refuse, 8);
FIELD(tenon_keys_host, set, 16);
FIELD(tenon_keys_host, refuse_word, 24);
