#!/usr/bin/env python3
"""Encoding speed beside Hugging Face `tokenizers` (for a .model: `sentencepiece`): the same texts, the same ids, turn by
turn.

Usage: bench/peers/tokenizer_encode.py TOKENIZER TEXT... [--peer build/lyceum_text_peer] [--rounds 9] [--threads 1,2]
TOKENIZER: a tokenizer.json, a SentencePiece model, or unigram:N, bert:N: trained on the texts, with N pieces, as
XLM-R's and BERT's are made.
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
import os, struct, sys, time
if sys.argv[1].endswith(".model"):
    import sentencepiece
    model = sentencepiece.SentencePieceProcessor(sys.argv[1])
    threads = int(os.environ["RAYON_NUM_THREADS"])
    encode = lambda texts: sum(len(ids) for ids in model.encode(texts, num_threads=threads))
else:
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(sys.argv[1])
    encode = lambda texts: sum(len(e.ids) for e in tokenizer.encode_batch_fast(texts))
texts, data, at = [], open(sys.argv[2], "rb").read(), 0
while at < len(data):
    (n,) = struct.unpack_from("<I", data, at + 2)
    texts.append(data[at + 6:at + 6 + n].decode(errors="replace"))
    at += 6 + n
for _ in iter(lambda: sys.stdin.read(1), ""):
    begin = time.perf_counter()
    n = encode(texts)
    print(time.perf_counter() - begin, n, flush=True)
"""


def documents(path):
    data = open(path, "rb").read()
    while data:
        end = data.find(b"\n", 8192) + 1 or len(data)
        yield data[:end]
        data = data[end:]


def train(kind, n, paths, folder):
    """A tokenizer.json of the usual form."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
    import check_tokenizers
    import sentencepiece
    lines = [line for path in paths for line in open(path, errors="replace").read().splitlines()]
    if kind == "bert":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=n, special_tokens=["[UNK]"], show_progress=False))
    else:
        prefix = os.path.join(folder, "unigram")
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_prefix=prefix, vocab_size=n,
                                                 hard_vocab_limit=False, minloglevel=2, num_threads=2)
        model = sentencepiece.SentencePieceProcessor(prefix + ".model")
        pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.vocab_size())]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
        tokenizer.normalizer = normalizers.Precompiled(check_tokenizers.sentencepiece_rules(prefix + ".model"))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        tokenizer.decoder = decoders.Metaspace()
    path = os.path.join(folder, kind + ".json")
    tokenizer.save(path)
    return path


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
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"tokenizers {tokenizers.__version__}, {args.tokenizer}, {cpu}, load {os.getloadavg()[0]:.1f}")
    folder = tempfile.TemporaryDirectory()
    kind, _, n = args.tokenizer.partition(":")
    if n.isdigit():
        args.tokenizer = train(kind, int(n), args.texts, folder.name)
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
