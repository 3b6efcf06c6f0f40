#include "evals/prose_worlds.h"

#include <algorithm>
#include <numeric>
#include <random>

#include <fmt/format.h>

namespace pmt::evals {
namespace {

using Words = std::vector<std::string>;

const Words kThings = {"lighthouse", "observatory", "brewery", "vineyard",   "printing house", "shipyard",
                       "monastery",  "sawmill",     "tannery", "glassworks", "bakery",         "ferry"};
const Words kPlaces = {"Varna", "Oulu", "Trieste", "Cadiz", "Bergen", "Split", "Riga", "Nantes"};
const Words kSecrets = {"heron",  "granite", "saffron", "lantern", "walnut", "copper", "violet", "falcon",
                        "marble", "cedar",   "amber",   "thistle", "harbor", "pepper", "raven",  "quartz"};
const Words kFirstNames = {"Ada", "Odo", "Ines", "Bram", "Tilda", "Jory", "Mira", "Sven", "Lotte", "Ruben"};
const Words kBegins = {"Quil", "Fen", "Har", "Mor", "Tas", "Vel", "Bran", "Cor", "Dun", "Els"};
const Words kEnds = {"ler", "wick", "mann", "sen", "ford", "ova", "ett", "igan", "stad", "by"};
const Words kInstruments = {"cello", "oboe", "zither", "bassoon", "lute", "accordion", "harp", "trombone"};
const Words kVillages = {"Nordvik", "Altholm", "Sarrel", "Puenta", "Brodec", "Lavenne", "Tiszaker", "Ormby"};

const std::string& one_of(const Words& words, std::mt19937& random) {
  return words[std::uniform_int_distribution<std::size_t>(0, words.size() - 1)(random)];
}

/// The sentences at seeded places: after a paragraph of the filler each, as paragraphs of their own.
std::string planted_text(const std::string& filler, const Words& sentences, const std::string& after,
                         std::mt19937& random) {
  std::vector<std::pair<std::size_t, std::size_t>> places;  // byte, sentence
  std::uniform_int_distribution<std::size_t> anywhere(0, filler.size() - 1);
  for (std::size_t i = 0; i < sentences.size(); ++i) {
    const std::size_t at = filler.find(after, anywhere(random));
    places.emplace_back(at == std::string::npos ? filler.size() : at + after.size(), i);
  }
  std::ranges::sort(places);
  std::string text;
  std::size_t from = 0;
  for (const auto& [at, sentence] : places) {
    text.append(filler, from, at - from);
    text += sentences[sentence] + after;
    from = at;
  }
  return text.append(filler, from);
}

struct Person {
  std::string name, thing, place, instrument, village;
  int born = 0;
};

std::vector<Person> people(std::size_t n, std::mt19937& random) {
  std::vector<std::size_t> names(kFirstNames.size() * kBegins.size() * kEnds.size()),
      jobs(kThings.size() * kPlaces.size());
  std::iota(names.begin(), names.end(), 0);
  std::iota(jobs.begin(), jobs.end(), 0);
  std::ranges::shuffle(names, random);
  std::ranges::shuffle(jobs, random);
  std::vector<Person> all;
  for (std::size_t i = 0; i < std::min(n, jobs.size()); ++i) {
    const std::size_t name = names[i];
    all.push_back({.name = kFirstNames[name % 10] + " " + kBegins[name / 10 % 10] + kEnds[name / 100],
                   .thing = kThings[jobs[i] % kThings.size()],
                   .place = kPlaces[jobs[i] / kThings.size()],
                   .instrument = one_of(kInstruments, random),
                   .village = one_of(kVillages, random),
                   .born = std::uniform_int_distribution<int>(1780, 1899)(random)});
  }
  return all;
}

void tell_of(const Person& person, int i, Words& sentences) {
  const char* keeps = i % 2 == 0 ? "For many years the keeper of the {} in {} has been {}."
                                 : "The keeper of the {} in {} is called {}, as everybody there knows.";
  sentences.push_back(fmt::format(fmt::runtime(keeps), person.thing, person.place, person.name));
  sentences.push_back(
      fmt::format("On quiet evenings {} plays the {} for the neighbours.", person.name, person.instrument));
  sentences.push_back(fmt::format("{} was born in {}, in the hard winter.", person.name, person.born));
  sentences.push_back(fmt::format("{} has a house in the village of {}.", person.name, person.village));
}

ProseItem two_hops(const Person& person, int i) {
  const std::string who = fmt::format("the keeper of the {} in {}", person.thing, person.place);
  switch (i % 3) {
    case 0:
      return {"two hops", fmt::format("Which instrument does {} play?", who), person.instrument};
    case 1:
      return {"two hops", fmt::format("In which year was {} born?", who), std::to_string(person.born)};
    default:
      return {"two hops", fmt::format("In which village does {} have a house?", who), person.village};
  }
}

ProseItem absent(const Person& person, int i) {
  switch (i % 3) {
    case 0:
      return {"absent", fmt::format("What is the name of the dog of {}?", person.name), ""};
    case 1:
      return {"absent", fmt::format("How tall is the {} in {}?", person.thing, person.place), ""};
    default:
      return {"absent", fmt::format("What is the secret password of the {} in Zadar?", person.thing), ""};
  }
}

}  // namespace

std::string filler_text(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  Words words;
  for (int i = 0; i < 2'000; ++i) {
    std::string word;
    for (auto n = 2 + random() % 3; n > 0; --n)
      word += {"bdfgklmnprstvz"[random() % 14], "aeiou"[random() % 5]};
    words.push_back(word);
  }
  std::string text;
  while (text.size() < bytes) {
    for (auto sentences = 3 + random() % 4; sentences > 0; --sentences) {
      std::string sentence;
      for (auto n = 6 + random() % 12; n > 0; --n)
        sentence += (sentence.empty() ? "" : " ") + one_of(words, random);
      sentence[0] = static_cast<char>(sentence[0] - 'a' + 'A');
      text += sentence + ". ";
    }
    text.back() = '\n';
    text += '\n';
  }
  return text;
}

ProseWorld prose_world(const std::string& filler, int n, unsigned seed) {
  std::mt19937 random(seed);
  ProseWorld world;
  Words sentences;
  const std::vector<Person> all = people(static_cast<std::size_t>(std::max(n, 20)), random);
  for (int i = 0; i < static_cast<int>(all.size()); ++i) {
    const Person& person = all[static_cast<std::size_t>(i)];
    tell_of(person, i, sentences);
    const std::string& secret = one_of(kSecrets, random);
    sentences.push_back(
        fmt::format("The secret password of the {} in {} is {}.", person.thing, person.place, secret));
    if (i >= n) continue;
    world.items.push_back(
        {"needle", fmt::format("What is the secret password of the {} in {}?", person.thing, person.place),
         secret});
    world.items.push_back(two_hops(person, i));
    world.items.push_back(absent(person, i));
  }
  world.text = planted_text(filler, sentences, "\n\n", random);
  return world;
}

ProseWorld records_world(const std::string& filler, int records, int n, unsigned seed) {
  std::mt19937 random(seed);
  const Words branches = {"Oslo", "Porto", "Ghent", "Turin", "Lodz", "Graz"};
  const Words kinds = {"transfer", "deposit", "refund", "loan"};
  struct Entry {
    std::string branch, kind;
    int amount;
  };
  std::vector<Entry> entries;
  Words lines;
  for (int i = 0; i < records; ++i) {
    const Entry& e = entries.emplace_back(one_of(branches, random), one_of(kinds, random),
                                          std::uniform_int_distribution<int>(1, 999)(random));
    lines.push_back(
        fmt::format("entry={}; branch={}; kind={}; amount={}", i + 1, e.branch, e.kind, e.amount));
  }
  ProseWorld world;
  for (int i = 0; i < n; ++i) {
    const std::string branch = one_of(branches, random), kind = one_of(kinds, random);
    int count = 0, sum = 0;
    for (const Entry& e : entries) {
      if (e.branch != branch || e.kind != kind) continue;
      ++count;
      sum += e.amount;
    }
    world.items.push_back({"count",
                           fmt::format("How many entries of kind {} are from branch {}?", kind, branch),
                           std::to_string(count)});
    world.items.push_back(
        {"sum",
         fmt::format("What is the total amount of the entries of kind {} from branch {}?", kind, branch),
         std::to_string(sum)});
  }
  world.text = planted_text(filler, lines, "\n", random);
  return world;
}

}  // namespace pmt::evals
