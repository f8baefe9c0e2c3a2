#!/usr/bin/env python3
"""Held-out bits per byte over time: the quick start's model and text, Lyceum and PyTorch, AdamW on both sides.

    ./quickstart && ninja -C build lyceum_train_peer && bench/peers/time_to_loss.py [--minutes 10]

Both sides begin with the same weights (PyTorch's) and read the same batches in the same order: those of the loader,
written out beforehand. Same losses (cross-entropy and the balance loss as transformers has it), clipping, constant
learning rate. PyTorch is the fastest of its variants on this CPU, each tried for a few steps. Only steps are timed, on
both sides. Both sides' checkpoints are scored by `lyceum eval` on the same held-out documents. Exits with 77 without
torch and transformers.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

try:
    import torch
    from transformers import OlmoeConfig, OlmoeForCausalLM
    from transformers.utils import logging

    from torch_step import VARIANTS
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed (pip install torch transformers)")
    sys.exit(77)

LENGTH, SEQUENCES = 128, 16
DOMAINS = ("c", "english", "chinese", "manual")


def recipe(o, folder, start, minutes):
    return f"""[data]
train = ["{o.run}/data/tokens/train"]
tokenizer = "{o.run}/data/tokenizer"
sequence_length = {LENGTH}
[optimizer]
name = "adamw"
lr = {o.lr}
weight_decay = 0
[schedule]
kind = "constant"
warmup = 0
[train]
folder = "{folder}"
from = "{start}"
keep_optimizer = false
minutes = {minutes}
micro_batch = {SEQUENCES}
[balance]
form = "huggingface"
z_coefficient = 0
[checkpoint]
minutes = {o.every}
keep_last = 100
[log]
database = false
"""


def bits_per_byte(o, model):
    texts = [f"{o.run}/data/heldout/{domain}.jsonl" for domain in DOMAINS]
    out = f"{o.folder}/eval.json"
    subprocess.run(["build/lyceum", "eval", model, "--data", *texts, "--window", str(LENGTH), "--json", out],
                   check=True, capture_output=True)
    return json.load(open(out))["all"]["bits_per_byte"]


def model_of(config, variant):
    experts, dtype, autocast, compiled = VARIANTS[variant]
    config._experts_implementation = experts
    torch.manual_seed(1)
    model = OlmoeForCausalLM(config).to(dtype).train()
    return model, torch.compile(model) if compiled else model, autocast


class Peer:
    def __init__(self, o, config, variant, batches):
        self.batches, self.at = batches, 0
        self.model, self.forward, self.autocast = model_of(config, variant)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=o.lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0,
                                           fused=True)

    def step(self):
        begin = time.perf_counter()
        ids, targets = self.batches[self.at % len(self.batches)]
        self.at += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.forward(input_ids=ids, labels=targets, shift_labels=targets).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)
        return time.perf_counter() - begin


def read_batches(o, start):
    recipe_file, path = f"{o.folder}/batches.toml", f"{o.folder}/batches.bin"
    with open(recipe_file, "w") as file:
        file.write(recipe(o, o.folder + "/unused", start, 1))
    subprocess.run(["build/lyceum_train_peer", "batches", recipe_file, str(o.batches), path], check=True)
    numbers = torch.frombuffer(bytearray(open(path, "rb").read()), dtype=torch.int32).long()
    return [tuple(pair) for pair in numbers.view(o.batches, 2, SEQUENCES, LENGTH)]


def fastest(o, config, batches):
    best = None
    for variant in o.variants.split(","):
        try:
            peer = Peer(o, config, variant, batches)
            peer.step()  # compiles
            seconds = peer.step()
            if not best or seconds < 5 * best[0]:
                seconds = min(peer.step() for _ in range(5))
        except Exception as error:
            print(f"{variant}: did not run: {str(error).splitlines()[0][:100]}")
            continue
        print(f"{variant}: {seconds:.3f} s a step", flush=True)
        if not best or seconds < best[0]:
            best = (seconds, variant)
    return best[1]


def save(o, model, path):
    model.save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if os.path.exists(f"{o.run}/data/tokenizer/{name}"):
            shutil.copy(f"{o.run}/data/tokenizer/{name}", path)
    return path


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", default="runs/quickstart")
    options.add_argument("--folder", default="runs/time-to-loss")
    options.add_argument("--minutes", type=float, default=10, help="of PyTorch")
    options.add_argument("--lyceum-minutes", type=float, default=6)
    options.add_argument("--every", type=float, default=1, help="minutes between scores")
    options.add_argument("--lr", type=float, default=3e-3)
    options.add_argument("--batches", type=int, default=8000, help="written out; read again from the first when used up")
    options.add_argument("--variants", default="fp32,fp32_eager,fp32_compile,eager,grouped_mm,compile,bf16")
    o = options.parse_args()
    logging.disable_progress_bar()
    shutil.rmtree(o.folder, ignore_errors=True)
    os.makedirs(o.folder)

    shape = json.load(open(f"{o.run}/checkpoint/config.json"))
    config = OlmoeConfig(**{k: v for k, v in shape.items() if k not in ("dtype", "torch_dtype", "architectures")})
    config.output_router_logits, config.router_aux_loss_coef = True, 0.01
    start = save(o, model_of(config, "fp32")[0], o.folder + "/start")
    batches = read_batches(o, start)
    variant = fastest(o, config, batches)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads: {variant}")

    peer, spent, next_score, scores = Peer(o, config, variant, batches), 0.0, o.every, []
    while spent < 60 * o.minutes:
        spent += peer.step()
        if spent >= 60 * next_score:
            path = save(o, peer.model, o.folder + "/torch")
            scores.append((spent / 60, peer.at, bits_per_byte(o, path)))
            print(f"PyTorch {spent / 60:5.2f} min  {peer.at:6d} steps  {scores[-1][2]:.3f} bits per byte", flush=True)
            next_score += o.every

    with open(f"{o.folder}/lyceum.toml", "w") as file:
        file.write(recipe(o, o.folder + "/lyceum", start, o.lyceum_minutes))
    subprocess.run(["build/lyceum", "train", f"{o.folder}/lyceum.toml"], check=True, capture_output=True)
    rows = {row["step"]: row for row in map(json.loads, open(f"{o.folder}/lyceum/metrics.jsonl"))}
    clock, reached = 0.0, None
    elapsed = {}
    for step in sorted(rows):
        clock += rows[step]["seconds"]
        elapsed[step] = clock
    for name in sorted(os.listdir(f"{o.folder}/lyceum/checkpoints")):
        step = int("".join(c for c in name if c.isdigit()) or 0)
        if step not in elapsed:
            continue
        value = bits_per_byte(o, f"{o.folder}/lyceum/checkpoints/{name}")
        print(f"Lyceum  {elapsed[step] / 60:5.2f} min  {step:6d} steps  {value:.3f} bits per byte", flush=True)
        if reached is None and value <= scores[-1][2]:
            reached = elapsed[step] / 60
    print(f"PyTorch's value after {scores[-1][0]:.1f} minutes, {scores[-1][2]:.3f}: "
          + (f"Lyceum had it by minute {reached:.1f}" if reached else "Lyceum did not reach it"))


if __name__ == "__main__":
    main()
