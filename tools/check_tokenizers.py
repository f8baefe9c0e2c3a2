#!/usr/bin/env python3
"""Holds our tokenizer against Hugging Face `tokenizers`: ids, texts decoded from ids, streams.

Usage: tools/check_tokenizers.py TOKENIZER.json [FILE...] [--peer build/lyceum_text_peer] [--rounds N]
Texts: every file (JSONL by its lines and as a whole), a list of adversarial ones, N rounds of random ones.
Prints one line per group and ends with 1 at the first difference. Without `tokenizers` it says so and ends with 0.
"""
import argparse
import gzip
import random
import struct
import subprocess
import sys

try:
    from tokenizers import Tokenizer
except ImportError:
    print("check_tokenizers: Python's tokenizers is not installed; nothing was compared")
    sys.exit(0)


class Peer:
    """Our side: see tests/text_peer.cc."""

    def __init__(self, program, tokenizer):
        self.process = subprocess.Popen([program, tokenizer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, flags, data, item):
        self.process.stdin.write(kind + bytes([flags]) + struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        (n,) = struct.unpack("<I", self.process.stdout.read(4))
        return self.process.stdout.read(n * item)

    def encode(self, data, special, allow):
        raw = self.ask(b"e", special | allow << 1, data, 4)
        return list(struct.unpack(f"<{len(raw) // 4}i", raw))

    def decode(self, ids, skip, stream=False):
        return self.ask(b"s" if stream else b"d", skip, struct.pack(f"<{len(ids)}i", *ids), 1).decode()


ADVERSARIAL = [
    "", " ", "  ", "\n", "\r\n", "\t\t x", "a", "'", "''", "'s", "'S", "don't we'll I'M they'RE '\u017fx", " 's",
    "\x00", "a\x00b", "".join(map(chr, range(32))) * 2, "\x7f\x80\x85\xa0\xad", "\u2028\u2029\u3000x\u200b\ufeff",
    "e\u0301", "\u0301", " \u0301\u0316\u0300a", "a\u0300\u0316\u0301" * 3, "\u1100\u1161\u11a8\u11a8", "\uac00\u11a8",
    "\u212b\u2126\u00c5", "\u0958\u0959", "\u0344", "\u0b47\u0b56", "\u11935\u11930", "\U00011935\U00011930",
    "\u0898\u0300\u0316", "a\u0898\u0316", "\ufb01\u00bd\u2460", "\u01c5\u0130\u0131 I\u0307 SS\u00df",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea",
    "\U0001f44d\U0001f3fd" * 5, "\u4f60\u597d\uff0c\u4e16\u754c\u3002 \u4f60", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0643",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\U00010ffff\U0010ffff\ue000\ufffd\ufffe",
    "<|endoftext|>", "a<|endoftext|> b", "<|padding|><|endoftext|>", "<s>", "</s>x<unk>", "<s> a </s>", " <s>  b",
    "|||IP_ADDRESS|||", "x|||EMAIL_ADDRESS|||y", "||||IP_ADDRESS||||", "<0x41><0x0A>", "<0xE4>",
    " " * 1, " " * 2, " " * 23, " " * 24, " " * 25, " " * 49 + "x", "x" + " " * 100, "\n" * 30 + " " * 7 + "\n  a",
    "a  b   c\t \t d \n e \r\n\r\n f", "1234567 12 3 \u0661\u0662\u0663\u0664 \u00b2\u00b3 \u2160\u2161 1,000.5e-3",
    "foo_bar(baz[12], \"q\"); // x\n\tif (a != b) {\n\t\treturn *p++;\n\t}\n", "\u2581a \u2581 \u2581\u2581b", "\u0120a\u010a",
    "aaaa" * 200, "ab" * 5000, "=" * 1000, "\u00e9" * 999, "\u4e2d" * 2000, "x" * 100000, " x" * 20000, "-" * 70000,
]


def random_texts(rounds, tokenizer):
    rng = random.Random(7)
    vocab = list(tokenizer.get_vocab())
    for i in range(rounds):
        n = rng.choice([3, 10, 40, 200, 3000])
        kind = i % 7
        if kind == 0:
            yield bytes(rng.randrange(256) for _ in range(n))
        elif kind == 1:
            yield "".join(chr(rng.choice([rng.randrange(128), rng.randrange(0x800)])) for _ in range(n)).encode()
        elif kind == 2:
            points = (rng.choice([rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x110000)]) for _ in range(n))
            yield "".join(chr(c) for c in points if not 0xD800 <= c < 0xE000).encode()
        elif kind == 3:
            yield "".join(rng.choice(" \n\t'sS.,x1\u00e9\u4e2d\u0301 ") for _ in range(n)).encode()
        elif kind == 4:
            yield "".join(rng.choice(vocab) for _ in range(n)).encode()
        elif kind == 5:  # marks of all kinds behind letters
            yield "".join(rng.choice("aeoAO\u0915\u05d0\u0627") + "".join(chr(rng.choice([rng.randrange(0x300, 0x370),
                          rng.randrange(0x591, 0x5C8), rng.randrange(0x64B, 0x660), rng.randrange(0x898, 0x900),
                          0x93C, 0x94D, 0x323, 0x1DFA])) for _ in range(rng.randrange(4))) for _ in range(n)).encode()
        else:
            text = bytearray("".join(rng.choice("abc \u00e9\u4e2d\U0001f600\n") for _ in range(n)).encode())
            for _ in range(1 + n // 20):
                text[rng.randrange(len(text))] = rng.randrange(256)
            yield bytes(text)


def file_texts(path):
    data = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
    yield data
    if ".jsonl" in path or path.endswith(".txt"):
        yield from data.splitlines()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tokenizer")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--peer", default="build/lyceum_text_peer")
    parser.add_argument("--rounds", type=int, default=1500)
    args = parser.parse_args()
    theirs = Tokenizer.from_file(args.tokenizer)
    theirs.no_truncation()
    theirs.no_padding()
    ours = Peer(args.peer, args.tokenizer)

    def compare(name, texts):
        n = n_bytes = 0
        for data in texts:
            text = data.decode(errors="replace")
            for special, allow in ((1, 1), (0, 0)):
                theirs.encode_special_tokens = not allow
                want = theirs.encode(text, add_special_tokens=bool(special)).ids
                got = ours.encode(data, special, allow)
                if got != want:
                    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                    print(f"{name}: ids differ at {at} of {len(want)} (special {special}, allow {allow}): "
                          f"ours {got[at:at + 8]}, theirs {want[at:at + 8]}, behind "
                          f"{theirs.decode(want[max(0, at - 8):at])!r}, text {data[:200]!r}")
                    return False
            for skip in (0, 1):
                wanted = theirs.decode(want, skip_special_tokens=bool(skip))
                for stream in (False, True):
                    got = ours.decode(want, skip, stream)
                    if got != wanted and not (stream and "\ufffd" in wanted):
                        print(f"{name}: {'stream' if stream else 'text'} differs (skip {skip}): ours {got[:200]!r}, "
                              f"theirs {wanted[:200]!r}")
                        return False
            n, n_bytes = n + 1, n_bytes + len(data)
        print(f"{name}: {n} texts, {n_bytes} bytes, the same")
        return True

    good = compare("adversarial", (t.encode() for t in ADVERSARIAL))
    good &= compare("random", random_texts(args.rounds, theirs))
    for path in args.files:
        good &= compare(path, file_texts(path))
    sys.exit(0 if good else 1)


main()
