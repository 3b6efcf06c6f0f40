#include "evals/tables_worlds.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

namespace pmt::evals {
namespace {

using Random = std::mt19937;

int below(Random& random, int n) {
  return static_cast<int>(random() % static_cast<unsigned>(n));
}
const std::string& one_of(const std::vector<std::string>& items, Random& random) {
  return items[static_cast<std::size_t>(below(random, static_cast<int>(items.size())))];
}
std::string day(int year, int month, int date) {
  return fmt::format("{:04}-{:02}-{:02}", year, month, date);
}

/// Over rows of any kind.
template <class Row>
struct Over {
  const std::vector<Row>& rows;
  using Is = std::function<bool(const Row&)>;
  using Number = std::function<double(const Row&)>;
  using Text = std::function<std::string(const Row&)>;

  std::string count(const Is& is) const { return fmt::format("{}", std::ranges::count_if(rows, is)); }
  std::string sum(const Is& is, const Number& of) const {
    double sum = 0;
    for (const Row& row : rows) sum += is(row) ? of(row) : 0;
    return fmt::format("{:.4f}", sum);
  }
  std::string mean(const Is& is, const Number& of) const {
    double sum = 0;
    int n = 0;
    for (const Row& row : rows) {
      if (is(row)) sum += of(row), ++n;
    }
    return n == 0 ? "" : fmt::format("{:.4f}", sum / n);
  }
  std::string distinct(const Is& is, const Text& of) const {
    std::set<std::string> all;
    for (const Row& row : rows) {
      if (is(row)) all.insert(of(row));
    }
    return fmt::format("{}", all.size());
  }
  /// Of the group with the largest sum; "" where two share it.
  std::string best(const Is& is, const Text& by, const Number& of) const {
    std::map<std::string, double> groups;
    for (const Row& row : rows) {
      if (is(row)) groups[by(row)] += of(row);
    }
    if (groups.empty()) return "";
    const auto best = std::ranges::max_element(groups, {}, [](const auto& g) { return g.second; });
    const auto ties = std::ranges::count_if(groups, [&](const auto& g) { return g.second == best->second; });
    return ties == 1 ? best->first : "";
  }
};

double one(const auto&) {
  return 1;
}

struct Order {
  int number = 0, quantity = 0, year = 0, month = 0, date = 0;
  std::string customer = {}, seller = {}, city = {}, product = {}, status = {};
  double price = 0;
};

const std::vector<std::string> kSellers = {"Ivana Petrov", "Marek Dvorak", "Lena Fischer",
                                           "Otto Brandt",  "Priya Nair",   "Samuel Okafor"};
const std::vector<std::string> kCities = {"Lodz", "Porto", "Graz", "Bergen", "San Sebastian", "Turku"};

std::string csv_number(double value) {
  const auto whole = static_cast<int>(value);
  const int cents = static_cast<int>(value * 100 + .5) % 100;
  return whole >= 1'000 ? fmt::format("\"${},{:03}.{:02}\"", whole / 1'000, whole % 1'000, cents)
                        : fmt::format("${}.{:02}", whole, cents);
}

std::string mixed_day(const Order& o) {
  static const char* kMonths[] = {"January", "February", "March",     "April",   "May",      "June",
                                  "July",    "August",   "September", "October", "November", "December"};
  if (o.number % 7 == 0) return fmt::format("{} {} {}", o.date, kMonths[o.month - 1], o.year);
  return day(o.year, o.month, o.date);
}

void ask_shop(TableWorld& world, const std::vector<Order>& rows, Random& random) {
  const Over<Order> over{rows};
  const auto add = [&](const char* kind, const std::string& question, const std::string& wanted) {
    if (!wanted.empty()) world.items.push_back({kind, question, wanted});
  };
  const auto amount = [](const Order& o) { return static_cast<double>(o.quantity); };
  for (int i = 0; i < 2; ++i) {
    const std::string seller = one_of(kSellers, random), other = kSellers[static_cast<std::size_t>(i) * 2],
                      city = one_of(kCities, random);
    const Order& order = rows[static_cast<std::size_t>(below(random, static_cast<int>(rows.size())))];
    const int year = 2024 + below(random, 2);
    const auto by = [&](const Order& o) { return o.seller == seller; };
    const auto in = [&](const Order& o) { return o.city == city; };
    add("lookup", fmt::format("Which customer placed order {}?", order.number), order.customer);
    add("count", fmt::format("How many returned orders does {} have?", seller),
        over.count([&](const Order& o) { return by(o) && o.status == "returned"; }));
    add("count", fmt::format("How many orders came from {} in {}?", city, year),
        over.count([&](const Order& o) { return in(o) && o.year == year; }));
    add("sum", fmt::format("What is the total quantity that {} sold in {}?", seller, city),
        over.sum([&](const Order& o) { return by(o) && in(o); }, amount));
    add("average", fmt::format("What is the average quantity of the orders from {}?", city),
        over.mean(in, amount));
    add("group", fmt::format("Which city has the most orders of {}?", seller),
        over.best(
            by, [](const Order& o) { return o.city; }, one<Order>));
    add("distinct", fmt::format("How many different products were sold in {}?", city),
        over.distinct(in, [](const Order& o) { return o.product; }));
    add("threshold", fmt::format("How many orders from {} have a quantity over {}?", city, 5 + i),
        over.count([&](const Order& o) { return in(o) && o.quantity > 5 + i; }));
    add("reworded", fmt::format("Count the cancelled purchases in {}.", city),
        over.count([&](const Order& o) { return in(o) && o.status == "cancelled"; }));
    if (other != seller) {
      const auto mine = over.count(by), theirs = over.count([&](const Order&o) { return o.seller == other; });
      add("comparison", fmt::format("Who has more orders, {} or {}?", seller, other),
          mine == theirs                        ? ""
          : std::stoi(mine) > std::stoi(theirs) ? seller
                                                : other);
    }
  }
  world.items.push_back({"absent name", "How many orders did Gustav Lindqvist sell?", ""});
  world.items.push_back({"absent name", "What is the total quantity sold in Valparaiso?", ""});
  world.items.push_back({"absent name", "Which customer placed order 99123?", ""});
  world.items.push_back(
      {"absent attribute", fmt::format("What is the shipping weight of order {}?", rows[5].number), ""});
  world.items.push_back(
      {"absent attribute", fmt::format("Which warehouse packed order {}?", rows[9].number), ""});
}

TableWorld shop(Random& random) {
  const std::vector<std::string> products = {"oak desk",  "floor lamp", "bookshelf", "armchair",
                                             "coat rack", "side table", "wool rug",  "mirror"};
  const std::vector<std::string> customers = {"Adler Ltd", "Bluewater",    "Cobalt Works", "Dunmore & Sons",
                                              "Eastgate",  "Fennel Foods", "Greyline",     "Halcyon"};
  const std::vector<std::string> states = {"delivered", "delivered", "delivered", "returned", "cancelled"};
  TableWorld world{
      .shape = "CSV",
      .text = "order_number,customer,salesperson,city,product,quantity,unit_price,status,order_date\n",
      .items = {}};
  std::vector<Order> rows;
  for (int i = 0; i < 1'500; ++i) {
    Order o{.number = 41'000 + i,
            .quantity = 1 + below(random, 12),
            .year = 2024 + below(random, 2),
            .month = 1 + below(random, 12),
            .date = 1 + below(random, 28)};
    o.customer = one_of(customers, random), o.seller = one_of(kSellers, random),
    o.city = one_of(kCities, random);
    o.product = one_of(products, random), o.status = one_of(states, random),
    o.price = 40 + below(random, 300'000) / 100.;
    world.text += fmt::format("{},{},{},{},{},{},{},{},{}\n", o.number, o.customer, o.seller, o.city,
                              o.product, o.quantity, csv_number(o.price), o.status, mixed_day(o));
    rows.push_back(std::move(o));
  }
  ask_shop(world, rows, random);
  return world;
}

struct Reading {
  std::string sensor, site, kind;
  double value = 0;
  int battery = 0, month = 0;
};

void ask_sensors(TableWorld& world, const std::vector<Reading>& rows, const std::vector<std::string>& sites,
                 Random& random) {
  const Over<Reading> over{rows};
  const auto add = [&](const char* kind, const std::string& question, const std::string& wanted) {
    if (!wanted.empty()) world.items.push_back({kind, question, wanted});
  };
  const auto value = [](const Reading& r) { return r.value; };
  for (int i = 0; i < 2; ++i) {
    const Reading& some = rows[static_cast<std::size_t>(below(random, static_cast<int>(rows.size())))];
    const std::string site = one_of(sites, random), kind = i == 0 ? "humidity" : "pressure";
    const auto at = [&](const Reading& r) { return r.site == site; };
    const auto both = [&](const Reading& r) { return r.site == site && r.kind == kind; };
    const auto mine = [&](const Reading& r) { return r.sensor == some.sensor; };
    add("count", fmt::format("How many {} readings are there at {}?", kind, site), over.count(both));
    add("average", fmt::format("What is the average value of {} at {}?", kind, site), over.mean(both, value));
    add("sum", fmt::format("What is the sum of the values of sensor {}?", some.sensor),
        over.sum(mine, value));
    add("distinct", fmt::format("How many different sensors are at {}?", site),
        over.distinct(at, [](const Reading& r) { return r.sensor; }));
    add("group", fmt::format("Which site has the most {} readings?", kind),
        over.best([&](const Reading& r) { return r.kind == kind; }, [](const Reading& r) { return r.site; },
                  one<Reading>));
    add("threshold", fmt::format("How many readings at {} have a battery below {}?", site, 20 + 10 * i),
        over.count([&](const Reading& r) { return at(r) && r.battery < 20 + 10 * i; }));
    add("lookup", fmt::format("At which site is sensor {}?", some.sensor), some.site);
    add("count",
        fmt::format("How many readings of sensor {} were recorded in {} 2025?", some.sensor,
                    i == 0 ? "March" : "August"),
        over.count([&](const Reading& r) { return mine(r) && r.month == (i == 0 ? 3 : 8); }));
    add("reworded", fmt::format("How often was {} measured at {}?", kind, site), over.count(both));
    add("extreme", fmt::format("What is the lowest battery of sensor {}?", some.sensor), [&] {
      int least = 1'000;
      for (const Reading& r : rows) least = mine(r) ? std::min(least, r.battery) : least;
      return std::to_string(least);
    }());
  }
  world.items.push_back({"absent name", "How many readings are there at Blackmoor Reservoir?", ""});
  world.items.push_back({"absent name", "What is the average value of sensor QX-999?", ""});
  world.items.push_back({"absent name", "Which sensors are at Tollgate?", ""});
  world.items.push_back(
      {"absent attribute", fmt::format("What is the firmware version of sensor {}?", rows[3].sensor), ""});
  world.items.push_back({"absent attribute", fmt::format("Who installed sensor {}?", rows[8].sensor), ""});
}

TableWorld sensors(Random& random) {
  const std::vector<std::string> sites = {"North Quay", "Mill Lane", "Foundry", "Harbour Gate",
                                          "Old Brewery"};
  TableWorld world{.shape = "JSON lines", .text = "", .items = {}};
  std::vector<Reading> rows;
  for (int i = 0; i < 1'200; ++i) {
    const int sensor = below(random, 40);
    Reading r{.sensor = fmt::format("{}-{:03}", "ABCD"[sensor % 4] + std::string("K"), 100 + sensor),
              .site = sites[static_cast<std::size_t>(sensor) % sites.size()],
              .kind = sensor % 3 == 0   ? "temperature"
                      : sensor % 3 == 1 ? "humidity"
                                        : "pressure",
              .value = below(random, 10'000) / 100.,
              .battery = 5 + below(random, 95),
              .month = 1 + below(random, 12)};
    world.text += fmt::format(
        "{{\"sensor\": \"{}\", \"site\": \"{}\", \"reading\": {{\"type\": \"{}\", \"value\": {}}}, \"battery\": {}, \"recorded_at\": \"2025-{:02}-{:02}T{:02}:30:00Z\"}}\n",
        r.sensor, r.site, r.kind, r.value, r.battery, r.month, 1 + below(random, 28), below(random, 24));
    rows.push_back(std::move(r));
  }
  ask_sensors(world, rows, sites, random);
  return world;
}

struct Hit {
  std::string level, method, path, user;
  int status = 0, ms = 0, date = 0;
};

void ask_log(TableWorld& world, const std::vector<Hit>& rows, const std::vector<std::string>& users,
             const std::vector<std::string>& paths, Random& random) {
  const Over<Hit> over{rows};
  const auto add = [&](const char* kind, const std::string& question, const std::string& wanted) {
    if (!wanted.empty()) world.items.push_back({kind, question, wanted});
  };
  const auto ms = [](const Hit& h) { return static_cast<double>(h.ms); };
  for (int i = 0; i < 2; ++i) {
    const std::string user = one_of(users, random), other = users[static_cast<std::size_t>(i)],
                      path = one_of(paths, random);
    const int status = i == 0 ? 404 : 500;
    const auto by = [&](const Hit& h) { return h.user == user; };
    const auto on = [&](const Hit& h) { return h.path == path; };
    add("count", fmt::format("How many requests of user {} had the status {}?", user, status),
        over.count([&](const Hit& h) { return by(h) && h.status == status; }));
    add("count", fmt::format("How many POST requests were for {}?", path),
        over.count([&](const Hit& h) { return on(h) && h.method == "POST"; }));
    add("average", fmt::format("What is the average ms of {}?", path), over.mean(on, ms));
    add("sum", fmt::format("What is the total ms of user {}?", user), over.sum(by, ms));
    add("group", fmt::format("Which path has the most requests with status {}?", status),
        over.best([&](const Hit& h) { return h.status == status; }, [](const Hit& h) { return h.path; },
                  one<Hit>));
    add("distinct", fmt::format("How many different paths did user {} ask for?", user),
        over.distinct(by, [](const Hit& h) { return h.path; }));
    add("threshold", fmt::format("How many requests of user {} took more than {} ms?", user, 400 + 200 * i),
        over.count([&](const Hit& h) { return by(h) && h.ms > 400 + 200 * i; }));
    add("count", fmt::format("How many ERROR lines are there for {}?", path),
        over.count([&](const Hit& h) { return on(h) && h.level == "ERROR"; }));
    add("reworded", fmt::format("How often did {} get a {}?", user, status),
        over.count([&](const Hit& h) { return by(h) && h.status == status; }));
    if (other != user) {
      const auto mine = over.count(by), theirs = over.count([&](const Hit&h) { return h.user == other; });
      add("comparison", fmt::format("Which user made more requests, {} or {}?", user, other),
          mine == theirs                        ? ""
          : std::stoi(mine) > std::stoi(theirs) ? user
                                                : other);
    }
  }
  world.items.push_back({"absent name", "How many requests did user Zephyrine make?", ""});
  world.items.push_back({"absent name", "How many requests were for /v9/teleport?", ""});
  world.items.push_back({"absent name", "What is the total ms of \"admin-bot\"?", ""});
  world.items.push_back(
      {"absent attribute", fmt::format("Which web browser did user {} have?", users[0]), ""});
  world.items.push_back(
      {"absent attribute", fmt::format("From which country did user {} come?", users[1]), ""});
}

TableWorld log(Random& random) {
  const std::vector<std::string> users = {"bjarne", "celeste", "dmitri", "eunice", "farouk", "giulia"},
                                 paths = {"/v1/cart", "/v1/login", "/v1/search", "/health",
                                          "/v1/orders/list"};
  TableWorld world{.shape = "log", .text = "", .items = {}};
  std::vector<Hit> rows;
  for (int i = 0; i < 2'000; ++i) {
    Hit h{.level = "INFO",
          .method = below(random, 3) == 0 ? "POST" : "GET",
          .path = one_of(paths, random),
          .user = one_of(users, random),
          .status = below(random, 6) == 0 ? (below(random, 2) == 0 ? 404 : 500) : 200,
          .ms = 3 + below(random, 900),
          .date = 1 + i / 80};
    if (h.status == 500) h.level = "ERROR";
    if (h.status == 404) h.level = "WARN";
    world.text += fmt::format("2026-01-{:02}T{:02}:{:02}:{:02}Z {} gateway {} {} {} {}ms user={} bytes={}\n",
                              h.date, i % 24, i % 60, i % 59, h.level, h.method, h.path, h.status, h.ms,
                              h.user, below(random, 9'000));
    rows.push_back(std::move(h));
  }
  ask_log(world, rows, users, paths, random);
  return world;
}

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

TableWorld staff(Random& random) {
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

TableWorld library(Random& random) {
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

}  // namespace

std::vector<TableWorld> table_worlds(int seed) {
  Random random(static_cast<unsigned>(seed));
  std::vector<TableWorld> worlds;
  for (const auto make : {shop, sensors, log, staff, library}) worlds.push_back(make(random));
  return worlds;
}

}  // namespace pmt::evals
