#!/usr/bin/env python3
"""Writes tests/text/ and tests/templates/goldens.json: small tokenizers of every kind and what Hugging Face `tokenizers`
and `sentencepiece` make of some texts; chat templates and what Jinja2 makes of some conversations.

Usage: tools/make_text_goldens.py [bpe|kinds|templates]      (needs these libraries; the files it writes are committed)
"""
import json
import os
import random
import shutil
import sys
import tempfile

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = os.path.join(os.path.dirname(__file__), "..", "tests", "text")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")


def make_corpus():
    """Words that follow each other as a seeded die says, with code, numbers and Chinese between them."""
    rng = random.Random(11)
    words = ("the a of and to in is that it was for on are with as his they be at one have this from or had by hot but "
             "some what there we can out other were all your when up use word how said an each she which do their time "
             "expert router token gate balance layer model weight gradient shard batch sequence isn't we'll don't").split()
    han = "专家模型的路由器把每个词元送到不同的专家那里去我们训练语言模型"
    lines = []
    for i in range(420):
        kind = i % 7
        if kind < 4:
            line = " ".join(rng.choice(words) for _ in range(rng.randrange(4, 14)))
            lines.append(line[0].upper() + line[1:] + rng.choice([".", "!", "?", " (so).", ", he said."]))
        elif kind == 4:
            lines.append("    " * rng.randrange(4) + f"for (int i = {rng.randrange(9)}; i < {rng.randrange(3000)}; ++i) x[i] += y;")
        elif kind == 5:
            lines.append("".join(rng.choice(han) for _ in range(rng.randrange(4, 16))) + rng.choice("。，！"))
        else:
            lines.append(f"value_{rng.randrange(50)} = {rng.randrange(10 ** 6)} # caf\u00e9 na\u00efve {rng.choice(words)}\n\n")
    return "\n".join(lines) + "\n"


def train(corpus, pre_tokenizer, vocab_size=600, **options):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, show_progress=False,
                                  special_tokens=["<|endoftext|>", "<|padding|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **options)
    tokenizer.train_from_iterator([corpus], trainer)
    return tokenizer


def by_bytes(pattern):
    if pattern == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def with_rules(tokenizer):
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken("  "), AddedToken("    "), AddedToken("expert", single_word=True),
                          AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True),
                          AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("caf\u00e9"), AddedToken("e\u0301clair"), AddedToken("raw\u0301", normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<|user|>", special=True), AddedToken("<|user|>x", special=True)])
    return tokenizer


def characters(corpus, **model):
    """A BPE over characters; rare characters stay unknown."""
    pre = pre_tokenizers.Metaspace()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **model))
    tokenizer.pre_tokenizer = pre
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256) if model.get("byte_fallback")]
    trainer = trainers.BpeTrainer(vocab_size=700, min_frequency=2, show_progress=False, special_tokens=special,
                                  limit_alphabet=80)
    tokenizer.train_from_iterator([corpus], trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(data))


def sentencepiece(corpus):
    tokenizer = characters(corpus, byte_fallback=True, fuse_unk=True)
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                                             special_tokens=[("<s>", 1)])
    return tokenizer


def metaspace(corpus, scheme, fuse_unk):
    tokenizer = characters(corpus, fuse_unk=fuse_unk)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer


def decorated(corpus):
    """CLIP's kind: prefix and suffix inside and at the end of words."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                                 normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, special_tokens=["[UNK]"], limit_alphabet=60,
                                  continuing_subword_prefix="##", end_of_word_suffix="</w>")
    tokenizer.train_from_iterator([corpus], trainer)
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    return tokenizer


def whole_words(corpus):
    tokenizer = train(corpus, by_bytes("llama3"))
    data = json.loads(tokenizer.to_str())
    data["model"]["ignore_merges"] = True
    for word in ("\u0120strange", "xyzzy"):  # no merges lead here
        data["model"]["vocab"][word] = len(data["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<|endoftext|> $A <|padding|>", special_tokens=[("<|endoftext|>", 0), ("<|padding|>", 1)])])
    return tokenizer


def splitting(corpus, pre_tokenizer, post_processor=None):
    tokenizer = train(corpus, by_bytes("gpt2"), vocab_size=400)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizer, pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])
    if post_processor:
        tokenizer.post_processor = post_processor
    return tokenizer


TEXTS = [
    "", " ", "\n", "the expert", " The  router isn't   balanced,\n\n\tand it's 12345 tokens (so).  ", "experts expert's expert",
    "x <left> y<right>  z <both> w", " <both><left> <right> ", "cafe\u0301 caf\u00e9 e\u0301clair \u00e9clair raw\u0301",
    "<|endoftext|>", "a<|user|>b<|user|>xyz <|padding|>", "<s>hello</s> <unk><0x41>", "strange strange xyzzy xyzzy!",
    "for (int i = 0; i < 10; ++i) x[i] += y;\n    return;\n", "\u6211\u4eec\u8bad\u7ec3\u8bed\u8a00\u6a21\u578b\uff0c\u4e13\u5bb6\u3002\n",
    "Don't DON'T don\u2019t we'LL '\u017f", "\u0645\u0631\u062d\u0628\u0627 \u043f\u0440\u0438\u0432\u0435\u0442 \ud55c\uad6d\uc5b4 \u1100\u1161\u11a8",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd", "a\u0300\u0316\u0323 \u212b \ufb01 \u2460 \u0130\u0131",
    "\x00\x01\x1f\x7f\x85\xa0\u2028\u3000\ufeff\ufffd", " " * 9 + "x" + " " * 6, "a\u2581b \u2581\u2581c\u0120d", "=" * 70 + "\n" * 7 + "x",
    "\u0661\u0662\u0663\u0664 \u00b2\u00bd\u2167 3.14e-10 0xFFFF", "ab" * 300, "\u4e2d" * 150 + "e\u0301" * 40, "\t\r\n \r\n\r  \n x",
]


def golden(tokenizer, text):
    tokenizer.encode_special_tokens = False
    allowed = tokenizer.encode(text, add_special_tokens=True).ids
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    return {"text": text, "allowed": allowed, "plain": plain,
            "decoded": tokenizer.decode(allowed, skip_special_tokens=False),
            "skipped": tokenizer.decode(allowed, skip_special_tokens=True)}


def make_kinds():
    """Unigram, WordPiece, WordLevel, SentencePiece: a few of those that tools/check_tokenizers.py compares at length."""
    import check_tokenizers as check
    corpus = open(os.path.join(OUT, "corpus.txt"), newline="").read()
    goldens = {}
    with tempfile.TemporaryDirectory() as folder:
        rules = os.path.join(folder, "rules.tsv")
        with open(rules, "w") as f:  # a small normaliser: the usual one is 240 KB
            for source, target in (("\n", " "), ("\t", " "), ("\u3000", " "), ("\ufb01", "fi"), ("e\u0301", "\u00e9"), ("\u2460", "1"),
                                   ("\u00a0", " "), ("\u200b", ""), ("A", "a"), ("\u0001", "")):
                print(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target), file=f)
        small = {"vocab_size": 400, "normalization_rule_tsv": rules}
        paths = list(check.train_sentencepiece(folder, corpus, {
            "unigram": small, "unigram_bytes": {**small, "byte_fallback": True, "user_defined_symbols": ["<user>", "expert"]},
            "bpe": {**small, "model_type": "bpe"},
            "bpe_bytes": {"vocab_size": 500, "model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
                          "remove_extra_whitespaces": False, "split_digits": True}}))
        names = ("unigram_t5", "unigram_first", "wordpiece_uncased", "wordpiece_raw", "words")
        made = check.train_hugging_face(folder, corpus, paths[0])
        paths += [p for p in made if os.path.basename(p)[:-5] in names]
        for path in paths:
            name = os.path.basename(path)
            shutil.copy(path, os.path.join(OUT, name))
            theirs = check.open_theirs(path)
            cases = []
            for text in TEXTS:
                ids = theirs.encode(text, 0, 0)
                if ids is not None:
                    cases.append({"text": text, "ids": ids, "decoded": theirs.decode(ids, 0)})
            goldens[name] = cases
    with open(os.path.join(OUT, "goldens_kinds.json"), "w") as f:
        json.dump({"made_by": f"tokenizers {tokenizers.__version__}, sentencepiece {check.sentencepiece.__version__}",
                   "tokenizers": goldens}, f, ensure_ascii=True, separators=(",", ":"))


def make_templates():
    import check_templates as check
    folder = os.path.join(OUT, "..", "templates")
    variables = list(check.settings()) + [check.DATA]
    cases = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".jinja"):
            source = open(os.path.join(folder, name), newline="").read()
            cases += [(name, source, i) for i in range(len(variables) - 1)]
    cases += [(source, source, len(variables) - 1) for source in check.SNIPPETS + check.LAYOUT + check.BROKEN]
    out = []
    for name, source, i in cases:
        text = check.theirs(source, variables[i])
        if "strftime_now" not in source:  # the time zone is that of the machine
            out.append({"template": name, "variables": i, "text": None if isinstance(text, Exception) else text})
    with open(os.path.join(folder, "goldens.json"), "w") as f:
        json.dump({"made_by": f"jinja2 {check.jinja2.__version__}", "variables": variables, "cases": out}, f, ensure_ascii=True,
                  separators=(",", ":"))


def main():
    wanted = sys.argv[1:] or ["bpe", "kinds", "templates"]
    if "bpe" in wanted:
        make_bpe()
    if "kinds" in wanted:
        make_kinds()
    if "templates" in wanted:
        make_templates()


def make_bpe():
    os.makedirs(OUT, exist_ok=True)
    corpus = make_corpus()
    made = {
        "gpt2": train(corpus, by_bytes("gpt2")),
        "llama3": train(corpus, by_bytes("llama3")),
        "added_tokens": with_rules(train(corpus, by_bytes("gpt2"), vocab_size=400)),
        "byte_fallback": sentencepiece(corpus),
        "metaspace_first": metaspace(corpus, "first", False),
        "metaspace_always": metaspace(corpus, "always", True),
        "decorated": decorated(corpus),
        "ignore_merges": whole_words(corpus),
        "digits": splitting(corpus, pre_tokenizers.Digits(False)),
        "punctuation": splitting(corpus, pre_tokenizers.Punctuation("merged_with_next"),
                                 processors.RobertaProcessing(("<|endoftext|>", 0), ("<|padding|>", 1))),
        "bert_words": splitting(corpus, pre_tokenizers.BertPreTokenizer(),
                                processors.BertProcessing(("<|endoftext|>", 0), ("<|padding|>", 1))),
        "split_contiguous": splitting(corpus, pre_tokenizers.Split(Regex(r"[\s\d]"), "contiguous")),
        "split_previous": splitting(corpus, pre_tokenizers.Split(Regex(r"\s|e"), "merged_with_previous")),
        "split_inverted": splitting(corpus, pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True)),
        "split_literal": splitting(corpus, pre_tokenizers.Split("e", "removed")),
    }
    with open(os.path.join(OUT, "corpus.txt"), "w", newline="") as f:
        f.write(corpus)
    goldens = {"made_by": f"tokenizers {tokenizers.__version__}", "tokenizers": {}}
    for name, tokenizer in made.items():
        tokenizer.save(os.path.join(OUT, f"{name}.json"), pretty=name in ("gpt2", "llama3"))
        goldens["tokenizers"][name] = [golden(tokenizer, text) for text in TEXTS]
    with open(os.path.join(OUT, "goldens.json"), "w") as f:
        json.dump(goldens, f, ensure_ascii=True, separators=(",", ":"))


main()
