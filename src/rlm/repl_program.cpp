#include "rlm/repl_program.h"

#include <algorithm>
#include <ctime>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/utf8.h"
#include "rlm/final_call.h"
#include "rlm/form_writer.h"
#include "rlm/passages.h"
#include "rlm/question.h"
#include "rlm/read_ranges.h"
#include "rlm/repl_arguments.h"
#include "rlm/repl_prompts.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {
namespace {

using base::Code;
using base::Error;
using nlohmann::json;

constexpr int kChildrenAtOnce = 4;      // of one call
constexpr int kChildThreadsMax = 8;     // of the whole tree: past it a child runs in its parent's thread
constexpr std::size_t kBlocksMax = 16;  // of one turn; asked for is one
constexpr int kSearchMax = 50;
constexpr std::size_t kSeenBytes = 200;  // of a message that an earlier iteration of the trajectory shows
constexpr std::size_t kProgressBytes = 60;

const std::vector<std::string> kFunctions = {"llm_query", "llm_query_batched", "rlm_query",
                                             "rlm_query_batched", "context_search"};

/// One REPL at one depth.
class Node {
 public:
  /// `read`: of the root's context, which parts stand in what models are shown.
  Node(Run& run, ReadRanges& read, const std::string& question, Session& kept, int depth)
      : run_(run), read_(read), question_(question), kept_(kept), depth_(depth) {
    trajectory_ = {{"run_metadata", run_metadata(run, depth)}, {"iterations", json::array()}};
    deepest_ = depth;
  }

  base::Result<Outcome> answer() {
    TRY(begin());
    history_ = {
        message("system", system_prompt(run_, depth_)),
        message("user", fmt::format("The question: {}\n\n`context` is {}.{}", question_,
                                    context_described(context()), session_described(kept_, variables_)))};
    for (int turn = 1; turn <= run_.bounds.iterations_max; ++turn) {
      TRY_ASSIGN(auto final, take_turn(turn));
      if (final) return outcome(std::move(*final), turn, "answered");
    }
    return last_word();
  }

 private:
  const json& context() const { return kept_.contexts.back(); }
  bool is_session() const { return !kept_.id.empty(); }

  /// With the REPL of the request before, if it is still there.
  base::Status begin() {
    if (kept_.repl) {
      const base::Status renewed = renew();
      if (renewed) return set_up_tools();
      if (run_.asker.cancel().cancelled()) return renewed;
      kept_.lost = renewed.error().message;
    }
    return restart();
  }

  base::Status restart() {
    kept_.repl.reset();
    kept_.contexts_given = 0;
    TRY_ASSIGN(kept_.repl, open_repl());
    if (is_session()) TRY(renew());
    return set_up_tools();
  }

  base::Result<std::unique_ptr<sandbox::Session>> open_repl() {
    const sandbox::SessionSetup setup{.context = is_session() ? json("") : context(),
                                      .functions = kFunctions,
                                      .tenant = run_.tenant,
                                      .cancel = run_.asker.cancel()};
    auto opened = run_.sandbox->session(setup);
    if (!opened && opened.error().code == Code::kExhausted && run_.free_repl())
      opened = run_.sandbox->session(setup);
    return opened;
  }

  /// What came since the session's last request, and no answer yet. Errors: also of a program that is gone.
  base::Status renew() {
    std::string code = "answer = {'content': '', 'ready': False}\n";
    for (; kept_.contexts_given < kept_.contexts.size(); ++kept_.contexts_given) {
      TRY(kept_.repl->set_context(kept_.contexts[kept_.contexts_given], run_.asker.cancel()));
      TRY(run_own(fmt::format("context_{} = context", kept_.contexts_given)));
    }
    json exchanges = json::array();
    for (const Exchange& one : kept_.history)
      exchanges.push_back({{"question", one.question}, {"answer", one.answer}});
    // JSON's texts are Python's, unless they are written in ASCII alone.
    code += "history = " + exchanges.dump(-1, ' ', false, json::error_handler_t::replace);
    return run_own(code);
  }

  base::Status run_own(const std::string& code) {
    TRY_ASSIGN(sandbox::BlockResult block, run_block(code));
    if (block.ended || !block.error.empty()) return Error{Code::kUnavailable, block.error};
    variables_ = std::move(block.variables);
    return {};
  }

  base::Status set_up_tools() {
    for (const CustomTool& tool : tools()) {
      TRY_ASSIGN(const sandbox::BlockResult block, run_block(tool.python));
      if (block.error.empty() && !block.ended) continue;
      const std::string field =
          fmt::format("permutation.rlm.{}.{}", depth_ == 0 ? "custom_tools" : "custom_sub_tools", tool.name);
      return base::invalid(fmt::format("'{}' can't be set up in the sandbox: {}", field, block.error), field);
    }
    return {};
  }

  const CustomTools& tools() const { return depth_ == 0 ? run_.tools : run_.sub_tools; }

  Outcome outcome(std::string answer, int turns, const char* how) {
    Outcome out;
    out.answer = std::move(answer);
    out.trajectory = std::move(trajectory_);
    out.depth = deepest_;
    out.reasoning = std::move(reasoning_);
    out.bytes_read = bytes_sent_;
    out.strategy = {{"program", "written by " + run_.root.name},
                    {"kind", "a REPL over the context"},
                    {"turns", turns},
                    {"ended", how},
                    {"unverified", !verified_},
                    {"sandbox", sandbox::to_string(run_.sandbox->kind())}};
    return out;
  }

  base::Result<Answer> ask_root() {
    return run_.asker.ask(run_.root, history_, {.max_tokens = run_.bounds.root_tokens});
  }

  /// The final answer, if this turn gave one.
  base::Result<std::optional<std::string>> take_turn(int turn) {
    const auto begin = run_.clock.now();
    history_.push_back(message("user", turn_head(turn, run_.bounds.iterations_max)));
    json prompt = prompt_json();
    TRY_ASSIGN(const Answer said, ask_root());
    history_.push_back(message("assistant", said.text));
    auto blocks = repl_blocks(said.text);
    const bool too_many = blocks.size() > kBlocksMax;
    if (too_many) blocks.resize(kBlocksMax);
    run_.on_progress(fmt::format("{}turn {}: {} block{}",
                                 std::string(static_cast<std::size_t>(depth_) * 2, ' '), turn, blocks.size(),
                                 blocks.size() == 1 ? "" : "s"));

    std::optional<std::string> final;
    std::string outputs;
    json ran = json::array();
    for (const std::string& code : blocks) {
      calls_.clear();
      TRY_ASSIGN(const sandbox::BlockResult block, run_block(code));
      read_.add(block.output);
      outputs += (outputs.empty() ? "Output:\n" : "\n\nOutput of the next block:\n") + shown(block);
      if (is_repeated(code, block))
        outputs += "\nYou ran this block before, and this came of it: write another.";
      ran.push_back(to_json(code, block, calls_));
      if (block.final_answer) final = block.final_answer, verified_ = true;
      if (block.ended) {
        kept_.lost = block.error;
        TRY(restart());
      }
      if (final) break;
    }
    if (too_many)
      outputs += fmt::format("\n\nOnly the first {} blocks were run: write one a turn.", kBlocksMax);
    std::string wrong;
    if (!final) final = said_final(said.text, wrong);
    record(turn, std::move(prompt), said, std::move(ran), final,
           base::ms_between(begin, run_.clock.now()) / 1e3);
    if (!final) {
      if (!wrong.empty()) outputs += (outputs.empty() ? "" : "\n\n") + wrong;
      history_.push_back(message("user", outputs.empty() ? nothing_to_run(said.text) : outputs));
    }
    return final;
  }

  /// Whether the same code came to the same before: a small root writes it again and again.
  bool is_repeated(const std::string& code, const sandbox::BlockResult& block) {
    const std::string came_of_it = block.output + "\n" + block.error;
    std::string& before = ran_[code];
    return std::exchange(before, came_of_it) == came_of_it;
  }

  base::Result<sandbox::BlockResult> run_block(const std::string& code) {
    return kept_.repl->run(
        code,
        [this](const std::string& function, const json& arguments) { return call(function, arguments); },
        run_.asker.cancel());
  }

  /// `wrong`: what to tell the root of a variable that isn't there.
  std::optional<std::string> said_final(const std::string& text, std::string& wrong) {
    const FinalCall call = final_call(text);
    if (call.name == "FINAL") return call.argument;
    if (call.name == "FINAL_VAR") {
      const auto block = run_block(
          "FINAL_VAR(" + json(call.argument).dump(-1, ' ', true, json::error_handler_t::replace) + ")");
      verified_ = block && block->final_answer;
      if (verified_) return block->final_answer;
      wrong = block ? block->error : block.error().message;
    }
    return std::nullopt;
  }

  base::Result<Outcome> last_word() {
    history_.push_back(message(
        "user", "The turns are used up. Answer the question now, with what you know, in plain text."));
    json prompt = prompt_json();
    TRY_ASSIGN(const Answer said, ask_root());
    record(run_.bounds.iterations_max + 1, std::move(prompt), said, json::array(), said.text, said.seconds);
    return outcome(said.text, run_.bounds.iterations_max, "the turns were used up");
  }

  /// The messages so far; those that an earlier iteration shows in full are cut, or a trajectory would grow
  /// with the square of its turns.
  json prompt_json() {
    json prompt = json::array();
    for (std::size_t i = 0; i < history_.size(); ++i) {
      const std::string& content = history_[i].content;
      std::string_view shown = content;
      if (i < shown_ && content.size() > kSeenBytes) shown = base::cut_utf8(content, kSeenBytes);
      const char* rest = shown.size() < content.size() ? "... [the whole is in an earlier iteration]" : "";
      prompt.push_back({{"role", history_[i].role}, {"content", fmt::format("{}{}", shown, rest)}});
    }
    shown_ = history_.size();
    return prompt;
  }

  void record(int turn, json prompt, const Answer& said, json blocks, const std::optional<std::string>& final,
              double seconds) {
    reasoning_.push_back({{"step", fmt::format("turn {}", turn)}, {"depth", depth_}, {"text", said.text}});
    trajectory_["iterations"].push_back(
        {{"type", "iteration"},
         {"iteration", turn},
         {"timestamp", fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(std::time(nullptr)))},
         {"prompt", std::move(prompt)},
         {"response", said.text},
         {"code_blocks", std::move(blocks)},
         {"final_answer", final ? json(*final) : json()},
         {"start_time", said.began_s},
         {"iteration_time", seconds}});
  }

  // --- what the program calls

  base::Result<json> call(const std::string& function, const json& arguments) {
    const bool leaves_only = depth_ + 1 >= run_.bounds.depth_max;
    if (function == "context_search") return search(arguments);
    if (function == "llm_query" || (function == "rlm_query" && leaves_only)) {
      TRY_ASSIGN(std::string prompt, text_argument(arguments, "prompt"));
      if (const auto context = arguments.find("context");
          context != arguments.end() && context->is_string()) {
        prompt += "\n\n" + context->get_ref<const std::string&>();
      }
      TRY_ASSIGN(const llm::ResponseFormat form, form_argument(arguments));
      TRY_ASSIGN(auto answers, leaf({prompt}, form));
      if (!answers[0]) return answers[0].error();
      return json(answers[0]->text);
    }
    if (function == "llm_query_batched" || (function == "rlm_query_batched" && leaves_only)) {
      TRY_ASSIGN(const auto prompts, prompts_argument(arguments));
      TRY_ASSIGN(const llm::ResponseFormat form, form_argument(arguments));
      TRY_ASSIGN(const auto answers, leaf(prompts, form));
      json texts = json::array();
      for (const auto& answer : answers)
        texts.push_back(answer ? answer->text : "Error: " + answer.error().message);
      return texts;
    }
    if (function == "rlm_query") {
      TRY_ASSIGN(const std::string prompt, text_argument(arguments, "prompt"));
      const auto context = arguments.find("context");
      TRY_ASSIGN(const llm::ResponseFormat form, form_argument(arguments));
      return child(prompt, context != arguments.end() && is_context(*context) ? *context : json(prompt),
                   form);
    }
    if (function == "rlm_query_batched") return children(arguments);
    return Error{Code::kNotFound, fmt::format("there is no function {}", function)};
  }

  static bool is_context(const json& value) {
    return value.is_string() ||
           (value.is_array() && std::ranges::all_of(value, [](const json& v) { return v.is_string(); }));
  }

  base::Result<json> search(const json& arguments) {
    TRY_ASSIGN(const std::string query, text_argument(arguments, "query"));
    const auto k = arguments.find("k");
    const auto wanted = k != arguments.end() && k->is_number_integer() ? k->get<std::int64_t>() : 5;
    Watch watch = run_.watch();
    TRY(index(watch));
    TRY_ASSIGN(const Ranked ranked,
               passages_->search(
                   query, static_cast<std::size_t>(std::clamp<std::int64_t>(wanted, 1, kSearchMax)), watch));
    json found = json::array();
    for (const Found& f : ranked.best) {
      found.push_back({{"begin", f.begin_character},
                       {"end", f.end_character},
                       {"score", f.score},
                       {"text", passages_->text_of(f)}});
    }
    return found;
  }

  /// Once, when the program searches for the first time.
  base::Status index(Watch& watch) {
    if (passages_) return {};
    const std::string* text = &joined_;
    if (context().is_string()) {
      text = &context().get_ref<const std::string&>();
    } else {
      TRY_ASSIGN(joined_, joined(
                              context().size(),
                              [this](std::size_t i) -> const std::string& {
                                return context()[i].get_ref<const std::string&>();
                              },
                              watch));
    }
    TRY_ASSIGN(Passages passages, Passages::index(*text, watch));
    passages_ = std::make_unique<Passages>(std::move(passages));
    return {};
  }

  base::Result<std::vector<base::Result<Answer>>> leaf(const std::vector<std::string>& prompts,
                                                       const llm::ResponseFormat& form) {
    TRY_ASSIGN(auto answers,
               run_.asker.ask_all(
                   run_.leaf,
                   {.count = prompts.size(),
                    .prompt = [&prompts](std::size_t i) { return std::vector{message("user", prompts[i])}; }},
                   {.max_tokens = run_.bounds.answer_tokens, .form = form}, run_.bounds.parallel));
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      SubCall made{.model = run_.leaf.name, .prompt = prompts[i], .response = {}, .error = {}, .usage = {}};
      if (answers[i]) {
        bytes_sent_ += prompts[i].size();
        read_.add(prompts[i]);
        made.response = answers[i]->text;
        made.usage = answers[i]->usage;
        made.began_s = answers[i]->began_s;
        made.seconds = answers[i]->seconds;
      } else {
        made.error = answers[i].error().message;
      }
      remember(std::move(made));
    }
    return answers;
  }

  base::Result<json> child(const std::string& prompt, const json& context, const llm::ResponseFormat& form) {
    TRY(run_.asker.ledger().check({}));  // before a sandbox is started for it
    const auto begin = run_.clock.now();
    const double began_s = run_.asker.ledger().elapsed_s();
    run_.on_progress(fmt::format("{}rlm_query: {}", std::string(static_cast<std::size_t>(depth_) * 2, ' '),
                                 base::cut_utf8(prompt, kProgressBytes)));
    Session own{.contexts = {context}};
    Node node(run_, read_, prompt, own, depth_ + 1);
    auto outcome = node.answer();
    if (outcome && !form.is_free()) {
      auto formed = in_form(run_, {.form = form}, prompt, outcome->answer);
      if (formed) {
        outcome->answer = std::move(*formed);
      } else {
        outcome = formed.error();
      }
    }
    SubCall made{.model = run_.root.name, .prompt = prompt, .response = {}, .error = {}, .usage = {}};
    made.began_s = began_s;
    made.seconds = base::ms_between(begin, run_.clock.now()) / 1e3;
    if (!outcome) {
      made.error = outcome.error().message;
      remember(std::move(made));
      return outcome.error();
    }
    made.response = outcome->answer;
    made.trajectory = std::move(outcome->trajectory);
    remember(std::move(made));
    const std::lock_guard lock(mutex_);
    deepest_ = std::max(deepest_, outcome->depth);
    bytes_sent_ += outcome->bytes_read;
    for (json& step : outcome->reasoning) reasoning_.push_back(std::move(step));
    return json(outcome->answer);
  }

  /// Each of them counts as a call at least: where the budget doesn't reach for all, none begins.
  base::Result<json> children(const json& arguments) {
    TRY_ASSIGN(const auto prompts, prompts_argument(arguments));
    TRY_ASSIGN(const llm::ResponseFormat form, form_argument(arguments));
    Claim all{.calls = static_cast<std::int64_t>(prompts.size())};
    for (const std::string& prompt : prompts) all.bytes += static_cast<std::int64_t>(prompt.size());
    TRY(run_.asker.ledger().check(all));
    json texts = json::array();
    for (std::size_t begin = 0; begin < prompts.size(); begin += kChildrenAtOnce) {
      if (run_.asker.cancel().cancelled()) return Error{Code::kCancelled, "cancelled"};
      std::vector<std::future<base::Result<json>>> running;
      for (std::size_t i = begin; i < std::min(begin + kChildrenAtOnce, prompts.size()); ++i) {
        running.push_back(begin_child(prompts[i], form));
      }
      for (auto& one : running) {
        const auto text = one.get();
        texts.push_back(text ? *text : json("Error: " + text.error().message));
      }
    }
    return texts;
  }

  /// In a thread of its own while the tree has few, and the system any; else by whoever waits for it.
  std::future<base::Result<json>> begin_child(const std::string& prompt, const llm::ResponseFormat& form) {
    const bool aside = run_.children.fetch_add(1) < kChildThreadsMax;
    if (!aside) --run_.children;
    const auto policy = aside ? std::launch::async | std::launch::deferred : std::launch::deferred;
    return std::async(policy, [this, &prompt, &form, aside] {
      auto text = child(prompt, prompt, form);
      if (aside) --run_.children;
      return text;
    });
  }

  void remember(SubCall call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::move(call));
  }

  Run& run_;
  ReadRanges& read_;
  const std::string question_;
  Session& kept_;
  const int depth_;
  std::vector<std::pair<std::string, std::string>> variables_;  // name and type, when it began
  std::vector<llm::Message> history_;
  std::size_t shown_ = 0;  // of history_, by the trajectory
  json trajectory_, reasoning_ = json::array();
  std::string joined_;  // of a context in parts
  std::unique_ptr<Passages> passages_;
  std::map<std::string, std::string> ran_;  // each block's code, and what came of it
  bool verified_ = false;                   // code that ran gave the answer
  std::mutex mutex_;                        // below: children side by side
  std::vector<SubCall> calls_;
  int deepest_ = 0;
  std::size_t bytes_sent_ = 0;
};

}  // namespace

base::Result<Outcome> run_repl(Run& run, const std::string& question, Session& kept) {
  if (run.sandbox == nullptr)
    return Error{Code::kUnavailable, "there is no sandbox for a program that a model writes"};
  ReadRanges read(kept.contexts.back());
  TRY_ASSIGN(Outcome outcome, Node(run, read, question, kept, 0).answer());
  outcome.strategy["read"] = read.told();
  return outcome;
}

}  // namespace pmt::rlm
