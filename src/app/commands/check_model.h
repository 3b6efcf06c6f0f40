// permutation models check FILE: what a model gets of what there is, told by trying it: it is loaded, a conversation
// with a system text, a tool and thoughts is rendered by its chat template, and 16 tokens are generated.
// Thread-safety: one thread. Errors: the file's, told as when it is served. Cost: the model's loading.
#pragma once

#include <string>

namespace pmt::app {

struct CheckModelOptions {
  std::string model;          // a file, or a name of the catalogue
  std::string chat_template;  // a file in place of the model's own; "": that
  bool json = false;
};

/// The exit code: failed also where the template refuses the conversation, or nothing could be generated.
int check_model(const CheckModelOptions& options);

}  // namespace pmt::app
