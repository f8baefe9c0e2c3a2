#!/usr/bin/env python3
"""Checkpoints written here load in transformers and give the same logits, for every family that has a class there.

usage: tools/check_transformers.py build/lyceum_train_peer [CASE...]     (needs torch, transformers, safetensors)

Each case of tests/goldens whose architecture transformers knows is read, written again as a folder of our own, and
opened by transformers; and a model that was trained here. Exit code 77 where the Python packages are not installed.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
    from safetensors.torch import load_file
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "goldens"
IDS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 3, 8, 46, 2]
TARGET = [0, 9, 7, 31, 4]


def ours(peer, model, folder):
    out = f"{folder}/logits.safetensors"
    subprocess.run([peer, "logits", model, out, *map(str, IDS)], check=True)
    return load_file(out)["logits"]


def theirs(path):
    architecture = json.loads(pathlib.Path(path, "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, architecture).from_pretrained(
        path, output_loading_info=True, attn_implementation="eager", dtype=torch.float32)
    wrong = {k: v for k, v in info.items() if k in ("missing_keys", "unexpected_keys", "mismatched_keys") and v}
    # tied matrices are no tensors of their own
    tied = {"lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    wrong = {k: v for k, v in wrong.items() if not (k == "missing_keys" and set(v) <= tied)}
    assert not wrong, wrong
    more = {"decoder_input_ids": torch.tensor([TARGET])} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model.float().eval()(torch.tensor([IDS]), **more).logits[0]


def compare(name, a, b):
    error = (a - b).abs().max().item() / b.abs().max().item()
    print(f"{name}: largest difference {error:.2e} of the largest logit")
    return error < 1e-4


def main():
    peer, wanted = sys.argv[1], sys.argv[2:]
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("f32", "bf16") if not wanted else ():
            done = subprocess.run([peer, "train", f"{folder}/{precision}", precision], check=True,
                                  capture_output=True, text=True)
            path = done.stdout.strip()
            if not compare(f"trained here, {precision}", ours(peer, path, folder), theirs(path)):
                wrong.append(precision)
        for case in sorted(GOLDENS.iterdir()):
            if not (case / "config.json").exists() or (wanted and case.name not in wanted):
                continue
            config = json.loads((case / "config.json").read_text())
            if not hasattr(transformers, config.get("architectures", ["none"])[0]):
                print(f"{case.name}: transformers has no such class")
                continue
            written = f"{folder}/{case.name}"
            subprocess.run([peer, "rewrite", str(case), written], check=True)
            if not compare(case.name, ours(peer, written, folder), theirs(written)):
                wrong.append(case.name)
    if wrong:
        sys.exit(f"too far apart: {', '.join(wrong)}")


main()
