// What the attention kernels of the instruction sets share: single-threaded parts of one call, cut by
// attention.cc. Included by files compiled with ISA flags: pointers and plain structs only.
#pragma once

#include "kernels/attention.h"
#include "kernels/isa.h"

namespace lyceum::kernels {

struct AttentionCall {
  const AttentionShape* shape;
  ConstRows q, k, v;
  Rows out;
  float* logsumexp;  // read by the gradient
  ConstRows dout;
  Rows dq, dk, dv;
  float* dsinks_of;  // nullable [sequences, n_heads]: each sequence's share, written
  float* dbias_of;   // nullable [sequences, n_heads, bias_span]: likewise
};

// Queries [q_begin, q_end), counted from the start of the sequence, of all query heads of one key head. The
// gradient takes whole sequences.
struct AttentionPart {
  int64_t sequence, kv_head, q_begin, q_end;
};

struct AttentionTable {
  bool pairs;  // wants q, k, v, dout in bf16 with even head widths
  int64_t (*forward_bytes)(const AttentionShape& shape, int64_t queries);  // of scratch, 64-byte aligned
  void (*forward)(const AttentionCall& call, const AttentionPart& part, char* scratch);
  int64_t (*gradient_bytes)(const AttentionShape& shape, int64_t queries, int64_t keys);
  void (*gradient)(const AttentionCall& call, const AttentionPart& part, char* scratch);
};

extern const AttentionTable kAttentionAvx2, kAttentionAvx512, kAttentionAvx512Bf16, kAttentionAmx,
    kAttentionAmxEmulated;

// Whose table a call takes at the level in force; `pairs`: all rows are bf16 and the head widths even.
Isa attention_isa(bool pairs);

void attention_reference(const AttentionCall& call);
void attention_gradient_reference(const AttentionCall& call);

}  // namespace lyceum::kernels
