// Tests' model files of any architecture that libllama knows: tiny, of random weights, with the tokenizer of single
// bytes. libllama itself says which tensors the architecture has, and of what shape: so a file is right by
// construction, whatever the family. Thread-safety: one thread each. The file goes with the object.
#pragma once

#include <filesystem>
#include <string>

namespace pmt::model::testing {

struct TinyFamilyOptions {
  std::string architecture;
  bool experts = false;  // two of them, and a shared one
  bool states_between =
      false;            // the second layer is recurrent: the architecture says which layers by their heads
  bool latent = false;  // keys and values through a latent (DeepSeek's MLA)
  int layers = 2;
  int pooling = -1;                 // libllama's number of how its tokens become one vector; -1: they don't
  int context_tokens = 256;         // the window is an eighth of it
  std::string tokenizer = "llama";  // add_byte_tokenizer's kind
};

class TinyFamily {
 public:
  explicit TinyFamily(const TinyFamilyOptions& options);
  ~TinyFamily();
  TinyFamily(const TinyFamily&) = delete;
  TinyFamily& operator=(const TinyFamily&) = delete;

  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace pmt::model::testing
