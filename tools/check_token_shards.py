#!/usr/bin/env python3
"""Holds our token shards against Megatron's layout, in both directions.

  tools/check_token_shards.py PROGRAM     PROGRAM is build/lyceum_formats_peer

The reader and the writer below follow the public description of IndexedDataset. When the package megatron-core can
be imported, its own classes read and write as well. Ends with "same: N documents", "skipped: reason" (exit 77), or
one line that names the difference (exit 1).
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

try:
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
except Exception as e:  # a missing package, or one of its many own
    print(f"without megatron-core ({e})")
    IndexedDataset = None

CODES = {1: numpy.uint8, 2: numpy.int8, 3: numpy.int16, 4: numpy.int32, 5: numpy.int64, 8: numpy.uint16}


def fail(text):
    print(f"different: {text}")
    sys.exit(1)


def run(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode != 0:
        fail(f"{' '.join(command)}: {r.stderr.strip()}")
    return r.stdout


def read(prefix):
    """Documents as lists of ids."""
    with open(prefix + ".idx", "rb") as f:
        index = f.read()
    if index[:9] != b"MMIDIDX\0\0" or struct.unpack("<Q", index[9:17])[0] != 1:
        fail(f"{prefix}.idx: header")
    dtype = CODES[index[17]]
    sequences, entries = struct.unpack("<QQ", index[18:34])
    lengths = numpy.frombuffer(index, numpy.int32, sequences, 34)
    pointers = numpy.frombuffer(index, numpy.int64, sequences, 34 + 4 * sequences)
    documents = numpy.frombuffer(index, numpy.int64, entries, 34 + 12 * sequences)
    if len(index) != 34 + 12 * sequences + 8 * entries:
        fail(f"{prefix}.idx: size")
    with open(prefix + ".bin", "rb") as f:
        data = f.read()
    texts = [numpy.frombuffer(data, dtype, n, p).tolist() for n, p in zip(lengths, pointers)]
    return [sum(texts[a:b], []) for a, b in zip(documents, documents[1:])]


def read_megatron(prefix):
    d = IndexedDataset(prefix)
    starts = d.document_indices
    return [sum((d[i].tolist() for i in range(a, b)), []) for a, b in zip(starts, starts[1:])]


def write(prefix, documents, code):
    """`documents`: lists of sequences of ids."""
    sequences = [s for d in documents for s in d]
    width = numpy.dtype(CODES[code]).itemsize
    lengths = [len(s) for s in sequences]
    ends = numpy.cumsum([0] + lengths)
    with open(prefix + ".bin", "wb") as f:
        for s in sequences:
            f.write(numpy.array(s, CODES[code]).tobytes())
    with open(prefix + ".idx", "wb") as f:
        firsts = numpy.cumsum([0] + [len(d) for d in documents])
        f.write(b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(sequences), len(firsts)))
        f.write(numpy.array(lengths, numpy.int32).tobytes())
        f.write((ends[:-1] * width).astype(numpy.int64).tobytes())
        f.write(firsts.astype(numpy.int64).tobytes())


def write_megatron(prefix, documents, code):
    import torch
    builder = IndexedDatasetBuilder(prefix + ".bin", dtype=CODES[code])
    for d in documents:
        for s in d:
            builder.add_item(torch.tensor(s, dtype=torch.int64))
        builder.end_document()
    builder.finalize(prefix + ".idx")


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        sys.exit(2)
    program = os.path.abspath(sys.argv[1])
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for vocab in (300, 65535, 65536, 150000):
            run(program, "write-tokens", f"{folder}/ours", str(vocab))
            wanted = [[(i * 7919 + d) % vocab for i in range(d * 31 % 57 + 1)] for d in range(100)]
            for reader in [read] + ([read_megatron] if IndexedDataset else []):
                if reader(f"{folder}/ours") != wanted:
                    fail(f"{reader.__name__}, vocabulary {vocab}")
                count += len(wanted)
        rng = numpy.random.default_rng(5)
        for code in CODES:
            high = min(int(numpy.iinfo(CODES[code]).max), 100000)
            documents = [[rng.integers(0, high, int(rng.integers(1, 40))).tolist() for _ in range(d % 4 + 1)]
                         for d in range(50)]
            for writer in [write] + ([write_megatron] if IndexedDataset else []):
                prefix = f"{folder}/{writer.__name__}{code}"
                writer(prefix, documents, code)
                listed = [json.loads(line) for line in run(program, "list-tokens", prefix).splitlines()]
                if listed != [sum(d, []) for d in documents]:
                    fail(f"{writer.__name__}, type {code}")
                count += len(documents)
    print(f"same: {count} documents")


main()
