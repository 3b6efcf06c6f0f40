#include "model/schema/gbnf_writer.h"

#include <algorithm>

namespace pmt::model {

std::string GbnfWriter::rule(const std::string& body) {
  if (const auto found = names_.find(body); found != names_.end()) return found->second;
  std::string name = reserve();
  define(name, body);
  names_.emplace(body, name);
  return name;
}

std::string GbnfWriter::reserve() {
  return prefix_ + std::to_string(count_++);
}

void GbnfWriter::define(const std::string& name, const std::string& body) {
  text_ += name;
  text_ += " ::= ";
  text_ += body;
  text_ += '\n';
}

std::string gbnf_alternatives(const std::vector<std::string>& bodies) {
  std::vector<std::string> kept;
  for (const std::string& body : bodies) {
    if (body != kGbnfNever && std::find(kept.begin(), kept.end(), body) == kept.end()) kept.push_back(body);
  }
  if (kept.empty()) return kGbnfNever;
  std::string out = kept.front();
  for (std::size_t i = 1; i < kept.size(); ++i) out += " | " + kept[i];
  return out;
}

}  // namespace pmt::model
