#include "response_cache/shared/redis_sweeper.h"

#include <utility>

#include "base/guard.h"
#include "response_cache/shared/redis_scripts.h"
#include "response_cache/shared/shared_value.h"

namespace pmt::response_cache {
namespace {

using redis::Reply;

constexpr const char* kAtOnce = "300";
constexpr const char* kBeginning = "4095";  // of a value: its metadata is mostly in there
constexpr const char* kWhole = "-1";
constexpr std::chrono::milliseconds kPause{1};  // between two steps: others use this Redis too

}  // namespace

RedisSweeper::RedisSweeper(const RedisOptions& options, const RedisNames& names, const RedisLog& log)
    : options_(options),
      names_(names),
      log_(log),
      link_({.seed = options.seed, .login = options.login}),
      thread_([this] { run(); }) {}

RedisSweeper::~RedisSweeper() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RedisSweeper::request() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  wake_.notify_all();
}

bool RedisSweeper::stopped() const {
  const std::lock_guard lock(mutex_);
  return stop_;
}

void RedisSweeper::run() {
  block_sigpipe();
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || wanted_; });
      if (stop_) return;
      wanted_ = false;
    }
    // What it fails to free, the values' own lives end.
    base::survives({base::Thread::kRedis}, [this] { (void)sweep(); });
    link_.close();
  }
}

base::Status RedisSweeper::sweep() {
  const auto until = [this] {
    return std::chrono::steady_clock::now() + options_.timeout + std::chrono::seconds(1);
  };
  TRY_ASSIGN(const std::size_t masters, link_.masters(until()));
  for (std::size_t i = 0; i < masters; ++i) {
    std::string cursor = "0";
    do {
      TRY_ASSIGN(
          const Reply part,
          link_.call_master(i, {.words = {"SCAN", cursor, "MATCH", names_.prefix + ":v:*", "COUNT", kAtOnce}},
                            until()));
      if (part.items.size() != 2) return base::Error{base::Code::kCorrupt, "SCAN: " + part.text};
      cursor = part.at(0).text;
      TRY(sweep_part(part.at(1).items));
      if (stopped()) return {};
      std::this_thread::sleep_for(kPause);
    } while (cursor != "0");
  }
  return {};
}

base::Status RedisSweeper::sweep_part(const std::vector<Reply>& keys) {
  std::vector<std::string> names;
  for (const Reply& key : keys) names.push_back(key.text);
  TRY_ASSIGN(const auto too_long, sweep_values(names, kBeginning));
  TRY(sweep_values(too_long, kWhole));
  return {};
}

/// Judges values by their first bytes. Returns those whose metadata goes on past them.
base::Result<std::vector<std::string>> RedisSweeper::sweep_values(const std::vector<std::string>& names,
                                                                  const char* last_byte) {
  const auto until = [this] {
    return std::chrono::steady_clock::now() + options_.timeout + std::chrono::seconds(1);
  };
  std::vector<std::string> too_long;
  std::vector<redis::Command> commands;
  for (const std::string& name : names)
    commands.push_back({.words = {"GETRANGE", name, "0", last_byte}, .key = name});
  if (commands.empty()) return too_long;
  TRY_ASSIGN(const auto values, link_.call(commands, until()));
  std::vector<redis::Command> removals;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string &name = names[i], &bytes = values[i].text;
    const auto open = name.find('{');
    const auto key = open == std::string::npos ? std::nullopt : Key::of_hex(name.substr(open + 1, 64));
    const auto value = peek_shared(bytes);
    if (!key || !value) continue;
    const auto meta = peek_record_meta(value->record);
    if (!meta) too_long.push_back(name);
    if (!meta || !log_.covers(*key, *meta, value->stamp)) continue;
    removals.push_back(script(scripts::kSweep, {name}, {bytes.substr(0, SharedValue::kHeader)}));
  }
  if (removals.empty()) return too_long;
  TRY_ASSIGN(const auto removed, link_.call(removals, until()));
  for (const Reply& one : removed) swept_ += one.integer > 0 ? 1 : 0;
  return too_long;
}

}  // namespace pmt::response_cache
