// Where text lies on a Debian machine, and which domain each place belongs to.
#pragma once

#include <string>
#include <vector>

#include "data/extract.h"

namespace lyceum {

// A file that may become documents. Candidates of one domain and group are alike (one library's headers, one
// program's pages): no group takes more than a quarter of its domain.
struct Candidate {
  std::string path;  // to open
  std::string name;  // stable name, becomes the id: "usr/include/stdio.h"
  std::string domain;
  std::string group;
  std::string kind;  // "" = by name
  TextForm form = TextForm::kByName;
  size_t bytes = 0;  // estimate of the text in it
};

// The domains of a machine, in the order of their ids.
std::vector<std::string> machine_domains();

// All candidates under `roots` (a root is "/" or a folder into which a package was unpacked), in sorted order
// of their names; of one name under two roots the first root's file is taken. Folders that are absent are
// skipped.
std::vector<Candidate> machine_candidates(const std::vector<std::string>& roots);

// Candidates of a user's folder: each folder directly inside it is a domain, files directly inside it are of
// a domain named after the folder itself. Throws kNotFound when it is no folder or holds no file.
std::vector<Candidate> folder_candidates(const std::string& folder);

}  // namespace lyceum
