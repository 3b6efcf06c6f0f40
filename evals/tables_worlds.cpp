#include "evals/tables_worlds.h"

#include <algorithm>

#include <fmt/format.h>

#include "evals/tables_rows.h"

namespace pmt::evals {
namespace {

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

}  // namespace

std::vector<TableWorld> table_worlds(int seed) {
  Random random(static_cast<unsigned>(seed));
  std::vector<TableWorld> worlds;
  for (const auto make : {shop, sensors, log, staff_world, library_world}) worlds.push_back(make(random));
  return worlds;
}

}  // namespace pmt::evals
