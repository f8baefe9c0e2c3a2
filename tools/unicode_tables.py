#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc and src/text/unicode_scripts.inc: what the tokenizer engine must know of every
code point.

The oracle is Hugging Face `tokenizers`, whose ids ours must equal: its regular expressions (Oniguruma,
Rust's regex) and its normaliser know different versions of Unicode, and both differ from the libraries of the
system. Perl says which code points its normaliser's Unicode 9.0 had assigned; the others pass unchanged.
Usage: tools/unicode_tables.py src/text      (needs tokenizers and perl; a minute)
"""
import os
import subprocess
import sys
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

LETTER, NUMBER, SPACE, WORD, MARK, PUNCTUATION, NFC_ACTIVE, OPAQUE, NUMERIC, CLEANED, ACCENT = (1 << i for i in range(11))
POINTS = [cp for cp in range(0x110000) if not 0xD800 <= cp < 0xE000]


def splits(pre_tokenizer):
    """Code points that the pre-tokenizer separates from a control character."""
    return {cp for cp in POINTS if len(pre_tokenizer.pre_tokenize_str("\x01" + chr(cp) + "\x01")) > 1}


def regex(pattern):
    return splits(pre_tokenizers.Split(Regex(pattern), "isolated"))


def word():
    """Rust's \\w, seen through a pre-tokenizer that joins it to a letter."""
    whitespace = pre_tokenizers.Whitespace()
    return {cp for cp in POINTS if [p for p, _ in whitespace.pre_tokenize_str("a" + chr(cp))] == ["a" + chr(cp)]}


def nfc_active():
    """Code points that NFC may change, move or compose with what stands before them."""
    second = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    for cp in POINTS:
        parts = unicodedata.decomposition(chr(cp)).split()
        if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", chr(cp)) == chr(cp):
            second.add(int(parts[1], 16))
    nfc = normalizers.NFC()
    return second | {cp for cp in POINTS if unicodedata.combining(chr(cp)) or nfc.normalize_str(chr(cp)) != chr(cp)}


def opaque():
    """Code points that Unicode 9.0 had not assigned."""
    code = r'for (0..0x10FFFF) { next if $_ >= 0xD800 && $_ < 0xE000; print "$_\n" unless chr($_) =~ /\p{Present_In: 9.0}/ }'
    out = subprocess.run(["perl", "-e", code], check=True, capture_output=True, text=True).stdout
    return {int(line) for line in out.split()}


def removed(normalizer):
    """Code points that the normaliser drops from between two letters."""
    return {cp for cp in POINTS if normalizer.normalize_str("a" + chr(cp) + "b") == "ab"}


def bert(**chosen):
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **chosen})


def scripts():
    """Ranges of code points and the number of their script; 0 for those of none ("Any")."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str
    examples, out = [], []
    for cp in POINTS:
        c = chr(cp)
        if not split(c):  # "Any": belongs to what stands before it
            continue
        if out and out[-1][1] == cp - 1 and len(split(chr(cp - 1) + c)) == 1:
            out[-1][1] = cp
            continue
        number = next((i for i, e in enumerate(examples) if len(split(e + c)) == 1), len(examples))
        if number == len(examples):
            examples.append(c)
        out.append([cp, cp, number + 1])
    return out


def write(path, title, ranges):
    with open(path, "w") as f:
        print(title, file=f)
        line = ""
        for first, last, bits in ranges:
            text = f"{{{first:#x}, {last:#x}, {bits}}}, "
            if len(line) + len(text) > 110:
                print(line.rstrip(), file=f)
                line = ""
            line += text
        print(line.rstrip(), file=f)


def main():
    unassigned = opaque()
    sets = {
        LETTER: regex(r"\p{L}"),
        NUMBER: regex(r"\p{N}"),
        SPACE: regex(r"\s"),
        WORD: word(),
        MARK: regex(r"\p{M}"),
        PUNCTUATION: splits(pre_tokenizers.Punctuation()),
        NFC_ACTIVE: nfc_active() - unassigned,
        OPAQUE: unassigned,
        CLEANED: removed(bert(clean_text=True)),
        ACCENT: removed(bert(strip_accents=True)),
        NUMERIC: splits(pre_tokenizers.Digits(False)),  # Rust's char::is_numeric, of a later Unicode than Oniguruma
    }
    ranges = []
    for cp in POINTS:
        bits = sum(bit for bit, members in sets.items() if cp in members)
        if ranges and ranges[-1][1] == cp - 1 and ranges[-1][2] == bits:
            ranges[-1][1] = cp
        elif bits:
            ranges.append([cp, cp, bits])
    write(os.path.join(sys.argv[1], "unicode_tables.inc"),
          "// Made by tools/unicode_tables.py: {first, last, bits of CharClass}. Code points that are absent have none.",
          ranges)
    write(os.path.join(sys.argv[1], "unicode_scripts.inc"),
          "// Made by tools/unicode_tables.py: {first, last, script}. Code points that are absent join every script.",
          scripts())


main()
