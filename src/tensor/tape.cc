#include "tensor/tape.h"

#include <chrono>
#include <cstring>

#include "kernels/rowwise.h"
#include "tensor/parameter.h"

namespace lyceum {

Profile::Row& Profile::row(const char* op) {
  for (Row& r : rows)
    if (r.op == op) return r;
  rows.push_back({op});
  return rows.back();
}

double Tape::Span::now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Tape::Span::close() {
  Profile::Row& row = profile_->row(op_);
  ++row.calls;
  row.forward_seconds += now() - begin_;
  row.forward_flops += flops_;
}

double* Tape::squares_of(Parameter& p) const { return completes_gradients_ ? &p.squares : nullptr; }

Tape::Target Tape::accumulating(const Tensor& x) {
  Tensor::Body*& gradient = x.body_->gradient;
  if (!gradient) {
    Tensor fresh(x.shape(), x.type());
    gradient = std::exchange(fresh.body_, nullptr);
    ++gradient->uses;
    return {Tensor(gradient), false};
  }
  if (gradient->uses > 1) {  // shared with another tensor's gradient: copy on write
    Tensor copy(x.shape(), x.type());
    std::memcpy(copy.data(), gradient->memory, copy.bytes());
    --gradient->uses;
    gradient = std::exchange(copy.body_, nullptr);
  }
  ++gradient->uses;
  return {Tensor(gradient), true};
}

void Tape::pass(const Tensor& x, const Tensor& g) {
  ensure(x.elements() == g.elements() && x.type() == g.type(), "tape", "a gradient of ", g.shape().text(),
         " ", dtype_name(g.type()), " for a tensor of ", x.shape().text(), " ", dtype_name(x.type()));
  if (!x.body_->gradient) {
    x.body_->gradient = g.body_;
    ++g.body_->uses;
    return;
  }
  const Target target = accumulating(x);
  kernels::accumulate(g.elements(), g.data(), g.type(), target.buffer.data(), target.buffer.type());
}

Tensor Tape::take(const Tensor& y) { return Tensor(std::exchange(y.body_->gradient, nullptr)); }

void Tape::backward() {
  ensure(recording_, "tape", "backward() of a tape that does not record");
  recording_ = false;  // closures run kernels only
  while (!nodes_.empty()) {
    const Node node = nodes_.back();
    nodes_.pop_back();
    struct Guard {  // the closure dies even if it throws: its tensors must go back
      const Node& node;
      ~Guard() { node.destroy(node.closure); }
    } guard{node};
    const double begin = profile_ ? Span::now() : 0;
    node.run(node.closure);
    if (profile_) {
      Profile::Row& row = profile_->row(node.op);
      row.backward_seconds += Span::now() - begin;
      row.backward_flops += node.flops;
    }
  }
  recording_ = true;
  clear();
}

void Tape::clear() {
  while (!nodes_.empty()) {
    nodes_.back().destroy(nodes_.back().closure);
    nodes_.pop_back();
  }
  chunk_ = used_ = 0;
}

std::vector<const char*> Tape::ops() const {
  std::vector<const char*> names;
  for (const Node& n : nodes_) names.push_back(n.op);
  return names;
}

void* Tape::arena(size_t bytes, size_t alignment) {
  constexpr size_t kChunk = size_t{1} << 16;
  ensure(bytes <= kChunk && alignment <= 64, "tape", "a closure of ", bytes, " bytes");
  used_ = (used_ + alignment - 1) / alignment * alignment;
  if (chunk_ < chunks_.size() && used_ + bytes > kChunk) ++chunk_, used_ = 0;
  if (chunk_ == chunks_.size())
    chunks_.emplace_back(Shape{static_cast<int64_t>(kChunk)}, DType::kU8), used_ = 0;
  void* p = static_cast<char*>(chunks_[chunk_].data()) + used_;
  used_ += bytes;
  return p;
}

}  // namespace lyceum
