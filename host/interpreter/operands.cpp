#include "interpreter/operands.h"

#include <ATen/ScalarOps.h>

#include <stdexcept>

namespace tenon {
namespace {

c10::TypePtr without_optional(c10::TypePtr type) {
  if (const auto optional = type->cast<c10::OptionalType>()) return optional->getElementType();
  return type;
}

bool is_number(const c10::IValue& value) {
  return value.isInt() || value.isDouble() || value.isBool();
}

at::Tensor wrapped_number(const c10::IValue& value) {
  return at::native::wrapped_scalar_tensor(value.toScalar());
}

// What the exporter wrote as numbers, as the schema wants it.
c10::IValue convert_number(const c10::IValue& value, const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return wrapped_number(value);
    case c10::TypeKind::FloatType:
      return value.toScalar().toDouble();
    case c10::TypeKind::BoolType:
      return value.toScalar().toBool();
    case c10::TypeKind::ListType:
      if (type->castRaw<c10::ListType>()->getElementType()->kind() == c10::TypeKind::FloatType) {
        return c10::List<double>({value.toScalar().toDouble()});
      }
      return c10::List<std::int64_t>({value.toScalar().toLong()});
    default:
      return value;
  }
}

c10::IValue convert_list(const c10::IValue& value, const c10::TypePtr& type) {
  if (type->kind() != c10::TypeKind::ListType) {
    throw std::invalid_argument("a list where " + type->str() + " is wanted");
  }
  const auto item_type = type->castRaw<c10::ListType>()->getElementType();
  const bool wants_floats = item_type->kind() == c10::TypeKind::FloatType;
  if (wants_floats && value.isIntList()) {
    c10::List<double> list;
    for (const std::int64_t item : value.toIntVector()) list.push_back(static_cast<double>(item));
    return list;
  }
  // An empty list has no type of its own in the file.
  if (value.toListRef().empty()) return c10::impl::GenericList(item_type);
  return value;
}

c10::IValue convert_constant(const c10::IValue& value, const c10::TypePtr& type) {
  if (is_number(value)) return convert_number(value, type);
  if (value.isList()) return convert_list(value, type);
  return value;
}

bool fits_list(const c10::IValue& value, const c10::TypePtr& item_type) {
  switch (item_type->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return value.isIntList();
    case c10::TypeKind::FloatType:
      return value.isDoubleList();
    case c10::TypeKind::BoolType:
      return value.isBoolList();
    case c10::TypeKind::TensorType:
      return value.isTensorList();
    default:
      return value.isList();
  }
}

// LibTorch takes what it is given for what its schema says.
bool fits(const c10::IValue& value, const c10::TypePtr& full_type) {
  if (value.isNone()) return full_type->kind() == c10::TypeKind::OptionalType;
  const c10::TypePtr type = without_optional(full_type);
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return value.isTensor();
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return value.isInt();
    case c10::TypeKind::FloatType:
      return value.isDouble();
    case c10::TypeKind::BoolType:
      return value.isBool();
    case c10::TypeKind::NumberType:
      return is_number(value) || value.isComplexDouble();
    case c10::TypeKind::StringType:
      return value.isString();
    case c10::TypeKind::DeviceObjType:
      return value.isDevice();
    case c10::TypeKind::ListType:
      return fits_list(value, type->castRaw<c10::ListType>()->getElementType());
    default:
      return true;
  }
}

template <typename T, typename Convert>
c10::IValue build_list(const std::vector<Operand>& items, Frame& frame, Convert convert) {
  c10::List<T> list;
  list.reserve(items.size());
  for (const Operand& item : items) list.push_back(convert(item.read(frame)));
  return list;
}

c10::IValue read_list(const Operand& operand, Frame& frame) {
  switch (operand.item_type->kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return build_list<std::int64_t>(operand.items, frame,
                                      [](const c10::IValue& v) { return v.toScalar().toLong(); });
    case c10::TypeKind::FloatType:
      return build_list<double>(operand.items, frame,
                                [](const c10::IValue& v) { return v.toScalar().toDouble(); });
    case c10::TypeKind::BoolType:
      return build_list<bool>(operand.items, frame,
                              [](const c10::IValue& v) { return v.toScalar().toBool(); });
    case c10::TypeKind::TensorType:
      return build_list<at::Tensor>(operand.items, frame,
                                    [](c10::IValue v) { return std::move(v).toTensor(); });
    case c10::TypeKind::OptionalType:
      return build_list<std::optional<at::Tensor>>(operand.items, frame, [](c10::IValue v) {
        return std::move(v).toOptional<at::Tensor>();
      });
    default: {
      c10::impl::GenericList list(operand.item_type);
      for (const Operand& item : operand.items) list.push_back(item.read(frame));
      return list;
    }
  }
}

c10::IValue convert_slot(Operand::Conversion conversion, c10::IValue value) {
  switch (conversion) {
    case Operand::Conversion::kToDouble:
      return value.toScalar().toDouble();
    case Operand::Conversion::kToTensor:
      return value.isTensor() ? std::move(value) : c10::IValue(wrapped_number(value));
    case Operand::Conversion::kNone:
      break;
  }
  return value;
}

Operand::Conversion slot_conversion(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::FloatType) return Operand::Conversion::kToDouble;
  if (type->kind() == c10::TypeKind::TensorType) return Operand::Conversion::kToTensor;
  return Operand::Conversion::kNone;
}

Operand value_operand(ValueId id, const ValuePlaces& places) {
  Operand operand;
  const std::int32_t slot = places.slots[static_cast<std::size_t>(id)];
  if (slot < 0) {
    operand.constant = places.fixed[static_cast<std::size_t>(id)];
  } else {
    operand.kind = Operand::Kind::kSlot;
    operand.slot = slot;
  }
  return operand;
}

}  // namespace

c10::IValue Operand::read(Frame& frame) const {
  switch (kind) {
    case Kind::kConstant:
      return constant;
    case Kind::kSlot:
      if (conversion == Conversion::kNone) return frame.slots[static_cast<std::size_t>(slot)];
      return convert_slot(conversion, frame.slots[static_cast<std::size_t>(slot)]);
    case Kind::kLastUse:
      return convert_slot(conversion, std::move(frame.slots[static_cast<std::size_t>(slot)]));
    case Kind::kList:
      return read_list(*this, frame);
    case Kind::kTraining:
      return frame.mode.training;
    case Kind::kBatchNormTraining:
      return frame.mode.training && frame.mode.batch_norm_training;
    case Kind::kDropoutProbability:
      return frame.mode.training ? constant : c10::IValue(0.0);
  }
  return {};
}

Operand make_operand(const Argument& argument, const c10::TypePtr& full_type,
                     const ValuePlaces& places) {
  const c10::TypePtr type = without_optional(full_type);
  Operand operand;
  if (const auto* id = std::get_if<ValueId>(&argument.value)) {
    operand = value_operand(*id, places);
    if (operand.kind == Operand::Kind::kConstant) {
      operand.constant = convert_constant(operand.constant, type);
    } else {
      operand.conversion = slot_conversion(type);
    }
  } else if (const auto* constant = std::get_if<c10::IValue>(&argument.value)) {
    operand.constant = convert_constant(*constant, type);
  } else if (const auto* list = std::get_if<Argument::List>(&argument.value)) {
    if (type->kind() != c10::TypeKind::ListType) {
      throw std::invalid_argument("a list where " + type->str() + " is wanted");
    }
    operand.kind = Operand::Kind::kList;
    operand.item_type = type->castRaw<c10::ListType>()->getElementType();
    for (const Argument& item : list->items) {
      operand.items.push_back(make_operand(item, operand.item_type, places));
    }
  } else if (std::holds_alternative<std::shared_ptr<Graph>>(argument.value)) {
    throw std::invalid_argument("a graph where " + type->str() + " is wanted");
  }
  if (operand.kind == Operand::Kind::kConstant && !fits(operand.constant, full_type)) {
    throw std::invalid_argument(operand.constant.tagKind() + " where " + full_type->str() +
                                " is wanted");
  }
  return operand;
}

Operand make_untyped_operand(const Argument& argument, const ValuePlaces& places) {
  if (const auto* id = std::get_if<ValueId>(&argument.value)) return value_operand(*id, places);
  Operand operand;
  if (const auto* constant = std::get_if<c10::IValue>(&argument.value)) {
    operand.constant = *constant;
  } else if (const auto* list = std::get_if<Argument::List>(&argument.value)) {
    operand.kind = Operand::Kind::kList;
    operand.item_type = c10::AnyType::get();
    for (const Argument& item : list->items) {
      operand.items.push_back(make_untyped_operand(item, places));
    }
  }
  return operand;
}

void for_each_slot(Operand& operand, const std::function<void(Operand&)>& visit) {
  if (operand.kind == Operand::Kind::kSlot) visit(operand);
  for (Operand& item : operand.items) for_each_slot(item, visit);
}

}  // namespace tenon
