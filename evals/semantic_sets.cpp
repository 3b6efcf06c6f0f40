#include "evals/semantic_sets.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "text/plain_words.h"

namespace pmt::evals {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json read_json(const fs::path& path) {
  std::ifstream in(path);
  return json::parse(in, nullptr, false);
}

std::string filled(std::string pattern, const std::string& x) {
  if (const auto at = pattern.find("[X]"); at != std::string::npos) pattern.replace(at, 3, x);
  return pattern;
}

/// The words of a text, in lower case, without order.
std::set<std::string> words_of(const std::string& text) {
  std::vector<std::string> words = text::plain_words(text);
  return {words.begin(), words.end()};
}

/// Whether most words of both are the same.
bool much_the_same(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::size_t shared = 0;
  for (const std::string& word : a) shared += b.contains(word) ? 1 : 0;
  return 10 * shared >= 7 * (a.size() + b.size() - shared);
}

/// GPTCache's mock pairs: a sentence and the same in other words. Positives: the set says many things several
/// times ("This document is about ..."), so originals that share seven tenths of their words count as one.
std::vector<Question> gptcache(const fs::path& root, std::mt19937&) {
  std::vector<Question> out;
  std::vector<std::set<std::string>> origins;
  const json pairs = read_json(root / "gptcache_bench/mock_data.json");
  if (!pairs.is_array()) return out;
  for (const json& pair : pairs) {
    const auto origin = pair.at("origin").get<std::string>(), similar = pair.at("similar").get<std::string>();
    const auto words = words_of(origin);
    const auto known = std::find_if(origins.begin(), origins.end(),
                                    [&](const auto& one) { return much_the_same(words, one); });
    const int answer = static_cast<int>(known - origins.begin());
    if (known == origins.end()) origins.push_back(words);
    out.push_back({origin, answer, answer});
    out.push_back({similar, answer, answer});
  }
  return out;
}

/// Our own other words for EntityQuestions' templates.
const std::map<std::string, std::vector<std::string>>& rewordings() {
  static const std::map<std::string, std::vector<std::string>> kWords = {
      {"P17", {"In what country is [X]?", "[X] is in which country?"}},
      {"P19", {"What is the birthplace of [X]?", "In which place was [X] born?"}},
      {"P20", {"What is the place of death of [X]?", "In which place did [X] die?"}},
      {"P26", {"Who is the spouse of [X]?", "[X] is married to whom?"}},
      {"P36", {"Which city is the capital of [X]?", "What is [X]'s capital?"}},
      {"P40", {"Who is the child of [X]?", "What is the name of [X]'s child?"}},
      {"P50", {"Who wrote [X]?", "By which author is [X]?"}},
      {"P69", {"Where did [X] go to school?", "At which institution was [X] educated?"}},
      {"P106", {"What is [X]'s occupation?", "What does [X] do for work?"}},
      {"P112", {"Who is the founder of [X]?", "By whom was [X] founded?"}},
      {"P127", {"Who is the owner of [X]?", "By whom is [X] owned?"}},
      {"P131", {"What is the location of [X]?", "In which place is [X] located?"}},
      {"P136", {"What genre of music does [X] play?", "What is the musical genre of [X]?"}},
      {"P159", {"Where is [X] headquartered?", "Where does [X] have its headquarters?"}},
      {"P170", {"Who is the creator of [X]?", "Who created [X]?"}},
      {"P175", {"Who is the performer of [X]?", "By whom was [X] performed?"}},
      {"P176", {"Which company produces [X]?", "Who is the manufacturer of [X]?"}},
      {"P264", {"Which record label is [X] on?", "What is the music label of [X]?"}},
      {"P407", {"What language was [X] written in?", "In which language was [X] written?"}},
      {"P413", {"In what position does [X] play?", "What is [X]'s playing position?"}},
      {"P495", {"In which country was [X] created?", "What is the country of origin of [X]?"}},
      {"P740", {"In which place was [X] founded?", "Where did [X] begin?"}},
      {"P800", {"Why is [X] famous?", "What is [X] known for?"}}};
  return kWords;
}

struct Entity {
  std::string relation, name, question;
};

/// `count` a relation, found by the relation's own template.
std::vector<Entity> entities(const fs::path& root, std::size_t count, std::mt19937& random) {
  std::vector<Entity> out;
  const json templates = read_json(root / "entityquestions/relation_query_templates.json");
  if (!templates.is_object()) return out;
  for (const auto& [relation, words] : rewordings()) {
    if (!templates.contains(relation)) continue;
    const auto pattern = templates.at(relation).get<std::string>();
    const auto at = pattern.find("[X]");
    const std::string front = pattern.substr(0, at), back = pattern.substr(at + 3);
    json items = read_json(root / "entityquestions/dev" / (relation + ".dev.json"));
    if (!items.is_array()) continue;
    std::shuffle(items.begin(), items.end(), random);
    std::size_t taken = 0;
    for (const json& item : items) {
      const auto question = item.at("question").get<std::string>();
      if (taken == count) break;
      if (!question.starts_with(front) || !question.ends_with(back)) continue;
      if (question.size() <= front.size() + back.size()) continue;
      const std::string name = question.substr(front.size(), question.size() - front.size() - back.size());
      out.push_back({relation, name, question});
      ++taken;
    }
  }
  return out;
}

/// The same template about another entity is the hard negative; a third of the entities come again in other
/// words.
std::vector<Question> entityquestions(const fs::path& root, std::mt19937& random) {
  std::vector<Question> out;
  int answer = 0;
  for (const Entity& entity : entities(root, 36, random)) {
    const auto& words = rewordings().at(entity.relation);
    out.push_back({entity.question, answer, answer});
    if (answer % 3 == 0) out.push_back({filled(words[0], entity.name), answer, answer});
    if (answer % 6 == 0) out.push_back({filled(words[1], entity.name), answer, answer});
    ++answer;
  }
  return out;
}

/// Each entity in four of its relation's patterns; the object, which would give the answer away, is a gap.
std::vector<Question> pararel(const fs::path& root, std::mt19937& random) {
  std::vector<Question> out;
  int answer = 0;
  for (const Entity& entity : entities(root, 14, random)) {
    std::ifstream in(root / "pararel/pattern_data/graphs_json" / (entity.relation + ".jsonl"));
    std::vector<std::string> patterns;
    for (std::string line; std::getline(in, line);) {
      const json item = json::parse(line, nullptr, false);
      if (item.is_object()) patterns.push_back(item.at("pattern").get<std::string>());
    }
    std::shuffle(patterns.begin(), patterns.end(), random);
    for (std::size_t i = 0; i < std::min<std::size_t>(4, patterns.size()); ++i) {
      std::string text = filled(patterns[i], entity.name);
      if (const auto gap = text.find("[Y]"); gap != std::string::npos) text.replace(gap, 3, "___");
      out.push_back({text, answer, answer});
    }
    ++answer;
  }
  return out;
}

/// One intent counts as one answer, so "right" is generous here; another intent or out of scope is wrong.
std::vector<Question> clinc150(const fs::path& root, std::mt19937& random) {
  std::vector<Question> out;
  json all = read_json(root / "clinc150/data_train_val.json");
  if (!all.is_object()) return out;
  std::map<std::string, int> intents, taken;
  std::shuffle(all["train"].begin(), all["train"].end(), random);
  for (const json& item : all["train"]) {
    const auto intent = item.at(1).get<std::string>();
    if (taken[intent]++ >= 8) continue;
    const int id = intents.emplace(intent, static_cast<int>(intents.size())).first->second;
    out.push_back({item.at(0).get<std::string>(), id, id});
  }
  int alone = 100'000;
  for (const char* part : {"oos_train", "oos_val"}) {
    for (const json& item : all[part]) {
      out.push_back({item.at(0).get<std::string>(), alone, alone});
      ++alone;
    }
  }
  return out;
}

/// A CSV of `text,category`, the text quoted where it needs to be.
std::vector<Question> banking77(const fs::path& root, std::mt19937& random) {
  std::vector<Question> all;
  std::ifstream in(root / "banking77/train.csv");
  std::stringstream whole;
  whole << in.rdbuf();
  const std::string text = whole.str();
  std::map<std::string, int> intents;
  std::vector<std::string> fields(1);
  bool quoted = false, header = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      if (quoted && i + 1 < text.size() && text[i + 1] == '"') {
        fields.back() += text[++i];
      } else {
        quoted = !quoted;
      }
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c == '\n' && !quoted) {
      if (!header && fields.size() == 2) {
        const int id = intents.emplace(fields[1], static_cast<int>(intents.size())).first->second;
        all.push_back({fields[0], id, id});
      }
      header = false;
      fields.assign(1, "");
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  std::shuffle(all.begin(), all.end(), random);
  if (all.size() > 1400) all.resize(1400);
  return all;
}

}  // namespace

std::vector<QuestionSet> read_question_sets(const std::string& data, unsigned seed,
                                            std::vector<std::string>& missing) {
  struct Source {
    const char* name;
    std::vector<Question> (*read)(const fs::path&, std::mt19937&);
    const char* where;
  };
  static constexpr Source kSources[] = {
      {"gptcache", gptcache, "gptcache_bench/mock_data.json (zilliztech/GPTCache)"},
      {"pararel", pararel, "pararel/pattern_data (yanaiela/pararel) and entityquestions"},
      {"entityquestions", entityquestions, "entityquestions/dev (princeton-nlp/EntityQuestions)"},
      {"clinc150", clinc150, "clinc150/data_train_val.json (clinc/oos-eval)"},
      {"banking77", banking77, "banking77/train.csv (PolyAI-LDN/task-specific-datasets)"}};
  std::vector<QuestionSet> sets;
  for (const Source& source : kSources) {
    std::mt19937 random(seed);
    QuestionSet set{.name = source.name, .questions = source.read(fs::path(data), random)};
    if (set.questions.empty()) {
      missing.push_back(
          fmt::format("{} is left out: {} can't be read in {}", source.name, source.where, data));
      continue;
    }
    std::shuffle(set.questions.begin(), set.questions.end(), random);
    std::unordered_set<std::string> seen;
    std::erase_if(set.questions, [&](const Question& q) { return !seen.insert(q.text).second; });
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace pmt::evals
