#!/usr/bin/env python3
"""oneDNN's products (through PyTorch, weights packed beforehand where it can) beside ours, in alternating rounds.

    ninja -C build lyceum && bench/peers/onednn_products.py [--shape olmoe] [--experts 8] [--rounds 5]

oneDNN has no grouped product: it is called once per expert, all equally loaded (ours as a trained router loads them),
rows gathered beforehand (not timed), without the activation. Both sides use the same number of threads. Ours are of bf16 operands, as in training; oneDNN's of the type
that is fastest there: bf16 where the CPU has AVX-512, else f32 (--dtype says otherwise). The figure of a case is the
median over rounds; the ratio is taken round by round. Without PyTorch (`pip install torch`) ours are
measured alone.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

try:
    import torch
except ImportError:
    torch = None

SHAPES = {"olmoe": (2048, 1024, 64, 8, 64), "small": (512, 256, 32, 4, 128)}  # d_model d_ff experts top_k tokens/expert


def fastest_dtype():
    return "bf16" if torch.backends.cpu.get_cpu_capability().startswith("AVX512") else "f32"


def peer_cases(shape, experts, dtype):
    d_model, d_ff, n_experts, top_k, tokens = SHAPES[shape]
    n = experts or n_experts
    rows = tokens * top_k
    pack = getattr(torch.ops.mkldnn, "_reorder_linear_weight")
    linear = getattr(torch.ops.mkldnn, "_linear_pointwise")

    def many(count, *size):
        return [torch.randn(*size, dtype=dtype) * 0.1 for _ in range(count)]

    x, h = many(n, rows, d_model), many(n, rows, d_ff)
    dpre, dout = many(n, rows, 2 * d_ff), many(n, rows, d_model)
    w13, w2 = many(n, 2 * d_ff, d_model), many(n, d_model, d_ff)

    def packed(weights):
        return [pack(w, rows) for w in weights]

    def forward(inputs, weights):
        return lambda: [linear(i, w, None, "none", [], "") for i, w in zip(inputs, weights)]

    def wgrad(dy, inputs, like):
        total = [torch.zeros_like(w) for w in like]  # never more than ours has to write
        return lambda: [torch.mm(d.t(), i, out=t) for d, i, t in zip(dy, inputs, total)]

    flops = 2.0 * n * rows * d_model * d_ff
    return {
        "forward gate+up": (2 * flops, forward(x, packed(w13))),
        "forward down": (flops, forward(h, packed(w2))),
        "dgrad down": (flops, forward(dout, packed([w.t().contiguous() for w in w2]))),
        "dgrad gate+up": (2 * flops, forward(dpre, packed([w.t().contiguous() for w in w13]))),
        "wgrad down": (flops, wgrad(dout, h, w2)),
        "wgrad gate+up": (2 * flops, wgrad(dpre, x, w13)),
    }


def command_of(arguments, seconds):
    command = ["build/lyceum", "bench", "products", "--shape", arguments.shape, "--seconds", str(seconds)]
    return command + (["--experts", str(arguments.experts)] if arguments.experts else [])


def environment_of(arguments):
    return {**os.environ, "LYCEUM_THREADS": str(arguments.threads)}


def ours(arguments, cases):
    """TFLOP/s of each case, and what they were measured on."""
    with tempfile.NamedTemporaryFile(suffix=".json") as results:
        command = command_of(arguments, arguments.seconds / len(cases)) + ["--json", results.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment_of(arguments))
        found = json.load(open(results.name))
    return ({case["name"]: case["median"] * 1e-12 for case in found["cases"]},
            f"{found['cpu']}, level {found['level']}, {found['threads']} threads")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--experts", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of our samples in a round")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads() if torch else os.cpu_count())
    parser.add_argument("--dtype", choices=("bf16", "f32"), default=fastest_dtype() if torch else "f32")
    arguments = parser.parse_args()
    if not torch:
        print("torch is not installed (pip install torch): ours alone", flush=True)
        sys.exit(subprocess.call(command_of(arguments, arguments.seconds), env=environment_of(arguments)))
    torch.set_num_threads(arguments.threads)
    clock = time.process_time if arguments.threads == 1 else time.perf_counter
    dtype = torch.bfloat16 if arguments.dtype == "bf16" else torch.float32
    cases = peer_cases(arguments.shape, arguments.experts, dtype)
    rates = {name: ([], []) for name in cases}
    with torch.no_grad():
        for _ in range(arguments.rounds):
            mine, head = ours(arguments, cases)
            for name, (flops, run) in cases.items():
                run()
                samples = []
                for _ in range(3):
                    begin = clock()
                    run()
                    samples.append(flops / (clock() - begin) * 1e-12)
                rates[name][0].append(mine[name])
                rates[name][1].append(statistics.median(samples))
    print(head)
    print(f"PyTorch {torch.__version__} (oneDNN, {arguments.dtype}), {arguments.threads} threads, {arguments.shape}")
    print(f"{'product':<18} {'ours':>8} {'oneDNN':>8} {'ratio':>7}   (TFLOP/s, medians of {arguments.rounds} rounds)")
    for name, (a, b) in rates.items():
        ratio = statistics.median(x / y for x, y in zip(a, b))
        print(f"{name:<18} {statistics.median(a):8.3f} {statistics.median(b):8.3f} {ratio:7.2f}")


if __name__ == "__main__":
    main()
