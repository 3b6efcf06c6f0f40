#include "permutation/cascade_run.h"

#include "base/json.h"
#include "permutation/synthesis.h"

namespace pmt::permutation {
namespace {

constexpr double kRightAgreement = 0.5;  // the student said what the teacher says

}  // namespace

/// A stage's sink: releases the run after the terminal event.
class CascadeRun::StageSink final : public llm::Sink {
 public:
  StageSink(std::shared_ptr<CascadeRun> run, CallPtr call) : run_(std::move(run)), call_(std::move(call)) {}
  void on_event(llm::Event&& event) override {
    const auto run = run_;
    if (llm::is_terminal(event)) run_.reset();
    if (run && !call_->closed) run->on_event(call_, std::move(event));
  }

 private:
  std::shared_ptr<CascadeRun> run_;
  const CallPtr call_;
};

CascadeRun::CascadeRun(Cascade& cascade, llm::Request request, std::shared_ptr<llm::Sink> sink,
                       base::CancelToken cancel)
    : cascade_(cascade),
      request_(std::move(request)),
      sink_(std::move(sink)),
      cancel_(std::move(cancel)),
      began_at_(cascade.clock_.now()) {}

Spent CascadeRun::spent() const {
  return {.usd = usd_,
          .tokens = total_.prompt_tokens + total_.completion_tokens,
          .seconds = base::ms_between(began_at_, cascade_.clock_.now()) / 1e3};
}

llm::Request CascadeRun::request_for(const Cascade::Stage& stage) const {
  llm::Request out = stage_request(request_, spent(), stage.model.local, cascade_.options_.kv_ratio);
  // The packs are the student's: another model of this server needn't have them, and would refuse the request.
  if (stage.model.name != cascade_.options_.student.name) out.knowledge.clear();
  return out;
}

void CascadeRun::begin() {
  route();
  const auto why_not = why_not_student(policy(), probability_, explore_);
  if (!why_not) return ask_student();
  skip(StageKind::kStudent, *why_not);
  ask_teacher();
}

/// Domain and difficulty, by the question's text alone.
void CascadeRun::route() {
  const base::Nanos began = cascade_.clock_.now();
  question_ = question_of(request_);
  const auto words = words_of(question_);
  Routed routed{.words = words.size(),
                .domain = cascade_.domains_.classify(words),
                .difficulty = difficulty_of(words, question_),
                .ability = cascade_.abilities_.ability(),
                .outcomes = cascade_.abilities_.outcomes()};
  routed.probability = routed.ability.probability(routed.difficulty);
  difficulty_ = routed.difficulty;
  probability_ = routed.probability;
  explore_ = policy().has_teacher && explores(question_, cascade_.options_.explore);
  routed.duration_ms = base::ms_between(began, cascade_.clock_.now());
  trace_.add(std::move(routed));
}

void CascadeRun::ask(StageKind kind, Cascade::Stage& stage, llm::Request request, bool hold) {
  auto call = std::make_shared<Call>();
  call->kind = kind;
  call->stage = &stage;
  call->hold = hold;
  call->began_at = cascade_.clock_.now();
  call->link = cancel_.on_cancel([token = call->cancel] { token.cancel(); });
  if (kind == StageKind::kStudent) student_ = call;
  if (kind == StageKind::kTeacher) teacher_ = call;
  auto sink = std::make_shared<StageSink>(shared_from_this(), call);
  const base::CancelToken token = call->cancel;
  auto seen = call->seen;
  // The whole answer is the one model's, and kept already: a twin would be one entry more, and would go on giving
  // what was purged.
  if (!policy().has_student || !policy().has_teacher) request.cache.mode = llm::CacheMode::kOff;
  stage.cached.start_observed(std::move(request), std::move(sink), token, std::move(seen));
}

void CascadeRun::ask_student() {
  if (const auto why = exhausted()) {
    skip(StageKind::kStudent, *why);
    return fail({base::Code::kExhausted, *why, "permutation.budget"});
  }
  const bool judged = policy().judges_student();
  llm::Request request = request_for(*cascade_.student_);
  // Its log-probabilities say how sure it is.
  if (judged && !request.logprobs) request.logprobs = 0;
  ask(StageKind::kStudent, *cascade_.student_, std::move(request), judged);
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
  const bool probed = call->confidence.tokens() >= policy().probe_tokens;
  if (call->kind == StageKind::kStudent && probed && judged_by_probe(policy(), request_, explore_))
    judge_student(call);
}

/// Its model's part, which ends now.
llm::ModelCall CascadeRun::timed(const Call& call) const {
  llm::ModelCall out{.part = name_of(call.kind),
                     .model = call.stage->model.name,
                     .local = call.stage->model.local,
                     .begun = call.began_at,
                     .ended = cascade_.clock_.now(),
                     .computations = call.seen->computations};
  if (call.done) {
    out.prompt_tokens = call.done->usage.prompt_tokens;
    out.completion_tokens = call.done->usage.completion_tokens;
  }
  return out;
}

void CascadeRun::on_done(const CallPtr& call, llm::Done done) {
  if (call->seen->computations > 0) {
    llm::add(total_, done.usage);
    usd_ += call->seen->usd;
  }
  call->done = std::move(done);
  call->link.reset();
  trace_.add(Answered{
      .call = timed(*call), .kind = call->kind, .usd = call->seen->usd, .report = call->done->report});
  switch (call->kind) {
    case StageKind::kStudent:
      return student_is_done(call);
    case StageKind::kSample:
      return sample_is_done(call);
    case StageKind::kTeacher:
      return teacher_is_done(call);
    case StageKind::kSynthesis:
    case StageKind::kFallback:
      return finish(call);
  }
}

void CascadeRun::on_failed(const CallPtr& call, const base::Error& error) {
  call->link.reset();
  llm::ModelCall ended = timed(*call);
  ended.error = error.message;
  trace_.add(Failure{.call = std::move(ended), .kind = call->kind, .error = error});
  switch (after_failure(policy(), call->kind, error.code, started_ || cancel_.cancelled())) {
    case AfterFailure::kFail:
      return fail(error);
    case AfterFailure::kAskTeacher:
      trace_.reason("the student failed: the teacher is asked");
      return ask_teacher();
    case AfterFailure::kEscalate:
      return escalate(student_, "another answer could not be drawn");
    case AfterFailure::kFallBack:
      return fall_back(error);
    case AfterFailure::kTeacherStands:
      trace_.reason("the synthesis failed: the teacher's answer stands");
      flush(*teacher_);
      return finish(teacher_);
  }
}

void CascadeRun::student_is_done(const CallPtr& call) {
  if (!call->hold) return finish(call);
  const AfterStudent after = after_student(policy(), call->confidence.value(), explore_);
  if (after.next == AfterStudent::Next::kEscalate) return escalate(call, after.why);
  if (after.next == AfterStudent::Next::kSample) return ask_sample();
  judge_student(call);
}

/// Seeds of its own: the drawn answers are the same each time, and cached.
void CascadeRun::ask_sample() {
  if (exhausted()) return judge_student(student_);
  llm::Request request = request_for(*cascade_.student_);
  request.sampling.temperature = 0.7F;
  request.sampling.seed = static_cast<std::uint32_t>(agreements_.size() + 1);
  request.n = 1;
  ask(StageKind::kSample, *cascade_.student_, std::move(request), true);
}

void CascadeRun::sample_is_done(const CallPtr& call) {
  agreements_.push_back(agreement(student_->text, call->text));
  if (static_cast<int>(agreements_.size()) < policy().agreement_samples) return ask_sample();
  judge_student(student_);
}

void CascadeRun::judge_student(const CallPtr& student) {
  const bool knows = student->done && student->done->report.knowledge;
  const Judgement judgement = judge(
      student->confidence.value(), student->confidence.tokens(), agreements_,
      knows ? student->done->report.knowledge->facts : std::vector<std::string>{}, policy().confidence_min);
  trace_.add(judgement);
  if (judgement.sure) return accept(student, judgement.why);
  escalate(student, judgement.why);
}

void CascadeRun::accept(const CallPtr& student, const std::string& why) {
  trace_.reason(why + ": its answer is given");
  skip(StageKind::kTeacher, why);
  skip(StageKind::kSynthesis, "there is one draft only");
  let_it_speak(student);
}

void CascadeRun::let_it_speak(const CallPtr& student) {
  student->hold = false;
  flush(*student);
  if (student->done) finish(student);
}

void CascadeRun::escalate(const CallPtr& student, const std::string& why) {
  if (const auto out_of = exhausted()) {
    skip(StageKind::kTeacher, *out_of);
    trace_.reason(why + ", but " + *out_of + ": the student's answer is given");
    degraded_why_ = *out_of;
    return let_it_speak(student);
  }
  trace_.reason(why + ": the teacher is asked");
  if (!student->done) stop(student, why);
  ask_teacher();
}

void CascadeRun::stop(const CallPtr& student, const std::string& why) {
  student->closed = true;
  student->link.reset();
  student->cancel.cancel();
  total_.completion_tokens += student->confidence.tokens();
  llm::ModelCall ended = timed(*student);
  ended.completion_tokens = student->confidence.tokens();
  trace_.add(Stopped{.call = std::move(ended), .why = why});
}

void CascadeRun::ask_teacher() {
  if (cascade_.teacher_ == nullptr) {
    skip(StageKind::kTeacher, "no upstream configured");
    return fail({base::Code::kUnavailable,
                 "no model can answer this: neither a student nor a teacher is configured"});
  }
  if (const auto why = exhausted()) {
    skip(StageKind::kTeacher, *why);
    return fail({base::Code::kExhausted, *why, "permutation.budget"});
  }
  const bool drafts = policy().synthesis && student_ && student_->done;
  ask(StageKind::kTeacher, *cascade_.teacher_, request_for(*cascade_.teacher_), drafts);
}

void CascadeRun::teacher_is_done(const CallPtr& call) {
  if (student_ && student_->done) {
    const double same = agreement(student_->text, call->text);
    trace_.teacher_agreed(same);
    if (explore_) cascade_.abilities_.add({.difficulty = difficulty_, .right = same >= kRightAgreement});
  }
  if (call->hold) return synthesise(call);
  skip(StageKind::kSynthesis, policy().synthesis ? "there is one draft only" : "not enabled");
  finish(call);
}

void CascadeRun::synthesise(const CallPtr& teacher) {
  if (const auto why = exhausted()) {
    skip(StageKind::kSynthesis, *why);
    flush(*teacher);
    return finish(teacher);
  }
  Drafts drafts{.question = question_, .student = student_->text, .teacher = teacher->text};
  if (const auto& knowledge = student_->done->report.knowledge) drafts.facts = knowledge->facts;
  llm::Request request = synthesis_request(request_for(*cascade_.synthesis_), drafts);
  ask(StageKind::kSynthesis, *cascade_.synthesis_, std::move(request), false);
}

/// Never a canned text: the student's own answer, marked, or the teacher's error.
void CascadeRun::fall_back(const base::Error& error) {
  degraded_why_ = "the teacher failed: " + error.message;
  if (student_ && student_->done) {
    trace_.add(DraftGiven{});
    trace_.reason("the teacher failed: the student's answer is given, marked degraded");
    flush(*student_);
    return finish(student_);
  }
  if (cascade_.fallback_ == nullptr) {
    skip(StageKind::kFallback, "no local model is configured");
    return fail(error);
  }
  if (const auto why = exhausted()) {
    skip(StageKind::kFallback, *why);
    return fail(error);
  }
  trace_.reason("the teacher failed: the student answers, marked degraded");
  ask(StageKind::kFallback, *cascade_.fallback_, request_for(*cascade_.fallback_), false);
}

void CascadeRun::pass_started() {
  pass(llm::Started{.model = request_.model, .created_unix_s = cascade_.clock_.unix_seconds(), .cache = {}});
}

/// Started comes with the first word: what fails before it can still be answered by another stage.
void CascadeRun::pass(llm::Event event) {
  auto* const started = std::get_if<llm::Started>(&event);
  if (started != nullptr) {
    if (std::exchange(started_, true)) return;
    started->cache.reset();
  } else if (!started_) {
    pass_started();
  }
  sink_->on_event(std::move(event));
}

void CascadeRun::flush(Call& call) {
  for (llm::Event& event : std::exchange(call.held, {})) pass(std::move(event));
}

void CascadeRun::finish(const CallPtr& call) {
  if (cascade_.teacher_ == nullptr) {
    skip(StageKind::kTeacher, "no upstream configured");
  } else if (!teacher_ && policy().escalation == Escalation::kNever) {
    skip(StageKind::kTeacher, "escalation is never");
  }
  llm::Done done = *call->done;
  // An answer out of a stage's cache was not computed now, but its tokens are what the caller reads.
  llm::Usage usage = total_;
  if (usage.prompt_tokens + usage.completion_tokens == 0) usage = done.usage;
  usage.details = done.usage.details;
  usage.usd = usd_;
  done.usage = std::move(usage);
  done.report.cache.reset();
  done.report.engine = trace_.report({.answered_by = call->kind,
                                      .degraded_why = degraded_why_,
                                      .student_model = cascade_.options_.student.name,
                                      .teacher_model = cascade_.options_.teacher.name,
                                      .tokens = spent().tokens,
                                      .usd = usd_});
  if (const nlohmann::json& shown = documents_of(*call); !shown.is_null())
    done.report.engine["documents"] = shown;
  done.report.calls = trace_.calls();
  done.report.made_of = made_of(*call);
  done.transient = done.transient || !degraded_why_.empty();
  if (!started_) pass_started();
  std::exchange(sink_, nullptr)->on_event(std::move(done));
}

/// The documents' passages that an answer was made from: of a synthesis, which reads drafts, its student's.
const nlohmann::json& CascadeRun::documents_of(const Call& last) const {
  const nlohmann::json& shown = base::at(last.done->report.engine, "documents");
  if (!shown.is_null() || last.kind != StageKind::kSynthesis) return shown;
  return base::at(student_->done->report.engine, "documents");
}

/// The entries of the calls whose words are in the answer of `last`.
std::vector<std::string> CascadeRun::made_of(const Call& last) const {
  std::vector<std::string> keys;
  const auto add = [&keys](const Call& call) {
    const auto& cache = call.done->report.cache;
    if (cache && !cache->key.empty()) keys.push_back(cache->key);
  };
  add(last);
  if (last.kind == StageKind::kSynthesis) {
    add(*student_);
    add(*teacher_);
  }
  return keys;
}

void CascadeRun::fail(base::Error error) {
  std::exchange(sink_, nullptr)->on_event(llm::Failed{std::move(error)});
}

}  // namespace pmt::permutation
