#!/usr/bin/env python3
"""Checkpoints load in transformers unchanged, and those of transformers load here: logits side by side.

usage: tools/check_transformers.py build/lyceum_train_peer     (needs torch, transformers, safetensors)
"""
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, OlmoeConfig, OlmoeForCausalLM

IDS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 3, 8, 46, 2]


def ours(peer, model, folder):
    out = f"{folder}/logits.safetensors"
    subprocess.run([peer, "logits", model, out, *map(str, IDS)], check=True)
    return load_file(out)["logits"]


def theirs(model):
    with torch.no_grad():
        return model.float().eval()(torch.tensor([IDS])).logits[0]


def compare(name, a, b):
    error = (a - b).abs().max().item() / b.abs().max().item()
    print(f"{name}: largest difference {error:.2e} of the largest logit")
    if not error < 1e-4:
        sys.exit(f"{name}: too far apart")


def main():
    peer = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("f32", "bf16"):
            done = subprocess.run([peer, "train", f"{folder}/{precision}", precision], check=True,
                                  capture_output=True, text=True)
            path = done.stdout.strip()
            model, info = AutoModelForCausalLM.from_pretrained(path, output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"], info
            compare(f"ours in transformers, {precision}", ours(peer, path, folder), theirs(model))
        torch.manual_seed(1)
        config = OlmoeConfig(vocab_size=64, hidden_size=32, intermediate_size=16, num_hidden_layers=2,
                             num_attention_heads=2, num_key_value_heads=2, num_experts=4, num_experts_per_tok=2,
                             pad_token_id=0)
        model = OlmoeForCausalLM(config)
        model.save_pretrained(f"{folder}/theirs")
        compare("theirs here", ours(peer, f"{folder}/theirs", folder), theirs(model))


main()
