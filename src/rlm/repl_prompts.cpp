#include "rlm/repl_prompts.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/utf8.h"
#include "rlm/final_call.h"

namespace pmt::rlm {

using nlohmann::json;

namespace {

constexpr std::size_t kExchangesShown = 5;
constexpr std::size_t kExchangeShownBytes = 400;

std::string given_tools(const CustomTools& tools) {
  return tools.empty() ? "" : "\nFor this question you were given:\n" + tools_described(tools);
}

}  // namespace

std::string system_prompt(const Run& run, int depth) {
  return fmt::format(
      "You answer a question about a context that is too long to show you. It is the variable `context` of a "
      "Python REPL "
      "that you control. Each turn, write one code block that starts with ```repl and ends with ```; it "
      "runs, and you see "
      "what it printed and the value of its last expression (at most 20,000 characters). Variables stay from turn to turn, also after an "
      "exception. There "
      "is no network, no file and no process.\n\n"
      "What the REPL has beside Python's standard library:\n"
      "- context: the text, a str (or a list of str)\n"
      "- context_search(query, k=5): the k passages that match best, as a list of {{\"begin\", \"end\", "
      "\"score\", "
      "\"text\"}}; cheap, no model reads anything\n"
      "- context_slice(begin, end): a part of the text\n"
      "- llm_query(prompt): asks a model once and returns its text. It sees only the prompt{}\n"
      "- llm_query_batched(prompts): the same for a list of prompts, side by side, in order\n"
      "- rlm_query(prompt, context=None): {}\n"
      "- SHOW_VARS(): your variables\n"
      "llm_query and the others take response_format, a dict of OpenAI's API, and return JSON text then.\n{}\n"
      "Look at the context first. Search and compute with Python where you can, ask a model only about parts "
      "that need "
      "reading, and check a result before you give it. To finish, in a block:\n"
      "answer[\"content\"] = \"...\"\nanswer[\"ready\"] = True\n"
      "FINAL(value) and FINAL_VAR(\"name\") do the same. There are {} turns.",
      run.leaf.context_tokens > 0 ? fmt::format(", of at most {} tokens", run.leaf.context_tokens) : "",
      depth < run.bounds.depth_max
          ? "a helper like you, with a REPL and turns of its own, for a part of the problem"
          : "the same as llm_query here: no deeper level is left",
      given_tools(depth == 0 ? run.tools : run.sub_tools), run.bounds.iterations_max);
}

std::string context_described(const json& context) {
  if (context.is_string())
    return fmt::format("one str of {} characters", base::characters(context.get_ref<const std::string&>()));
  std::int64_t total = 0;
  for (const json& part : context) total += base::characters(part.get_ref<const std::string&>());
  return fmt::format("a list of {} str with {} characters together", context.size(), total);
}

std::string session_described(const Session& session,
                              const std::vector<std::pair<std::string, std::string>>& variables) {
  if (session.answered == 0) return "";
  std::string out = fmt::format(
      "\n\nThis is question {} of a session. `history` is a list of the earlier ones, each a dict of \"question\" and "
      "\"answer\". The last were:\n",
      session.answered + 1);
  const std::size_t first = session.history.size() - std::min(session.history.size(), kExchangesShown);
  for (std::size_t i = first; i < session.history.size(); ++i) {
    const Exchange& one = session.history[i];
    out += fmt::format("- {} -> {}\n", base::cut_utf8(one.question, kExchangeShownBytes),
                       base::cut_utf8(one.answer, kExchangeShownBytes));
  }
  for (std::size_t i = 0; i + 1 < session.contexts.size(); ++i)
    out += fmt::format("`context_{}` is {}.\n", i, context_described(session.contexts[i]));
  std::string names;
  for (const auto& [name, type] : variables) {
    if (name == "history" || name.starts_with("context_")) continue;
    names += fmt::format("{}{}{}", names.empty() ? "" : ", ", name, type.empty() ? "" : " (" + type + ")");
  }
  return out + (names.empty() ? "No variables are left from them." : "Variables from them: " + names + ".");
}

std::string shown(const sandbox::BlockResult& block) {
  std::string text = block.output;
  const std::int64_t kept = base::characters(block.output);
  if (block.output_chars > kept) text += fmt::format("... [{} more characters]", block.output_chars - kept);
  if (!block.error.empty()) text += (text.empty() ? "" : "\n") + block.error;
  if (block.ended) text += "\nThe REPL was started anew: its variables are gone, `context` is there again.";
  if (text.empty()) text = "(nothing was printed)";
  return text;
}

std::string turn_head(int turn, int turns) {
  constexpr int kLastTurns = 2;
  std::string head = fmt::format("Turn {} of {}.", turn, turns);
  if (turns > kLastTurns && turn > turns - kLastTurns)
    head += turn == turns ? " It is the last: give the answer in this block."
                          : " Give the answer in this turn or the next.";
  return head;
}

std::string nothing_to_run(const std::string& response) {
  std::string out = "There was no ```repl block to run. ";
  if (calls_in_xml(response))
    out += "A call of a tool in XML isn't run here: put its code between ```repl and ```. ";
  return out + "Write one, or finish with answer[\"ready\"] = True in one.";
}

}  // namespace pmt::rlm
