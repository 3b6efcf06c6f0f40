#include "rlm/trial_questions.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <random>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

constexpr int kNotes = 60;
constexpr int kParagraphs = 900;  // some 150 KB
constexpr int kParcels = 60, kManyMin = 9;
constexpr std::size_t kOthersMax = 1;

constexpr std::array kPeople = {"Amara", "Bjarne", "Chidi", "Dunja", "Edda",   "Farid",
                                "Gwen",  "Hoshi",  "Imani", "Jonas", "Katrin", "Leopold"};
constexpr std::array kPlaces = {"the old mill", "the north field", "the lock house",
                                "the orchard",  "the quarry",      "the east gate"};
constexpr std::array kThings = {"a heron", "a broken fence", "fresh tracks", "a lost glove", "a kingfisher"};
constexpr std::array kWeather = {"It was dry.", "There was some fog.", "The wind was cold.",
                                 "It rained a little."};

/// The same draws with every standard library.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return engine_() % n; }
  template <typename T, std::size_t kSize>
  const T& of(const std::array<T, kSize>& all) {
    return all[below(kSize)];
  }

 private:
  std::mt19937_64 engine_;
};

struct Note {
  std::string text, writer, thing;
  int eggs = 0;
};

/// `people`: how many of them write.
std::vector<Note> notes_of(Draw& draw, std::size_t people) {
  std::vector<Note> notes;
  for (int i = 0; i < kNotes; ++i) {
    Note note{.text = {},
              .writer = kPeople[draw.below(people)],
              .thing = draw.of(kThings),
              .eggs = static_cast<int>(draw.below(9))};
    note.text = fmt::format("Walked past {}. {} Saw {}. Eggs counted: {}. Written by {}.", draw.of(kPlaces),
                            draw.of(kWeather), note.thing, note.eggs, note.writer);
    notes.push_back(std::move(note));
  }
  return notes;
}

std::vector<std::string> texts_of(const std::vector<Note>& notes) {
  std::vector<std::string> texts;
  for (const Note& note : notes) texts.push_back(note.text);
  return texts;
}

TrialQuestion mentions(Draw& draw) {
  const auto notes = notes_of(draw, kPeople.size());
  const std::string thing = draw.of(kThings);
  const auto count = std::ranges::count_if(notes, [&](const Note& note) { return note.thing == thing; });
  return {"mentions", fmt::format("The context is a list of notes. How many of the notes mention {}?", thing),
          texts_of(notes), std::to_string(count)};
}

TrialQuestion sum(Draw& draw) {
  const auto notes = notes_of(draw, kPeople.size());
  int eggs = 0;
  for (const Note& note : notes) eggs += note.eggs;
  return {"sum", "The context is a list of notes. How many eggs were counted in all of them together?",
          texts_of(notes), std::to_string(eggs)};
}

TrialQuestion most(Draw& draw) {
  for (;;) {
    const auto notes = notes_of(draw, kPeople.size());
    std::array<int, kPeople.size()> written{};
    for (const Note& note : notes)
      ++written[static_cast<std::size_t>(std::ranges::find(kPeople, note.writer) - kPeople.begin())];
    const auto best = std::ranges::max_element(written);
    if (std::ranges::count(written, *best) > 1) continue;  // nobody wrote the most
    return {"most", "The context is a list of notes. Who wrote the most of them? Answer with the name.",
            texts_of(notes), kPeople[static_cast<std::size_t>(best - written.begin())]};
  }
}

TrialQuestion people(Draw& draw) {
  const auto notes = notes_of(draw, 4 + draw.below(kPeople.size() - 4));
  std::set<std::string> writers;
  for (const Note& note : notes) writers.insert(note.writer);
  return {"people", "The context is a list of notes. How many different people wrote them?", texts_of(notes),
          std::to_string(writers.size())};
}

TrialQuestion once(Draw& draw) {
  const std::string number = std::to_string(10'000 + draw.below(90'000));
  const std::size_t at = draw.below(kParagraphs);
  std::string text;
  for (std::size_t i = 0; i < kParagraphs; ++i) {
    text += fmt::format("{} and {} went to {}, where they found {}. {} Then {} went on to {} alone.",
                        draw.of(kPeople), draw.of(kPeople), draw.of(kPlaces), draw.of(kThings),
                        draw.of(kWeather), draw.of(kPeople), draw.of(kPlaces));
    if (i == at) text += fmt::format(" The number of the gauge is {}.", number);
    text += "\n\n";
  }
  return {"once", "What is the number of the gauge?", {text, "(The end.)"}, number};
}

struct Parcel {
  std::string courier, city;
  int grams = 0;
};

constexpr std::array kCities = {"Lisbon", "Bergen", "Verona", "Tartu", "Ghent"};
constexpr std::size_t kCouriers = 6;  // the first of the people

std::vector<Parcel> parcels_of(Draw& draw) {
  std::vector<Parcel> parcels;
  for (int i = 0; i < kParcels; ++i)
    parcels.push_back({.courier = kPeople[draw.below(kCouriers)],
                       .city = draw.of(kCities),
                       .grams = static_cast<int>(100 + draw.below(9'900))});
  return parcels;
}

TrialQuestion about(const std::vector<Parcel>& parcels, std::string kind, std::string question,
                    std::string answer) {
  std::string csv = "parcel,courier,city,grams\n";
  for (std::size_t i = 0; i < parcels.size(); ++i)
    csv += fmt::format("P-{},{},{},{}\n", 301 + i, parcels[i].courier, parcels[i].city, parcels[i].grams);
  return {std::move(kind), std::move(question), {std::move(csv)}, std::move(answer)};
}

TrialQuestion all_but(Draw& draw) {
  const auto parcels = parcels_of(draw);
  const std::string city = draw.of(kCities);
  const auto others = std::ranges::count_if(parcels, [&](const Parcel& p) { return p.city != city; });
  return about(parcels, "all but", fmt::format("How many parcels went to a city other than {}?", city),
               std::to_string(others));
}

TrialQuestion range(Draw& draw) {
  const auto parcels = parcels_of(draw);
  const int least = static_cast<int>(1'000 + 100 * draw.below(30)), most = least + 3'000;
  const auto inside =
      std::ranges::count_if(parcels, [&](const Parcel& p) { return p.grams > least && p.grams < most; });
  return about(parcels, "range",
               fmt::format("How many parcels have more than {} and less than {} grams?", least, most),
               std::to_string(inside));
}

TrialQuestion either(Draw& draw) {
  const auto parcels = parcels_of(draw);
  const std::size_t one = draw.below(kCouriers), other = (one + 1 + draw.below(kCouriers - 1)) % kCouriers;
  int grams = 0;
  for (const Parcel& p : parcels)
    grams += p.courier == kPeople[one] || p.courier == kPeople[other] ? p.grams : 0;
  return about(parcels, "either",
               fmt::format("What is the total of grams of the parcels by {} or {} together?", kPeople[one],
                           kPeople[other]),
               std::to_string(grams));
}

/// By courier: how many parcels, and their grams.
std::map<std::string, std::pair<int, int>> by_courier(const std::vector<Parcel>& parcels) {
  std::map<std::string, std::pair<int, int>> out;
  for (const Parcel& p : parcels) {
    ++out[p.courier].first;
    out[p.courier].second += p.grams;
  }
  return out;
}

TrialQuestion heaviest_mean(Draw& draw) {
  const auto parcels = parcels_of(draw);
  const auto mean = [](const auto& one) {
    return static_cast<double>(one.second.second) / static_cast<double>(one.second.first);
  };
  const auto groups = by_courier(parcels);
  const auto best = std::ranges::max_element(groups, {}, mean);
  return about(parcels, "best of groups", "Which courier has the highest average of grams per parcel?",
               best->first);
}

TrialQuestion large_groups(Draw& draw) {
  const auto parcels = parcels_of(draw);
  const auto groups = by_courier(parcels);
  const auto many =
      std::ranges::count_if(groups, [](const auto& one) { return one.second.first > kManyMin; });
  return about(parcels, "large groups", fmt::format("How many couriers have more than {} parcels?", kManyMin),
               std::to_string(many));
}

/// Letters and digits in one piece; a thousands separator between digits is none of it.
std::vector<std::string> words_of(const std::string& text) {
  const auto is = [&](std::size_t i, auto test) {
    return i < text.size() && test(static_cast<unsigned char>(text[i])) != 0;
  };
  std::vector<std::string> words;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const bool separates =
        i > 0 && i < text.size() && text[i] == ',' && is(i - 1, ::isdigit) && is(i + 1, ::isdigit);
    if (separates) continue;
    if (is(i, ::isalnum)) {
      word += text[i];
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, ""));
    }
  }
  return words;
}

}  // namespace

std::vector<TrialQuestion> program_questions(std::uint64_t seed) {
  Draw draw(seed);
  std::vector<TrialQuestion> all;
  for (int round = 0; round < 2; ++round) {
    for (const auto make : {mentions, most, sum, people, once}) all.push_back(make(draw));
  }
  return all;
}

std::vector<TrialQuestion> query_questions(std::uint64_t seed) {
  Draw draw(seed);
  std::vector<TrialQuestion> all;
  for (int round = 0; round < 2; ++round) {
    for (const auto make : {all_but, range, either, heaviest_mean, large_groups}) all.push_back(make(draw));
  }
  return all;
}

bool says(const std::string& text, const TrialQuestion& asked) {
  const bool number = std::isdigit(static_cast<unsigned char>(asked.answer[0])) != 0;
  bool said = false;
  std::set<std::string> others;
  for (const std::string& word : words_of(text)) {
    if (word == asked.answer) {
      said = true;
    } else if (number ? std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c) != 0; })
                      : std::ranges::find(kPeople, word) != kPeople.end()) {
      others.insert(word);
    }
  }
  return said && others.size() <= kOthersMax;
}

}  // namespace pmt::rlm
