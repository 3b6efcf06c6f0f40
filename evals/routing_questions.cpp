#include "evals/routing_questions.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "evals/word_f1.h"
#include "lab/measure.h"

namespace pmt::evals {
namespace {

using json = nlohmann::json;
using lab::fail;

json read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  json value = json::parse(in, nullptr, false);
  if (value.is_discarded())
    fail(fmt::format("can't read {}; --data DIR names the folder with the data sets", file.string()));
  return value;
}

std::vector<RoutingQuestion> articles(const std::filesystem::path& data) {
  std::vector<RoutingQuestion> out;
  const json read = read_json(data / "xquad_en" / "xquad.en.json");
  for (const json& article : read.at("data")) {
    for (const json& paragraph : article.at("paragraphs")) {
      for (const json& asked : paragraph.at("qas")) {
        RoutingQuestion& one = out.emplace_back();
        one.set = "articles";
        one.text =
            fmt::format("{}\n\nQuestion: {}\nAnswer with the words of the text, as short as possible.",
                        paragraph.at("context").get<std::string>(), asked.at("question").get<std::string>());
        for (const json& answer : asked.at("answers")) one.answers.push_back(answer.at("text"));
      }
    }
  }
  return out;
}

std::vector<RoutingQuestion> facts(const std::string& set, const std::filesystem::path& data) {
  std::vector<RoutingQuestion> out;
  const auto add = [&](std::string text, std::vector<std::string> answers) {
    out.push_back({.set = set,
                   .text = std::move(text),
                   .answers = std::move(answers),
                   .max_tokens = 16,
                   .few_shot = true});
  };
  if (set == "webquestions") {
    for (const json& item : read_json(data / set / "test.json")) add(item.at("qText"), item.at("answers"));
  } else if (set == "entityquestions") {
    for (const auto& file : std::filesystem::directory_iterator(data / set / "dev")) {
      const json items = read_json(file.path());
      for (const json& item : items) add(item.at("question"), item.at("answers"));
    }
  } else if (set == "rome_known") {
    for (const json& item : read_json(data / set / "known_1000.json"))
      add(item.at("prompt").get<std::string>() + " ...?", {item.at("attribute")});
  } else {
    fail("no set " + set +
         "; there are: arithmetic, code, articles, webquestions, entityquestions, rome_known");
  }
  // A folder is listed in no order.
  std::ranges::sort(out, {}, &RoutingQuestion::text);
  return out;
}

/// The last number of a text, thousands separators taken out; "": it has none.
std::string last_number(std::string text) {
  std::erase(text, ',');
  const auto end = text.find_last_of("0123456789");
  if (end == std::string::npos) return {};
  auto begin = text.find_last_not_of("0123456789.", end);
  begin = begin == std::string::npos ? 0 : begin + 1;
  const bool negative = begin > 0 && text[begin - 1] == '-';
  std::string number = text.substr(begin, end + 1 - begin);
  if (const auto point = number.find('.');
      point != std::string::npos && number.find_first_not_of('0', point + 1) == std::string::npos)
    number.resize(point);
  return (negative ? "-" : "") + number;
}

/// What a model wrote between ``` and ```, or all of it.
std::string code_of(const std::string& said) {
  const auto fence = said.find("```");
  if (fence == std::string::npos) return said;
  const auto begin = said.find('\n', fence);
  if (begin == std::string::npos) return {};
  const auto end = said.find("```", begin);
  return said.substr(begin + 1, end == std::string::npos ? end : end - begin - 1);
}

}  // namespace

std::vector<RoutingQuestion> draw_questions(const std::string& set, const std::filesystem::path& data, int n,
                                            unsigned seed) {
  std::vector<RoutingQuestion> all = set == "arithmetic" ? arithmetic_questions(n, seed)
                                     : set == "code"     ? code_questions(n, seed)
                                     : set == "articles" ? articles(data)
                                                         : facts(set, data);
  std::mt19937 random(seed);
  std::ranges::shuffle(all, random);
  all.resize(std::min(all.size(), static_cast<std::size_t>(n)));
  return all;
}

std::vector<RoutingQuestion> read_questions(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) fail("can't read " + file.string());
  std::vector<RoutingQuestion> out;
  for (std::string line; std::getline(in, line);) {
    const json one = json::parse(line, nullptr, false);
    if (!one.is_object() || !one.contains("question") || !one.contains("answers"))
      fail(file.string() + ": each line is an object with \"question\" and \"answers\"");
    out.push_back({.set = one.value("set", "all"),
                   .text = one.at("question"),
                   .answers = one.at("answers"),
                   .max_tokens = one.value("max_tokens", 64)});
  }
  return out;
}

bool RoutingJudge::is_right(const RoutingQuestion& question, const std::string& said) {
  if (!question.check.empty()) return code_is_right(question, said);
  if (question.set == "arithmetic") return last_number(said) == question.answers.at(0);
  const std::string text = text::plain_text(said);
  return std::ranges::any_of(question.answers, [&](const std::string& answer) {
    const std::string wanted = text::plain_text(answer);
    const bool held = wanted.size() > 1 && text.find(wanted) != std::string::npos;
    return held || (question.set == "articles" && word_f1(said, answer) >= 0.5);
  });
}

bool RoutingJudge::code_is_right(const RoutingQuestion& question, const std::string& said) {
  if (!sandbox_) {
    sandbox::SandboxOptions options;
    options.warm = 1;
    options.limits.block_s = 5;
    sandbox_ = lab::need(sandbox::Sandbox::open(std::move(options)));
  }
  const auto session = lab::need(sandbox_->session({.context = "", .functions = {}}));
  const auto none = [](const std::string&, const json&) -> base::Result<json> { return json(); };
  const auto defined = session->run(code_of(said), none, {});
  if (!defined || !defined->error.empty()) return false;
  const auto tried = session->run(question.check, none, {});
  return tried && tried->error.empty() && tried->output.starts_with("True");
}

}  // namespace pmt::evals
