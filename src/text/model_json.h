// For .cc files of this folder: the model of a tokenizer.json.
#pragma once

#include <memory>
#include <vector>

#include "text/json_node.h"
#include "text/model.h"
#include "text/tokenizer_build.h"

namespace lyceum {

// What a file says of its model: the vocabulary at once, the model when it is known which ids are control
// tokens, which text must never become.
struct ModelDraft {
  Vocab vocab;
  ModelMaker make;
};

// Throws kUnsupported for a model of another type. byte_level: words are bytes (pre_tokenizer.h).
ModelDraft read_model(const Node& node, bool byte_level);

}  // namespace lyceum
