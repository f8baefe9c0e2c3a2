// How unevenly a trained router loads its experts: tokens that each expert of a middle layer got of held-out
// text, from two small models (d_model 128, 3 layers, 400 steps of 4096 tokens, the default balance loss).
// The busiest of 32 experts got 2.81 times the mean (top 4), the busiest of 64 2.55 times (top 8).
//
// Again, after ./quickstart, for 32 experts; with --model.n_experts=64 --model.top_k=8 for 64:
//   Q=runs/quickstart/data; build/lyceum train recipes/olmoe-small.toml --train.folder=runs/loads
//     --data.train="[$Q/tokens/train]" --data.held_out="[$Q/tokens/heldout]" --data.tokenizer=$Q/tokenizer
//     --data.sequence_length=256 --model.vocab=0 --model.d_model=128 --model.n_layers=3 --model.n_heads=2
//     --model.d_ff=32 --optimizer.lr=3e-3 --schedule.warmup_steps=40 --train.steps=400 --train.micro_batch=16
//   build/lyceum analyze runs/loads --data $Q/heldout --tokens 342 --window 342 --json loads.json
// The counts are routing.layers[1].load of loads.json times the mean.
#pragma once

#include <cstdint>
#include <vector>

namespace lyceum::bench {

inline constexpr int32_t kLoadsOf32[] = {377, 602, 602, 463, 725,  61,  427, 110, 341, 714, 93,
                                         402, 594, 990, 744, 600,  345, 660, 894, 515, 826, 759,
                                         210, 414, 993, 363, 1562, 352, 626, 141, 770, 509};
inline constexpr int32_t kLoadsOf64[] = {224,  306, 762, 515, 150, 397, 576,  660, 610,  1165, 323, 625, 510,
                                         890,  535, 483, 351, 372, 604, 917,  892, 276,  764,  313, 345, 269,
                                         1215, 288, 465, 715, 251, 648, 475,  390, 211,  384,  252, 334, 993,
                                         520,  418, 993, 82,  785, 245, 1417, 355, 623,  921,  926, 883, 792,
                                         482,  376, 348, 820, 366, 418, 276,  686, 1098, 318,  827, 138};

// Slots by expert, [n_experts + 1] offsets: `slots` shared out as the recorded tokens are. Up to 45 experts
// take the shares of the 32, more take those of the 64; fewer experts than recorded take every so many-th,
// more take them again from the first. One takes all.
std::vector<int32_t> recorded_offsets(int64_t n_experts, int64_t slots);

}  // namespace lyceum::bench
