#include "knowledge_cache/options_reader.h"

#include "knowledge_cache/document_request.h"

namespace pmt::knowledge_cache {
namespace {

using base::Json;
using base::Rule;

constexpr Rule<DocumentRequest> kRules[] = {
    {"attach",
     [](Json v, DocumentRequest& o) {
       return base::one_of<DocumentUse>(v,
                                        {{"auto", DocumentUse::kAuto},
                                         {"packs", DocumentUse::kPacks},
                                         {"packs_then_text", DocumentUse::kPacksThenText},
                                         {"text", DocumentUse::kText},
                                         {"off", DocumentUse::kOff}},
                                        o.attach);
     }},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {DocumentRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<DocumentRequest>(value, kRules, into);
          }};
}

}  // namespace pmt::knowledge_cache
