#include "app/plugin_pages.h"

#include <algorithm>
#include <sstream>

#include "base/suggest.h"
#include "plugin/declared_options.h"

namespace tenon {
namespace {

// A text in a cell of a table.
std::string in_cell(const std::string& text) {
  std::string out;
  for (const char each : text) {
    if (each == '|') out += '\\';
    out += each == '\n' ? ' ' : each;
  }
  return out;
}

std::string in_code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

std::string names_in_code(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  all.reserve(names.size());
  for (const std::string& name : names) all.push_back(in_code(name));
  return join(all);
}

// The keys of a table stand behind it: `eva_config.rho`.
void add_rows(std::ostringstream& out, const std::vector<DeclaredOption>& options,
              const std::string& before) {
  for (const DeclaredOption& option : options) {
    if (!option.is_settable()) continue;
    const bool is_table = !option.fields.empty() && (option.types & TENON_OPTION_TABLE) != 0;
    const std::string fallback = option.required ? "required"
                                 : is_table      ? ""
                                                 : in_code(option_text(option.initial));
    out << "| " << in_code(before + option.key) << " | " << in_cell(option.type_text()) << " | "
        << in_cell(fallback) << " | " << in_cell(option.help) << " |\n";
    if (is_table) add_rows(out, option.fields, before + option.key + ".");
  }
}

void add_options(std::ostringstream& out, const std::vector<DeclaredOption>& options) {
  if (std::ranges::none_of(options, &DeclaredOption::is_settable)) return;
  out << "\n| key | type | default | what it is |\n|---|---|---|---|\n";
  add_rows(out, options, "");
}

void add_page(std::ostringstream& out, const PluginInfo& plugin) {
  out << "\n## " << plugin.id << "\n`" << plugin.path.filename().string() << "`, version "
      << plugin.version << "\n";
  for (const Method& method : plugin.methods) {
    out << "\n**Method `" << method.name() << "`"
        << (method.is_in_peft() ? " (PEFT: " + method.peft_type() + ")" : "")
        << "**: " << method.doc() << "\n";
    add_options(out, method.keys());
  }
  for (const LayerType& type : plugin.layer_types) {
    out << "\n**Layer type `" << type.id() << "`**, " << type.method() << " on "
        << names_in_code(type.base_types()) << ": " << type.doc() << "\n";
    add_options(out, type.options());
  }
  for (const PluginLoss& loss : plugin.losses) {
    out << "\n**Loss `" << loss.name() << "`**: " << loss.doc() << "\n";
    add_options(out, loss.options());
  }
  for (const PluginMetric& metric : plugin.metrics) {
    out << "\n**Metric `" << metric.name() << "`**: " << metric.doc() << "\n";
    add_options(out, metric.options());
  }
}

}  // namespace

std::string plugin_pages(const PluginRegistry& plugins) {
  std::vector<const PluginInfo*> loaded = plugins.plugins();
  std::erase_if(loaded, [](const PluginInfo* plugin) { return !plugin->is_loaded; });
  std::ranges::sort(loaded, {}, &PluginInfo::id);
  std::ostringstream out;
  out << "# Plugins, as they describe themselves\n\n<!-- written by: tenon plugins --markdown "
         "-->\n";
  for (const PluginInfo* plugin : loaded) add_page(out, *plugin);
  return out.str();
}

}  // namespace tenon
