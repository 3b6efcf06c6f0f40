#include "evals/longcontext_worlds.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pmt::evals {
namespace {

using Words = std::vector<std::string>;

const Words kAdjectives = {"narrow", "quiet",    "painted", "crooked", "heavy",   "early",
                           "hollow", "polished", "patient", "muddy",   "striped", "distant",
                           "gentle", "copper",   "frozen",  "borrowed"};
const Words kThings = {"ladder", "kettle",  "wagon",   "mirror",  "blanket", "barrel",  "compass", "anchor",
                       "basket", "trumpet", "curtain", "saddle",  "candle",  "rudder",  "hammer",  "parcel",
                       "piano",  "shovel",  "bucket",  "lantern", "carpet",  "whistle", "bottle",  "table"};
const Words kWhere = {"station", "orchard", "cellar", "market",  "bridge", "chapel", "harbour", "courtyard",
                      "attic",   "quarry",  "meadow", "library", "stable", "canal",  "square",  "workshop"};
const Words kDeeds = {"stood", "leaned",  "rattled", "waited", "rolled",
                      "shone", "creaked", "dried",   "fell",   "vanished"};
const Words kSides = {"behind", "beside", "near", "below", "above", "inside", "across from"};
const Words kFirst = {"Alma", "Benno", "Clara", "Dorian", "Edda", "Fabian", "Greta", "Hanno", "Ida", "Jonas"};
const Words kLast = {"Arlt", "Bexley", "Cornwell", "Dalgaard", "Eklund", "Farrow", "Gantry", "Holloway"};
const Words kTowns = {"Ashby", "Brenham", "Corvala", "Dunmore", "Elsted", "Farwick", "Gorlitz", "Hexham"};
const Words kMonths = {"January", "February", "March",     "April",   "May",      "June",
                       "July",    "August",   "September", "October", "November", "December"};

class Draw {
 public:
  explicit Draw(unsigned seed) : random_(seed) {}
  std::size_t below(std::size_t n) { return random_() % n; }
  const std::string& one_of(const Words& words) { return words[below(words.size())]; }

 private:
  std::mt19937 random_;
};

std::string clause(Draw& draw) {
  std::string text = fmt::format("the {} {} {} {} the {}", draw.one_of(kAdjectives), draw.one_of(kThings),
                                 draw.one_of(kDeeds), draw.one_of(kSides), draw.one_of(kWhere));
  if (draw.below(3) == 0)
    text += fmt::format(" while a {} {} for {} hours", draw.one_of(kThings), draw.one_of(kDeeds),
                        2 + draw.below(9));
  return text;
}

std::string sentence(Draw& draw) {
  if (draw.below(6) == 0)
    return fmt::format("In {} the {} had {} {} {}s.", 1850 + draw.below(150), draw.one_of(kWhere),
                       10 + draw.below(900), draw.one_of(kAdjectives), draw.one_of(kThings));
  std::string text = clause(draw) + ".";
  text[0] = 'T';
  return text;
}

/// What records are about. In `form` {day}, {name}, {town}, {number}, {clause} and {label}; in questions {label} and {name}.
struct Kind {
  const char *form, *what, *count, *count_of_two;
  Words labels;
};

const std::array<Kind, kRecordKinds> kKinds = {{
    {"On {day} {name} of room {number} wrote that {clause}; the desk filed it as {label}.",
     "notes",
     "How many notes were filed as {label}?",
     "How many notes of {name} were filed as {label}?",
     {"praise", "complaint", "request", "question", "warning", "thanks"}},
    {"{name} counted a {label} near {town} on {day}, and {clause}.",
     "sightings",
     "How many sightings are of a {label}?",
     "How many times did {name} count a {label}?",
     {"heron", "kestrel", "plover", "siskin", "wigeon", "dunlin"}},
    {"Workshop {number}, {day}: {clause}, says {name}, because of {label}.",
     "repairs",
     "How many repairs were because of {label}?",
     "How many repairs did {name} say were because of {label}?",
     {"rust", "frost", "wear", "mice", "dust", "damp"}},
    {"The call of {day} came from {name} in {town} and was about {label}: {clause}.",
     "calls",
     "How many calls were about {label}?",
     "How many calls came from {name} and were about {label}?",
     {"billing", "delivery", "returns", "tickets", "jobs", "parking"}},
}};
const Kind kFieldsKind = {"Date: {day} || User: {name} || Note: {clause} || Label: {label}",
                          "lines",
                          "How many lines have the label {label}?",
                          "How many lines of the user {name} have the label {label}?",
                          {"location", "number", "person", "reason", "animal", "food"}};

struct Record {
  std::string name, label;
};

std::string filled(const char* form, const Record& record) {
  return fmt::format(fmt::runtime(form), fmt::arg("name", record.name), fmt::arg("label", record.label));
}

std::string line_of(const Kind& kind, const Record& record, Draw& draw) {
  return fmt::format(fmt::runtime(kind.form), fmt::arg("name", record.name), fmt::arg("label", record.label),
                     fmt::arg("day", fmt::format("{} {} {}", 1 + draw.below(28), draw.one_of(kMonths),
                                                 2022 + draw.below(3))),
                     fmt::arg("town", draw.one_of(kTowns)), fmt::arg("number", 1 + draw.below(90)),
                     fmt::arg("clause", clause(draw)));
}

/// Labels that are not equally common.
Words weighted(const Words& labels, Draw& draw) {
  Words out;
  for (const std::string& label : labels) out.insert(out.end(), 4 + draw.below(9), label);
  return out;
}

class Questions {
 public:
  Questions(const Kind& kind, const std::vector<Record>& records) : kind_(kind), records_(records) {
    for (const std::string& label : kind.labels) counts_[label] = 0;
    for (const Record& record : records) ++counts_[record.label];
  }

  LongItem make(int i, Draw& draw) const {
    switch (i % 5) {
      case 0:
        return count("count", {.name = "", .label = draw.one_of(kind_.labels)}, kind_.count);
      case 1:
        return most("most", draw);
      case 2:
        return compare(draw);
      case 3:
        return count("count of two", records_[draw.below(records_.size())], kind_.count_of_two);
      default:
        return most("least", draw);
    }
  }

 private:
  LongItem count(const std::string& task, const Record& of, const char* form) const {
    const auto n = std::ranges::count_if(records_, [&](const Record& record) {
      return record.label == of.label && (of.name.empty() || record.name == of.name);
    });
    return {
        .task = task, .kind = LongAnswer::kCount, .question = filled(form, of), .wanted = std::to_string(n)};
  }

  LongItem compare(Draw& draw) const {
    std::string a, b;
    do {
      a = draw.one_of(kind_.labels), b = draw.one_of(kind_.labels);
    } while (counts_.at(a) == counts_.at(b));
    return {.task = "compare",
            .kind = LongAnswer::kChoice,
            .question = fmt::format("Which is more common among the {}: {} or {}?", kind_.what, a, b),
            .wanted = counts_.at(a) > counts_.at(b) ? a : b,
            .choices = {a, b}};
  }

  /// Of three or more labels in another order; the one that is wanted is no other's equal.
  LongItem most(const std::string& task, Draw& draw) const {
    Words choices;
    while (true) {
      choices = kind_.labels;
      for (std::size_t i = choices.size(); i > 1; --i) std::swap(choices[i - 1], choices[draw.below(i)]);
      choices.resize(3 + draw.below(choices.size() - 2));
      std::vector<int> counts;
      for (const std::string& label : choices) counts.push_back(counts_.at(label));
      std::ranges::sort(counts);
      if (task == "most" ? counts.back() > counts[counts.size() - 2] : counts[0] < counts[1]) break;
    }
    const auto by_count = [&](const std::string& label) { return counts_.at(label); };
    return {.task = task,
            .kind = LongAnswer::kChoice,
            .question = fmt::format("Which of these is {} common among the {}: {}?", task, kind_.what,
                                    fmt::join(choices, ", ")),
            .wanted = task == "most" ? std::ranges::max(choices, {}, by_count)
                                     : std::ranges::min(choices, {}, by_count),
            .choices = choices};
  }

  const Kind& kind_;
  const std::vector<Record>& records_;
  std::map<std::string, int> counts_;
};

}  // namespace

LongText needle_text(std::size_t bytes, unsigned seed) {
  Draw draw(seed);
  const std::string thing = draw.one_of(kAdjectives) + " " + draw.one_of(kThings),
                    number = std::to_string(1'000'000 + draw.below(9'000'000));
  const std::string needle = fmt::format("The inventory number of the {} is {}.", thing, number);
  const std::size_t place = bytes / 20 + draw.below(bytes - bytes / 10);
  LongText out;
  while (out.text.size() < bytes) {
    const std::size_t end = out.text.size() + 300 + draw.below(500);
    while (out.text.size() < end) {
      const bool here = out.items.empty() && out.text.size() >= place;
      if (here) {
        out.items.push_back({.task = "needle",
                             .kind = LongAnswer::kNeedle,
                             .question = fmt::format("What is the inventory number of the {}?", thing),
                             .wanted = number});
      }
      out.text += here ? needle : sentence(draw);
      out.text += ' ';
    }
    out.text.back() = '\n';
    out.text += '\n';
  }
  return out;
}

LongText records_text(std::size_t bytes, RecordForm form, int n, unsigned seed) {
  Draw draw(seed);
  const Kind& kind = form == RecordForm::kFields ? kFieldsKind : kKinds[seed % kKinds.size()];
  const Words labels = weighted(kind.labels, draw);
  LongText out{.text = fmt::format("Below are {}, one a line, each of one of these: {}.\n\n", kind.what,
                                   fmt::join(kind.labels, ", ")),
               .items = {}};
  std::vector<Record> records;
  while (out.text.size() < bytes) {
    const Record& record = records.emplace_back(
        Record{.name = draw.one_of(kFirst) + " " + draw.one_of(kLast), .label = draw.one_of(labels)});
    out.text += line_of(kind, record, draw) + "\n";
  }
  const Questions questions(kind, records);
  for (int i = 0; i < n; ++i) out.items.push_back(questions.make(i, draw));
  return out;
}

}  // namespace pmt::evals
