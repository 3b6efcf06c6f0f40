#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "evals/tables_rows.h"

namespace pmt::evals {
namespace {

struct Worker {
  std::string name, department, office, manager, role;
  int salary = 0, year = 0;
};

void ask_staff(TableWorld& world, const std::vector<Worker>& rows,
               const std::map<std::string, std::string>& floors, Random& random) {
  const Over<Worker> over{rows};
  const auto add = [&](const char* kind, const std::string& question, const std::string& wanted) {
    if (!wanted.empty()) world.items.push_back({kind, question, wanted});
  };
  const auto salary = [](const Worker& w) { return static_cast<double>(w.salary); };
  const auto some = [&]() -> const Worker& {
    return rows[static_cast<std::size_t>(3 + below(random, static_cast<int>(rows.size()) - 3))];
  };
  for (int i = 0; i < 2; ++i) {
    const Worker &a = some(), &b = some(), &c = some();
    const std::string department = c.department, office = b.office;
    const auto in = [&](const Worker& w) { return w.department == department; };
    const auto boss = std::ranges::find(rows, a.manager, &Worker::name);
    add("lookup", fmt::format("What is the salary of {}?", a.name), std::to_string(a.salary));
    add("lookup", fmt::format("Who is the manager of {}?", b.name), b.manager);
    add("count", fmt::format("How many people work in the department {}?", department), over.count(in));
    add("sum", fmt::format("What is the total salary of the {} department?", department),
        over.sum(in, salary));
    add("average", fmt::format("What is the average salary in the {} office?", office),
        over.mean([&](const Worker& w) { return w.office == office; }, salary));
    add("group", fmt::format("Which department has the most people in the {} office?", office),
        over.best([&](const Worker& w) { return w.office == office; },
                  [](const Worker& w) { return w.department; }, one<Worker>));
    add("two hops", fmt::format("What is the salary of the manager of {}?", a.name),
        boss == rows.end() ? "" : std::to_string(boss->salary));
    add("two hops", fmt::format("On which floor is the office of {}?", c.name), floors.at(c.office));
    add("reworded", fmt::format("How much does {} earn?", b.name), std::to_string(b.salary));
    if (a.salary != b.salary)
      add("comparison", fmt::format("Who earns more, {} or {}?", a.name, b.name),
          a.salary > b.salary ? a.name : b.name);
  }
  world.items.push_back({"absent name", "What is the salary of Cornelius Vane?", ""});
  world.items.push_back({"absent name", "Who is the manager of Ludmila Horvat?", ""});
  world.items.push_back({"absent name", "How many people work in the Zanzibar office?", ""});
  world.items.push_back({"absent attribute", fmt::format("What is the blood type of {}?", rows[6].name), ""});
  world.items.push_back({"absent attribute", fmt::format("What is the shoe size of {}?", rows[8].name), ""});
}

}  // namespace

TableWorld staff_world(Random& random) {
  const std::vector<std::string> first = {"Agnes", "Bruno", "Clara", "Dario", "Edda",
                                          "Felix", "Greta", "Hugo",  "Ilse",  "Jonas"},
                                 last = {"Abel", "Borg", "Conti", "Dahl", "Engel", "Frisk", "Gallo"};
  const std::vector<std::string> departments = {"Finance", "Logistics", "Research", "Support"};
  const std::map<std::string, std::string> floors = {
      {"Riverside", "3"}, {"Canal House", "1"}, {"Tower", "12"}, {"Depot", "2"}, {"Garden Wing", "5"}};
  TableWorld world{
      .shape = "Markdown",
      .text =
          "# Handbook\n\nThis page lists who works here. Questions go to the front desk.\n\n## Staff\n\n| name | department | office | manager | role | salary | hired |\n|---|---|---|---|---|---|---|\n",
      .items = {}};
  std::vector<Worker> rows;
  for (int i = 0; i < 60; ++i) {
    auto office = floors.begin();
    std::advance(office, below(random, 5));
    Worker w{.name = first[static_cast<std::size_t>(i) % 10] + " " + last[static_cast<std::size_t>(i / 10)],
             .department = one_of(departments, random),
             .office = office->first,
             .manager = i < 3 ? "" : rows[static_cast<std::size_t>(below(random, i < 12 ? 3 : 10))].name,
             .role = i < 3    ? "director"
                     : i < 10 ? "lead"
                              : "clerk",
             .salary = 30'000 + 10 * below(random, 6'000),
             .year = 2015 + below(random, 10)};
    world.text += fmt::format("| {} | {} | {} | {} | {} | {},{:03} | {} |\n", w.name, w.department, w.office,
                              w.manager, w.role, w.salary / 1'000, w.salary % 1'000,
                              day(w.year, 1 + below(random, 12), 1 + below(random, 28)));
    rows.push_back(std::move(w));
  }
  world.text += "\n## Offices\n\n| office | floor | desks |\n|---|---|---|\n";
  for (const auto& [office, floor] : floors)
    world.text += fmt::format("| {} | {} | {} |\n", office, floor, 20 + below(random, 60));
  ask_staff(world, rows, floors, random);
  return world;
}

namespace {

struct Book {
  std::string title, author, genre, language;
  int pages = 0, year = 0, copies = 0;
};

void ask_library(TableWorld& world, const std::vector<Book>& rows, Random& random) {
  const Over<Book> over{rows};
  const auto add = [&](const char* kind, const std::string& question, const std::string& wanted) {
    if (!wanted.empty()) world.items.push_back({kind, question, wanted});
  };
  const auto pages = [](const Book& b) { return static_cast<double>(b.pages); };
  const auto copies = [](const Book& b) { return static_cast<double>(b.copies); };
  const auto some = [&]() -> const Book& {
    return rows[static_cast<std::size_t>(below(random, static_cast<int>(rows.size())))];
  };
  for (int i = 0; i < 2; ++i) {
    const Book &a = some(), &b = some(), &c = some();
    const auto by = [&](const Book& x) { return x.author == c.author; };
    const auto is = [&](const Book& x) { return x.genre == c.genre && x.language == c.language; };
    add("lookup", fmt::format("Who is the author of \"{}\"?", a.title), a.author);
    add("lookup", fmt::format("How many pages does \"{}\" have?", b.title), std::to_string(b.pages));
    add("count", fmt::format("How many {} books are in {}?", c.genre, c.language), over.count(is));
    add("sum", fmt::format("What is the total number of copies of books by {}?", c.author),
        over.sum(by, copies));
    add("average", fmt::format("What is the average number of pages of {} books in {}?", c.genre, c.language),
        over.mean(is, pages));
    add("group", fmt::format("Which author has the most {} books?", c.genre),
        over.best([&](const Book& x) { return x.genre == c.genre; }, [](const Book& x) { return x.author; },
                  one<Book>));
    add("distinct", fmt::format("How many different languages has {} written in?", c.author),
        over.distinct(by, [](const Book& x) { return x.language; }));
    add("threshold", fmt::format("How many books in {} have more than {} pages?", c.language, 300 + 100 * i),
        over.count([&](const Book& x) { return x.language == c.language && x.pages > 300 + 100 * i; }));
    add("threshold", fmt::format("How many books by {} were published before {}?", c.author, 1990 + i),
        over.count([&](const Book& x) { return by(x) && x.year < 1990 + i; }));
    if (a.pages != b.pages)
      add("comparison", fmt::format("Which book is longer, \"{}\" or \"{}\"?", a.title, b.title),
          a.pages > b.pages ? a.title : b.title);
  }
  world.items.push_back({"absent name", "Who is the author of \"The Velvet Orchard\"?", ""});
  world.items.push_back({"absent name", "How many books did Theodora Quill write?", ""});
  world.items.push_back({"absent name", "How many books are in Esperanto?", ""});
  world.items.push_back(
      {"absent attribute", fmt::format("What is the cover colour of \"{}\"?", rows[4].title), ""});
  world.items.push_back(
      {"absent attribute", fmt::format("Which publisher printed \"{}\"?", rows[7].title), ""});
}

}  // namespace

TableWorld library_world(Random& random) {
  const std::vector<std::string> authors = {"Mirela Stoica", "Aldous Penn", "Yuki Hara",
                                            "Berta Lund",    "Osman Kaya",  "Rosa Iglesias"},
                                 genres = {"mystery", "history", "poetry", "travel"},
                                 languages = {"Romanian", "English", "Japanese", "Danish"};
  const std::vector<std::string> adjectives = {"Silent", "Crooked", "Amber",    "Distant", "Hollow",
                                               "Paper",  "Iron",    "Northern", "Broken",  "Second"},
                                 nouns = {"River",  "Clock",  "Letters", "Garden",
                                          "Bridge", "Winter", "Compass", "Atlas"};
  TableWorld world{.shape = "JSON", .text = "{\"library\": \"Central\", \"books\": [\n", .items = {}};
  std::vector<Book> rows;
  for (int i = 0; i < 80; ++i) {
    Book b{.title = fmt::format("The {} {}", adjectives[static_cast<std::size_t>(i) % 10],
                                nouns[static_cast<std::size_t>(i / 10)]),
           .author = one_of(authors, random),
           .genre = one_of(genres, random),
           .language = one_of(languages, random),
           .pages = 90 + below(random, 600),
           .year = 1960 + below(random, 64),
           .copies = 1 + below(random, 9)};
    world.text += fmt::format(
        "{}  {{\"title\": \"{}\", \"author\": \"{}\", \"genre\": \"{}\", \"language\": \"{}\", \"pages\": {}, \"published\": {}, \"copies\": {}}}",
        i == 0 ? "" : ",\n", b.title, b.author, b.genre, b.language, b.pages, b.year, b.copies);
    rows.push_back(std::move(b));
  }
  world.text += "\n]}\n";
  ask_library(world, rows, random);
  return world;
}

}  // namespace pmt::evals
