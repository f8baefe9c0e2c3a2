#include "data/extract.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/file.h"
#include "data/compressed.h"
#include "data/html_text.h"
#include "data/man_text.h"
#include "data/utf8.h"

namespace lyceum {
namespace {

using View = std::string_view;

constexpr size_t kLargestText = size_t{256} << 20;

View extension(View name) {
  const size_t dot = name.rfind('.');
  return dot == View::npos ? View() : name.substr(dot + 1);
}

// Text has no zero bytes and few control characters.
bool looks_binary(View bytes) {
  size_t controls = 0;
  const size_t n = std::min<size_t>(bytes.size(), size_t{1} << 16);
  for (size_t i = 0; i < n; ++i) {
    const auto c = static_cast<unsigned char>(bytes[i]);
    if (c == 0) return true;
    controls += c < 32 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != '\b' && c != 27;
  }
  return controls * 100 > n;
}

bool is_html(View name, View text) {
  const View ext = extension(name);
  if (ext == "html" || ext == "htm" || ext == "xhtml") return true;
  const View head = text.substr(0, 256);
  return ext != "php" && (head.starts_with("<!DOCTYPE html") || head.starts_with("<html"));
}
bool is_man(View name, View text) {
  const View ext = extension(name);
  return !ext.empty() && ext[0] >= '1' && ext[0] <= '9' && looks_like_man(text);
}

void add_document(Extracted& out, const std::string& id, std::string text) {
  if (text.empty()) {
    ++out.refused["empty"];
    return;
  }
  Document d;
  d.id = id;
  d.text = std::move(text);
  d.kind = kind_of_name(base_name(without_compression(id)));
  out.documents.push_back(std::move(d));
}

void add_fortunes(Extracted& out, const std::string& name, View text) {
  size_t number = 0;
  while (!text.empty()) {
    size_t end = text.starts_with("%\n") ? 0 : text.find("\n%\n");
    const bool last = end == View::npos;
    if (last) end = text.size();
    std::string piece = clean_text(text.substr(0, end));
    if (!piece.empty()) add_document(out, name + "#" + std::to_string(++number), std::move(piece));
    text.remove_prefix(last ? text.size() : end + (end == 0 ? 2 : 3));
  }
}

void add_rows(Extracted& out, const std::string& path, const std::string& name) {
  const size_t before = out.refused.size();
  for (Document& d : read_documents(path, out.refused)) {
    d.text = clean_text(d.text);
    if (d.text.empty()) ++out.refused["empty"];
    else out.documents.push_back(std::move(d));
  }
  if (out.documents.empty() && out.refused.size() == before) ++out.refused["empty"];
  (void)name;
}

}  // namespace

const char* kind_of_name(View name) {
  static constexpr std::array<View, 52> kCode = {
      "c",  "h",    "cc",   "hh",  "cpp", "hpp",   "cxx",  "hxx",   "tcc",   "ipp", "inl", "cu",   "cuh",
      "py", "pyi",  "pm",   "pl",  "t",   "sh",    "bash", "zsh",   "js",    "mjs", "ts",  "tsx",  "jsx",
      "go", "rs",   "java", "kt",  "rb",  "php",   "lua",  "scala", "swift", "m",   "r",   "jl",   "hs",
      "ml", "lisp", "el",   "scm", "sql", "cmake", "mk",   "awk",   "tcl",   "f90", "cs",  "vhdl", "asm"};
  return std::find(kCode.begin(), kCode.end(), extension(name)) != kCode.end() ? "code" : "text";
}

Extracted extract_file(const std::string& path, const std::string& name, TextForm form) {
  Extracted out;
  const std::string plain_name(without_compression(name));
  try {
    out.bytes_read = MappedFile(path).size();
    if (form == TextForm::kByName && plain_name.ends_with(".jsonl")) {
      add_rows(out, path, name);
      return out;
    }
    std::string text = read_decompressed(path, kLargestText);
    if (text.empty()) ++out.refused["empty"];
    else if (looks_binary(text)) ++out.refused["binary"];
    else if (first_invalid_utf8(text) != text.size()) ++out.refused["not valid UTF-8"];
    else if (form == TextForm::kFortunes) add_fortunes(out, name, text);
    else if (form == TextForm::kByName && is_html(plain_name, text))
      add_document(out, name, html_to_text(text));
    else if (form == TextForm::kByName && is_man(plain_name, text))
      add_document(out, name, man_to_text(text));
    else add_document(out, name, clean_text(text));
  } catch (const Error& e) {
    const ErrorKind kind = e.kind();
    ++out.refused[kind == ErrorKind::kCorruptData       ? "damaged compression"
                  : kind == ErrorKind::kInvalidArgument ? "larger than 256 MiB"
                                                        : "unreadable"];
  }
  return out;
}

}  // namespace lyceum
