// Documents for evaluation: from Dolma JSONL, plain files or folders, to ids with their bytes, grouped.
#pragma once

#include "data/document.h"
#include "eval/likelihood.h"
#include "text/tokenizer.h"

namespace lyceum {

// Reads documents from files and folders: a folder of documents (<folder>/<domain>/*.jsonl.zst),
// .jsonl(.gz|.zst) files, or text files (one document each, domain = name of the folder they stand in).
// Throws kNotFound when nothing is found.
std::vector<Document> read_evaluation_documents(const std::vector<std::string>& paths);

// Ids of each document's text; specials in the text stay text.
std::vector<EncodedDocument> encode_documents(const Tokenizer& tokenizer,
                                              const std::vector<const Document*>& documents);

struct GroupLikelihood {
  std::string domain, source;
  Likelihood likelihood;
};
// One row for each (domain, source) in order of first appearance.
std::vector<GroupLikelihood> evaluate_documents(const Model& model, const Tokenizer& tokenizer,
                                                const std::vector<Document>& documents,
                                                const LikelihoodOptions& options,
                                                const char* title = "evaluate");

}  // namespace lyceum
