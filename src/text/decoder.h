// Decoders: from the spelling of tokens to text. Each equals the one of the same name in Hugging Face
// `tokenizers`: a step maps a list of strings to a list of strings, and the text is their concatenation.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lyceum {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
  // True for the byte-level decoder on its own: tokens are bytes and nothing else matters.
  virtual bool is_byte_level() const { return false; }
};

using DecoderPtr = std::unique_ptr<const Decoder>;

// The byte that a token of the form <0xNN> stands for, or -1.
int byte_of_token(std::string_view token);

DecoderPtr make_byte_level_decoder();
DecoderPtr make_replace_decoder(const std::string& pattern, bool is_regex, const std::string& content);
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_fuse_decoder();
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop);
DecoderPtr make_metaspace_decoder(const std::string& replacement, bool drop_first);
DecoderPtr make_word_piece_decoder(const std::string& prefix, bool cleanup);
DecoderPtr make_ctc_decoder(const std::string& pad, const std::string& delimiter, bool cleanup);
DecoderPtr make_suffix_decoder(const std::string& suffix);  // "BPEDecoder"
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts);

}  // namespace lyceum
