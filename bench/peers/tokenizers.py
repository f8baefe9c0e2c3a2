#!/usr/bin/env python3
"""Encoding speed beside Hugging Face `tokenizers`: the same texts, the same ids, turn by turn.

Usage: bench/peers/tokenizers.py TOKENIZER.json TEXT... [--peer build/lyceum_text_peer] [--rounds 9] [--threads 1,2]
Every text file is cut into documents of about 8 KB at line ends. A round times ours, then theirs (encode_batch_fast,
which leaves offsets out); printed are medians of the speeds and of the ratio between neighbours,
so other work on the machine weighs on both. Threads: ours by its pool, theirs by RAYON_NUM_THREADS (a process each).
"""
import argparse
import os
import statistics
import struct
import subprocess
import sys
import tempfile

sys.path.pop(0)  # this file has the name of the module

THEIRS = """
import struct, sys, time
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
texts, data, at = [], open(sys.argv[2], "rb").read(), 0
while at < len(data):
    (n,) = struct.unpack_from("<I", data, at + 2)
    texts.append(data[at + 6:at + 6 + n].decode(errors="replace"))
    at += 6 + n
for _ in iter(lambda: sys.stdin.read(1), ""):
    begin = time.perf_counter()
    n = sum(len(e.ids) for e in tokenizer.encode_batch_fast(texts))
    print(time.perf_counter() - begin, n, flush=True)
"""


def documents(path):
    data = open(path, "rb").read()
    while data:
        end = data.find(b"\n", 8192) + 1 or len(data)
        yield data[:end]
        data = data[end:]


class Runner:
    def __init__(self, command, threads):
        env = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true" if threads > 1 else "false")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def time(self):
        self.process.stdin.write("t")
        self.process.stdin.flush()
        seconds, n = self.process.stdout.readline().split()
        return float(seconds), int(n)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer")
    parser.add_argument("texts", nargs="+")
    parser.add_argument("--peer", default="build/lyceum_text_peer")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", default="1,2")
    args = parser.parse_args()
    try:
        import tokenizers
    except ImportError:
        print("bench: Python's tokenizers is not installed; nothing to compare with")
        return
    print(f"tokenizers {tokenizers.__version__}, {args.tokenizer}, load {os.getloadavg()[0]:.1f}")
    for path in args.texts:
        with tempfile.NamedTemporaryFile() as records:
            n_bytes = 0
            for text in documents(path):
                records.write(b"e\0" + struct.pack("<I", len(text)) + text)
                n_bytes += len(text)
            records.flush()
            for threads in (int(t) for t in args.threads.split(",")):
                mode = "batch" if threads > 1 else "one"
                ours = Runner([args.peer, args.tokenizer, records.name, mode, str(threads)], threads)
                theirs = Runner([sys.executable, "-c", THEIRS, args.tokenizer, records.name], threads)
                pairs = []
                for i in range(args.rounds + 1):
                    (a, n), (b, m) = ours.time(), theirs.time()
                    assert n == m, f"{path}: {n} ids here, {m} there"
                    if i > 0:  # the first round warms caches
                        pairs.append((a, b))
                ours.close()
                theirs.close()
                speed = [n_bytes / 1e6 / statistics.median(p[side] for p in pairs) for side in (0, 1)]
                ratios = sorted(b / a for a, b in pairs)
                print(f"{os.path.basename(path):24} {n_bytes / 1e6:7.1f} MB  {threads} thread(s)  ours {speed[0]:7.1f} MB/s  "
                      f"theirs {speed[1]:6.1f} MB/s  ratio {statistics.median(ratios):5.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})")


main()
