#!/usr/bin/env python3
"""Compares `lyceum flops --json` with the classes of Hugging Face transformers, built without memory.

usage: check_accounting.py build/lyceum recipes/models/*      exit code 77 when transformers is not installed

Totals count named_parameters() once each. Families that transformers does not know are named and left out.
"""
import json
import subprocess
import sys

try:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
except ImportError:
    sys.exit(77)

failed = 0
for folder in sys.argv[2:]:
    ours = json.loads(subprocess.run([sys.argv[1], "flops", folder, "--json"], check=True, capture_output=True).stdout)
    with open(folder + "/config.json") as f:
        raw = json.load(f)
    # OpenMoE's file says llama; Yuan and PanGu are not part of transformers.
    if raw.get("model_type") in (None, "yuan") or raw.get("architectures", [""])[0].startswith("OpenMoe"):
        print(f"{folder}: {ours['total']:,} (no class to compare with)")
        continue
    config = AutoConfig.for_model(**raw)
    kind = AutoModelForSeq2SeqLM if raw.get("is_encoder_decoder") else AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(config)
    total = sum(p.numel() for p in model.parameters())
    good = total == ours["total"]
    failed += not good
    print(f"{folder}: {ours['total']:,} {'==' if good else '!='} {total:,}")
sys.exit(1 if failed else 0)
