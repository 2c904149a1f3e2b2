#include "plugin/table_faults.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tenon/cpp/names.hpp>

#include "base/printable.h"
#include "plugin/declared_options.h"
#include "plugin/factors.h"
#include "plugin/host_keys.h"
#include "plugin/option_faults.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

constexpr tenon_layer_flags kLayerFlags =
    TENON_LAYER_ROWS | TENON_LAYER_RESIZES | TENON_LAYER_BESIDE;
constexpr tenon_method_flags kMethodFlags = TENON_METHOD_EXCLUDES | TENON_METHOD_LAYERS |
                                            TENON_METHOD_BIASES | TENON_METHOD_PARAMETERS |
                                            TENON_METHOD_TOKENS | TENON_METHOD_TIES;

std::string quoted(const char* text) { return "`" + printable_excerpt(text, 80) + "`"; }

bool is_line(const char* text) { return text == nullptr || names::is_line(text); }

template <typename Extension, typename Table>
const Extension* factors_of(const Table& table, const Table* self, const std::string& name) {
  if (table.extension == nullptr) return nullptr;
  const RunningPlugin running(name.c_str(), "extension");
  return static_cast<const Extension*>(table.extension(self, TENON_FACTORS));
}

std::string find_layer_fault(const tenon_layer_type* table) {
  if (table == nullptr || table->struct_size < sizeof(tenon_layer_type)) {
    return "a layer type is missing or too small";
  }
  const tenon_layer_type type = read_sized(*table);
  if (type.id == nullptr || type.method == nullptr || type.base_types == nullptr) {
    return "a layer type has no id, method or base types";
  }
  if (!names::is_id(type.id)) {
    return "the layer type's id " + quoted(type.id) +
           " is not lower case letters and digits, joined by . - or _, with one dot at least";
  }
  const std::string id = type.id;
  if (!names::is_method(type.method)) {
    return id + ": its method " + quoted(type.method) +
           " is not lower case letters, digits and _, a letter first";
  }
  if (!names::are_types(type.base_types)) {
    return id + ": " + quoted(type.base_types) +
           " is no type name; write \"torch.nn.Linear\" or \"*.MyScale\", and `;` between several";
  }
  if (!is_line(type.title) || !is_line(type.doc)) {
    return id + ": its title or doc is not one line of text";
  }
  if ((type.flags & ~kLayerFlags) != 0) return id + " has flags that this Tenon does not know";
  if (type.add_adapter == nullptr) return id + " has no add_adapter";
  if (type.forward == nullptr && type.merged_weight == nullptr) {
    return id + " has neither forward nor merged_weight";
  }
  if (const auto problem = check_declarations(type.options, type.n_options)) {
    return id + ": " + *problem;
  }
  const std::string fault = factors_fault(factors_of<tenon_layer_factors>(type, table, id));
  return fault.empty() ? "" : id + ": " + fault;
}

// The name of a declared key that is the host's, also one that it had formerly; "" if it has none.
std::string host_key_of(const DeclaredOption& key) {
  std::string found;
  const auto look_for = [&](std::string_view taken) {
    if (is_option_key({&key, 1}, std::string(taken))) found = taken;
  };
  std::ranges::for_each(kHostKeys, look_for);
  std::ranges::for_each(kFileKeys, look_for);
  return found;
}

std::string find_method_fault(const tenon_method* table) {
  if (table == nullptr || table->struct_size < sizeof(tenon_method) || table->name == nullptr) {
    return "a method is missing, too small or has no name";
  }
  const tenon_method method = read_sized(*table);
  if (!names::is_method(method.name)) {
    return "the method's name " + quoted(method.name) +
           " is not lower case letters, digits and _, a letter first";
  }
  const std::string name = "method " + std::string(method.name);
  if (method.peft_type != nullptr && !names::is_peft_type(method.peft_type)) {
    return name + ": its peft_type " + quoted(method.peft_type) +
           " is not upper case letters, digits and _";
  }
  if (!is_line(method.doc)) return name + ": its doc is not one line of text";
  if ((method.flags & ~kMethodFlags) != 0) return name + " has flags that this Tenon does not know";
  if (const auto problem = check_declarations(method.keys, method.n_keys)) {
    return name + ": " + *problem;
  }
  const std::vector<DeclaredOption> keys = read_declarations(method.keys, method.n_keys);
  for (const DeclaredOption& key : keys) {
    if (const std::string taken = host_key_of(key); !taken.empty()) {
      return name + ": its key `" + taken + "` is one of the host's own";
    }
  }
  const std::string fault = factors_fault(factors_of<tenon_factors>(method, table, name), keys);
  return fault.empty() ? "" : name + ": " + fault;
}

std::string find_head_fault(const tenon_plugin& plugin, const tenon_stamp& stamp) {
  if (plugin.abi_major != stamp.abi_major || plugin.abi_minor != stamp.abi_minor) {
    return "its version differs from its stamp's";
  }
  if (plugin.id == nullptr || std::string_view(plugin.id) != stamp.id) {
    return "its id differs from its stamp's";
  }
  if (plugin.version == nullptr || std::string_view(plugin.version) != stamp.version) {
    return "its version is " + (plugin.version == nullptr ? "missing" : quoted(plugin.version)) +
           " in the table and " + quoted(stamp.version) + " in the stamp";
  }
  if (plugin.min_host_minor != stamp.min_host_minor) {
    return "its min_host_minor differs between table and stamp";
  }
  if (plugin.sdk_version == nullptr || plugin.compiler == nullptr) {
    return "sdk_version and compiler are missing; use TENON_PLUGIN, or set them in C";
  }
  if (!is_line(plugin.vendor) || !is_line(plugin.license)) {
    return "its vendor or license is not one line of text";
  }
  constexpr tenon_stamp_kind kObjectives = TENON_STAMP_LOSSES | TENON_STAMP_METRICS;
  if ((plugin.n_layer_types + plugin.n_methods == 0 && (stamp.kind & kObjectives) == 0) ||
      (plugin.n_layer_types > 0 && plugin.layer_types == nullptr) ||
      (plugin.n_methods > 0 && plugin.methods == nullptr)) {
    return "it offers no layer types and no methods";
  }
  const bool has_layers = (stamp.kind & TENON_STAMP_LAYERS) != 0;
  const bool has_methods = (stamp.kind & TENON_STAMP_METHODS) != 0;
  if (has_layers != (plugin.n_layer_types > 0) || has_methods != (plugin.n_methods > 0)) {
    return "it offers other kinds of things than its stamp says";
  }
  return "";
}

}  // namespace

std::string find_table_fault(const tenon_plugin& table, const tenon_stamp& stamp) {
  if (table.struct_size < sizeof(tenon_plugin)) return "it is too small";
  const tenon_plugin plugin = read_sized(table);
  std::string fault = find_head_fault(plugin, stamp);
  std::set<std::string> ids;
  for (std::uint32_t i = 0; i < plugin.n_layer_types && fault.empty(); ++i) {
    fault = find_layer_fault(plugin.layer_types[i]);
    if (fault.empty() && !ids.insert(plugin.layer_types[i]->id).second) {
      fault = std::string("it has two layer types `") + plugin.layer_types[i]->id + "`";
    }
  }
  std::set<std::string> methods;
  for (std::uint32_t i = 0; i < plugin.n_methods && fault.empty(); ++i) {
    fault = find_method_fault(plugin.methods[i]);
    if (fault.empty() && !methods.insert(plugin.methods[i]->name).second) {
      fault = std::string("it has two methods `") + plugin.methods[i]->name + "`";
    }
  }
  return fault;
}

}  // namespace tenon
