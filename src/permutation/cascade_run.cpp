#include "permutation/cascade_run.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json_text.h"

namespace pmt::permutation {
namespace {

using json = nlohmann::json;

constexpr double kRightAgreement = 0.5;  // the student said what the teacher says

/// The same question is explored each time or never: a cached answer must not depend on chance.
bool explored(const std::string& question, double share) {
  if (share <= 0) return false;
  const base::Digest digest = base::sha256(question);
  const unsigned drawn = (digest.bytes[0] << 16U) | (digest.bytes[1] << 8U) | digest.bytes[2];
  return drawn < share * 0x1000000;
}

std::string synthesis_prompt(const std::string& question, const std::string& student,
                             const std::string& teacher, const llm::Report& student_report) {
  std::string facts;
  if (student_report.knowledge) {
    for (const std::string& fact : student_report.knowledge->facts) facts += fmt::format("- {}\n", fact);
  }
  return fmt::format(
      "Question:\n{}\n\nDraft A, of a small model{}:\n{}\n\nDraft B, of a large model:\n{}\n\nWrite the one "
      "best "
      "answer to the question out of these drafts. Where they disagree, prefer draft B unless draft A rests "
      "on "
      "known facts. Give the answer only.",
      question, facts.empty() ? "" : fmt::format(" that knows these facts:\n{}", facts), student, teacher);
}

/// They were asked for to judge the student by, not by the caller.
void drop_logprobs(llm::Delta& delta) {
  delta.logprobs.clear();
  llm::MembersText kept;
  for (const base::JsonMember& member : base::members_of(delta.choice_more)) {
    if (member.name != "logprobs") kept.append(kept.empty() ? "" : ",").append(member.whole);
  }
  delta.choice_more = std::move(kept);
}

}  // namespace

/// A stage's sink: releases the run after the terminal event.
class CascadeRun::StageSink final : public llm::Sink {
 public:
  StageSink(std::shared_ptr<CascadeRun> run, CallPtr call) : run_(std::move(run)), call_(std::move(call)) {}
  void on_event(llm::Event event) override {
    const auto run = run_;
    if (llm::is_terminal(event)) run_.reset();
    if (run && !call_->closed) run->on_event(call_, std::move(event));
  }

 private:
  std::shared_ptr<CascadeRun> run_;
  const CallPtr call_;
};

const char* CascadeRun::name_of(Kind kind) {
  static constexpr const char* kNames[] = {"student", "agreement", "teacher", "synthesis", "fallback"};
  return kNames[static_cast<int>(kind)];
}

const char* CascadeRun::describe(Kind kind) {
  static constexpr const char* kTexts[] = {"answer with the local model", "draw another answer and compare",
                                           "answer with a larger model", "one answer out of both drafts",
                                           "answer although the teacher failed"};
  return kTexts[static_cast<int>(kind)];
}

CascadeRun::CascadeRun(Cascade& cascade, llm::Request request, std::shared_ptr<llm::Sink> sink,
                       base::CancelToken cancel)
    : cascade_(cascade),
      request_(std::move(request)),
      sink_(std::move(sink)),
      cancel_(std::move(cancel)),
      began_at_(cascade.clock_.now()) {}

double CascadeRun::elapsed_s() const {
  return base::ms_between(began_at_, cascade_.clock_.now()) / 1e3;
}

void CascadeRun::begin() {
  route();
  const CascadeOptions& options = cascade_.options_;
  const bool teacher = cascade_.teacher_ != nullptr && options.escalation != Escalation::kNever;
  if (cascade_.student_ == nullptr) {
    skip(Kind::kStudent, "no local model is configured");
  } else if (teacher && options.escalation == Escalation::kAlways && !options.synthesis && !explore_) {
    skip(Kind::kStudent, "escalation is always");
  } else if (teacher && probability_ < options.student_probability_min && !explore_) {
    skip(Kind::kStudent, fmt::format("too difficult: it is right with probability {:.2f}, {:.2f} is wanted",
                                     probability_, options.student_probability_min));
  } else {
    return ask_student();
  }
  ask_teacher();
}

/// Domain and difficulty, by the question's text alone.
void CascadeRun::route() {
  const base::Nanos began = cascade_.clock_.now();
  question_ = question_of(request_);
  const auto words = words_of(question_);
  domain_ = cascade_.domains_.classify(words);
  difficulty_ = difficulty_of(words, question_);
  const Ability ability = cascade_.abilities_.ability();
  probability_ = ability.probability(difficulty_);
  explore_ = cascade_.teacher_ != nullptr && explored(question_, cascade_.options_.explore);
  components_.emplace_back("router");
  steps_.push_back(to_json({.component = "router",
                            .description = "domain by keywords, difficulty by the question's form",
                            .duration_ms = base::ms_between(began, cascade_.clock_.now()),
                            .input = {{"words", words.size()}},
                            .output = {{"domain", domain_.name},
                                       {"irt_difficulty", difficulty_},
                                       {"irt_probability", probability_}},
                            .metadata = {{"domain_score", domain_.score},
                                         {"irt_slope", ability.slope},
                                         {"irt_ability", ability.theta},
                                         {"outcomes", cascade_.abilities_.outcomes()}}}));
}

std::string CascadeRun::budget_reason() const {
  const llm::Budget& budget = request_.budget;
  if (budget.usd && usd_ >= *budget.usd)
    return fmt::format("the budget of {} dollars is used up", *budget.usd);
  if (budget.tokens && total_.prompt_tokens + total_.completion_tokens >= *budget.tokens) {
    return fmt::format("the budget of {} tokens is used up", *budget.tokens);
  }
  if (budget.seconds && elapsed_s() >= *budget.seconds) {
    return fmt::format("the budget of {} seconds is used up", *budget.seconds);
  }
  return {};
}

/// What is left of the budgets is the call's own limit.
llm::Request CascadeRun::request_for(const Cascade::Stage& stage) const {
  llm::Request request = request_;
  if (request.budget.tokens) {
    const std::int64_t left = *request.budget.tokens - total_.prompt_tokens - total_.completion_tokens;
    const int limit = static_cast<int>(std::clamp<std::int64_t>(left, 1, 1 << 30));
    request.max_tokens = std::min(request.max_tokens.value_or(limit), limit);
  }
  if (request.budget.seconds) request.budget.seconds = std::max(0.001, *request.budget.seconds - elapsed_s());
  if (stage.model.local) {
    if (!request.kv.ratio && request.kv.mode == llm::KvMode::kAuto && cascade_.options_.kv_ratio > 0) {
      request.kv.ratio = cascade_.options_.kv_ratio;
    }
  } else {
    request.kv = {};
    request.knowledge.clear();
    request.speculation = llm::Speculation::kAuto;
  }
  return request;
}

void CascadeRun::ask(Kind kind, Cascade::Stage& stage, llm::Request request, bool hold) {
  auto call = std::make_shared<Call>();
  call->kind = kind;
  call->stage = &stage;
  call->hold = hold;
  call->began_at = cascade_.clock_.now();
  call->link = cancel_.on_cancel([token = call->cancel] { token.cancel(); });
  if (kind == Kind::kStudent) student_ = call;
  if (kind == Kind::kTeacher) teacher_ = call;
  auto sink = std::make_shared<StageSink>(shared_from_this(), call);
  const base::CancelToken token = call->cancel;
  auto seen = call->seen;
  stage.cached.start_observed(std::move(request), std::move(sink), token, std::move(seen));
}

void CascadeRun::ask_student() {
  if (const std::string why = budget_reason(); !why.empty()) {
    skip(Kind::kStudent, why);
    return fail({base::Code::kExhausted, why, "permutation.budget"});
  }
  const bool judged = cascade_.teacher_ != nullptr && cascade_.options_.escalation != Escalation::kNever;
  llm::Request request = request_for(*cascade_.student_);
  // Its log-probabilities say how sure it is.
  if (judged && !request.logprobs) request.logprobs = 0;
  ask(Kind::kStudent, *cascade_.student_, std::move(request), judged);
}

void CascadeRun::on_event(const CallPtr& call, llm::Event event) {
  if (auto* delta = std::get_if<llm::Delta>(&event)) return on_delta(call, std::move(*delta));
  if (auto* done = std::get_if<llm::Done>(&event)) return on_done(call, std::move(*done));
  if (const auto* failed = std::get_if<llm::Failed>(&event)) return on_failed(call, failed->error);
  if (call->hold) {
    call->held.push_back(std::move(event));
  } else {
    pass(std::move(event));
  }
}

void CascadeRun::on_delta(const CallPtr& call, llm::Delta delta) {
  if (delta.choice == 0) {
    call->text += delta.text;
    call->confidence.add(delta.logprobs);
  }
  if (!request_.logprobs) drop_logprobs(delta);
  if (!call->hold) return pass(std::move(delta));
  call->held.emplace_back(std::move(delta));
  const CascadeOptions& options = cascade_.options_;
  const bool whole = options.probe_tokens == 0 || options.agreement_samples > 0 || options.synthesis ||
                     explore_ || request_.n > 1 || !request_.knowledge.empty() ||
                     options.escalation == Escalation::kAlways;
  if (call->kind == Kind::kStudent && !whole && call->confidence.tokens() >= options.probe_tokens)
    decide(call);
}

void CascadeRun::on_done(const CallPtr& call, llm::Done done) {
  count(*call, done.usage);
  call->done = std::move(done);
  call->link.reset();
  add_step(call);
  switch (call->kind) {
    case Kind::kStudent:
      return student_is_done(call);
    case Kind::kSample:
      return sample_is_done(call);
    case Kind::kTeacher:
      return teacher_is_done(call);
    case Kind::kSynthesis:
    case Kind::kFallback:
      return finish(call);
  }
}

void CascadeRun::on_failed(const CallPtr& call, const base::Error& error) {
  call->link.reset();
  llm::ModelCall& timed = add_call(*call);
  timed.error = error.message;
  steps_.push_back(to_json(
      failed(name_of(call->kind), describe(call->kind), error, base::ms_between(timed.begun, timed.ended))));
  errors_.push_back(fmt::format("{}: {}", name_of(call->kind), error.message));
  // What was said can't be taken back, and what is wrong with the request is so for every model.
  const bool final = started_ || cancel_.cancelled() || error.code == base::Code::kInvalidArgument;
  if (final) return fail(error);
  switch (call->kind) {
    case Kind::kStudent:
      if (cascade_.teacher_ == nullptr || cascade_.options_.escalation == Escalation::kNever)
        return fail(error);
      reasoning_.push_back("the student failed: the teacher is asked");
      return ask_teacher();
    case Kind::kSample:
      return escalate(student_, "another answer could not be drawn");
    case Kind::kTeacher:
      return fall_back(error);
    case Kind::kSynthesis:
      reasoning_.push_back("the synthesis failed: the teacher's answer stands");
      flush(*teacher_);
      return finish(teacher_);
    case Kind::kFallback:
      return fail(error);
  }
}

void CascadeRun::student_is_done(const CallPtr& call) {
  if (!call->hold) return finish(call);
  const CascadeOptions& options = cascade_.options_;
  if (options.escalation == Escalation::kAlways) return escalate(call, "escalation is always");
  if (explore_) return escalate(call, "explored, to learn how able the student is");
  if (options.agreement_samples > 0 && call->confidence.value() < options.confidence_min) return ask_sample();
  decide(call);
}

/// Seeds of its own: the drawn answers are the same each time, and cached.
void CascadeRun::ask_sample() {
  if (!budget_reason().empty()) return decide(student_);
  llm::Request request = request_for(*cascade_.student_);
  request.sampling.temperature = 0.7F;
  request.sampling.seed = static_cast<std::uint32_t>(agreements_.size() + 1);
  request.n = 1;
  ask(Kind::kSample, *cascade_.student_, std::move(request), true);
}

void CascadeRun::sample_is_done(const CallPtr& call) {
  agreements_.push_back(agreement(student_->text, call->text));
  if (static_cast<int>(agreements_.size()) < cascade_.options_.agreement_samples) return ask_sample();
  decide(student_);
}

void CascadeRun::decide(const CallPtr& student) {
  double value = student->confidence.value();
  json output = {{"mean_probability", value}, {"tokens", student->confidence.tokens()}};
  if (!agreements_.empty()) {
    double sum = 0;
    for (const double one : agreements_) sum += one;
    output["agreement"] = sum / static_cast<double>(agreements_.size());
    value = (value + sum / static_cast<double>(agreements_.size())) / 2;
  }
  const bool knows =
      student->done && student->done->report.knowledge && !student->done->report.knowledge->facts.empty();
  const double wanted = cascade_.options_.confidence_min;
  const bool sure = knows || value >= wanted;
  quality_ = value;
  output["confidence"] = value;
  output["sure"] = sure;
  if (knows) output["facts"] = student->done->report.knowledge->facts;
  components_.emplace_back("confidence");
  steps_.push_back(to_json({.component = "confidence",
                            .description = "is the student sure enough?",
                            .input = {{"confidence_min", wanted}},
                            .output = std::move(output)}));
  if (knows) return accept(student, "the student knows it by a taught fact");
  const std::string why = fmt::format("the student's confidence is {:.3f}, {} {:.3f}", value,
                                      sure ? "at least" : "below", wanted);
  if (sure) return accept(student, why);
  escalate(student, why);
}

void CascadeRun::accept(const CallPtr& student, const std::string& why) {
  reasoning_.push_back(why + ": its answer is given");
  skip(Kind::kTeacher, why);
  skip(Kind::kSynthesis, "there is one draft only");
  student->hold = false;
  flush(*student);
  if (student->done) finish(student);
}

void CascadeRun::escalate(const CallPtr& student, const std::string& why) {
  if (const std::string spent = budget_reason(); !spent.empty()) {
    skip(Kind::kTeacher, spent);
    reasoning_.push_back(why + ", but " + spent + ": the student's answer is given");
    degraded_why_ = spent;
    student->hold = false;
    flush(*student);
    if (student->done) finish(student);
    return;
  }
  reasoning_.push_back(why + ": the teacher is asked");
  if (!student->done) {  // stop it here
    student->closed = true;
    student->link.reset();
    student->cancel.cancel();
    total_.completion_tokens += student->confidence.tokens();
    components_.emplace_back("student");
    llm::ModelCall& timed = add_call(*student);
    timed.completion_tokens = student->confidence.tokens();
    steps_.push_back(to_json({.component = "student",
                              .description = describe(Kind::kStudent),
                              .duration_ms = base::ms_between(timed.begun, timed.ended),
                              .input = {{"model", student->stage->model.name}},
                              .output = {{"tokens_seen", student->confidence.tokens()}},
                              .metadata = {{"stopped", why}}}));
  }
  ask_teacher();
}

void CascadeRun::ask_teacher() {
  if (cascade_.teacher_ == nullptr) {
    skip(Kind::kTeacher, "no upstream configured");
    return fail({base::Code::kUnavailable,
                 "no model can answer this: neither a student nor a teacher is configured"});
  }
  if (const std::string why = budget_reason(); !why.empty()) {
    skip(Kind::kTeacher, why);
    return fail({base::Code::kExhausted, why, "permutation.budget"});
  }
  const bool drafts = cascade_.options_.synthesis && student_ && student_->done;
  ask(Kind::kTeacher, *cascade_.teacher_, request_for(*cascade_.teacher_), drafts);
}

void CascadeRun::teacher_is_done(const CallPtr& call) {
  if (student_ && student_->done) {
    const double same = agreement(student_->text, call->text);
    steps_.back()["metadata"]["agreement_with_student"] = same;
    if (explore_) cascade_.abilities_.add({.difficulty = difficulty_, .right = same >= kRightAgreement});
  }
  if (call->hold) return synthesise(call);
  skip(Kind::kSynthesis, cascade_.options_.synthesis ? "there is one draft only" : "not enabled");
  finish(call);
}

void CascadeRun::synthesise(const CallPtr& teacher) {
  const std::string spent = budget_reason();
  if (!spent.empty()) {
    skip(Kind::kSynthesis, spent);
    flush(*teacher);
    return finish(teacher);
  }
  llm::Request request = request_for(*cascade_.synthesis_);
  std::string prompt = synthesis_prompt(question_, student_->text, teacher->text, student_->done->report);
  if (request.endpoint == llm::Endpoint::kChat) {
    request.messages = {
        {.role = "user", .content = std::move(prompt), .name = {}, .tool_calls = {}, .tool_call_id = {}}};
  } else {
    request.prompt = std::move(prompt);
    request.prompt_tokens.clear();
  }
  request.sent = nullptr;  // the caller wrote something else
  ask(Kind::kSynthesis, *cascade_.synthesis_, std::move(request), false);
}

/// Never a canned text: the student's own answer, marked, or the teacher's error.
void CascadeRun::fall_back(const base::Error& error) {
  degraded_why_ = "the teacher failed: " + error.message;
  if (student_ && student_->done) {
    steps_.push_back(to_json({.component = name_of(Kind::kFallback),
                              .description = describe(Kind::kFallback),
                              .output = {{"answer_of", "student"}}}));
    reasoning_.push_back("the teacher failed: the student's answer is given, marked degraded");
    components_.emplace_back("fallback");
    flush(*student_);
    return finish(student_);
  }
  if (cascade_.fallback_ == nullptr) {
    skip(Kind::kFallback, "no local model is configured");
    return fail(error);
  }
  if (const std::string spent = budget_reason(); !spent.empty()) {
    skip(Kind::kFallback, spent);
    return fail(error);
  }
  reasoning_.push_back("the teacher failed: the student answers, marked degraded");
  ask(Kind::kFallback, *cascade_.fallback_, request_for(*cascade_.fallback_), false);
}

void CascadeRun::skip(Kind kind, const std::string& why) {
  steps_.push_back(to_json(skipped(name_of(kind), describe(kind), why)));
}

void CascadeRun::count(const Call& call, const llm::Usage& usage) {
  if (call.seen->computations == 0) return;
  total_.prompt_tokens += usage.prompt_tokens;
  total_.completion_tokens += usage.completion_tokens;
  usd_ += call.seen->usd;
}

/// Its model's part, which ends now.
llm::ModelCall& CascadeRun::add_call(const Call& call) {
  llm::ModelCall timed{.part = name_of(call.kind),
                       .model = call.stage->model.name,
                       .local = call.stage->model.local,
                       .begun = call.began_at,
                       .ended = cascade_.clock_.now(),
                       .computations = call.seen->computations};
  if (call.done) {
    timed.prompt_tokens = call.done->usage.prompt_tokens;
    timed.completion_tokens = call.done->usage.completion_tokens;
  }
  return calls_.emplace_back(std::move(timed));
}

void CascadeRun::add_step(const CallPtr& call) {
  const llm::Done& done = *call->done;
  const response_cache::Observation& seen = *call->seen;
  const bool computed = seen.computations > 0;
  json metadata = {{"calls", seen.computations}, {"cost", computed ? seen.usd : 0.0}};
  if (done.report.cache) metadata["cache"] = llm::to_string(done.report.cache->status);
  if (done.report.knowledge) metadata["knowledge"] = done.report.knowledge->facts;
  if (!done.report.upstream.is_null()) metadata["upstream"] = done.report.upstream;
  components_.emplace_back(name_of(call->kind));
  const llm::ModelCall& timed = add_call(*call);
  steps_.push_back(
      to_json({.component = name_of(call->kind),
               .description = describe(call->kind),
               .duration_ms = base::ms_between(timed.begun, timed.ended),
               .input = {{"model", call->stage->model.name}, {"prompt_tokens", done.usage.prompt_tokens}},
               .output = {{"completion_tokens", done.usage.completion_tokens}},
               .metadata = std::move(metadata)}));
}

/// Started comes with the first word: what fails before it can still be answered by another stage.
void CascadeRun::pass(llm::Event event) {
  auto* started = std::get_if<llm::Started>(&event);
  if (std::exchange(started_, true)) {
    if (started == nullptr) sink_->on_event(std::move(event));
    return;
  }
  if (started != nullptr) {
    started->cache.reset();
    return sink_->on_event(std::move(event));
  }
  sink_->on_event(
      llm::Started{.model = request_.model, .created_unix_s = cascade_.clock_.unix_seconds(), .cache = {}});
  sink_->on_event(std::move(event));
}

void CascadeRun::flush(Call& call) {
  for (llm::Event& event : std::exchange(call.held, {})) pass(std::move(event));
}

json CascadeRun::metadata(const CallPtr& answering) const {
  const auto calls = [this](Kind kind) {
    int sum = 0;
    for (const llm::ModelCall& call : calls_) {
      if (call.part == name_of(kind) && call.error.empty()) sum += call.computations;
    }
    return sum;
  };
  json out = {{"domain", domain_.name},
              {"irt_difficulty", difficulty_},
              {"irt_probability", probability_},
              {"quality_score", quality_ ? json(*quality_) : json()},
              {"answered_by", name_of(answering->kind)},
              {"degraded", !degraded_why_.empty()},
              {"components_used", components_},
              {"student_model", cascade_.options_.student.name},
              {"teacher_model", cascade_.options_.teacher.name},
              {"student_calls", calls(Kind::kStudent) + calls(Kind::kSample)},
              {"teacher_calls", calls(Kind::kTeacher)},
              {"synthesis_calls", calls(Kind::kSynthesis)},
              {"fallback_calls", calls(Kind::kFallback)},
              {"tokens", total_.prompt_tokens + total_.completion_tokens},
              {"cost", usd_}};
  if (!degraded_why_.empty()) out["degraded_why"] = degraded_why_;
  return out;
}

void CascadeRun::finish(const CallPtr& call) {
  if (cascade_.teacher_ == nullptr) {
    skip(Kind::kTeacher, "no upstream configured");
  } else if (!teacher_ && cascade_.options_.escalation == Escalation::kNever) {
    skip(Kind::kTeacher, "escalation is never");
  }
  llm::Done done = *call->done;
  // An answer out of a stage's cache was not computed now, but its tokens are what the caller reads.
  llm::Usage usage = total_;
  if (usage.prompt_tokens + usage.completion_tokens == 0) usage = done.usage;
  usage.details = done.usage.details;
  usage.usd = usd_;
  done.usage = std::move(usage);
  done.report.cache.reset();
  done.report.engine = {{"metadata", metadata(call)},
                        {"reasoning", std::move(reasoning_)},
                        {"trace", {{"steps", std::move(steps_)}, {"errors", std::move(errors_)}}}};
  done.report.calls = std::move(calls_);
  done.transient = done.transient || !degraded_why_.empty();
  if (!started_)
    pass(
        llm::Started{.model = request_.model, .created_unix_s = cascade_.clock_.unix_seconds(), .cache = {}});
  std::exchange(sink_, nullptr)->on_event(std::move(done));
}

void CascadeRun::fail(base::Error error) {
  std::exchange(sink_, nullptr)->on_event(llm::Failed{std::move(error)});
}

}  // namespace pmt::permutation
