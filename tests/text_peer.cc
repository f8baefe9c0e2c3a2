// The tokenizer as a filter, for tools/check_tokenizers.py: binary records on stdin and stdout, little
// endian.
//   'e' flags n bytes   -> n ids          flags: 1 add special, 2 allow special
//   'd' flags n ids     -> n bytes        flags: 1 skip special
//   's' flags n ids     -> n bytes        the same through the streaming decoder
// and, with a second argument "time", encode that many texts of a file of records: seconds on stdout.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/threads.h"
#include "text/tokenizer.h"

using namespace lyceum;

namespace {

bool read_record(std::FILE* in, char* head, std::string& data) {
  uint32_t n = 0;
  if (std::fread(head, 1, 2, in) != 2 || std::fread(&n, 4, 1, in) != 1) return false;
  data.resize(n);
  return std::fread(data.data(), 1, n, in) == n;
}

void write_record(const void* data, size_t n, uint32_t count) {
  std::fwrite(&count, 4, 1, stdout);
  std::fwrite(data, 1, n, stdout);
  std::fflush(stdout);
}

void serve(const Tokenizer& tokenizer) {
  char head[2];
  for (std::string data; read_record(stdin, head, data);) {
    if (head[0] == 'e') {
      const auto ids =
          tokenizer.encode(data, {.add_special = (head[1] & 1) != 0, .allow_special = (head[1] & 2) != 0});
      write_record(ids.data(), ids.size() * 4, static_cast<uint32_t>(ids.size()));
      continue;
    }
    std::vector<int32_t> ids(data.size() / 4);
    std::memcpy(ids.data(), data.data(), ids.size() * 4);
    std::string text;
    if (head[0] == 'd') {
      text = tokenizer.decode(ids, (head[1] & 1) != 0);
    } else {
      StreamDecoder stream(tokenizer, (head[1] & 1) != 0);
      for (const int32_t id : ids) text += stream.push(id);
      text += stream.finish();
    }
    write_record(text.data(), text.size(), static_cast<uint32_t>(text.size()));
  }
}

// On every 't' record on stdin: encodes all texts of a file, writes the seconds it took.
void time_texts(const Tokenizer& tokenizer, const char* path, bool batch) {
  std::vector<std::string> texts;
  std::FILE* in = std::fopen(path, "rb");
  check(in != nullptr, "text_peer", "cannot open ", path);
  char head[2];
  for (std::string data; read_record(in, head, data);) texts.push_back(data);
  std::fclose(in);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  for (int c; (c = std::getchar()) == 't';) {
    const double begin = steady_seconds();
    size_t n = 0;
    if (batch)
      for (const auto& ids : tokenizer.encode_batch(views)) n += ids.size();
    else
      for (const auto& view : views) n += tokenizer.encode(view).size();
    const double seconds = steady_seconds() - begin;
    std::printf("%.6f %zu\n", seconds, n);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc >= 2, "text_peer", "wanted a tokenizer");
    const Tokenizer tokenizer = Tokenizer::load(argv[1]);
    if (argc == 2) {
      serve(tokenizer);
    } else {  // TOKENIZER RECORDS batch|one THREADS
      check(argc == 5, "text_peer", "wanted TOKENIZER RECORDS batch|one THREADS");
      set_thread_count(std::atoi(argv[4]));
      time_texts(tokenizer, argv[2], std::string(argv[3]) == "batch");
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "text_peer: %s\n", e.what());
    return 1;
  }
}
