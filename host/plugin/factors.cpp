#include "plugin/factors.h"

#include <algorithm>
#include <initializer_list>
#include <tenon/cpp/names.hpp>
#include <utility>

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

}  // namespace

FactorForm::FactorForm(const tenon_factor_form& form)
    : down(form.down),
      up(form.up),
      bias(text_or_empty(form.bias)),
      magnitude(text_or_empty(form.magnitude)),
      transposed((form.flags & TENON_FACTORS_TRANSPOSED) != 0) {}

Factors::Factors(const tenon_factors& table) : forms_(table.forms, table.forms + table.n_forms) {}

const FactorForm& Factors::form(bool transposed) const {
  const auto found = std::ranges::find(forms_, transposed, &FactorForm::transposed);
  return found == forms_.end() ? forms_.front() : *found;
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

std::string factors_fault(const tenon_factors* table) {
  if (table == nullptr) return "";
  if (table->struct_size < sizeof(tenon_factors) || table->n_forms == 0 ||
      table->forms == nullptr) {
    return "its factors are missing or too small";
  }
  for (std::uint32_t i = 0; i < table->n_forms; ++i) {
    const std::string fault = form_fault(table->forms[i]);
    if (!fault.empty()) return fault;
  }
  return "";
}

std::string factors_fault(const tenon_layer_factors* table) {
  if (table == nullptr) return "";
  if (table->struct_size < sizeof(tenon_layer_factors) || table->form == nullptr) {
    return "its factors are missing or too small";
  }
  return form_fault(*table->form);
}

}  // namespace tenon
