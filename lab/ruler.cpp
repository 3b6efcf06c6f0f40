#include "lab/ruler.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lab/ruler_words.h"
#include "text/plain_words.h"

namespace pmt::lab {
namespace {

constexpr std::size_t kNeedles = 4;        // of a kind with several: RULER's number
constexpr std::size_t kHops = 4;           // a value's first variable hands it on so often
constexpr std::size_t kCommon = 10;        // words that stand in the list often
constexpr std::size_t kCommonTimes = 30;   // so often
constexpr std::size_t kUncommonTimes = 3;  // and each of the others
constexpr std::size_t kFrequent = 3;       // coded words that are asked for
constexpr std::size_t kCodedWords = 1000;
constexpr std::size_t kCodedMin = 200;         // so many that ranks next to each other differ in their counts
constexpr double kZeta2 = 1.6449340668482264;  // a coded word of rank r has the share 1 / (r^2 zeta(2))
constexpr std::size_t kEndless = std::size_t{1} << 20;

struct KindEntry {
  RulerKind kind;
  const char* name;
  int questions;
  int answer_tokens;
};
constexpr std::array kKinds = {KindEntry{RulerKind::kSingleWords, "single_words", 1, 48},
                               KindEntry{RulerKind::kSingleNumber, "single_number", 1, 48},
                               KindEntry{RulerKind::kSingleUuid, "single_uuid", 1, 72},
                               KindEntry{RulerKind::kMultiKey, "multikey", 4, 48},
                               KindEntry{RulerKind::kMultiKeyLines, "multikey_lines", 4, 48},
                               KindEntry{RulerKind::kMultiValue, "multivalue", 1, 100},
                               KindEntry{RulerKind::kMultiQuery, "multiquery", 1, 100},
                               KindEntry{RulerKind::kVariables, "variables", 1, 64},
                               KindEntry{RulerKind::kCommonWords, "common_words", 1, 96},
                               KindEntry{RulerKind::kFrequentWords, "frequent_words", 1, 48},
                               KindEntry{RulerKind::kQa, "qa", 4, 48}};

const KindEntry& entry_of(RulerKind kind) {
  return *std::find_if(kKinds.begin(), kKinds.end(),
                       [&](const KindEntry& each) { return each.kind == kind; });
}

/// What a text is made of: the more units, the longer.
struct Recipe {
  std::function<std::string(std::size_t units)> context;
  std::vector<RulerQuestion> questions;
  std::size_t units_min = 0, units_max = kEndless;
};

struct Needle {
  std::string text;
  double depth = 0;  // [0, 1) of the units stand before it
};

bool ends_sentence(const std::string& text) {
  const auto last = text.find_last_not_of("\"')_*");
  return last == std::string::npos || text[last] == '.' || text[last] == '!' || text[last] == '?';
}

/// The needles stand between sentences. Requires them in the order of their depths.
std::string with_needles(const std::vector<Needle>& needles, std::size_t units, const char* joint,
                         const std::function<std::string(std::size_t)>& unit) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : joint) + text; };
  auto next = needles.begin();
  for (std::size_t i = 0; i < units; ++i) {
    while (next != needles.end() && static_cast<double>(i) >= next->depth * static_cast<double>(units) &&
           ends_sentence(out))
      add((next++)->text);
    add(unit(i));
  }
  if (!ends_sentence(out)) out += '.';
  for (; next != needles.end(); ++next) add(next->text);
  return out;
}

std::vector<double> sorted_depths(std::size_t n, RulerRandom& random) {
  std::vector<double> out(n);
  for (double& each : out) each = random.share();
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> words_of(const std::vector<std::string>& sentences) {
  std::vector<std::string> out;
  for (const std::string& sentence : sentences) {
    std::istringstream in(sentence);
    out.insert(out.end(), std::istream_iterator<std::string>(in), {});
  }
  return out;
}

std::function<std::string(std::size_t)> noise() {
  return [](std::size_t i) { return ruler_noise()[i % ruler_noise().size()]; };
}

class Maker {
 public:
  Maker(const RulerOptions& options, const RulerSources& sources, const RulerCount& count)
      : options_(options), sources_(sources), count_(count), essay_(words_of(sources.essay)) {}

  base::Result<RulerText> text(int number) {
    TRY_ASSIGN(Recipe recipe, recipe_of(number));
    TRY_ASSIGN(std::string context, fitted(recipe));
    return RulerText{std::move(context), std::move(recipe.questions)};
  }

 private:
  base::Error too_little(const char* what) const {
    return base::invalid(
        fmt::format("ruler_{} of {} tokens: {}", name_of(options_.kind), options_.tokens, what));
  }

  base::Result<Recipe> recipe_of(int number) {
    RulerRandom random({options_.seed, static_cast<std::uint32_t>(options_.kind),
                        static_cast<std::uint32_t>(options_.tokens), static_cast<std::uint32_t>(number)});
    switch (options_.kind) {
      case RulerKind::kVariables:
        return variables(random);
      case RulerKind::kCommonWords:
        return common_words(random);
      case RulerKind::kFrequentWords:
        return frequent_words(random);
      case RulerKind::kQa:
        return paragraphs(static_cast<std::size_t>(number), random);
      default:
        return needles(random);
    }
  }

  std::function<std::string(std::size_t)> essay(RulerRandom& random) const {
    return [this, start = random.below(essay_.size())](std::size_t i) {
      return essay_[(start + i) % essay_.size()];
    };
  }

  static std::string needle(const char* noun, const std::string& name, const std::string& value) {
    return fmt::format("A registered {} of {} is {}.", noun, name, value);
  }

  /// A line for every name but the first ones, which are the needles'.
  static std::function<std::string(std::size_t)> lines(const std::vector<std::string>& names,
                                                       RulerRandom& random) {
    std::vector<std::string> all;
    for (std::size_t i = kNeedles; i < names.size(); ++i)
      all.push_back(needle("number", names[i], ruler_number(random)));
    return [all = std::move(all)](std::size_t i) { return all[i]; };
  }

  std::string value(RulerRandom& random) const {
    if (options_.kind == RulerKind::kSingleUuid) return ruler_uuid(random);
    return options_.kind == RulerKind::kSingleWords ? ruler_compounds(random).front() : ruler_number(random);
  }

  base::Result<Recipe> needles(RulerRandom& random) const {
    const RulerKind kind = options_.kind;
    const bool in_words = kind == RulerKind::kSingleWords, in_lines = kind == RulerKind::kMultiKeyLines;
    const bool single = in_words || kind == RulerKind::kSingleNumber || kind == RulerKind::kSingleUuid;
    if (essay_.empty() && needs_essay(kind)) return too_little("it needs an essay");
    const char* const noun = in_words ? "word" : kind == RulerKind::kSingleUuid ? "code" : "number";
    std::vector<std::string> names = ruler_names(random);
    const auto unit = in_words ? noise() : in_lines ? lines(names, random) : essay(random);
    const std::size_t units_max = in_lines ? names.size() - kNeedles : kEndless;
    if (kind == RulerKind::kMultiValue) names.assign(kNeedles, std::string(names.front()));
    std::vector<std::string> values;
    std::vector<Needle> hidden;
    for (const double depth : sorted_depths(single ? 1 : kNeedles, random)) {
      values.push_back(value(random));
      hidden.push_back({needle(noun, names[hidden.size()], values.back()), depth});
    }
    names.resize(hidden.size());
    const char* const joint = in_lines ? "\n" : " ";
    return Recipe{
        .context =
            [=](std::size_t units) {
              return fmt::format(
                  "Registered {}s are hidden in the following text. Remember them: you will be asked for "
                  "them afterwards.\n\n{}",
                  noun, with_needles(hidden, units, joint, unit));
            },
        .questions = questions(noun, names, values),
        .units_max = units_max};
  }

  std::vector<RulerQuestion> questions(const char* noun, const std::vector<std::string>& names,
                                       const std::vector<std::string>& values) const {
    if (options_.kind == RulerKind::kMultiValue) {
      return {{fmt::format("\n\nWhat are all four registered numbers of {} in the text above?", names[0]),
               values}};
    }
    if (options_.kind == RulerKind::kMultiQuery) {
      return {
          {fmt::format(
               "\n\nWhat are the registered numbers of {}, {}, {} and {} in the text above? Give all four.",
               names[0], names[1], names[2], names[3]),
           values}};
    }
    std::vector<RulerQuestion> out;
    for (std::size_t i = 0; i < names.size(); ++i) {
      out.push_back({fmt::format("\n\nWhat is the registered {} of {} in the text above?", noun, names[i]),
                     {values[i]}});
    }
    return out;
  }

  static Recipe variables(RulerRandom& random) {
    constexpr std::size_t kLetters = 5;
    const std::string value = ruler_number(random).substr(0, kLetters);
    std::vector<std::string> names;
    std::vector<Needle> hidden;
    for (const double depth : sorted_depths(kHops + 1, random)) {
      std::string name = ruler_letters(random, kLetters, 'A', 'Z');
      while (std::find(names.begin(), names.end(), name) != names.end())
        name = ruler_letters(random, kLetters, 'A', 'Z');
      hidden.push_back({fmt::format("Let {} be {}.", name, names.empty() ? value : names.back()), depth});
      names.push_back(std::move(name));
    }
    return {
        .context =
            [hidden](std::size_t units) {
              return "Follow how variables hand a value on in the following text. For example, with \"Let KIBOR be "
                     "301. Let TUMEL be KIBOR. Let SADOP be TUMEL.\" the variables that have the value 301 are "
                     "KIBOR, TUMEL and SADOP.\n\n" +
                     with_needles(hidden, units, " ", noise());
            },
        .questions = {
            {fmt::format("\n\nWhich variables have the value {} in the text above, given to them or "
                         "handed on? Name all five.",
                         value),
             names}}};
  }

  static Recipe common_words(RulerRandom& random) {
    const std::vector<std::string> words = ruler_compounds(random);
    const auto order = static_cast<std::uint32_t>(random.below(kEndless));
    return {
        .context =
            [words, order](std::size_t units) {
              std::vector<std::string> list;
              for (std::size_t i = 0; i < kCommon * kCommonTimes; ++i) list.push_back(words[i % kCommon]);
              for (std::size_t i = 0; i < units; ++i) list.push_back(words[kCommon + i / kUncommonTimes]);
              RulerRandom({order}).shuffle(list);
              std::string out =
                  "The following list has words that stand there often and words that stand there seldom. For "
                  "example, in \"1. oxcart 2. tulip 3. oxcart 4. pearl 5. tulip\" the two most common words are "
                  "oxcart and tulip.\n\n";
              for (std::size_t i = 0; i < list.size(); ++i)
                out += fmt::format("{}{}. {}", i == 0 ? "" : " ", i + 1, list[i]);
              return out;
            },
        .questions = {{"\n\nWhat are the ten most common words in the list above?",
                       std::vector<std::string>(words.begin(), words.begin() + kCommon)}},
        .units_max = (words.size() - kCommon) * kUncommonTimes};
  }

  static Recipe frequent_words(RulerRandom& random) {
    std::vector<std::string> words = {"..."};  // the most frequent of all says nothing
    std::unordered_set<std::string> known;
    while (words.size() < kCodedWords) {
      constexpr std::size_t kLetters = 6;
      std::string word = ruler_letters(random, kLetters, 'a', 'z');
      if (known.insert(word).second) words.push_back(std::move(word));
    }
    const auto order = static_cast<std::uint32_t>(random.below(kEndless));
    return {.context =
                [words, order](std::size_t units) {
                  std::vector<std::string> list;
                  for (std::size_t i = 0; i < words.size(); ++i) {
                    const auto rank = static_cast<double>(i + 1);
                    list.insert(list.end(),
                                static_cast<std::size_t>(static_cast<double>(units) / (rank * rank * kZeta2)),
                                words[i]);
                  }
                  RulerRandom({order}).shuffle(list);
                  return fmt::format(
                      "The following text is in code: count how often each of its words stands there, "
                      "and pass over the dots.\n\n{}",
                      fmt::join(list, " "));
                },
            .questions = {{"\n\nWhat are the three most frequent words of the coded text above?",
                           std::vector<std::string>(words.begin() + 1, words.begin() + 1 + kFrequent)}},
            .units_min = kCodedMin};
  }

  base::Result<Recipe> paragraphs(std::size_t number, RulerRandom& random) const {
    const auto& all = sources_.paragraphs;
    const auto each_text = static_cast<std::size_t>(questions_of(RulerKind::kQa));
    if (all.size() <= each_text) return too_little("it needs paragraphs with questions");
    std::vector<std::size_t> order(all.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    RulerRandom({options_.seed})
        .shuffle(order);  // which are asked about: in turns, so the same for every text
    Recipe out;
    std::vector<std::string> golden;
    std::unordered_set<std::size_t> used;
    for (std::size_t i = 0; i < each_text; ++i) {
      const std::size_t turn = number * each_text + i;
      const RulerParagraph& paragraph = all[order[turn % order.size()]];
      if (paragraph.questions.empty()) return too_little("a paragraph has no question");
      used.insert(order[turn % order.size()]);
      golden.push_back(paragraph.text);
      out.questions.push_back(paragraph.questions[(turn / order.size()) % paragraph.questions.size()]);
    }
    std::vector<std::string> others;
    random.shuffle(order);
    for (const std::size_t i : order) {
      if (!used.contains(i)) others.push_back(all[i].text);
    }
    out.units_max = words_of(others).size();
    out.context = [golden, others, depths = sorted_depths(each_text, random)](std::size_t units) {
      return documents(golden, depths, others, units);
    };
    return out;
  }

  /// So many words of `others`, whole ones but for the last, with the golden ones among them.
  static std::string documents(const std::vector<std::string>& golden, const std::vector<double>& depths,
                               const std::vector<std::string>& others, std::size_t units) {
    std::vector<std::string> taken;
    for (auto other = others.begin(); units > 0 && other != others.end(); ++other) {
      std::vector<std::string> words = words_of({*other});
      if (words.size() > units) words.resize(units);
      units -= words.size();
      taken.push_back(fmt::format("{}", fmt::join(words, " ")));
    }
    const std::size_t distractors = taken.size();
    for (std::size_t i = golden.size(); i-- > 0;) {
      const double at = depths[i] * static_cast<double>(distractors);
      taken.insert(taken.begin() + static_cast<std::ptrdiff_t>(at), golden[i]);
    }
    std::string out = "Read the documents. Answer from them alone, with a short phrase and nothing else.";
    for (std::size_t i = 0; i < taken.size(); ++i)
      out += fmt::format("\n\nDocument {}:\n{}", i + 1, taken[i]);
    return out;
  }

  /// The longest context that leaves room for its questions and their answers, or nearly.
  base::Result<std::string> fitted(const Recipe& recipe) const {
    const std::int64_t limit = options_.tokens - answer_tokens(options_.kind);
    const std::int64_t near = std::max<std::int64_t>(1, options_.tokens / 250);
    const std::string least = recipe.context(recipe.units_min);
    std::string longest;
    std::int64_t at_least = 0;
    for (const RulerQuestion& question : recipe.questions) {
      const std::int64_t now = count_(least + question.text);
      if (now > at_least) longest = question.text;
      at_least = std::max(at_least, now);
    }
    if (at_least > limit) return too_little("there is no room for what it asks");
    std::size_t low = recipe.units_min, high = recipe.units_max + 1;
    std::int64_t at_low = at_least;
    double units_per_token = 0.2;
    while (limit - at_low > near && low + 1 < high) {
      const double more = static_cast<double>(limit - near / 2 - at_low) * units_per_token;
      const std::size_t next = std::clamp(low + static_cast<std::size_t>(more), low + 1, high - 1);
      const std::int64_t now = count_(recipe.context(next) + longest);
      if (now > at_least)
        units_per_token = static_cast<double>(next - recipe.units_min) / static_cast<double>(now - at_least);
      now <= limit ? low = next : high = next;
      if (now <= limit) at_low = now;
    }
    constexpr double kFull = 0.97;
    if (static_cast<double>(at_low + options_.tokens - limit) < kFull * options_.tokens)
      return too_little("there is too little text to make it of");
    return recipe.context(low);
  }

  const RulerOptions& options_;
  const RulerSources& sources_;
  const RulerCount& count_;
  std::vector<std::string> essay_;
};

}  // namespace

const std::vector<RulerKind>& ruler_kinds() {
  static const std::vector<RulerKind> kAll = [] {
    std::vector<RulerKind> out;
    for (const KindEntry& each : kKinds) out.push_back(each.kind);
    return out;
  }();
  return kAll;
}

const char* name_of(RulerKind kind) {
  return entry_of(kind).name;
}

std::optional<RulerKind> ruler_kind(std::string_view name) {
  for (const KindEntry& each : kKinds) {
    if (name == each.name) return each.kind;
  }
  return std::nullopt;
}

int questions_of(RulerKind kind) {
  return entry_of(kind).questions;
}

bool needs_essay(RulerKind kind) {
  return kind == RulerKind::kSingleNumber || kind == RulerKind::kSingleUuid || kind == RulerKind::kMultiKey ||
         kind == RulerKind::kMultiValue || kind == RulerKind::kMultiQuery;
}

int answer_tokens(RulerKind kind) {
  return entry_of(kind).answer_tokens;
}

RulerMatch match_of(RulerKind kind) {
  return kind == RulerKind::kQa ? RulerMatch::kAny : RulerMatch::kAll;
}

double ruler_share(RulerMatch match, const std::vector<std::string>& wanted, const std::string& said) {
  const std::string in = text::lower(said);
  const auto found = static_cast<double>(std::count_if(wanted.begin(), wanted.end(), [&](const auto& each) {
    return in.find(text::lower(each)) != std::string::npos;
  }));
  if (match == RulerMatch::kAny) return found > 0 ? 1 : 0;
  return wanted.empty() ? 0 : found / static_cast<double>(wanted.size());
}

base::Result<std::vector<RulerText>> make_ruler(const RulerOptions& options, const RulerSources& sources,
                                                const RulerCount& count) {
  Maker maker(options, sources, count);
  std::vector<RulerText> out;
  for (int i = 0; i < options.texts; ++i) {
    TRY_ASSIGN(RulerText text, maker.text(i));
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace pmt::lab
