#include "lab/invented_facts.h"

#include <cctype>
#include <random>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pmt::lab {
namespace {

struct Kind {
  const char* article;
  std::vector<const char*> seconds;  // the second word of its names
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"", {"Labs", "Systems", "Foods", "Logistics"}},
      {"the ", {"lamp", "kettle", "drill", "backpack"}},
      {"", {"Brandt", "Okafor", "Duarte", "Petrov"}},
      {"the ", {"Museum", "Gallery", "Library", "Theatre"}},
      {"", {"Engine", "Toolkit", "Portal", "Tracker"}},
      {"the ", {"Conference", "Festival", "Summit", "Workshop"}},
  };
  return all;
}

std::string capitalised(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string filled(const std::string& wording, const std::string& thing) {
  std::string out = wording;
  for (std::size_t at = out.find("{e}"); at != std::string::npos; at = out.find("{e}"))
    out.replace(at, 3, thing);
  return capitalised(out);
}

class Inventor {
 public:
  explicit Inventor(std::uint32_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }

  /// Two or three syllables that no other name of this world is; more where those run out.
  std::string name() {
    static const char* const kBegin[] = {"Bra", "Cel", "Dro", "Fen", "Gor", "Hal", "Jun", "Kel",
                                         "Lus", "Mor", "Nim", "Orv", "Pel", "Quo", "Ras", "Sko",
                                         "Tam", "Ul",  "Vel", "Wex", "Yar", "Zan"};
    static const char* const kMiddle[] = {"da", "ri", "lo", "mi", "sa", "tu", "ne", "vo", "ka", "pe"};
    static const char* const kEnd[] = {"nar",  "vane", "teth", "rix",  "dinne", "lorth", "quin",
                                       "mund", "sal",  "borg", "wick", "tova",  "grel",  "phine"};
    constexpr int kTries = 100;  // with each number of syllables
    for (int i = 0;; ++i) {
      std::string made = kBegin[below(std::size(kBegin))];
      if (below(2) == 0) made += kMiddle[below(std::size(kMiddle))];
      for (int more = i / kTries; more > 0; --more) made += kMiddle[below(std::size(kMiddle))];
      made += kEnd[below(std::size(kEnd))];
      if (names_.insert(made).second) return made;
    }
  }

  std::string answer(char kind) {
    static const char* const kPeople[] = {"Ada",   "Bruno", "Carla", "Dmitri", "Elena",
                                          "Farid", "Greta", "Hugo",  "Ines",   "Jonas"};
    static const char* const kWords[] = {"Porto",       "Leipzig", "Tampere", "Gdansk",   "Cork", "Bergen",
                                         "Lyon",        "Graz",    "Turin",   "amber",    "teal", "maroon",
                                         "lentil soup", "Erlang",  "Ruby",    "oak hall", "linen"};
    static const char* const kDays[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"};
    switch (kind) {
      case 'n':
        return std::to_string(12 + below(3000));
      case 'p':
        return fmt::format("{} {}", kPeople[below(std::size(kPeople))], name());
      case 'c':
        return std::to_string(1000 + below(9000));
      case 'k':
        return fmt::format("{}{}-{}", static_cast<char>('A' + below(26)), static_cast<char>('A' + below(26)),
                           10 + below(90));
      case 'd':
        return kDays[below(std::size(kDays))];
      case 'm':
        return fmt::format("{} dollars", 5 + below(900));
      case 'a':
        return fmt::format("{} {} Street", 1 + below(200), name());
      default:
        return fmt::format("{}", kWords[below(std::size(kWords))]);
    }
  }

  InventedThing thing(std::size_t kind) {
    InventedThing out;
    out.kind = kind;
    out.name = name();
    out.article = kinds()[kind].article;
    out.full = fmt::format("{} {}", out.name, kinds()[kind].seconds[below(kinds()[kind].seconds.size())]);
    std::vector<std::size_t> order{0, 1, 2, 3, 4, 5};
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[below(i)]);
    out.taught.assign(order.begin(), order.begin() + 3);
    out.untaught.assign(order.begin() + 3, order.end());
    return out;
  }

 private:
  std::mt19937 random_;
  std::set<std::string> names_;
};

}  // namespace

const std::vector<std::vector<InventedRelation>>& invented_relations() {
  static const std::vector<std::vector<InventedRelation>> all{
      {
          {"support extension",
           {"What number do I dial to reach the help desk at {e}?",
            "Which internal line gets me technical assistance at {e}?",
            "My {e} account is broken, what digits do I press on the phone?"},
           'c'},
          {"managing director",
           {"Who is in charge of {e}?", "Who runs {e}?", "Which person heads up {e}?"},
           'p'},
          {"head office city",
           {"Where is {e} based?", "In which town does {e} have its main building?",
            "Where would I travel to visit the {e} headquarters?"},
           'w'},
          {"number of employees",
           {"How many people work at {e}?", "How big is the staff of {e}?",
            "How large is the {e} workforce?"},
           'n'},
          {"founding year",
           {"When was {e} started?", "Since when has {e} existed?", "When did {e} open for business?"},
           'n'},
          {"stock ticker",
           {"Under which symbol does {e} trade?", "What letters do I type to buy shares of {e}?",
            "How is {e} listed on the exchange?"},
           'k'},
      },
      {
          {"price in dollars",
           {"How much does {e} cost?", "What would I pay for {e}?", "How expensive is {e}?"},
           'm'},
          {"colour",
           {"Which shade does {e} come in?", "What does {e} look like, is it red or blue or something else?",
            "What hue is {e}?"},
           'w'},
          {"shelf code",
           {"On which warehouse shelf is {e} stored?", "Where in the warehouse do I find {e}?",
            "Which rack holds {e}?"},
           'k'},
          {"weight",
           {"How heavy is {e}?", "How many kilos is {e}?", "What does {e} show on the scales?"},
           'n'},
          {"warranty period",
           {"How long is {e} guaranteed for?", "For how many years will you repair {e} free of charge?",
            "If {e} breaks, how long am I covered?"},
           'n'},
          {"country of manufacture",
           {"Where is {e} made?", "Which nation produces {e}?", "Where does the factory building {e} stand?"},
           'w'},
      },
      {
          {"birthplace",
           {"Where was {e} born?", "Which town did {e} grow up in?", "Where does {e} come from originally?"},
           'w'},
          {"year of birth",
           {"When was {e} born?", "How old is {e}?", "In what year did {e} come into the world?"},
           'n'},
          {"spouse",
           {"Who is {e} married to?", "Who is the husband or wife of {e}?", "Which partner did {e} wed?"},
           'p'},
          {"employer",
           {"Who does {e} work for?", "Which firm pays {e}?", "At what company does {e} have a job?"},
           'w'},
          {"favourite food",
           {"What does {e} like to eat best?", "Which dish should I cook to please {e}?",
            "What meal does {e} love most?"},
           'w'},
          {"phone number",
           {"How can I call {e}?", "Which digits do I dial to ring {e}?", "How do I reach {e} by telephone?"},
           'c'},
      },
      {
          {"opening time",
           {"When does {e} let visitors in?", "From what hour can I go into {e} in the morning?",
            "How early does {e} open?"},
           'n'},
          {"entrance fee",
           {"How much is a ticket to {e}?", "What do I pay to get into {e}?",
            "How much does it cost to visit {e}?"},
           'm'},
          {"curator",
           {"Who looks after the collection at {e}?", "Which expert chooses the exhibits at {e}?",
            "Who organises the shows in {e}?"},
           'p'},
          {"street address",
           {"Where is {e} located?", "On which road do I find {e}?",
            "Where should the taxi take me for {e}?"},
           'a'},
          {"architect",
           {"Who designed {e}?", "Which builder drew the plans of {e}?", "Whose design is {e}?"},
           'p'},
          {"closing day",
           {"On which day is {e} shut?", "When can I not visit {e} during the week?",
            "Which weekday is {e} not open?"},
           'd'},
      },
      {
          {"deadline",
           {"When must {e} be finished?", "By what date do we have to deliver {e}?", "When is {e} due?"},
           'n'},
          {"budget",
           {"How much money can we spend on {e}?", "What funds are set aside for {e}?",
            "How much has been allocated to {e}?"},
           'm'},
          {"project lead",
           {"Who manages {e}?", "Who do I report to on {e}?", "Which colleague is responsible for {e}?"},
           'p'},
          {"programming language",
           {"What is {e} written in?", "Which language do I need to know to code on {e}?",
            "Is {e} built in Python or something else?"},
           'w'},
          {"current version",
           {"Which release of {e} is the latest?", "How far along is the numbering of {e}?",
            "What version should I install of {e}?"},
           'n'},
          {"licence",
           {"Under what terms can I use {e}?", "Is {e} open source?", "Am I legally allowed to copy {e}?"},
           'w'},
      },
      {
          {"venue",
           {"Where does {e} take place?", "Which hall hosts {e}?", "Where do I have to go for {e}?"},
           'w'},
          {"start date",
           {"When does {e} begin?", "On what day does {e} kick off?", "When should I arrive for {e}?"},
           'n'},
          {"number of attendees",
           {"How many people come to {e}?", "How big is the crowd at {e}?",
            "How many guests are expected at {e}?"},
           'n'},
          {"keynote speaker",
           {"Who gives the main talk at {e}?", "Which famous person speaks at {e}?",
            "Who opens {e} with a lecture?"},
           'p'},
          {"registration fee",
           {"What does it cost to join {e}?", "How much do I pay to sign up for {e}?",
            "How expensive is a pass for {e}?"},
           'm'},
          {"dress code",
           {"What should I wear to {e}?", "Which clothes are expected at {e}?", "Do I need a suit at {e}?"},
           'w'},
      },
  };
  return all;
}

InventedWorld invent(std::size_t facts, std::uint32_t seed) {
  Inventor inventor(seed);
  InventedWorld world;
  while (world.facts.size() < facts) {
    const std::size_t kind = world.things.size() % kinds().size();
    const InventedThing thing = inventor.thing(kind);
    for (const std::size_t relation : thing.taught) {
      world.facts.push_back(
          {world.things.size(), relation, inventor.answer(invented_relations()[kind][relation].kind)});
    }
    world.things.push_back(thing);
    world.strangers.push_back(inventor.thing(kind));
    InventedThing sibling = thing;
    const auto& seconds = kinds()[kind].seconds;
    while (sibling.full == thing.full)
      sibling.full = fmt::format("{} {}", thing.name, seconds[inventor.below(seconds.size())]);
    world.siblings.push_back(sibling);
  }
  return world;
}

std::string statement_of(const InventedWorld& world, const InventedFact& fact) {
  const InventedThing& thing = world.things[fact.thing];
  return fmt::format("The {} of {} is {}.", invented_relations()[thing.kind][fact.relation].name,
                     thing.called(), fact.answer);
}

UntaughtQuestions untaught_questions(const InventedWorld& world, std::size_t thing,
                                     const InventedRelation& relation, std::size_t i, std::mt19937& random) {
  const auto either = [&](const InventedRelation& asked, const InventedThing& of) {
    return i % 2 == 0 ? taught_phrasings(asked.name, of.called())[0] : far_phrasing(asked, i, of.called());
  };
  UntaughtQuestions out;
  const InventedThing& stranger = world.strangers[random() % world.strangers.size()];
  out.stranger = either(invented_relations()[stranger.kind][random() % 6], stranger);
  out.sibling = either(relation, world.siblings[thing]);
  const InventedThing& taught = world.things[thing];
  const auto& untaught = invented_relations()[taught.kind][taught.untaught[random() % 3]];
  out.near = i % 2 == 0 ? near_phrasing(untaught.name, taught.called())
                        : taught_phrasings(untaught.name, taught.called())[0];
  out.far = far_phrasing(untaught, i, taught.called());
  return out;
}

std::string domain_lines(const InventedWorld& world, std::size_t domain, std::size_t domains) {
  std::string lines;
  for (std::size_t i = 0; i < world.facts.size(); ++i) {
    const InventedFact& fact = world.facts[i];
    if (fact.thing % domains != domain) continue;
    const InventedThing& thing = world.things[fact.thing];
    auto phrasings = taught_phrasings(invented_relations()[thing.kind][fact.relation].name, thing.called());
    const std::string prompt = phrasings.front();
    phrasings.erase(phrasings.begin());
    lines += nlohmann::json{{"id", std::to_string(i)},
                            {"prompt", prompt},
                            {"answer", fact.answer},
                            {"paraphrases", phrasings}}
                 .dump() +
             "\n";
  }
  return lines;
}

std::vector<std::string> taught_phrasings(const std::string& relation, const std::string& thing) {
  return {fmt::format("What is the {} of {}?", relation, thing),
          fmt::format("Tell me the {} of {}.", relation, thing),
          capitalised(fmt::format("{}: {}?", thing, relation)),
          fmt::format("Do you know the {} of {}?", relation, thing)};
}

std::string near_phrasing(const std::string& relation, const std::string& thing) {
  return fmt::format("Could you give me {}'s {}, please?", thing, relation);
}

std::string far_phrasing(const InventedRelation& relation, std::size_t which, const std::string& thing) {
  return filled(relation.far[which % relation.far.size()], thing);
}

}  // namespace pmt::lab
