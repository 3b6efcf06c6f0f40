#include "app/pull/downloads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/pull/file_download.h"
#include "app/pull/progress_line.h"
#include "base/file_digest.h"
#include "engine/home.h"

namespace pmt::app {

namespace {

namespace fs = std::filesystem;
using engine::PulledFile;
using engine::PulledModel;

constexpr std::size_t kAtOnce = 4;
constexpr double kWaitShare =
    30;  // who waits 30 s for a byte waits 1 s before the second try, then 2, 4 and 8

fs::path part_of(const fs::path& folder, const PulledFile& file) {
  return folder / (file.file + ".part");
}

/// The same bytes, as far as the server can say.
bool is_same(const PulledFile& a, const PulledFile& b) {
  const bool known = !a.sha256.empty() || !a.etag.empty();
  return known && a.file == b.file && a.bytes == b.bytes && a.sha256 == b.sha256 &&
         (!a.sha256.empty() || a.etag == b.etag);
}

/// Out of the way under a name that nobody loads, in the folder of models.
base::Error set_aside(const fs::path& part, const PulledFile& file, const std::string& found) {
  const std::string what =
      fmt::format("{} has sha256 {}, not the announced {}", file.file, found, file.sha256);
  std::error_code error;
  fs::path aside;
  for (int n = 1; aside.empty() || fs::exists(fs::symlink_status(aside, error)); ++n)
    aside = engine::models_dir() / fmt::format("{}.damaged-{}", file.file, n);
  fs::rename(part, aside, error);
  if (error)
    return {base::Code::kCorrupt, fmt::format("{}, and can't be set aside: {}", what, error.message())};
  return {
      base::Code::kCorrupt,
      fmt::format(
          "{}: it was set aside as {}. Run the same command again; if it happens again, the server doesn't "
          "send what it announces and must not be trusted",
          what, aside.string())};
}

/// Compares the sum; a file that has none gets the one that it has.
base::Status verify(const fs::path& part, PulledFile& file) {
  TRY_ASSIGN(const base::Digest found, base::digest_of_file(part));
  if (!file.sha256.empty() && found.hex() != file.sha256) return set_aside(part, file, found.hex());
  std::array<char, 4> magic{};
  std::ifstream(part, std::ios::binary).read(magic.data(), magic.size());
  if (std::string_view(magic.data(), magic.size()) != "GGUF") {
    std::error_code ignored;
    fs::remove(part, ignored);
    return base::Error{
        base::Code::kCorrupt,
        fmt::format("what came as {} is no GGUF file: does the link lead to a page about it?", file.file)};
  }
  file.sha256 = found.hex();
  return {};
}

/// Several files at once, each checked as soon as it is there.
class Downloads {
 public:
  Downloads(net::AsyncClient& client, RemotePlan& plan, const fs::path& folder, double timeout_s)
      : client_(client), plan_(plan), folder_(folder), timeout_s_(timeout_s), arrived_(plan.urls.size()) {}

  base::Status run() {
    const PulledModel& model = plan_.model;
    ProgressLine progress(
        {.name = model.name,
         .total = static_cast<std::uintmax_t>(sum_of(model)),
         .before = static_cast<std::uintmax_t>(sum_of(model) - bytes_left(folder_, model))});
    std::vector<std::future<base::Status>> workers;
    for (std::size_t i = 0; i < std::min(kAtOnce, model.fetched.size()); ++i)
      workers.push_back(std::async(std::launch::async, [this] { return work(); }));
    base::Status first;
    for (std::future<base::Status>& worker : workers) {
      while (worker.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready)
        progress.show(arrived());
      base::Status ended = worker.get();
      const bool news = first && !ended;
      // The others were cancelled for the one that failed: its reason is the one to tell.
      if (news || (!ended && first.error().code == base::Code::kCancelled)) first = std::move(ended);
    }
    return first;
  }

 private:
  static std::int64_t sum_of(const PulledModel& model) {
    std::int64_t sum = 0;
    for (const PulledFile& file : model.fetched) sum += file.bytes;
    return sum;
  }
  std::uintmax_t arrived() const {
    std::int64_t sum = 0;
    for (const auto& one : arrived_) sum += one;
    return static_cast<std::uintmax_t>(sum);
  }

  base::Status work() {
    std::vector<PulledFile>& files = plan_.model.fetched;
    for (std::size_t i = next_++; i < files.size(); i = next_++) {
      const base::Status done = fetch(files[i], i);
      if (done) continue;
      cancel_.cancel();
      return done;
    }
    return {};
  }

  base::Status fetch(PulledFile& file, std::size_t i) {
    if (bytes_of(folder_ / file.file) == file.bytes) {  // checked before it got this name
      arrived_[i] = file.bytes;
      return file.sha256.empty() ? verify(folder_ / file.file, file) : base::Status();
    }
    const fs::path part = part_of(folder_, file);
    TRY(download_file(client_,
                      {.url = plan_.urls[i],
                       .token = plan_.token,
                       .to = part,
                       .bytes = file.bytes,
                       .etag = file.sha256.empty() ? file.etag : "",
                       .timeout_s = timeout_s_,
                       .first_wait_s = timeout_s_ / kWaitShare},
                      arrived_[i], cancel_));
    TRY(verify(part, file));
    std::error_code error;
    fs::rename(part, folder_ / file.file, error);
    if (error)
      return base::Error{base::Code::kIo, fmt::format("can't rename {}: {}", part.string(), error.message())};
    return {};
  }

  net::AsyncClient& client_;
  RemotePlan& plan_;  // a file is one worker's
  const fs::path folder_;
  const double timeout_s_;
  std::deque<std::atomic<std::int64_t>> arrived_;
  std::atomic<std::size_t> next_{0};
  const base::CancelToken cancel_;
};

}  // namespace

base::Status continue_from(const fs::path& folder, const PulledModel& model) {
  const auto before = engine::read_record(folder);
  std::set<fs::path> kept;
  for (const PulledFile& file : model.fetched) {
    const auto same = [&](const PulledFile& old) { return is_same(old, file); };
    if (!before || std::ranges::none_of(before->fetched, same)) continue;
    kept.insert({part_of(folder, file), folder / file.file});
  }
  std::error_code error;
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!kept.contains(entry.path())) others.push_back(entry.path());
  }
  for (const fs::path& other : others) fs::remove_all(other, error);
  return engine::write_record(folder, model);
}

std::int64_t bytes_left(const fs::path& folder, const PulledModel& model) {
  std::int64_t left = 0;
  for (const PulledFile& file : model.fetched) {
    if (bytes_of(folder / file.file) == file.bytes) continue;
    left += std::max<std::int64_t>(0, file.bytes - bytes_of(part_of(folder, file)));
  }
  return left;
}

base::Status download_all(net::AsyncClient& client, RemotePlan& plan, const fs::path& folder,
                          double timeout_s) {
  return Downloads(client, plan, folder, timeout_s).run();
}

std::int64_t bytes_of(const fs::path& file) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  return error ? 0 : static_cast<std::int64_t>(bytes);
}

}  // namespace pmt::app
