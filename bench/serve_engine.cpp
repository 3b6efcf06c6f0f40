#include "bench/serve_engine.h"

#include <utility>
#include <variant>

#include "engine/shipped_calibration.h"
#include "kernels/page_layout.h"
#include "kv_cache/page_budget.h"
#include "lab/measure.h"
#include "model/gguf_file.h"
#include "model/hparams.h"
#include "model/vocab.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kSequencesMax = 4096;

}  // namespace

ModelFacts facts_of(const std::string& model_path) {
  const auto file = need(model::GgufFile::open(model_path));
  return {.shape = need(model::read_hparams(file)).kv_shape(),
          .vocabulary = need(model::Vocab::load(model_path))->size()};
}

std::size_t exact_bytes(const kv_cache::KvShape& shape, int prompt_tokens, int new_tokens) {
  return kv_cache::pages_at_most(shape, {.prompt_tokens = prompt_tokens, .new_tokens = new_tokens}) *
         kernels::f16_page_bytes(shape.head_dim);
}

void Answer::on_event(llm::Event&& event) {
  const std::lock_guard lock(mutex_);
  begun_ = begun_ || std::holds_alternative<llm::Started>(event);
  ended_ = llm::is_terminal(event);
  if (ended_) ended_at_ = std::chrono::steady_clock::now();
  if (auto* const done = std::get_if<llm::Done>(&event)) done_ = std::move(*done);
  if (auto* const failed = std::get_if<llm::Failed>(&event)) error_ = std::move(failed->error);
  changed_.notify_all();
}

void Answer::wait_until(bool& reached) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return reached || ended_; });
  if (error_) fail(error_->message);
}

void Answer::wait_begun() {
  wait_until(begun_);
}

const llm::Done& Answer::wait() {
  wait_until(ended_);
  return done_;
}

ServeEngine::ServeEngine(const ServeEngineOptions& options) {
  inference::LocalModelOptions model;
  model.name = "model";
  model.path = options.model_path;
  model.threads = options.threads;
  model.kv_bytes_max = options.kv_bytes;
  model.prefix_bytes_max = options.prefix_bytes;
  model.sequences_max = kSequencesMax;
  model.calibrates_first = options.calibrated;  // not in the measured time
  engine::find_calibration(model);
  // The pool is address space, and how much of it is used at once is decided here.
  model.memory_available = [] { return std::int64_t{-1}; };
  model.on_warning = progress;
  engine_ = need(engine::LocalEngine::open({.models = {std::move(model)}}, clock_));
}

std::shared_ptr<Answer> ServeEngine::ask(Question question) {
  llm::Request request;
  request.id = "bench";
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt_tokens = std::move(question.prompt);
  request.max_tokens = question.new_tokens;
  request.ignore_eos = true;
  request.sampling.temperature = 0;
  request.speculation = llm::Speculation::kOff;
  request.tenant = std::move(question.tenant);
  request.kv = {question.kv_ratio, question.kv_ratio > 1 ? question.mode : llm::KvMode::kExact};
  auto answer = std::make_shared<Answer>();
  engine_->models()[0].completer().start(std::move(request), answer, {});
  return answer;
}

}  // namespace pmt::bench
