#!/usr/bin/env python3
"""One training step of OLMoE, Lyceum and PyTorch in turns: same shape, same tokens, both cores, AdamW.

usage: bench/peers/torch_step.py [--shape small|layer] [--micro-batches 8] [--rounds 3] [--variants NAME,...]

A step is --micro-batches forward and backward passes and one optimiser update, for both sides. Variants of PyTorch
(transformers' own class): eager (loop over experts), grouped_mm and compile (torch.compile of it), each under bf16
autocast with f32 weights; bf16 (grouped_mm, everything bf16); fp32, fp32_eager and fp32_compile, the fastest where
the CPU has no bf16 instruction. Each variant is warmed up by one micro-batch and one update, then the two sides
alternate; medians, their spread and the ratio are printed. Without torch and
transformers it says so and measures ours alone.
"""
import argparse
import re
import resource
import statistics
import subprocess
import sys
import time

try:
    import torch
    from transformers import OlmoeConfig, OlmoeForCausalLM
    MISSING = None
except ImportError as error:
    MISSING = error.name

SHAPES = {
    "small": dict(hidden_size=512, num_hidden_layers=8, num_attention_heads=8, intermediate_size=256,
                  num_experts=32, num_experts_per_tok=4, vocab_size=16384, sequences=8),
    "layer": dict(hidden_size=2048, num_hidden_layers=1, num_attention_heads=16, intermediate_size=1024,
                  num_experts=64, num_experts_per_tok=8, vocab_size=4096, sequences=4),
}
VARIANTS = {  # experts implementation, weights, autocast, compiled
    "eager": ("eager", "float32", True, False),
    "grouped_mm": ("grouped_mm", "float32", True, False),
    "compile": ("grouped_mm", "float32", True, True),
    "bf16": ("grouped_mm", "bfloat16", False, False),
    "fp32": ("grouped_mm", "float32", False, False),
    "fp32_eager": ("eager", "float32", False, False),
    "fp32_compile": ("grouped_mm", "float32", False, True),
}
LENGTH = 512


class Peer:
    def __init__(self, shape, variant):
        shape = dict(shape)
        self.sequences = shape.pop("sequences")
        experts, dtype, self.autocast, compiled = VARIANTS[variant]
        config = OlmoeConfig(**shape, num_key_value_heads=shape["num_attention_heads"], max_position_embeddings=LENGTH,
                             router_aux_loss_coef=0.01, output_router_logits=True, pad_token_id=None)
        config._experts_implementation = experts
        torch.manual_seed(1)
        self.model = OlmoeForCausalLM(config).to(getattr(torch, dtype)).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=4e-4, weight_decay=0.1, fused=True)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.vocab = shape["vocab_size"]

    def step(self, micro_batches):
        begin = time.perf_counter()
        for _ in range(micro_batches):
            ids = torch.randint(0, self.vocab, (self.sequences, LENGTH))
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                loss = self.forward(input_ids=ids, labels=ids).loss / micro_batches
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        return time.perf_counter() - begin


def lyceum_step(program, shape, micro_batches):
    out = subprocess.run([program, "bench", "step", "--shape", shape, "--micro-batches", str(micro_batches),
                          "--repeats", "1"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"median step ([0-9.]+) s", out)
    if not found:
        sys.exit(f"{program} bench step printed no median: {out[-200:]}")
    return float(found.group(1))


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--shape", default="small", choices=SHAPES)
    options.add_argument("--micro-batches", type=int, default=8)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--variants", default=",".join(VARIANTS))
    options.add_argument("--lyceum", default="build/lyceum")
    o = options.parse_args()
    if MISSING:
        print(f"{MISSING} is not installed (pip install torch transformers): ours alone", flush=True)
        sys.exit(subprocess.call([o.lyceum, "bench", "step", "--shape", o.shape, "--micro-batches",
                                  str(o.micro_batches), "--repeats", str(o.rounds)]))
    tokens = SHAPES[o.shape]["sequences"] * LENGTH * o.micro_batches
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"{cpu}, {torch.get_num_threads()} threads; {o.shape}: {tokens} tokens a step, torch {torch.__version__}")
    print(f"{'torch':<12}{'torch s':>10}{'lyceum s':>10}{'torch tok/s':>13}{'lyceum tok/s':>14}{'ratio':>8}   by round")
    for name in o.variants.split(","):
        try:
            peer = Peer(SHAPES[o.shape], name)
            peer.step(1)
            rounds = [(peer.step(o.micro_batches), lyceum_step(o.lyceum, o.shape, o.micro_batches))
                      for _ in range(o.rounds)]
        except Exception as error:  # a variant that this build of torch cannot run is no reason to lose the others
            print(f"{name:<12}did not run: {str(error).splitlines()[0][:100]}")
            continue
        theirs, ours = (statistics.median(side) for side in zip(*rounds))
        ratios = sorted(a / b for a, b in rounds)
        print(f"{name:<12}{theirs:>10.2f}{ours:>10.2f}{tokens / theirs:>13.0f}{tokens / ours:>14.0f}"
              f"{statistics.median(ratios):>8.2f}   {' '.join(f'{r:.2f}' for r in ratios)}", flush=True)
        del peer
    # of all variants of this call: ask for one at a time to compare memory with what `lyceum bench step` says
    print(f"most memory in use: torch {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
