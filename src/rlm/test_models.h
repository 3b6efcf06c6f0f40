// A test's models: a function from a request to a text. What they say is the test's input, not a stand-in for
// a model.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "llm/completer.h"

namespace pmt::rlm {

class FunctionModel final : public llm::Completer {
 public:
  using Function = std::function<base::Result<std::string>(const llm::Request&)>;
  explicit FunctionModel(Function function) : function_(std::move(function)) {}

  std::string thought = {};    // before each answer
  nlohmann::json engine = {};  // of each answer's report
  std::optional<llm::KnowledgeReport> knowledge = {};

  /// Uses 10 tokens of prompt and one a byte of answer.
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    const auto text = function_(request);
    if (!text) return sink->on_event(llm::Failed{text.error()});
    sink->on_event(llm::Started{.model = request.model, .created_unix_s = 7, .cache = {}});
    if (!thought.empty())
      sink->on_event(llm::Delta{.choice = 0, .text = {}, .logprobs = {}, .reasoning = thought});
    sink->on_event(llm::Delta{.choice = 0, .text = *text, .logprobs = {}});
    sink->on_event(llm::ChoiceEnd{});
    llm::Done done{
        .usage = {.prompt_tokens = 10, .completion_tokens = static_cast<std::int64_t>(text->size())},
        .report = {}};
    done.report.kv = llm::KvReport{};
    done.report.kv->ratio_achieved = 8;
    done.report.kv->bytes = 100;
    done.report.kv->bytes_f16 = 800;
    done.report.engine = engine;
    done.report.knowledge = knowledge;
    done.report.speculation = llm::SpeculationReport{.drafted = 4, .accepted = 3};
    sink->on_event(std::move(done));
  }

 private:
  Function function_;
};

}  // namespace pmt::rlm
