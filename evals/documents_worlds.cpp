#include "evals/documents_worlds.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <random>

#include <fmt/args.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "lab/measure.h"

namespace pmt::evals {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t count) {
  return random() % count;  // the library's distributions differ between systems
}

template <class T>
void shuffle(std::vector<T>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(random, i)]);
}

/// What a section may say in place of a name in braces, and what it then is that was said.
struct Blank {
  const char* name;
  std::vector<const char*> choices;
  const char* question;  // "": nobody asks
};

struct Section {
  const char* text;
  std::vector<Blank> blanks;
};

const std::vector<const char*> kFirms{"Zorvane Labs",  "Kelmari Foods",  "Brintal Optics",  "Quessor Freight",
                                      "Ostrel Paper",  "Halvenn Motors", "Tarquil Seeds",   "Mirado Glass",
                                      "Yenvik Marine", "Caldrin Print",  "Fostrel Textile", "Umbrant Dairy"};

const std::vector<Section>& sections() {
  static const std::vector<Section> kSections{
      {"## Leave\n\nEmployees of {firm} have {days} days of paid leave a year, and whoever has children under twelve "
       "gets {extra} days more. Leave is asked for in the staff office at least {notice} before it begins. What isn't "
       "taken by the end of March of the following year is lost, unless the head of the department has agreed in "
       "writing that it may be kept until June. Sickness during leave is told on the same day; a doctor's note is handed "
       "in within a week, and the days then don't count as leave.",
       {{"days",
         {"twenty-two", "twenty-four", "twenty-six", "twenty-seven", "twenty-nine", "thirty-one"},
         "How many days of paid leave a year do employees of {firm} have?"},
        {"extra", {"two", "three", "four", "five"}, ""},
        {"notice",
         {"ten days", "two weeks", "three weeks", "six weeks", "two months"},
         "How long before it begins is leave asked for at {firm}?"}}},
      {"## Travel\n\nJourneys for {firm} are booked by {booker}, who needs the dates and the purpose. Flights need the "
       "consent of the managing director. A hotel may cost at most {euros} euros a night, breakfast included; what goes "
       "beyond that is paid by the traveller. Receipts are handed in within thirty days of the return, and the money "
       "comes with the salary of the month after that. Those who drive their own car get a sum for each kilometre, which "
       "is fixed anew every January and hangs on the board beside the canteen.",
       {{"booker",
         {"Mrs Oduya", "Mr Lindqvist", "Ms Farrow", "Mr Castellan", "Mrs Petrova", "Ms Nakagawa"},
         "Who books journeys for {firm}?"},
        {"euros",
         {"eighty", "eighty-five", "ninety-five", "a hundred and ten", "a hundred and thirty"},
         "How many euros may a hotel cost a night when travelling for {firm}?"}}},
      {"## Visitors\n\nVisitors of {firm} sign at the front desk and wear a {colour} badge, which they give back when they "
       "leave. They are met by the person whom they came to see and aren't left alone in the halls. The {hall} is closed "
       "to them at all times. Photographs are allowed in the garden only. Groups of more than ten are told of a week "
       "before, so that somebody who knows the house can lead them; school classes come on Thursdays, and bring a "
       "teacher for every twelve children.",
       {{"colour",
         {"green", "yellow", "violet", "orange", "white"},
         "What colour is the badge that visitors of {firm} wear?"},
        {"hall",
         {"calibration hall", "drying room", "paint shop", "cold store", "mixing room", "archive"},
         "Which room of {firm} is closed to visitors at all times?"}}},
      {"## Machines\n\nNobody at {firm} runs a machine on which they weren't trained. The {machine} is checked every "
       "{interval} by {checker}, who writes the result into the book beside it. A machine that makes an unusual noise is "
       "switched off first and reported then. Guards aren't taken off, not even for cleaning. Gloves are worn at the "
       "press and never at the lathe. After an accident, however small, the first-aid room is told, since an insurer "
       "asks for the report within three days.",
       {{"machine", {"large press", "band saw", "boiler", "packing line", "lifting table"}, ""},
        {"interval",
         {"month", "six weeks", "quarter", "half-year", "fortnight"},
         "How often is the {machine} of {firm} checked?"},
        {"checker",
         {"Ivo Maran", "Selma Thorne", "Piet Jansen", "Noor Haddad", "Greta Salo", "Luis Ferro"},
         "Who checks the {machine} of {firm}?"}}},
      {"## Orders\n\nWhat {firm} buys for more than {limit} euros needs two offers and the signature of {signer}. Orders "
       "below that are placed by the departments themselves and told to the accounts office. Goods are counted when "
       "they arrive, at the {dock}, and the delivery note goes to the accounts office on the same day. Damage is "
       "photographed before anything is unpacked. Invoices are paid twice a month, on the second and on the fourth "
       "Wednesday; who needs it sooner says why.",
       {{"limit",
         {"four hundred", "six hundred", "nine hundred", "twelve hundred", "two thousand"},
         "Above how many euros does {firm} need two offers?"},
        {"signer",
         {"Agnes Holm", "Bruno Keller", "Dalia Reyes", "Tomas Brandt", "Ruth Okoye", "Vera Lund"},
         "Whose signature is needed when {firm} buys something expensive?"},
        {"dock",
         {"north gate", "south dock", "lower yard", "rear entrance"},
         "Where are goods of {firm} counted when they arrive?"}}}};
  return kSections;
}

std::string filled(const char* text, const std::map<std::string, std::string>& values) {
  fmt::dynamic_format_arg_store<fmt::format_context> store;
  for (const auto& [name, value] : values) store.push_back(fmt::arg(name.c_str(), value));
  return fmt::vformat(text, store);
}

void add_section(const Section& section, const std::string& firm, const std::string& document, Random& random,
                 DocumentWorld& world) {
  std::map<std::string, std::string> values{{"firm", firm}};
  for (const Blank& blank : section.blanks)
    values[blank.name] = blank.choices[below(random, blank.choices.size())];
  std::string& text = world.documents[document];
  const std::size_t begin = text.size();
  text += filled(section.text, values) + "\n\n";
  for (const Blank& blank : section.blanks) {
    if (*blank.question == '\0') continue;
    world.items.push_back({.set = "manuals",
                           .document = document,
                           .begin = begin,
                           .end = text.size() - 2,
                           .question = filled(blank.question, values),
                           .answers = {values[blank.name]}});
  }
}

}  // namespace

DocumentWorld manuals(int firms, unsigned seed) {
  Random random(seed);
  DocumentWorld world;
  for (std::size_t f = 0; f < std::min(kFirms.size(), static_cast<std::size_t>(firms)); ++f) {
    const std::string document = fmt::format("manual{}.md", f);
    world.documents[document] = fmt::format("# Manual of {}\n\n", kFirms[f]);
    for (const Section& section : sections()) add_section(section, kFirms[f], document, random, world);
  }
  shuffle(world.items, random);
  return world;
}

DocumentWorld articles(const std::string& data, int count, unsigned seed) {
  const std::string path = data + "/xquad_en/xquad.en.json";
  std::ifstream file(path);
  const auto all = nlohmann::json::parse(file, nullptr, false);
  if (!all.is_object())
    lab::fail(path + " can't be read: it is XQuAD's English file, of github.com/google-deepmind/xquad");
  Random random(seed);
  std::vector<std::size_t> order(all.at("data").size());
  std::iota(order.begin(), order.end(), 0U);
  shuffle(order, random);
  if (count > 0) order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  DocumentWorld world;
  for (const std::size_t a : order) {
    const std::string document = fmt::format("article{}.txt", a);
    std::string& text = world.documents[document];
    for (const auto& paragraph : all.at("data").at(a).at("paragraphs")) {
      const std::size_t begin = text.size();
      text += paragraph.at("context").get<std::string>();
      for (const auto& qa : paragraph.at("qas")) {
        DocumentItem& item = world.items.emplace_back(
            DocumentItem{"articles", document, begin, text.size(), qa.at("question"), {}});
        for (const auto& answer : qa.at("answers")) item.answers.push_back(answer.at("text"));
      }
      text += "\n\n";
    }
  }
  shuffle(world.items, random);
  return world;
}

}  // namespace pmt::evals
