#include "text/decoder.h"

#include <algorithm>

#include "base/error.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/unicode.h"

namespace lyceum {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t at = find_text(text, from);
  if (at == std::string::npos) return;
  std::string out;
  size_t done = 0;
  for (; at != std::string::npos; at = find_text(text, from, done)) {
    out.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  text = out.append(text, done);
}

// English without the spaces that splitting into words left.
void clean_up(std::string& text) {
  static constexpr std::pair<const char*, const char*> kCleanup[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kCleanup) replace_all(text, from, to);
}

class ByteLevelDecoder : public Decoder {
 public:
  bool is_byte_level() const override { return true; }
  void apply(std::vector<std::string>& tokens) const override {
    std::string all, bytes, buffer;
    for (const std::string& token : tokens) all += piece_to_bytes(token, bytes) ? bytes : token;
    tokens = {std::string(to_valid_utf8(all, buffer))};
  }
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(const std::string& pattern, bool is_regex, const std::string& content)
      : replace_(make_replace(pattern, is_regex, content)) {}
  void apply(std::vector<std::string>& tokens) const override {
    std::string buffer;
    for (std::string& token : tokens) token = std::string(replace_->apply(token, buffer));
  }

 private:
  NormalizerPtr replace_;
};

// Runs of <0xNN> become the text that their bytes are, or one U+FFFD for each if they are not UTF-8.
class ByteFallbackDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::vector<std::string> out;
    std::string run;
    const auto flush = [&] {
      if (valid_utf8_prefix(run) == run.size()) {
        if (!run.empty()) out.push_back(run);
      } else {
        out.insert(out.end(), run.size(), kReplacement);
      }
      run.clear();
    };
    for (std::string& token : tokens) {
      const int byte = byte_of_token(token);
      if (byte >= 0) {
        run.push_back(static_cast<char>(byte));
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    tokens = std::move(out);
  }
};

class FuseDecoder : public Decoder {
 public:
  void apply(std::vector<std::string>& tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    tokens = {std::move(all)};
  }
};

class StripDecoder : public Decoder {
 public:
  StripDecoder(char32_t content, size_t start, size_t stop) : start_(start), stop_(stop) {
    append_char(content_, content);
  }
  void apply(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view text = token;
      for (size_t i = 0; i < start_ && text.starts_with(content_); ++i) text.remove_prefix(content_.size());
      for (size_t i = 0; i < stop_ && text.ends_with(content_); ++i) text.remove_suffix(content_.size());
      token = std::string(text);
    }
  }

 private:
  std::string content_;
  size_t start_, stop_;
};

class MetaspaceDecoder : public Decoder {
 public:
  MetaspaceDecoder(const std::string& replacement, bool drop_first)
      : replacement_(replacement), drop_first_(drop_first) {}
  void apply(std::vector<std::string>& tokens) const override {
    bool first = drop_first_;
    for (std::string& token : tokens) {
      replace_all(token, replacement_, first ? "" : " ");
      first = false;
    }
  }

 private:
  std::string replacement_;
  bool drop_first_;
};

class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(const std::string& prefix, bool cleanup) : prefix_(prefix), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0) token = token.starts_with(prefix_) ? token.substr(prefix_.size()) : " " + token;
      if (cleanup_) clean_up(token);
    }
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

// Connectionist temporal classification: repeated tokens are one, padding is none.
class CtcDecoder : public Decoder {
 public:
  CtcDecoder(const std::string& pad, const std::string& delimiter, bool cleanup)
      : pad_(pad), delimiter_(delimiter), cleanup_(cleanup) {}
  void apply(std::vector<std::string>& tokens) const override {
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    for (std::string& token : tokens) {
      if (!pad_.empty()) replace_all(token, pad_, "");
      if (!cleanup_) continue;
      clean_up(token);
      if (!delimiter_.empty()) replace_all(token, delimiter_, " ");
    }
    std::erase(tokens, "");
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

class SuffixDecoder : public Decoder {
 public:
  explicit SuffixDecoder(const std::string& suffix) : suffix_(suffix) {}
  void apply(std::vector<std::string>& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i)
      replace_all(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
  }

 private:
  std::string suffix_;
};

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(std::vector<DecoderPtr> parts) : parts_(std::move(parts)) {}
  bool is_byte_level() const override { return parts_.size() == 1 && parts_[0]->is_byte_level(); }
  void apply(std::vector<std::string>& tokens) const override {
    for (const DecoderPtr& part : parts_) part->apply(tokens);
  }

 private:
  std::vector<DecoderPtr> parts_;
};

}  // namespace

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  const int high = digit(token[3]), low = digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

DecoderPtr make_byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }
DecoderPtr make_replace_decoder(const std::string& pattern, bool is_regex, const std::string& content) {
  return std::make_unique<ReplaceDecoder>(pattern, is_regex, content);
}
DecoderPtr make_byte_fallback_decoder() { return std::make_unique<ByteFallbackDecoder>(); }
DecoderPtr make_fuse_decoder() { return std::make_unique<FuseDecoder>(); }
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop) {
  return std::make_unique<StripDecoder>(content, start, stop);
}
DecoderPtr make_metaspace_decoder(const std::string& replacement, bool drop_first) {
  return std::make_unique<MetaspaceDecoder>(replacement, drop_first);
}
DecoderPtr make_word_piece_decoder(const std::string& prefix, bool cleanup) {
  return std::make_unique<WordPieceDecoder>(prefix, cleanup);
}
DecoderPtr make_ctc_decoder(const std::string& pad, const std::string& delimiter, bool cleanup) {
  return std::make_unique<CtcDecoder>(pad, delimiter, cleanup);
}
DecoderPtr make_suffix_decoder(const std::string& suffix) {
  check(!suffix.empty(), "tokenizer decoder BPEDecoder", "wanted a suffix, found an empty one");
  return std::make_unique<SuffixDecoder>(suffix);
}
DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> parts) {
  return std::make_unique<DecoderSequence>(std::move(parts));
}

}  // namespace lyceum
