#!/usr/bin/env python3
"""Checkpoints go both ways between this program and transformers and give the same logits, for every family that has a
class there.

usage: tools/check_transformers.py build/lyceum_train_peer [--rounds N] [--seed S] [NAME...]
(needs torch, transformers, safetensors)

- what was trained here opens in transformers;
- each case of tests/goldens whose architecture transformers knows, read here and written again as a folder of our own;
- N random shapes of every family (tests/goldens/shapes.py), saved by transformers with experts one by one or stacked, in
  either generation of key names: read here, written again, read there;
- the packed forms of published weights, MXFP4 and FP8, against transformers' own arithmetic.
NAME: only cases whose name holds it. Exit code 77 where the Python packages are not installed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "tests" / "goldens"
sys.path.insert(0, str(GOLDENS))

try:
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
    import make
    import shapes
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

IDS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 3, 8, 46, 2]
TARGET = [0, 9, 7, 31, 4]
TOLERANCE = 1e-4


def arguments(model):
    more = {"decoder_input_ids": torch.tensor([TARGET])} if model.config.is_encoder_decoder else {}
    return dict(input_ids=torch.tensor([IDS]), use_cache=False, **more)


@torch.no_grad()
def logits_of(model):
    return model.float().eval()(**arguments(model)).logits[0]


def theirs(path):
    architecture = json.loads(pathlib.Path(path, "config.json").read_text())["architectures"][0]
    model, info = getattr(transformers, architecture).from_pretrained(
        path, output_loading_info=True, dtype=torch.float32, **make.EAGER)
    wrong = {k: v for k, v in info.items() if k in ("missing_keys", "unexpected_keys", "mismatched_keys") and v}
    # tied matrices are no tensors of their own
    tied = {"lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    wrong = {k: v for k, v in wrong.items() if not (k == "missing_keys" and set(v) <= tied)}
    assert not wrong, wrong
    return logits_of(model)


class Check:
    def __init__(self, peer, folder):
        self.peer, self.folder, self.count, self.wrong = peer, folder, 0, []

    def run(self, *words):
        done = subprocess.run([self.peer, *map(str, words)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr.strip()
        return done.stdout.strip()

    def ours(self, model):
        out = f"{self.folder}/logits.safetensors"
        self.run("logits", model, out, *IDS)
        return load_file(out)["logits"]

    def rewritten(self, model, name):
        path = f"{self.folder}/{name}-again"
        self.run("rewrite", model, path)
        return path

    def case(self, name, *pairs):
        """Pairs of functions that must give the same logits."""
        self.count += 1
        errors = []
        try:
            for a, b in pairs:
                x, y = a(), b()
                errors.append((x - y).abs().max().item() / y.abs().max().item())
        except (AssertionError, ValueError, KeyError, OSError, RuntimeError) as problem:
            print(f"{name}: {type(problem).__name__}: {problem}", flush=True)
            self.wrong.append(name)
            return
        print(f"{name}: largest difference {max(errors):.1e} of the largest logit", flush=True)
        if not max(errors) < TOLERANCE:
            self.wrong.append(name)


def check_trained(check):
    for precision in ("f32", "bf16"):
        path = check.run("train", f"{check.folder}/{precision}", precision)
        check.case(f"trained here, {precision}", (lambda: check.ours(path), lambda: theirs(path)))


def check_golden(check, case):
    path = check.rewritten(case, case.name)
    check.case(case.name, (lambda: check.ours(path), lambda: theirs(path)))


def check_shape(check, case, number):
    """Read here as transformers wrote it, in both spellings; written again here, read there."""
    folder = pathlib.Path(check.folder, case["name"])
    folder.mkdir()
    model = make.new_model(case)
    make.randomise(model, case["seed"])
    case = dict(case, fused=number % 2 == 1)
    make.save_checkpoint(model, case, folder)
    wanted = logits_of(model)

    def version_4():
        (folder / "config.v4.json").rename(folder / "config.json")
        return check.ours(folder)

    check.case(case["name"], (lambda: check.ours(folder), lambda: wanted), (version_4, lambda: wanted),
               (lambda: theirs(check.rewritten(folder, case["name"])), lambda: wanted))


def packed_folder(check, name, model, tensors, quantization):
    folder = pathlib.Path(check.folder, name)
    folder.mkdir()
    config = make.as_version_4(dict(model.config.to_dict(), architectures=[type(model).__name__], dtype="bfloat16"))
    config["quantization_config"] = quantization
    (folder / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def check_mxfp4(check):
    """Random blocks and scales, as gpt-oss is published."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    config = dict(make.GPT_OSS, hidden_size=64, intermediate_size=32, head_dim=16)
    model = make.new_model(make.row("gpt_oss-mxfp4", "GptOss", config, 1))
    make.randomise(model, 71)
    generator = torch.Generator().manual_seed(5)
    tensors = dict(model.state_dict())
    for name in [n for n in tensors if n.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, k, n = tensors.pop(name).shape
        blocks = torch.randint(0, 256, (experts, n, k // 32, 16), dtype=torch.uint8, generator=generator)
        scales = torch.randint(121, 126, (experts, n, k // 32), dtype=torch.uint8, generator=generator)
        tensors |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        plain = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
        assert plain.shape == (experts, k, n), plain.shape
        model.get_parameter(name).data = plain
    folder = packed_folder(check, "gpt_oss-mxfp4", model, tensors, {"quant_method": "mxfp4"})
    check.case("gpt_oss-mxfp4", (lambda: check.ours(folder), lambda: logits_of(model)),
               (lambda: theirs(check.rewritten(folder, "gpt_oss-mxfp4")), lambda: logits_of(model)))


def check_fp8(check):
    """Matrices in blocks of 128 x 128, with widths that do not divide, as DeepSeek-V3 is published. The plain values are
    float8 times the block's scale."""
    config = dict(make.DEEPSEEK, hidden_size=160, moe_intermediate_size=140, intermediate_size=200, q_lora_rank=24,
                  kv_lora_rank=136, num_nextn_predict_layers=0, n_group=2, topk_group=1)
    model = make.new_model(make.row("deepseek_v3-fp8", "DeepseekV3", config, 1))
    make.randomise(model, 53)
    plain = pathlib.Path(check.folder, "plain")
    model.save_pretrained(plain, save_original_format=True)
    tensors = load_file(plain / "model.safetensors")
    values = dict(tensors)
    for name, w in list(tensors.items()):
        if w.ndim != 2 or not name.endswith("_proj.weight") and "kv_a_proj" not in name:
            continue
        rows, columns = (-(-extent // 128) for extent in w.shape)
        scale = torch.zeros(rows, columns)
        packed = torch.zeros(w.shape, dtype=torch.float8_e4m3fn)
        for i in range(rows):
            for j in range(columns):
                at = slice(128 * i, 128 * i + 128), slice(128 * j, 128 * j + 128)
                scale[i, j] = w[at].abs().max() / 448
                packed[at] = (w[at] / scale[i, j]).to(torch.float8_e4m3fn)
                values[name][at] = packed[at].float() * scale[i, j]
        tensors |= {name: packed, f"{name}_scale_inv": scale}
    save_file(values, plain / "model.safetensors", metadata={"format": "pt"})
    folder = packed_folder(check, "deepseek_v3-fp8", model, tensors, {
        "quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"})
    check.case("deepseek_v3-fp8", (lambda: check.ours(folder), lambda: theirs(plain)),
               (lambda: theirs(check.rewritten(folder, "deepseek_v3-fp8")), lambda: theirs(plain)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--rounds", type=int, default=2, help="random shapes of each family")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    wanted = lambda name: not options.names or any(n in name for n in options.names)
    with tempfile.TemporaryDirectory() as folder:
        check = Check(options.peer, folder)
        if wanted("trained"):
            check_trained(check)
        for case in sorted(GOLDENS.iterdir()):
            if (case / "config.json").exists() and wanted(case.name):
                config = json.loads((case / "config.json").read_text())
                if hasattr(transformers, config.get("architectures", ["none"])[0]):
                    check_golden(check, case)
        for name, run in (("gpt_oss-mxfp4", check_mxfp4), ("deepseek_v3-fp8", check_fp8)):
            if wanted(name):
                run(check)
        for number, case in enumerate(shapes.cases(make.row, options.seed, options.rounds)):
            if wanted(case["name"]):
                check_shape(check, case, number)
    if check.wrong:
        print("too far apart: " + ", ".join(check.wrong))
    print(f"{check.count - len(check.wrong)} passed, {len(check.wrong)} failed, 0 skipped")
    sys.exit(bool(check.wrong))


main()
