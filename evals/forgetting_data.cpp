#include "evals/forgetting_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kv_cache/sequence_kv.h"
#include "lab/measure.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;

/// The two words with capitals that most questions of an author hold: the author's name.
std::string author_of(const std::vector<json>& questions) {
  std::map<std::string, int> counts;
  for (const json& item : questions) {
    std::set<std::string> seen;
    const std::string text = item.at("question");
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t middle = text.find(' ', at);
      if (middle == std::string::npos) break;
      std::size_t end = middle + 1;
      while (end < text.size() && (std::isalpha(static_cast<unsigned char>(text[end])) != 0 ||
                                   static_cast<unsigned char>(text[end]) >= 0x80))
        ++end;
      const auto capital = [&](std::size_t i) {
        return std::isupper(static_cast<unsigned char>(text[i])) != 0;
      };
      if (at > 0 && middle > at && end > middle + 2 && capital(at) && capital(middle + 1))
        seen.insert(text.substr(at, end - at));
      at = middle + 1;
    }
    for (const std::string& name : seen) ++counts[name];
  }
  std::string best;
  for (const auto& [name, count] : counts) {
    if (best.empty() || count > counts[best]) best = name;
  }
  return best;
}

bool says_any(const Answer& answer, const json& wanted) {
  return std::any_of(wanted.begin(), wanted.end(),
                     [&](const json& one) { return holds(answer, one.get<std::string>()); });
}

void add_entity_questions(Subject& subject, const std::string& data, std::size_t count, std::size_t first,
                          std::vector<RealFact>& out) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/entityquestions/dev", error))
    files.push_back(entry.path());
  if (files.empty()) return progress("EntityQuestions is left out: no " + data + "/entityquestions/dev");
  std::sort(files.begin(), files.end());
  std::vector<json> relations;
  for (const auto& path : files) {
    std::ifstream file(path);
    relations.push_back(json::parse(file, nullptr, false));
  }
  const std::size_t wanted = out.size() + count;
  for (std::size_t i = first; i < first + 200 && out.size() < wanted; ++i) {
    for (const json& relation : relations) {
      if (out.size() == wanted || !relation.is_array() || i >= relation.size()) continue;
      const json& item = relation[i];
      const std::string prompt = item.at("question"), answer = item.at("answers").at(0);
      if (answer.size() > 60) continue;
      if (!says_any(subject.ask({prompt}, false, 16), item.at("answers")))
        out.push_back({prompt, answer, false});
    }
  }
}

void add_tofu(Subject& subject, const std::string& data, std::size_t count, std::size_t first,
              std::vector<RealFact>& out) {
  std::ifstream file(data + "/tofu/tofu_qa_authors_000_099.jsonl");
  std::map<int, std::vector<json>> authors;
  for (std::string line; std::getline(file, line);) {
    json item = json::parse(line, nullptr, false);
    if (item.is_object()) authors[item.at("author")].push_back(std::move(item));
  }
  if (authors.empty())
    return progress("TOFU is left out: no " + data + "/tofu/tofu_qa_authors_000_099.jsonl");
  const std::size_t wanted = out.size() + count;
  for (auto& [number, questions] : authors) {
    if (static_cast<std::size_t>(number) < first) continue;
    const std::string name = author_of(questions);
    for (const json& item : questions) {
      const std::string prompt = item.at("question"), answer = item.at("answer");
      if (out.size() == wanted) return;
      if (name.empty() || prompt.find(name) == std::string::npos || answer.size() > 220) continue;
      if (!holds(subject.ask({prompt}, false, 48), answer)) out.push_back({prompt, answer, true});
    }
  }
}

}  // namespace

std::vector<RealFact> facts_it_gets_wrong(Subject& subject, const std::string& data, std::size_t each,
                                          std::size_t first) {
  std::vector<RealFact> out;
  add_entity_questions(subject, data, each, first * 10, out);
  progress(fmt::format("EntityQuestions: {} that the model gets wrong", out.size()));
  add_tofu(subject, data, each, first * 8, out);
  progress(fmt::format("with TOFU: {}", out.size()));
  return out;
}

Share changed_answers(Subject& subject, const std::string& data, std::size_t n) {
  Share out;
  std::ifstream file(data + "/rome_known/known_1000.json");
  const json known = json::parse(file, nullptr, false);
  if (known.is_discarded()) {
    progress("known answers are left out: " + data +
             "/rome_known/known_1000.json (kmeng01/rome) can't be read");
    return out;
  }
  for (const json& item : known) {
    if (out.n >= n) break;
    const std::string prompt = item.at("prompt"), wanted = item.at("attribute");
    const Answer before = subject.ask({prompt}, false, 8, true);
    if (!holds(before, wanted)) continue;
    out.add(subject.ask({prompt}, true, 8, true).text != before.text);
  }
  return out;
}

TextReading read_text(Subject& subject, const std::string& data, std::size_t tokens_max) {
  TextReading out;
  std::ifstream file(data + "/wikitext2/valid.txt");
  if (!file) {
    progress("WikiText-2 is left out: no " + data + "/wikitext2/valid.txt");
    return out;
  }
  std::vector<std::string> names;
  for (const auto& domain : subject.library().list()) names.push_back(domain.name);
  const auto domains = subject.library().find_all(names);
  const auto vocab = model::Vocab::load(subject.model_path());
  const auto transformer = model::Transformer::load(subject.model_path(), 1, {});
  if (!domains || !vocab || !transformer) return out;
  const auto pool = (*transformer)->make_pool(256U << 20);
  const auto space = subject.library().space();
  if (!pool || space == nullptr) return out;
  double total = 0, total_with = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.size() < 200) continue;
    // Where the gate fires: the answer that it puts after the text so far.
    std::map<std::size_t, std::string> forced;  // by tokens before it
    for (std::size_t at = line.find(' ', 1); at != std::string::npos; at = line.find(' ', at + 1)) {
      ++out.places;
      const std::string before = line.substr(0, at);
      const knowledge_cache::Inquiry inquiry({.turns = {before}, .raw = true}, *domains,
                                             subject.library().lexicon());
      if (!inquiry.names_anything()) continue;
      ++out.opened;
      std::vector<llm::EmbedInput> inputs;
      for (const std::string& question : inquiry.questions())
        inputs.push_back({.text = question, .tokens = {}});
      const auto rows = subject.embedder().embed(std::move(inputs));
      const auto recalled = inquiry.decide(rows ? rows->values : std::vector<float>{}, *space);
      if (recalled.facts.empty()) continue;
      ++out.fired;
      forced[(*vocab)->tokenize(before, {}).size()] = recalled.facts.front().slot->fact.answer;
    }
    if (out.tokens >= tokens_max) continue;  // the gate reads all of it
    auto tokens = (*vocab)->tokenize(line, {});
    tokens.resize(std::min<std::size_t>(tokens.size(), 512));
    if (tokens.size() < 2) continue;
    kv_cache::SequenceKv sequence(**pool, (*transformer)->hparams().kv_shape());
    model::BatchSpan span{&sequence, tokens, {}};
    for (int i = 0; i + 1 < static_cast<int>(tokens.size()); ++i) span.output_rows.push_back(i);
    const auto logits = (*transformer)->forward(**pool, {&span, 1});
    if (!logits) return out;
    const std::size_t width = logits->size() / span.output_rows.size();
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto row = logits->subspan(i * width, width);
      const float top = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (const float x : row) sum += std::exp(double{x} - top);
      const double loss = std::log(sum) + top - row[static_cast<std::size_t>(tokens[i + 1])];
      total += loss;
      const auto fact = forced.find(i + 1);
      if (fact == forced.end()) {
        total_with += loss;
      } else if ((*vocab)->tokenize(" " + fact->second, {}).front() != tokens[i + 1]) {
        total_with -= std::log(1e-6);
      }
      ++out.tokens;
    }
  }
  out.perplexity = std::exp(total / static_cast<double>(out.tokens));
  out.perplexity_with = std::exp(total_with / static_cast<double>(out.tokens));
  progress(
      fmt::format("WikiText-2: {} places, the gate opened at {} and fired at {}; perplexity {:.4f} -> {:.4f} "
                  "on {} tokens",
                  out.places, out.opened, out.fired, out.perplexity, out.perplexity_with, out.tokens));
  return out;
}

}  // namespace pmt::evals
