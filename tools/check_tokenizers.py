#!/usr/bin/env python3
"""Holds our tokenizers against Hugging Face `tokenizers` and `sentencepiece`: ids, decoded texts, streams.

Usage: tools/check_tokenizers.py build/lyceum_text_peer [TOKENIZER...] [--files FILE...] [--rounds N]
TOKENIZER: a tokenizer.json or a SentencePiece model. Without one, small tokenizers of every kind are trained with the
two libraries, and those of ../shared/data are taken where they are. Texts: a list of adversarial ones, N rounds of
random ones, every file (JSONL and text by lines and as a whole). Short texts are tried with all options, long ones with
one set of options each, in turn.
Prints one line per tokenizer and, behind all others, one for each that differed; exit code 1 if any did, 77 without the
libraries, or if other versions of them than KNOWN differ: then what changed is theirs until somebody has looked.
"""
import argparse
import glob
import gzip
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

try:
    import sentencepiece
    import tokenizers
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError as e:
    print(f"check_tokenizers: {e.name} is not installed; nothing was compared")
    sys.exit(77)

KNOWN = {"tokenizers": "0.23", "sentencepiece": "0.2.3"}
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DATA = os.path.join(ROOT, "..", "shared", "data")


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


def random_texts(rounds, vocab):
    rng = random.Random(7)
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


def file_texts(path, step=1):
    """The whole file, and every `step`-th line of it."""
    data = gzip.open(path).read() if path.endswith(".gz") else open(path, "rb").read()
    yield data
    if ".jsonl" in path or path.endswith(".txt"):
        yield from data.splitlines()[::step]


class HuggingFace:
    def __init__(self, path):
        self.t = Tokenizer.from_file(path)
        self.t.no_truncation()
        self.t.no_padding()
        self.special = {i for i, t in self.t.get_added_tokens_decoder().items() if t.special}
        self.unknown = {i for i in self.special if self.t.id_to_token(i) in ("<unk>", "[UNK]")}
        self.vocab = sorted(self.t.get_vocab())  # the library's order is another in each process

    def encode(self, text, special, allow):
        """None where theirs lets text become a control token, which ours never does."""
        self.t.encode_special_tokens = not allow
        try:
            ids = self.t.encode(text, add_special_tokens=bool(special)).ids
        except Exception:  # no piece for a character, and no unknown token
            return None
        spelled = "<unk>" in text or "[UNK]" in text
        return None if not allow and (self.special - (set() if spelled else self.unknown)) & set(ids) else ids

    def decode(self, ids, skip):
        # by our own hand: theirs keeps special tokens that its normaliser changes
        return self.t.decode([i for i in ids if not skip or i not in self.special], skip_special_tokens=False)


class SentencePiece:
    """The library; with `added`, texts are first split at these, as Hugging Face's classes do."""

    def __init__(self, path, added=None):
        self.m = sentencepiece.SentencePieceProcessor(path)
        self.vocab = [self.m.id_to_piece(i) for i in range(self.m.vocab_size())]
        self.added = added or {p: i for i, p in enumerate(self.vocab) if self.m.is_control(i) or self.m.is_unknown(i)}
        self.split = re.compile("(" + "|".join(re.escape(t) for t in sorted(self.added, key=len, reverse=True)) + ")")

    def encode(self, text, special, allow):
        if special:
            return None
        if not allow:
            ids = self.m.encode(text)
            return None if set(self.added.values()) & set(ids) - {self.m.unk_id()} else ids
        return [i for part in self.split.split(text) if part
                for i in ([self.added[part]] if part in self.added else self.m.encode(part))]

    def decode(self, ids, skip):
        if max(ids, default=0) >= self.m.vocab_size() or set(ids) & (set(self.added.values()) - {self.m.unk_id()}):
            return None  # control tokens are the business of the classes around it
        return None if skip and self.m.unk_id() in ids else self.m.decode(ids)


WAYS = ((1, 1), (0, 1), (0, 0))  # (special tokens around the text, control tokens recognised in it)
LONG = 4096  # bytes


def compare(ours, theirs, texts):
    """How many texts and bytes were the same, and what the first difference is, or None."""
    n = n_bytes = 0
    for data in texts:
        text = data.decode(errors="replace")
        for special, allow in WAYS if len(data) < LONG else WAYS[n % 3:][:1]:
            want = theirs.encode(text, special, allow)
            if want is None:
                continue
            got = ours.encode(data, special, allow)
            if got != want:
                at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                return n, n_bytes, (f"ids differ at {at} of {len(want)} (special {special}, allow {allow}): ours {got[at:at + 8]}, "
                                    f"theirs {want[at:at + 8]}, text {data[:200]!r}")
            for skip in ((0, 1) if len(data) < LONG else (n // 3 % 2,)) if special or not allow else ():
                wanted = theirs.decode(want, skip)
                if wanted is None:
                    continue
                for stream in (False, True):
                    got = ours.decode(want, skip, stream)
                    if got != wanted and not (stream and "\ufffd" in wanted):
                        at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), 0)
                        return n, n_bytes, (f"{'stream' if stream else 'text'} differs at {at} (skip {skip}): "
                                            f"ours {got[at:at + 100]!r}, theirs {wanted[at:at + 100]!r}")
        n, n_bytes = n + 1, n_bytes + len(data)
    return n, n_bytes, None


def check(peer, path, rounds, files, step):
    """The difference of one tokenizer, as one line, or None."""
    begin = time.monotonic()
    name = os.path.basename(os.path.dirname(path)) if path.endswith("tokenizer.model") else os.path.basename(path)
    done = [0, 0]
    try:
        theirs, ours = open_theirs(path), Peer(peer, path)
        groups = [("adversarial", (t.encode() for t in ADVERSARIAL)), ("random", random_texts(rounds, theirs.vocab))]
        groups += [(os.path.basename(file), file_texts(file, step)) for file in files]
        for group, texts in groups:
            n, n_bytes, difference = compare(ours, theirs, texts)
            done = [done[0] + n, done[1] + n_bytes]
            if difference:
                return f"{name} {group}: {difference}"
        ours.process.stdin.close()
        ours.process.wait()
    except Exception as e:  # a peer that died, a library that refuses its own file
        return f"{name}: {type(e).__name__}: {e}"
    print(f"{name}: {done[0]} texts, {done[1]} bytes, the same, {time.monotonic() - begin:.1f} s", flush=True)


def train_sentencepiece(folder, corpus, kinds=None):
    """Models of both kinds with every switch that changes how text becomes ids."""
    kinds = kinds or {
        "unigram": {}, "unigram_bytes": {"byte_fallback": True}, "unigram_whole": {"split_by_whitespace": False},
        "unigram_plain": {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
        "unigram_user": {"user_defined_symbols": ["<user>", "expert", "\u3002"], "control_symbols": ["<ctl>"]},
        "unigram_suffix": {"treat_whitespace_as_suffix": True}, "unigram_fold": {"normalization_rule_name": "nmt_nfkc_cf"},
        "bpe": {"model_type": "bpe"}, "bpe_bytes": {"model_type": "bpe", "byte_fallback": True, "split_digits": True,
                                                    "normalization_rule_name": "identity", "remove_extra_whitespaces": False},
        "bpe_user": {"model_type": "bpe", "user_defined_symbols": ["<user>", "exp", "router's"]},
        "bpe_whole": {"model_type": "bpe", "split_by_whitespace": False},
    }
    for name, options in kinds.items():
        prefix = os.path.join(folder, "sp_" + name)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus.splitlines()), model_prefix=prefix, hard_vocab_limit=False, minloglevel=2,
            character_coverage=0.99, num_threads=1, **{"vocab_size": 700, **options})
        yield prefix + ".model"


def train_hugging_face(folder, corpus, charsmap):
    def made(name, tokenizer):
        path = os.path.join(folder, name + ".json")
        tokenizer.save(path)
        return path

    rules = normalizers.Precompiled(sentencepiece_rules(charsmap))
    special = ["<pad>", "</s>", "<unk>", "<x_0>"]
    metaspace = {"plain": pre_tokenizers.Metaspace(), "first": pre_tokenizers.Metaspace(prepend_scheme="first"),
                 "never": pre_tokenizers.Metaspace(prepend_scheme="never", split=False),
                 "t5": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
                 "scripts": pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(), pre_tokenizers.Metaspace()])}
    for name, pre in metaspace.items():
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()]) if name == "first" else rules
        tokenizer.pre_tokenizer = pre
        trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=special, unk_token="<unk>", show_progress=False)
        tokenizer.train_from_iterator(corpus.splitlines(), trainer)
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        yield made("unigram_" + name, tokenizer)
    for name, options in {"uncased": {}, "cased": {"lowercase": False}, "raw": {"clean_text": False, "lowercase": False},
                          "accents": {"strip_accents": False}, "no_han": {"handle_chinese_chars": False}}.items():
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=12 if name == "raw" else 100))
        tokenizer.normalizer = normalizers.BertNormalizer(**options)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=500, show_progress=False, limit_alphabet=70,
                                            special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        tokenizer.train_from_iterator(corpus.splitlines(), trainer)
        tokenizer.decoder = decoders.WordPiece(cleanup=name != "raw")
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        yield made("wordpiece_" + name, tokenizer)
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.UnicodeScripts(), pre_tokenizers.Whitespace()])
    tokenizer.train_from_iterator(corpus.splitlines(), trainers.WordLevelTrainer(vocab_size=300, special_tokens=special,
                                                                               show_progress=False))
    tokenizer.decoder = decoders.CTC()
    yield made("words", tokenizer)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.ByteLevel()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u0120", "merged_with_next")
    tokenizer.train_from_iterator(corpus.splitlines(), trainers.BpeTrainer(
        vocab_size=500, special_tokens=special, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.decoder = decoders.ByteLevel()
    yield made("bytes_as_text", tokenizer)


def known_splits(folder):
    """The ways in which published byte-level tokenizers split text, over a small vocabulary."""
    pre, regex = pre_tokenizers, lambda pattern: pre_tokenizers.Split(Regex(pattern), "isolated")
    by_bytes = pre.ByteLevel(add_prefix_space=False, use_regex=False)
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    ends = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    kinds = {
        "o200k": [regex(rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{ends}|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{ends}|\p{{N}}{{1,3}}"
                        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"), by_bytes],
        "deepseek": [regex(r"\p{N}{1,3}"), regex("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                     regex(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
                           r"|\s*[\r\n]+|\s+(?!\S)|\s+"), by_bytes],
        "bloom": [regex(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"), by_bytes],
        "falcon": [pre.Punctuation("contiguous"), pre.ByteLevel(add_prefix_space=False), pre.Digits(False), regex("[0-9][0-9][0-9]")],
        "starcoder": [pre.Digits(True), pre.ByteLevel(add_prefix_space=False)],
    }
    for name, parts in kinds.items():
        tokenizer = Tokenizer.from_file(os.path.join(ROOT, "tests", "text", "gpt2.json"))
        tokenizer.pre_tokenizer = pre.Sequence(parts)
        path = os.path.join(folder, f"split_{name}.json")
        tokenizer.save(path)
        yield path


def sentencepiece_rules(path):
    """precompiled_charsmap of a model: field 2 of message 3, found without the library's protobuf classes."""
    def fields(data):
        at = 0
        def number():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            key = number()
            if key & 7 == 2:
                n = number()
                yield key >> 3, data[at:at + n]
                at += n
            elif key & 7 == 0:
                yield key >> 3, number()
            else:
                at += 8 if key & 7 == 1 else 4
    model = dict(fields(open(path, "rb").read()))
    return dict(fields(model[3]))[2]


YUAN = ("<eod> <sep> <pad> <mask> <predict> <FIM_SUFFIX> <FIM_PREFIX> <FIM_MIDDLE> <commit_before> <commit_msg> "
        "<commit_after> <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <empty_output>").split()


def open_theirs(path):
    if path.endswith(".json"):
        return HuggingFace(path)
    theirs = SentencePiece(path)
    if "<eod>" in theirs.vocab:  # Yuan: its loader adds these, in this order
        for token in YUAN:
            theirs.added[token] = theirs.vocab.index(token) if token in theirs.vocab else 134953 + len(
                [t for t in theirs.added.values() if t >= 134953])
        theirs = SentencePiece(path, theirs.added)
    return theirs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("tokenizers", nargs="*")
    parser.add_argument("--files", nargs="*", default=[])
    parser.add_argument("--rounds", type=int, default=200)
    args = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, sentencepiece {sentencepiece.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        paths, files = list(args.tokenizers), list(args.files)
        if not paths:
            corpus = open(os.path.join(ROOT, "tests", "text", "corpus.txt"), newline="").read()
            paths = list(train_sentencepiece(folder, corpus))
            paths += list(train_hugging_face(folder, corpus, paths[0])) + list(known_splits(folder))
            paths += sorted(glob.glob(DATA + "/tokenizers/*.json") + glob.glob(DATA + "/tokenizers/*/*.model"))
            files = files or glob.glob(DATA + "/text/*.txt")
        # a thread each: one waits for our process or for the library, which both work outside of Python's lock
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda path: check(args.peer, path, args.rounds, files, 1 if args.files else 200), paths))
    differences = [d for d in found if d]
    for d in differences:
        print(d)
    print(f"{len(paths)} tokenizers, {len(differences)} differ")
    return 1 if differences else 0


def main_of_known_versions():
    known = all((sys.modules[name].__version__ + ".").startswith(version + ".") for name, version in KNOWN.items())
    try:
        code = main()
    except Exception as e:
        if known:
            raise
        print(f"{type(e).__name__}: {e}")
        code = 1
    if code and not known:
        print("skipped: these versions are not " + ", ".join(" ".join(pair) for pair in KNOWN.items()))
        code = 77
    sys.exit(code)


if __name__ == "__main__":
    main_of_known_versions()
