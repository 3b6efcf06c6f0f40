#include "knowledge_cache/recalling_completer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "knowledge_cache/fact_request.h"
#include "llm/shown_passages.h"

namespace pmt::knowledge_cache {

/// What an answer is told of what was recalled for it.
struct RecallReport {
  llm::KnowledgeReport knowledge;
  std::vector<PassageSource> sources;
  std::size_t packs = 0;  // of them, that were asked for as packs
};

namespace {

nlohmann::json json_of(const std::vector<PassageSource>& sources) {
  nlohmann::json out = nlohmann::json::array();
  for (const PassageSource& source : sources) {
    out.push_back({{"domain", source.domain},
                   {"document", source.document},
                   {"passage", source.passage},
                   {"begin", source.begin},
                   {"end", source.end}});
  }
  return out;
}

/// Adds to the terminal event's report what was recalled.
class ReportingSink final : public llm::Sink {
 public:
  /// `on_end` is told whether passages came as packs.
  ReportingSink(std::shared_ptr<llm::Sink> inner, RecallReport report, std::function<void(bool)> on_end)
      : inner_(std::move(inner)), report_(std::move(report)), on_end_(std::move(on_end)) {}

  void on_event(llm::Event&& event) override {
    if (auto* done = std::get_if<llm::Done>(&event)) {
      done->report.knowledge = report_.knowledge;
      if (!report_.sources.empty()) add_sources(done->report);
    }
    inner_->on_event(std::move(event));
  }

 private:
  void add_sources(llm::Report& report) const {
    const bool packs = report.kv && report.kv->prefix_source == llm::kFromPacks;
    if (!report.engine.is_object()) report.engine = nlohmann::json::object();
    const bool all = report_.packs == report_.sources.size();
    report.engine["documents"] = {{"attached", !packs ? "text"
                                               : all  ? "packs"
                                                      : "packs_then_text"},
                                  {"exact", !packs || report_.packs == 1},
                                  {"sources", json_of(report_.sources)}};
    if (on_end_) on_end_(packs);
  }

  std::shared_ptr<llm::Sink> inner_;
  RecallReport report_;
  std::function<void(bool)> on_end_;
};

}  // namespace

void write_recall(const Recalled& recalled, llm::Request& request) {
  if (recalled.facts.empty()) return;
  llm::Recall recall;
  const Slot& first = *recalled.facts.front().slot;
  if (recalled.prose && request.endpoint == llm::Endpoint::kChat) {
    recall.needle = first.fact.answer;
    for (const FiredFact& fact : recalled.facts) {
      recall.statement += (recall.statement.empty() ? "" : " ") + fact.slot->statement;
      recall.closing += "\n\n" + fact.slot->statement;
    }
    request.recall = std::move(recall);
    return;
  }
  recall.answer = first.fact.answer;
  if (recalled.facts.size() > 1) {
    recall.answer.clear();
    for (const FiredFact& fact : recalled.facts) {
      std::string answer = fact.slot->fact.answer;
      if (answer.back() != '.') answer += '.';
      recall.answer += (recall.answer.empty() ? "" : " ") + fact.slot->mention + ": " + answer;
    }
  }
  // A text that is gone on with goes on after the fact, too.
  recall.ends = request.endpoint == llm::Endpoint::kChat || !recalled.completes;
  request.recall = std::move(recall);
}

struct RecallingCompleter::Waiting {
  llm::Request request;
  std::shared_ptr<llm::Sink> sink;
  base::CancelToken cancel;
  Inquiry inquiry;
  RecallReport report;
  base::Nanos begin{0};
  Library& library;  // of its tenant
};

RecallingCompleter::RecallingCompleter(llm::Completer& inner, Library& library, const base::Clock& clock,
                                       Options options)
    : inner_(inner),
      library_(library),
      clock_(clock),
      options_(std::move(options)),
      packs_(inner),
      judge_(inner) {}

void RecallingCompleter::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                               base::CancelToken cancel) {
  if (request.knowledge.empty()) return inner_.start(std::move(request), std::move(sink), std::move(cancel));
  ++requests_;
  std::vector<std::string> names, asked;
  for (const std::string& reference : request.knowledge) {
    names.push_back(domain_of_reference(reference));
    // Its answer is kept as one that knows nothing of these, so it must know nothing of them.
    if (!is_of_no_concern(reference)) asked.push_back(names.back());
  }
  Library& library = library_.of_tenant(request.tenant);
  auto domains = library.find_all(names);
  if (domains) domains = library.find_all(asked);
  if (!domains) {
    base::Error error = domains.error();
    error.field = "permutation.knowledge";
    return sink->on_event(llm::Failed{std::move(error)});
  }
  llm::KnowledgeReport report;
  report.domains = std::move(names);
  const base::Nanos begin = clock_.now();
  Inquiry inquiry(conversation_of(request), std::move(*domains), library.lexicon());
  const auto waiting = std::make_shared<Waiting>(Waiting{std::move(request),
                                                         std::move(sink),
                                                         std::move(cancel),
                                                         std::move(inquiry),
                                                         {std::move(report), {}, 0},
                                                         begin,
                                                         library});
  if (!waiting->inquiry.names_anything()) return decide(waiting, {});
  ++named_;
  if (!options_.embed || library.space() == nullptr) return decide(waiting, {});
  std::vector<std::string> unknown = library.memo().unknown_of(waiting->inquiry.questions());
  if (unknown.empty()) return decide(waiting, library.memo().rows_of(waiting->inquiry.questions()));
  embed(waiting, std::move(unknown),
        [this, waiting] { decide(waiting, waiting->library.memo().rows_of(waiting->inquiry.questions())); });
}

/// Into the library's memo; where that fails the memo lacks them when `done` is called.
void RecallingCompleter::embed(const std::shared_ptr<Waiting>& waiting, std::vector<std::string> texts,
                               std::function<void()> done) {
  const auto embedded = [this, waiting, texts,
                         done = std::move(done)](base::Result<std::vector<float>> rows) {
    if (!rows && rows.error().code != base::Code::kCancelled) {
      ++embed_failures_;
      if (options_.usage != nullptr) options_.usage->add_failure();
    }
    if (rows) waiting->library.memo().add(texts, *rows);
    done();
  };
  options_.embed(texts, waiting->cancel, embedded);
}

void RecallingCompleter::decide(const std::shared_ptr<Waiting>& waiting, const std::vector<float>& rows) {
  if (!waiting->inquiry.names_anything()) return attach(waiting);
  static const RelationSpace kNone;
  const auto space = waiting->library.space();
  const llm::Request& request = waiting->request;
  const UnsureUse use = request.options.get<FactRequest>().unsure;
  const bool asks = (use == UnsureUse::kAuto ? options_.judges : use == UnsureUse::kAsk) &&
                    request.endpoint == llm::Endpoint::kChat;
  Recalled recalled = waiting->inquiry.decide(rows, space == nullptr ? kNone : *space, asks);
  waiting->report.knowledge.slots_read = recalled.slots_read;
  slots_read_ += static_cast<std::uint64_t>(recalled.slots_read);
  if (!recalled.unsure.empty()) return judge(waiting, std::move(recalled));
  settle(waiting, recalled);
}

void RecallingCompleter::judge(const std::shared_ptr<Waiting>& waiting, Recalled recalled) {
  std::vector<FactJudge::Case> cases;
  for (const UnsureFact& one : recalled.unsure) cases.push_back({one.fact.slot->statement, one.question});
  waiting->report.knowledge.judged = static_cast<std::int64_t>(cases.size());
  judged_ += cases.size();
  const auto on_verdicts = [this, waiting,
                            recalled = std::move(recalled)](const FactJudge::Verdicts& verdicts) mutable {
    const auto best = std::ranges::max_element(verdicts);
    if (*best > FactJudge::kUnknown) recalled.facts.clear();  // else what wording says stands
    if (*best >= kYesMin)
      recalled.facts.push_back(recalled.unsure[static_cast<std::size_t>(best - verdicts.begin())].fact);
    settle(waiting, recalled);
  };
  judge_.ask(waiting->request, std::move(cases), waiting->cancel, on_verdicts);
}

void RecallingCompleter::settle(const std::shared_ptr<Waiting>& waiting, const Recalled& recalled) {
  if (recalled.facts.empty()) return attach(waiting);
  llm::Request& request = waiting->request;
  for (const FiredFact& fact : recalled.facts) {
    waiting->report.knowledge.facts.push_back(waiting->inquiry.domains()[fact.domain]->origin().name + "/" +
                                              fact.slot->fact.id);
  }
  write_recall(recalled, request);
  ++fired_;
  facts_ += recalled.facts.size();
  if (options_.usage != nullptr)
    options_.usage->add(request.surface, clock_.unix_seconds(),
                        {.n = recalled.facts.size(),
                         .who = {.model = options_.model, .tenant = request.tenant, .key = request.key}});
  go_on(waiting);
}

void RecallingCompleter::go_on(const std::shared_ptr<Waiting>& waiting) {
  gate_ns_ += (clock_.now() - waiting->begin).count();
  if (waiting->report.packs == 0) return hand_over(waiting, false);
  packs_.prepare(waiting->request, waiting->cancel,
                 [this, waiting](bool just_read) { hand_over(waiting, just_read); });
}

void RecallingCompleter::hand_over(const std::shared_ptr<Waiting>& waiting, bool just_read) {
  std::function<void(bool)> on_end;
  if (waiting->report.packs > 0) {
    on_end = [this, just_read, request = waiting->request](bool found) {
      if (found) ++with_packs_;
      packs_.settle(request, {.found = found, .just_read = just_read});
    };
  }
  auto sink = std::make_shared<ReportingSink>(std::move(waiting->sink), std::move(waiting->report),
                                              std::move(on_end));
  inner_.start(std::move(waiting->request), std::move(sink), waiting->cancel);
}

void RecallingCompleter::attach(const std::shared_ptr<Waiting>& waiting) {
  Candidates found =
      candidates_of(waiting->request, conversation_of(waiting->request), waiting->inquiry.domains());
  if (found.empty()) return go_on(waiting);
  EmbeddingMemo& memo = waiting->library.memo();
  const std::vector<std::string> texts =
      options_.embed && found.need_nearness() ? found.texts() : std::vector<std::string>();
  std::vector<std::string> unknown = memo.unknown_of(texts);
  auto then = [this, waiting, texts, found = std::move(found)] {
    show(*waiting, found, waiting->library.memo().rows_of(texts));
    go_on(waiting);
  };
  if (unknown.empty()) return then();
  embed(waiting, std::move(unknown), std::move(then));
}

void RecallingCompleter::show(Waiting& waiting, Candidates found, const std::vector<float>& rows) {
  llm::Request& request = waiting.request;
  Attachment attachment = attachment_of(std::move(found), rows);
  ++shown_;
  passages_ += attachment.passages.size();
  if (options_.usage != nullptr) {
    options_.usage->add(request.surface, clock_.unix_seconds(),
                        {.n = attachment.passages.size(),
                         .who = {.model = options_.model, .tenant = request.tenant, .key = request.key}});
  }
  waiting.report.sources = std::move(attachment.sources);
  const DocumentUse use = request.options.get<DocumentRequest>().attach;
  const std::size_t packs = packs_among(attachment.passages.size(), use, options_.documents);
  if (packs > 0 && packs_.may_serve(request)) waiting.report.packs = packs;
  request.options.set(
      llm::ShownPassages{.texts = std::move(attachment.passages), .packs = waiting.report.packs});
}

RecallStats RecallingCompleter::stats() const {
  return {requests_,
          named_,
          fired_,
          facts_,
          slots_read_,
          judged_,
          embed_failures_,
          shown_,
          passages_,
          with_packs_,
          static_cast<double>(gate_ns_) / 1e6};
}

}  // namespace pmt::knowledge_cache
