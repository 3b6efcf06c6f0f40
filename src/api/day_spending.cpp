#include "api/day_spending.h"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace pmt::api {
namespace {

using nlohmann::json;

constexpr std::int64_t kDayS = 24 * 60 * 60;
constexpr std::size_t kStateBytesMax = 16U << 20;
constexpr double kUsdMax = 1e12;

std::string name_of(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

base::Error no_state(std::string why) {
  return {base::Code::kCorrupt, std::move(why)};
}

}  // namespace

std::int64_t DaySpending::today_number() const {
  return clock_.unix_seconds() / kDayS;
}

void DaySpending::add(const std::string& key, double usd) {
  const std::int64_t day = today_number();
  const std::lock_guard lock(mutex_);
  Spent& spent = keys_[key];
  if (std::exchange(spent.day, day) != day) spent.usd = 0;
  spent.usd += usd;
  ++version_;
}

double DaySpending::today(const std::string& key) const {
  const std::int64_t day = today_number();
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  return found == keys_.end() || found->second.day != day ? 0 : found->second.usd;
}

double DaySpending::seconds_left() const {
  return static_cast<double>(kDayS - clock_.unix_seconds() % kDayS);
}

void DaySpending::refused(const std::string& key) {
  const std::lock_guard lock(mutex_);
  ++keys_[key].refusals;
}

std::uint64_t DaySpending::refusals(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(key);
  return found == keys_.end() ? 0 : found->second.refusals;
}

std::uint64_t DaySpending::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

std::string DaySpending::state() const {
  const std::int64_t day = today_number();
  json usd = json::object();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, spent] : keys_) {
      if (spent.day == day) usd[key] = spent.usd;
    }
  }
  const json state = {{"day", name_of(day)}, {"usd", std::move(usd)}};
  return state.dump(-1, ' ', false, json::error_handler_t::replace);
}

base::Status DaySpending::restore(std::string_view state) {
  const auto read = base::parse_json(state, kStateBytesMax);
  if (!read) return no_state("it is " + read.error().message);
  const json& usd = base::at(*read, "usd");
  if (!usd.is_object() || !base::at(*read, "day").is_string()) return no_state("it has no day, or no usd");
  for (const auto& [key, value] : usd.items()) {
    const auto number = base::as_number(value);
    if (!number || *number < 0 || *number > kUsdMax)
      return no_state(fmt::format("what {} has spent is no number of dollars", key.substr(0, 64)));
  }
  const std::int64_t day = today_number();
  if (base::text_at(*read, "day") != name_of(day)) return {};
  for (const auto& [key, value] : usd.items()) add(key, *base::as_number(value));
  return {};
}

}  // namespace pmt::api
