#include "inference/local_embedder.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <llama.h>
#include <spdlog/spdlog.h>

#include "base/check.h"
#include "base/guard.h"
#include "base/priority.h"
#include "model/llama_log.h"
#include "model/token_list_check.h"

namespace pmt::inference {

namespace {

using base::Code;
using base::Error;
using llm::Embeddings;
using llm::EmbedInput;

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};
struct FreeContext {
  void operator()(llama_context* context) const { llama_free(context); }
};

constexpr int kSequencesMax = 64;
/// Of a text for a model that reads as one that writes does: it keeps keys and values of all of a batch.
constexpr std::size_t kDecoderTokensMax = 2048;

/// libllama's model with a context, ready to encode. Used by one thread.
class Encoder {
 public:
  static base::Result<std::unique_ptr<Encoder>> load(const LocalEmbedderOptions& options);
  ~Encoder() { llama_batch_free(batch_); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// With begin and end tokens. Errors: empty, too long, a token that the vocabulary lacks; no field.
  base::Result<std::vector<llama_token>> tokens_of(const EmbedInput& input) const;
  /// Rows of length 1, [texts, width]. Requires: at most kSequencesMax texts, together at most
  /// max(tokens_max(), batch_tokens) tokens.
  base::Status encode(const std::vector<const std::vector<llama_token>*>& texts, std::vector<float>& rows);

  std::size_t width() const { return width_; }
  std::size_t tokens_max() const { return tokens_max_; }

 private:
  Encoder() = default;

  std::unique_ptr<llama_model, FreeModel> model_;
  std::unique_ptr<llama_context, FreeContext> context_;
  llama_batch batch_{};
  const llama_vocab* vocab_ = nullptr;
  std::size_t width_ = 0, tokens_max_ = 0;
  bool decodes_ = false;  // it reads as a model that writes does, into a memory of keys and values
  int threads_ = 1;
};

Error not_an_embedder(const std::string& path, const std::string& why) {
  return {Code::kCorrupt, fmt::format("{} can't be loaded as an embedding model: {}", path, why)};
}

/// What libllama would abort on, or read past, is found before it gets the file.
base::Result<std::unique_ptr<llama_model, FreeModel>> load_weights(const std::string& path) {
  model::init_llama();
  if (const auto lists = model::check_token_lists(path); !lists) {
    return not_an_embedder(path, lists.error().message);
  }
  const model::LlamaLogCapture log;
  std::unique_ptr<llama_model, FreeModel> weights(
      llama_model_load_from_file(path.c_str(), llama_model_default_params()));
  if (weights == nullptr) return not_an_embedder(path, log.reason());
  return weights;
}

std::string architecture_of(const llama_model* model) {
  char architecture[64] = "?";
  llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture);
  return architecture;
}

bool is_bert(const llama_model* model) {
  return architecture_of(model).find("bert") != std::string::npos;
}

base::Result<std::unique_ptr<Encoder>> Encoder::load(const LocalEmbedderOptions& options) {
  std::unique_ptr<Encoder> encoder(new Encoder());
  TRY_ASSIGN(encoder->model_, load_weights(options.path));
  llama_model* const weights = encoder->model_.get();
  encoder->vocab_ = llama_model_get_vocab(weights);
  encoder->width_ = static_cast<std::size_t>(llama_model_n_embd_out(weights));
  encoder->tokens_max_ = static_cast<std::size_t>(llama_model_n_ctx_train(weights));
  if (!is_bert(weights) && !llama_model_has_encoder(weights))
    encoder->tokens_max_ = std::min(encoder->tokens_max_, kDecoderTokensMax);
  const auto tokens = static_cast<std::uint32_t>(
      std::max(encoder->tokens_max_, static_cast<std::size_t>(std::max(1, options.batch_tokens))));
  encoder->threads_ = options.threads > 0
                          ? options.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));

  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = tokens;  // an encoder sees its batch whole
  params.n_seq_max = kSequencesMax;
  params.n_threads = params.n_threads_batch = encoder->threads_;
  params.embeddings = true;
  params.kv_unified = true;
  params.no_perf = true;
  const model::LlamaLogCapture log;
  encoder->context_.reset(llama_init_from_model(weights, params));
  if (encoder->context_ == nullptr) return not_an_embedder(options.path, log.reason());
  const auto pooling = llama_pooling_type(encoder->context_.get());
  if (pooling == LLAMA_POOLING_TYPE_NONE || pooling == LLAMA_POOLING_TYPE_RANK) {
    return not_an_embedder(
        options.path, fmt::format("its architecture is {}, and it doesn't pool its tokens into one vector",
                                  architecture_of(weights)));
  }
  encoder->decodes_ =
      !llama_model_has_encoder(weights) && llama_get_memory(encoder->context_.get()) != nullptr;
  encoder->batch_ = llama_batch_init(static_cast<std::int32_t>(tokens), 0, 1);
  return encoder;
}

base::Result<std::vector<llama_token>> Encoder::tokens_of(const EmbedInput& input) const {
  std::vector<llama_token> tokens;
  if (input.tokens.empty()) {
    if (input.text.empty()) return base::invalid("must not be empty");
    tokens.resize(input.text.size() + 4);
    const auto size = static_cast<std::int32_t>(input.text.size());
    const auto run = [&] {
      return llama_tokenize(vocab_, input.text.data(), size, tokens.data(),
                            static_cast<std::int32_t>(tokens.size()), true, false);
    };
    std::int32_t count = run();
    if (count < 0) {
      tokens.resize(static_cast<std::size_t>(-count));
      count = run();
    }
    tokens.resize(static_cast<std::size_t>(std::max(count, 0)));
  } else {
    const std::int32_t size = llama_vocab_n_tokens(vocab_);
    for (const std::int32_t token : input.tokens) {
      if (token >= 0 && token < size) continue;
      return base::invalid(
          fmt::format("has the token {}, which is not in the model's vocabulary of {}", token, size));
    }
    const llama_token begin =
        decodes_ && !llama_vocab_get_add_bos(vocab_) ? LLAMA_TOKEN_NULL : llama_vocab_bos(vocab_);
    llama_token end = llama_vocab_sep(vocab_);
    if (decodes_) end = llama_vocab_get_add_eos(vocab_) ? llama_vocab_eos(vocab_) : LLAMA_TOKEN_NULL;
    if (begin != LLAMA_TOKEN_NULL && input.tokens.front() != begin) tokens.push_back(begin);
    tokens.insert(tokens.end(), input.tokens.begin(), input.tokens.end());
    if (end != LLAMA_TOKEN_NULL && tokens.back() != end) tokens.push_back(end);
  }
  if (tokens.size() > tokens_max_ && input.cut) {
    tokens[tokens_max_ - 1] = tokens.back();  // its end token
    tokens.resize(tokens_max_);
  }
  if (tokens.size() > tokens_max_) {
    return Error{Code::kTooLarge, fmt::format("has {} tokens, the model takes {}: shorten it by {}, or embed "
                                              "it in parts",
                                              tokens.size(), tokens_max_, tokens.size() - tokens_max_)};
  }
  return tokens;
}

base::Status Encoder::encode(const std::vector<const std::vector<llama_token>*>& texts,
                             std::vector<float>& rows) {
  CHECK(texts.size() <= kSequencesMax);
  std::int32_t at = 0;
  for (std::size_t text = 0; text < texts.size(); ++text) {
    for (std::size_t i = 0; i < texts[text]->size(); ++i, ++at) {
      batch_.token[at] = (*texts[text])[i];
      batch_.pos[at] = static_cast<llama_pos>(i);
      batch_.n_seq_id[at] = 1;
      batch_.seq_id[at][0] = static_cast<llama_seq_id>(text);
      batch_.logits[at] = 1;
    }
  }
  batch_.n_tokens = at;
  // A question of a few words is done sooner by one thread than two have met at every barrier.
  // Where others use the cores, threads wait for each other longer than one alone takes: 1,900 texts took 5
  // minutes with two, 40 s with one, at a load of 6 on two cores.
  constexpr std::int32_t kAloneTokens = 24;
  double load = 0;
  const bool crowded = ::getloadavg(&load, 1) == 1 && load > std::thread::hardware_concurrency() + 0.5;
  const int threads = at <= kAloneTokens || crowded ? 1 : threads_;
  llama_set_n_threads(context_.get(), threads, threads);
  if (decodes_) llama_memory_clear(llama_get_memory(context_.get()), false);
  const int failed = decodes_ ? llama_decode(context_.get(), batch_) : llama_encode(context_.get(), batch_);
  if (failed != 0) {
    return Error{Code::kInternal,
                 fmt::format("libllama could not encode a batch of {} tokens ({})", at, failed)};
  }
  rows.resize(texts.size() * width_);
  for (std::size_t text = 0; text < texts.size(); ++text) {
    const float* const from = llama_get_embeddings_seq(context_.get(), static_cast<llama_seq_id>(text));
    if (from == nullptr) return Error{Code::kInternal, "libllama gave no vector for a text"};
    double squares = 0;
    for (std::size_t i = 0; i < width_; ++i) squares += static_cast<double>(from[i]) * from[i];
    const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
    for (std::size_t i = 0; i < width_; ++i) rows[text * width_ + i] = from[i] * scale;
  }
  return {};
}

struct Job {
  std::vector<EmbedInput> inputs;
  base::CancelToken cancel;
  llm::Embedder::Done done;
  std::vector<std::vector<llama_token>> tokens;  // empty until its turn comes
  std::size_t next = 0;                          // the first text that is in no batch yet
  std::size_t finished = 0;
  Embeddings result;
};

class Worker final : public LocalEmbedder {
 public:
  Worker(LocalEmbedderOptions options, const base::Clock& clock)
      : options_(std::move(options)), clock_(clock), thread_([this] { live(); }) {}
  ~Worker() override { Worker::stop(); }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void embed_async(std::vector<EmbedInput> inputs, base::CancelToken cancel, Done done) override;
  const std::string& name() const override { return options_.name; }
  EmbedderStats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  struct Place {
    Job* job;
    std::size_t text;
  };

  void live();
  void run();
  void take_new();
  void ensure_loaded();
  base::Status prepare(Job& job) const;
  std::vector<Place> next_batch();
  void encode(const std::vector<Place>& batch);
  void end(Job& job, base::Result<Embeddings> result);
  void fail_all(const Error& error);

  const LocalEmbedderOptions options_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<Job>> arrived_;  // guarded by mutex_, like the next three
  std::size_t texts_waiting_ = 0;
  bool stopping_ = false;
  EmbedderStats stats_;
  // The thread's own.
  std::deque<std::unique_ptr<Job>> jobs_;
  std::unique_ptr<Encoder> encoder_;
  std::thread thread_;
};

void Worker::embed_async(std::vector<EmbedInput> inputs, base::CancelToken cancel, Done done) {
  if (inputs.empty()) return done(Embeddings{});
  std::optional<Error> refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      refused = Error{Code::kUnavailable, "the embedding model is shutting down"};
    } else if (texts_waiting_ > 0 && texts_waiting_ + inputs.size() > options_.texts_waiting_max) {
      refused = Error{Code::kUnavailable,
                      fmt::format("{} texts are waiting to be embedded: try again later", texts_waiting_)};
    } else {
      texts_waiting_ += inputs.size();
      ++stats_.calls;
      auto job = std::make_unique<Job>();
      job->inputs = std::move(inputs);
      job->cancel = std::move(cancel);
      job->done = std::move(done);
      arrived_.push_back(std::move(job));
    }
  }
  if (refused) return done(*refused);  // NOLINT(bugprone-use-after-move): moved only where nothing is refused
  wake_.notify_one();
}

void Worker::end(Job& job, base::Result<Embeddings> result) {
  {
    const std::lock_guard lock(mutex_);
    texts_waiting_ -= job.inputs.size();
    if (!result) ++stats_.failed;
  }
  base::survives({base::Thread::kEmbedder}, [&] { job.done(std::move(result)); });
  std::erase_if(jobs_, [&job](const auto& one) { return one.get() == &job; });
}

void Worker::fail_all(const Error& error) {
  while (!jobs_.empty()) end(*jobs_.front(), error);
}

base::Status Worker::prepare(Job& job) const {
  for (std::size_t i = 0; i < job.inputs.size(); ++i) {
    auto tokens = encoder_->tokens_of(job.inputs[i]);
    if (!tokens) {
      Error error = tokens.error();
      error.field = job.inputs.size() == 1 ? "input" : fmt::format("input[{}]", i);
      error.message = fmt::format("'{}' {}", error.field, error.message);
      return error;
    }
    job.result.tokens += static_cast<std::int64_t>(tokens->size());
    job.tokens.push_back(std::move(*tokens));
  }
  job.result.width = encoder_->width();
  job.result.values.resize(job.inputs.size() * encoder_->width());
  return {};
}

/// One text of each job in turn, as long as they fit; at least one.
std::vector<Worker::Place> Worker::next_batch() {
  std::vector<Place> batch;
  std::size_t tokens = 0;
  const auto room = static_cast<std::size_t>(std::max(1, options_.batch_tokens));
  for (bool took = true; took;) {
    took = false;
    for (const auto& job : jobs_) {
      if (job->next == job->tokens.size()) continue;
      const std::size_t more = job->tokens[job->next].size();
      if (!batch.empty() && (tokens + more > room || batch.size() == kSequencesMax)) return batch;
      tokens += more;
      batch.push_back({job.get(), job->next++});
      took = true;
    }
  }
  return batch;
}

void Worker::encode(const std::vector<Place>& batch) {
  std::vector<const std::vector<llama_token>*> texts;
  std::uint64_t tokens = 0;
  for (const Place& place : batch) {
    texts.push_back(&place.job->tokens[place.text]);
    tokens += texts.back()->size();
  }
  std::vector<float> rows;
  const base::Nanos began = clock_.now();
  const base::Status encoded =
      base::guarded({base::Thread::kEmbedder}, [&] { return encoder_->encode(texts, rows); });
  {
    const std::lock_guard lock(mutex_);
    stats_.busy_ms += base::ms_between(began, clock_.now());
    ++stats_.batches;
    stats_.texts += batch.size();
    stats_.tokens += tokens;
  }
  if (!encoded) return fail_all(encoded.error());
  const std::size_t width = encoder_->width();
  std::vector<Job*> complete;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Job& job = *batch[i].job;
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                job.result.values.begin() + static_cast<std::ptrdiff_t>(batch[i].text * width));
    if (++job.finished == job.inputs.size()) complete.push_back(&job);
  }
  for (Job* const job : complete) end(*job, std::move(job->result));
}

void Worker::ensure_loaded() {
  if (encoder_) return;
  const base::Nanos began = clock_.now();
  base::Result<std::unique_ptr<Encoder>> loaded = Error{};
  const base::Status ran =
      base::guarded({base::Thread::kEmbedder}, [&] { loaded = Encoder::load(options_); });
  if (!ran) loaded = ran.error();
  if (!loaded) {
    spdlog::warn("embeddings: {}", loaded.error().message);
    return fail_all(loaded.error());
  }
  encoder_ = std::move(*loaded);
  const double ms = base::ms_between(began, clock_.now());
  spdlog::info("loaded {} in {:.0f} ms, on its first use", options_.name, ms);
  const std::lock_guard lock(mutex_);
  stats_.loaded = true;
  stats_.load_ms = ms;
}

/// Waits for work if there is none; takes what came.
void Worker::take_new() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || !arrived_.empty() || !jobs_.empty(); });
  for (auto& job : arrived_) jobs_.push_back(std::move(job));
  arrived_.clear();
}

/// What gets out of all smaller nets ends the texts that were being worked on, not the thread.
void Worker::live() {
  if (options_.gives_way) base::give_way();
  while (true) {
    const base::Status ran = base::guarded({base::Thread::kEmbedder}, [this] { run(); });
    if (ran) return;
    fail_all(ran.error());
    base::pause_after_exception();
  }
}

void Worker::run() {
  while (true) {
    take_new();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    ensure_loaded();
    std::vector<std::pair<Job*, Error>> wrong;
    for (const auto& job : jobs_) {
      if (job->cancel.cancelled()) {
        wrong.emplace_back(job.get(), Error{Code::kCancelled, "the caller left"});
      } else if (job->tokens.empty()) {
        const base::Status ready = base::guarded({base::Thread::kEmbedder}, [&] { return prepare(*job); });
        if (!ready) wrong.emplace_back(job.get(), ready.error());
      }
    }
    for (auto& [job, error] : wrong) end(*job, std::move(error));
    if (const auto batch = next_batch(); !batch.empty()) encode(batch);
  }
  fail_all({Code::kUnavailable, "the embedding model is shutting down"});
}

}  // namespace

std::unique_ptr<LocalEmbedder> LocalEmbedder::create(LocalEmbedderOptions options, const base::Clock& clock) {
  return std::make_unique<Worker>(std::move(options), clock);
}

}  // namespace pmt::inference
