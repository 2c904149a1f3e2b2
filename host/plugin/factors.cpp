#include "plugin/factors.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <tenon/cpp/names.hpp>
#include <utility>

#include "plugin/sized_struct.h"

namespace tenon {
namespace {

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

std::string form_fault(const tenon_factor_form& form) {
  if (form.down == nullptr || form.up == nullptr) return "a pair of factors has no names";
  for (const char* name : {form.down, form.up, form.bias, form.magnitude}) {
    if (name != nullptr && !names::is_parameter(name)) {
      return "a factor is not named by parts joined by single dots";
    }
  }
  if ((form.flags & ~TENON_FACTORS_TRANSPOSED) != 0 || form.reserved != 0) {
    return "a pair of factors has flags that this Tenon does not know";
  }
  return "";
}

std::string keys_fault(const tenon_factor_keys* keys, std::span<const DeclaredOption> declared) {
  if (keys == nullptr || keys->struct_size < sizeof(tenon_factor_keys) || keys->rank == nullptr ||
      keys->alpha == nullptr || (keys->n_starts > 0 && keys->starts == nullptr)) {
    return "the keys of its factors are missing or too small";
  }
  const auto fault_of = [&](const char* key, tenon_option_types types) -> std::string {
    if (key == nullptr) return "";
    const auto found = std::ranges::find(declared, std::string_view(key), &DeclaredOption::key);
    if (found == declared.end()) return "its factors name `" + std::string(key) + "`, no key of it";
    const bool fits = (found->types & types) != 0 && (found->types & ~types) == 0;
    return fits ? "" : "its key `" + std::string(key) + "` is of no type that its factors have";
  };
  constexpr tenon_option_types kNumber = TENON_OPTION_INT | TENON_OPTION_DOUBLE;
  std::vector<std::pair<const char*, tenon_option_types>> all = {
      {keys->rank, TENON_OPTION_INT},
      {keys->alpha, kNumber},
      {keys->root, TENON_OPTION_BOOL},
      {keys->bias, TENON_OPTION_BOOL},
      {keys->magnitude, TENON_OPTION_BOOL},
      {keys->dropout, kNumber},
      {keys->start, TENON_OPTION_BOOL | TENON_OPTION_STRING}};
  for (std::uint32_t i = 0; i < keys->n_starts; ++i) {
    const tenon_factor_start& start = keys->starts[i];
    const tenon_factor_start_flags known =
        TENON_START_CHANGES_BASE | TENON_START_FROM_DATA | TENON_START_OF_LAYER;
    if (start.name == nullptr || (start.flags & ~known) != 0 || start.reserved != 0) {
      return "a start of its factors has no name, or flags that this Tenon does not know";
    }
    all.emplace_back(start.table, TENON_OPTION_TABLE);
  }
  for (const auto& [key, types] : all) {
    const std::string fault = fault_of(key, types);
    if (!fault.empty()) return fault;
  }
  return "";
}

}  // namespace

FactorForm::FactorForm(const tenon_factor_form& form)
    : down(form.down),
      up(form.up),
      bias(text_or_empty(form.bias)),
      magnitude(text_or_empty(form.magnitude)),
      transposed((form.flags & TENON_FACTORS_TRANSPOSED) != 0) {}

Factors::Factors(const tenon_factors& table)
    : forms_(table.forms, table.forms + table.n_forms),
      keys_{table.keys->rank,
            table.keys->alpha,
            text_or_empty(table.keys->root),
            text_or_empty(table.keys->bias),
            text_or_empty(table.keys->magnitude),
            text_or_empty(table.keys->dropout),
            text_or_empty(table.keys->start)},
      are_general_((table.flags & TENON_FACTORS_GENERAL) != 0) {
  const tenon_factors full = read_sized(table);
  conversion_ = text_or_empty(full.conversion);
  converted_.assign(full.converted, full.converted + full.n_converted);
  for (std::uint32_t i = 0; i < table.keys->n_starts; ++i) {
    const tenon_factor_start& start = table.keys->starts[i];
    starts_.push_back(
        {start.name, text_or_empty(start.table), (start.flags & TENON_START_CHANGES_BASE) != 0,
         (start.flags & TENON_START_FROM_DATA) != 0, (start.flags & TENON_START_OF_LAYER) != 0});
  }
}

const FactorForm& Factors::form(bool transposed) const {
  const auto found = std::ranges::find(forms_, transposed, &FactorForm::transposed);
  return found == forms_.end() ? forms_.front() : *found;
}

std::string Factors::conversion_of(const std::string& peft_type) const {
  return std::ranges::count(converted_, peft_type) > 0 ? conversion_ : "";
}

std::optional<Factors::Name> Factors::find(std::string_view key) const {
  for (const FactorForm& form : forms_) {
    for (const auto& [name, part] :
         {std::pair(&form.down, FactorPart::kDown), std::pair(&form.up, FactorPart::kUp),
          std::pair(&form.bias, FactorPart::kBias),
          std::pair(&form.magnitude, FactorPart::kMagnitude)}) {
      if (name->empty() || key.size() <= name->size() + 1 || !key.ends_with(*name)) continue;
      const std::size_t dot = key.size() - name->size() - 1;
      if (key[dot] == '.') return Name{std::string(key.substr(0, dot)), &form, part};
    }
  }
  return std::nullopt;
}

std::string factors_fault(const tenon_factors* table, std::span<const DeclaredOption> declared) {
  if (table == nullptr) return "";
  if (table->struct_size < offsetof(tenon_factors, conversion) || table->n_forms == 0 ||
      table->forms == nullptr) {
    return "its factors are missing or too small";
  }
  for (std::uint32_t i = 0; i < table->n_forms; ++i) {
    const std::string fault = form_fault(table->forms[i]);
    if (!fault.empty()) return fault;
  }
  if ((table->flags & ~TENON_FACTORS_GENERAL) != 0) {
    return "its factors have flags that this Tenon does not know";
  }
  const tenon_factors full = read_sized(*table);
  if (full.n_converted > 0 && (full.conversion == nullptr || full.converted == nullptr)) {
    return "its factors count types that are converted to it, and do not say which or how";
  }
  return keys_fault(table->keys, declared);
}

std::string factors_fault(const tenon_layer_factors* table) {
  if (table == nullptr) return "";
  if (table->struct_size < sizeof(tenon_layer_factors) || table->form == nullptr) {
    return "its factors are missing or too small";
  }
  return form_fault(*table->form);
}

}  // namespace tenon
