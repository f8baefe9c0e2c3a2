#!/usr/bin/env python3
"""Holds our safetensors files against the Python library, in both directions.

  tools/check_safetensors.py PROGRAM      PROGRAM is build/lyceum_formats_peer

The program writes a folder of files that Python must read, bytes for bytes; Python writes files (every dtype,
sharded folders of transformers) whose checksums the program must print as expected. Ends with "same: N tensors",
"skipped: reason" (exit 77) when the packages are absent, or one line that names the difference (exit 1).
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import numpy
    import safetensors
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def fail(text):
    print(f"different: {text}")
    sys.exit(1)


def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode != 0:
        fail(f"{' '.join(command)}: {r.stderr.strip()}")
    return r.stdout


def raw(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


DTYPES = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn, "I16": torch.int16, "U16": torch.uint16, "F16": torch.float16,
    "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32, "C64": torch.complex64,
    "F64": torch.float64, "I64": torch.int64, "U64": torch.uint64,
}


def example(name, shape, seed):
    g = torch.Generator().manual_seed(seed)
    dtype = DTYPES[name]
    n = int(numpy.prod(shape, dtype=numpy.int64)) * torch.empty(0, dtype=dtype).element_size()
    high = 2 if name == "BOOL" else 256
    data = torch.randint(0, high, (n,), generator=g, dtype=torch.uint8)
    return (data.view(dtype) if n else torch.empty(0, dtype=dtype)).reshape(shape)


def theirs_in_ours(program, folder):
    """Python writes, the program lists: name, dtype, shape, sum of bytes times place."""
    tensors = {f"t.{name}.{i}": example(name, shape, i)
               for name in DTYPES for i, shape in enumerate([(), (3,), (2, 5), (0, 4), (2, 3, 7)])}
    os.makedirs(f"{folder}/one")
    save_file(tensors, f"{folder}/one/model.safetensors", metadata={"format": "pt", "note": "\u4e2d\u6587 \"q\""})
    names = sorted(tensors)
    os.makedirs(f"{folder}/many")
    weight_map, total = {}, 0
    for i in range(3):
        part = {n: tensors[n] for n in names[i::3]}
        file = f"model-{i + 1:05d}-of-00003.safetensors"
        save_file(part, f"{folder}/many/{file}", metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
        total += sum(len(raw(t)) for t in part.values())
    with open(f"{folder}/many/model.safetensors.index.json", "w") as f:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, f)
    for kind in ("one", "many"):
        listed = [json.loads(line) for line in run(program, "list", f"{folder}/{kind}").splitlines()]
        if [t["name"] for t in listed] != names:
            fail(f"{kind}: names")
        for t in listed:
            mine = tensors[t["name"]]
            if DTYPES[t["dtype"]] != mine.dtype or t["shape"] != list(mine.shape) or t["hex"] != raw(mine).hex():
                fail(f"{kind}: {t['name']}")
    return 2 * len(names)


def ours_in_theirs(program, folder):
    """The program writes a fixed set as one file and as shards, Python reads both."""
    run(program, "write", f"{folder}/ours")
    count = 0
    for kind in ("one", "many"):
        path = f"{folder}/ours/{kind}"
        files = sorted(f for f in os.listdir(path) if f.endswith(".safetensors"))
        loaded = {}
        for f in files:
            with safetensors.safe_open(f"{path}/{f}", "pt") as opened:
                if opened.metadata() != {"format": "pt"}:
                    fail(f"{path}/{f}: metadata {opened.metadata()}")
            loaded.update(load_file(f"{path}/{f}"))
        if kind == "many":
            with open(f"{path}/model.safetensors.index.json") as f:
                index = json.load(f)
            if set(index["weight_map"]) != set(loaded) or set(index["weight_map"].values()) != set(files):
                fail(f"{path}: the index and the shards disagree")
            if index["metadata"]["total_size"] != sum(len(raw(t)) for t in loaded.values()):
                fail(f"{path}: total_size")
        for name, t in loaded.items():
            dtype = name.split(".")[1]
            want = bytes((i * 7 + len(name)) % (2 if dtype == "BOOL" else 251) for i in range(len(raw(t))))
            if t.dtype != DTYPES[dtype] or raw(t) != want:
                fail(f"{path}: {name}")
        if len(loaded) != 4 * len(DTYPES):
            fail(f"{path}: {len(loaded)} tensors, wanted {4 * len(DTYPES)}")
        count += len(loaded)
    return count


def bad_files(program, folder):
    """Whatever Python refuses of the hand-made files, the program refuses too."""
    run(program, "bad", f"{folder}/bad")
    for name in sorted(os.listdir(f"{folder}/bad")):
        with open(f"{folder}/bad/{name}", "rb") as f:
            data = f.read()
        try:
            safetensors.deserialize(data)
            takes = True
        except Exception:
            takes = False
        ours = subprocess.run([program, "list", f"{folder}/bad/{name}"], capture_output=True).returncode == 0
        if ours and not takes:
            fail(f"bad file {name}: Python refuses it, we read it")


def transformers_loads(program, folder):
    try:
        import transformers
    except ImportError as e:
        print(f"without transformers: {e}")
        return
    config = transformers.OlmoeConfig(vocab_size=64, hidden_size=16, intermediate_size=8, num_hidden_layers=2,
                                      num_attention_heads=2, num_key_value_heads=2, num_experts=4,
                                      num_experts_per_tok=2)
    torch.manual_seed(0)
    model = transformers.OlmoeForCausalLM(config)
    model.save_pretrained(f"{folder}/hf", max_shard_size="10KB")
    run(program, "copy", f"{folder}/hf", f"{folder}/hf_copy")
    with open(f"{folder}/hf/config.json") as f, open(f"{folder}/hf_copy/config.json", "w") as g:
        g.write(f.read())
    again = transformers.OlmoeForCausalLM.from_pretrained(f"{folder}/hf_copy")
    ids = torch.arange(12).reshape(1, 12)
    if not torch.equal(model.eval()(ids).logits, again.eval()(ids).logits):
        fail("transformers: logits of a copied sharded model differ")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        count = theirs_in_ours(program, folder) + ours_in_theirs(program, folder)
        bad_files(program, folder)
        transformers_loads(program, folder)
    print(f"same: {count} tensors")


main()
