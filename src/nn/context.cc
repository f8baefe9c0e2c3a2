#include "nn/context.h"

namespace lyceum {

Parameter* ParameterList::add(Parameter p) {
  ensure(!find(p.name), "parameters", p.name, " is declared twice");
  list_.push_back(std::make_unique<Parameter>(std::move(p)));
  return list_.back().get();
}

Parameter* ParameterList::matrix(std::string name, Shape shape, int64_t parts) {
  return add(Parameter::make(std::move(name), shape, weights_, Parameter::Order::kPacked, parts));
}

Parameter* ParameterList::matrix_f32(std::string name, Shape shape) {
  Parameter p = Parameter::make(std::move(name), shape, DType::kF32, Parameter::Order::kPacked);
  p.is_matrix = false;
  return add(std::move(p));
}

Parameter* ParameterList::table(std::string name, Shape shape) {
  Parameter p = Parameter::make(std::move(name), shape, weights_, Parameter::Order::kPlain);
  p.is_matrix = false;
  return add(std::move(p));
}

Parameter* ParameterList::vector(std::string name, int64_t width) {
  return vectors(std::move(name), {width});
}

Parameter* ParameterList::vectors(std::string name, Shape shape) {
  Parameter p = Parameter::make(std::move(name), shape, DType::kF32, Parameter::Order::kPlain);
  p.is_matrix = false;
  p.decay = false;
  return add(std::move(p));
}

Parameter* ParameterList::buffer(std::string name, Shape shape, DType type) {
  Parameter p = Parameter::make(std::move(name), shape, type, Parameter::Order::kPlain);
  p.is_matrix = p.decay = p.trained = false;
  return add(std::move(p));
}

std::vector<Parameter*> ParameterList::all() const {
  std::vector<Parameter*> out;
  for (const auto& p : list_) out.push_back(p.get());
  return out;
}

Parameter* ParameterList::find(const std::string& name) const {
  for (const auto& p : list_)
    if (p->name == name) return p.get();
  return nullptr;
}

}  // namespace lyceum
