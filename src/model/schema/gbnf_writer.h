// The rules of a grammar while it is put together (gbnf.h). Equal rules are one. Thread-safety: none.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

namespace pmt::model {

/// What nothing fits.
inline constexpr char kGbnfNever[] = "[]";

class GbnfWriter {
 public:
  /// `prefix`: of all its rules' names, so that several grammars can stand in one.
  explicit GbnfWriter(std::string prefix) : prefix_(std::move(prefix)) {}

  /// The name of a rule with this body.
  std::string rule(const std::string& body);
  /// A name for a rule that is defined later.
  std::string reserve();
  void define(const std::string& name, const std::string& body);

  const std::string& prefix() const { return prefix_; }
  std::size_t bytes() const { return text_.size(); }
  /// All rules, one a line.
  const std::string& text() const { return text_; }

 private:
  std::string prefix_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, std::string> names_;  // by body
  std::string text_;
};

/// "a | b"; kGbnfNever for none. Those that are never are left out.
std::string gbnf_alternatives(const std::vector<std::string>& bodies);

}  // namespace pmt::model
