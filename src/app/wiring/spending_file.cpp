#include "app/wiring/spending_file.h"

#include <chrono>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/file.h"
#include "base/guard.h"

namespace pmt::app {

namespace {

constexpr std::size_t kBytesMax = 16U << 20;
constexpr std::chrono::seconds kBetween{1};

}  // namespace

SpendingFile::SpendingFile(api::DaySpending& spending, std::string path)
    : spending_(spending), path_(std::move(path)) {
  read();
  written_version_ = spending_.version();
  thread_ = std::thread([this] { base::keep_running({base::Thread::kDisk}, [this] { run(); }); });
}

SpendingFile::~SpendingFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void SpendingFile::read() {
  const auto text = base::read_text_file(path_, kBytesMax);
  if (!text && text.error().code == base::Code::kNotFound) return;
  const base::Status restored = text ? spending_.restore(*text) : base::Status(base::Error(text.error()));
  if (restored) return;
  const auto aside = base::set_aside(path_);
  spdlog::warn("what keys have spent today, {}: {}. {}", path_, restored.error().message,
               aside ? "It is now " + *aside + ", and they begin at 0" : aside.error().message);
}

void SpendingFile::run() {
  bool stopping = false;
  while (!stopping) {
    {
      std::unique_lock lock(mutex_);
      stopping = stop_.wait_for(lock, kBetween, [this] { return stopping_; });
    }
    write();
  }
}

void SpendingFile::write() {
  const std::uint64_t version = spending_.version();
  if (version == written_version_) return;
  const base::Status written = base::replace_file(path_, spending_.state());
  if (written) {
    written_version_ = version;
    told_ = false;
  } else if (!std::exchange(told_, true)) {
    spdlog::warn("what keys have spent today is not kept over a restart: {}", written.error().message);
  }
}

}  // namespace pmt::app
