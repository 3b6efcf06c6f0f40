#include "app/wiring/state_file.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "base/file.h"
#include "base/guard.h"

namespace pmt::app {

StateFile::StateFile(KeptState kept) : kept_(std::move(kept)) {
  read();
  written_version_ = kept_.version();
  thread_ = std::thread([this] { base::keep_running({base::Thread::kDisk}, [this] { run(); }); });
}

StateFile::~StateFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void StateFile::read() {
  const auto bytes = base::read_file(kept_.path, kept_.bytes_max);
  if (!bytes && bytes.error().code == base::Code::kNotFound) return;
  const base::Status restored = bytes ? kept_.restore(*bytes) : base::Status(base::Error(bytes.error()));
  if (restored) return;
  const auto aside = base::set_aside(kept_.path);
  spdlog::warn("{}, {}: {}. {}", kept_.name, kept_.path, restored.error().message,
               aside ? "It is now " + *aside + ", and begins anew" : aside.error().message);
}

void StateFile::run() {
  bool stopping = false;
  while (!stopping) {
    {
      std::unique_lock lock(mutex_);
      stopping = stop_.wait_for(lock, kept_.between, [this] { return stopping_; });
    }
    write();
  }
}

void StateFile::write() {
  const std::uint64_t version = kept_.version();
  if (version == written_version_) return;
  const base::Status written = base::replace_file(kept_.path, kept_.state());
  if (written) {
    written_version_ = version;
    told_ = false;
  } else if (!std::exchange(told_, true)) {
    spdlog::warn("{} is not kept over a restart: {}", kept_.name, written.error().message);
  }
}

}  // namespace pmt::app
