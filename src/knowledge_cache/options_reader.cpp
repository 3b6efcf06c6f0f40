#include "knowledge_cache/options_reader.h"

#include "knowledge_cache/document_request.h"
#include "knowledge_cache/fact_request.h"

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

constexpr Rule<FactRequest> kFactRules[] = {
    {"unsure",
     [](Json v, FactRequest& o) {
       return base::one_of<UnsureUse>(
           v, {{"auto", UnsureUse::kAuto}, {"ask", UnsureUse::kAsk}, {"leave", UnsureUse::kLeave}}, o.unsure);
     }},
};

}  // namespace

llm::EngineOptionsReader options_reader() {
  return {DocumentRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<DocumentRequest>(value, kRules, into);
          }};
}

llm::EngineOptionsReader facts_options_reader() {
  return {FactRequest::kName, [](Json value, llm::EngineOptions& into) {
            return llm::read_engine_options<FactRequest>(value, kFactRules, into);
          }};
}

}  // namespace pmt::knowledge_cache
