// Words of a text as hashes: what filters count and duplicates are found by.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lyceum {

// Words: runs of letters, digits and '_', ASCII letters in lower case; each character of a script without
// blanks is a word of its own. Punctuation is passed over.
std::vector<uint64_t> word_hashes(std::string_view text);

// Runs between blanks, punctuation included; characters of scripts without blanks stand alone.
std::vector<uint64_t> blank_separated_hashes(std::string_view text);

// Hash of the text with runs of blanks as one blank, none at the ends: two texts that differ in nothing else
// are exact duplicates. XXH3-128.
struct Hash128 {
  uint64_t low = 0, high = 0;
  auto operator<=>(const Hash128&) const = default;
};
Hash128 normalised_hash(std::string_view text);

// Distinct hashes of `n` words in a row, sorted; texts of fewer words give one shingle of them all.
std::vector<uint64_t> shingles_of(std::string_view text, int n);

// |a and b| / |a or b| of two sorted lists without repetition; 1 for two empty ones.
double jaccard(const std::vector<uint64_t>& a, const std::vector<uint64_t>& b);

}  // namespace lyceum
