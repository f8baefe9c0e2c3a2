#include "data/machine.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "data/compressed.h"

namespace lyceum {
namespace {

namespace fs = std::filesystem;
using View = std::string_view;

bool has_extension(View name, std::initializer_list<View> list) {
  const size_t dot = name.rfind('.');
  return dot != View::npos && std::find(list.begin(), list.end(), name.substr(dot + 1)) != list.end();
}

// A script of a Unix shell, by its first line.
bool is_shell_script(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return false;
  char head[64] = {};
  const size_t n = std::fread(head, 1, sizeof head - 1, file);
  std::fclose(file);
  View line(head, n);
  line = line.substr(0, line.find('\n'));
  return line.starts_with("#!") && (line.find("/sh") != View::npos || line.find("bash") != View::npos ||
                                    line.find("dash") != View::npos || line.find("env sh") != View::npos);
}

bool is_header(const std::string& path, View name) {
  (void)path;
  if (has_extension(name, {"h", "hpp", "hh", "hxx", "tcc", "ipp", "inl"})) return true;
  return path.find("/c++/") != std::string::npos && name.find('.') == View::npos;  // <vector>
}
bool is_document(const std::string& path, View name) {
  const std::string plain(without_compression(name));
  std::string lower(name);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const View list :
       {"changelog", "copyright", "authors", "thanks", "copying", "license"})  // names, not prose
    if (lower.starts_with(list)) return false;
  if (path.find("/_sources/") != std::string::npos || path.find("/_static/") != std::string::npos)
    return false;
  if (plain.starts_with("genindex") || plain == "contents.html" || plain == "search.html" ||
      plain == "py-modindex.html")
    return false;
  if (plain.find('.') == std::string::npos) return true;  // README, NEWS, FAQ
  return has_extension(
      plain, {"txt", "md", "rst", "html", "htm", "Debian", "pod", "text", "markdown", "org", "asciidoc"});
}
bool is_prose_page(const std::string& path, View name) {
  return path.find("/html/") != std::string::npos && has_extension(name, {"html"});
}
// Perl's Unicode tables are numbers, not programs.
bool is_perl(const std::string& path, View name) {
  return has_extension(name, {"pm", "pl", "pod", "t"}) && path.find("/unicore/") == std::string::npos;
}
bool any_file(const std::string&, View) { return true; }
bool is_fortune(const std::string&, View name) { return name.find('.') == View::npos; }

// One row per place. `under` is relative to a root and may hold '*' for one path component; the first row
// that takes a file decides.
struct Place {
  const char* under;
  const char* domain;
  const char* kind;
  TextForm form;
  bool (*takes)(const std::string& path, View name);
  int group_depth;  // path components below `under` that name a group
};
const Place kPlaces[] = {
    {"usr/include", "c", "code", TextForm::kPlain, is_header, 1},
    {"usr/lib/gcc/*/*/include", "c", "code", TextForm::kPlain, is_header, 0},
    {"usr/lib/llvm-*/lib/clang/*/include", "c", "code", TextForm::kPlain, is_header, 0},
    {"usr/lib/python3*", "python", "code", TextForm::kPlain,
     [](const std::string&, View n) { return has_extension(n, {"py"}); }, 2},
    {"usr/share/perl*", "perl", "code", TextForm::kPlain, is_perl, 2},
    {"usr/lib/*/perl*", "perl", "code", TextForm::kPlain, is_perl, 2},
    {"usr/bin", "shell", "code", TextForm::kPlain,
     [](const std::string& p, View) { return is_shell_script(p); }, 1},
    {"usr/sbin", "shell", "code", TextForm::kPlain,
     [](const std::string& p, View) { return is_shell_script(p); }, 1},
    {"etc/init.d", "shell", "code", TextForm::kPlain,
     [](const std::string& p, View) { return is_shell_script(p); }, 1},
    {"var/lib/dpkg/info", "shell", "code", TextForm::kPlain,
     [](const std::string& p, View n) {
       return has_extension(n, {"postinst", "prerm", "preinst", "postrm", "config"}) && is_shell_script(p);
     },
     1},
    {"usr/share/bash-completion/completions", "shell", "code", TextForm::kPlain, any_file, 1},
    {"usr/share/doc/anarchism", "english", "text", TextForm::kByName, is_prose_page, 0},
    {"usr/share/games/fortunes", "english", "text", TextForm::kFortunes, is_fortune, 1},
    {"bible", "english", "text", TextForm::kPlain, any_file, 0},
    {"usr/share/debian-reference", "documentation", "text", TextForm::kByName,
     [](const std::string&, View n) { return n.ends_with(".en.html"); }, 0},
    {"usr/share/debian-reference", "chinese", "text", TextForm::kByName,
     [](const std::string&, View n) { return n.ends_with(".zh-cn.html"); }, 0},
    {"usr/share/developers-reference", "documentation", "text", TextForm::kByName,
     [](const std::string& p, View n) {
       return is_document(p, n) && n != "developers-reference.html" && has_extension(n, {"html"});
     },
     0},
    {"usr/share/doc", "documentation", "text", TextForm::kByName, is_document, 1},
    {"usr/share/man/man*", "manual", "text", TextForm::kByName, any_file, -1},
    {"usr/share/man/zh_CN", "chinese", "text", TextForm::kByName, any_file, 1},
    {"usr/share/man/fr", "french", "text", TextForm::kByName, any_file, 1},
    {"usr/share/man/de", "german", "text", TextForm::kByName, any_file, 1},
    {"usr/share/man/es", "spanish", "text", TextForm::kByName, any_file, 1},
    {"usr/share/man/it", "italian", "text", TextForm::kByName, any_file, 1},
};

// fortunes-zh keeps its three files beside the English ones.
bool is_chinese_fortune(View name) { return name == "chinese" || name == "tang300" || name == "song100"; }

bool matches(View pattern, View word) {
  const size_t star = pattern.find('*');
  if (star == View::npos) return pattern == word;
  return word.size() >= pattern.size() - 1 && word.starts_with(pattern.substr(0, star)) &&
         word.ends_with(pattern.substr(star + 1));
}

// Existing folders for a pattern, sorted, relative to the root.
std::vector<std::string> expand(const std::string& root, const std::string& pattern) {
  std::vector<std::string> found = {""};
  for (size_t begin = 0; begin < pattern.size();) {
    const size_t end = std::min(pattern.find('/', begin), pattern.size());
    const std::string part = pattern.substr(begin, end - begin);
    std::vector<std::string> next;
    for (const std::string& folder : found) {
      const std::string here = (fs::path(root) / folder).string();
      const std::string prefix = folder.empty() ? "" : folder + "/";
      if (part.find('*') == std::string::npos) {
        if (directory_exists(here + "/" + part)) next.push_back(prefix + part);
      } else if (directory_exists(here)) {
        for (const std::string& name : list_directory(here))
          if (matches(part, name) && directory_exists(here + "/" + name) &&
              !fs::is_symlink(here + "/" + name))
            next.push_back(prefix + name);
      }
    }
    found = std::move(next);
    begin = end + 1;
  }
  return found;
}

std::string group_of(View below, int depth) {
  if (depth < 0) {  // manual pages: by the first word of the name, git-log and git-show are one group
    const View name = base_name(below);
    return std::string(name.substr(0, name.find_first_of("-_.")));
  }
  size_t end = 0;
  for (int i = 0; i < depth && end != View::npos; ++i) end = below.find('/', end == 0 ? 0 : end + 1);
  return std::string(below.substr(0, end));
}

// Size of the text in a file without reading it: a gzip file ends with it (modulo 2^32).
size_t estimated_bytes(const std::string& path, size_t on_disk) {
  if (compression_of(path) != Compression::kGzip || on_disk < 18) return on_disk;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return on_disk;
  unsigned char tail[4] = {};
  const bool ok = std::fseek(file, -4, SEEK_END) == 0 && std::fread(tail, 1, 4, file) == 4;
  std::fclose(file);
  const size_t n = tail[0] | tail[1] << 8 | tail[2] << 16 | static_cast<size_t>(tail[3]) << 24;
  return ok && n < on_disk * 1100 ? n : on_disk;  // deflate cannot do better than 1032 to 1
}

// Regular files below a folder, links not followed, what cannot be opened skipped.
void walk(const std::string& folder,
          const std::function<void(const std::string& path, size_t bytes)>& visit) {
  std::error_code error;
  fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, error), end;
  for (; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_regular_file(ignored)) continue;
    const uintmax_t bytes = it->file_size(ignored);
    if (!ignored) visit(it->path().string(), static_cast<size_t>(bytes));
  }
}

void keep_first_of_each_name(std::vector<Candidate>& all) {
  std::stable_sort(all.begin(), all.end(),
                   [](const Candidate& a, const Candidate& b) { return a.name < b.name; });
  all.erase(std::unique(all.begin(), all.end(),
                        [](const Candidate& a, const Candidate& b) { return a.name == b.name; }),
            all.end());
}

}  // namespace

std::vector<std::string> machine_domains() {
  return {"c",       "python",  "perl",   "shell",  "documentation", "manual",
          "english", "chinese", "french", "german", "spanish",       "italian"};
}

std::vector<Candidate> machine_candidates(const std::vector<std::string>& roots) {
  std::vector<Candidate> all;
  for (const std::string& root : roots)
    for (const Place& place : kPlaces)
      for (const std::string& folder : expand(root, place.under)) {
        const std::string top = (fs::path(root) / folder).string();
        walk(top, [&](const std::string& path, size_t bytes) {
          if (bytes == 0 || !place.takes(path, base_name(path))) return;
          const std::string below = path.substr(top.size() + 1);
          Candidate c{path,
                      folder + "/" + below,
                      place.domain,
                      group_of(below, place.group_depth),
                      place.kind,
                      place.form,
                      estimated_bytes(path, bytes)};
          if (place.form == TextForm::kFortunes && is_chinese_fortune(below)) c.domain = "chinese";
          if (place.group_depth == 0) c.group = folder;
          if (c.domain == "english" || c.domain == "chinese") c.group.clear();  // few sources: none is capped
          all.push_back(std::move(c));
        });
      }
  keep_first_of_each_name(all);
  return all;
}

std::vector<Candidate> folder_candidates(const std::string& folder) {
  if (!directory_exists(folder))
    fail(ErrorKind::kNotFound, "text", "no folder ", folder,
         "; give the folder that holds your texts, one folder per domain inside it");
  const fs::path top = fs::canonical(folder);
  std::vector<Candidate> all;
  walk(top.string(), [&](const std::string& path, size_t bytes) {
    const std::string below = path.substr(top.string().size() + (top.string() == "/" ? 0 : 1));
    if (below.starts_with(".") || below.find("/.") != std::string::npos) return;  // hidden: .git and its like
    const size_t slash = below.find('/');
    const std::string domain = slash == std::string::npos ? top.filename().string() : below.substr(0, slash);
    all.push_back({path, below, domain, "", "", TextForm::kByName, estimated_bytes(path, bytes)});
  });
  if (all.empty())
    fail(ErrorKind::kNotFound, "text", "the folder ", folder,
         " holds no files; put your texts there, one folder per domain");
  keep_first_of_each_name(all);
  return all;
}

}  // namespace lyceum
