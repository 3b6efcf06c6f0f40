#include "app/pull/file_download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "app/commands/report_error.h"
#include "app/pull/remote_plan.h"
#include "base/fd.h"
#include "net/fetch.h"

namespace pmt::app {

namespace {

constexpr double kWaitMaxS = 60;

bool is_digits(std::string_view text) {
  return !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// "bytes 100-199/200": whether it begins at `from` and is of `whole` bytes, if it says of how many.
bool is_rest(std::string_view range, std::int64_t from, std::int64_t whole) {
  if (!range.starts_with("bytes ")) return false;
  const std::string_view first = range.substr(6, range.find('-') - 6);
  const std::string_view total = range.substr(range.find('/') + 1);
  return is_digits(first) && std::stoll(std::string(first)) == from &&
         (total == "*" || (is_digits(total) && std::stoll(std::string(total)) == whole));
}

class Download {
 public:
  Download(const FileDownload& file, std::atomic<std::int64_t>& arrived) : file_(file), arrived_(arrived) {}

  base::Status open();
  /// One exchange. Errors: as download_file; `again` says whether another one could help.
  base::Status run_once(net::AsyncClient& client, const base::CancelToken& cancel);
  bool is_whole() const { return arrived_ == file_.bytes; }
  bool again() const { return again_; }
  /// What the server asked to wait; 0 if nothing.
  double retry_after_s() const { return retry_after_s_; }
  base::Status finish();

 private:
  base::Status begin(const net::FetchAnswer& answer);
  base::Status write(std::string_view bytes);
  base::Status start_anew();
  base::Error cant_write() const;
  base::Error other_file(const std::string& what) {
    again_ = false;
    return {base::Code::kCorrupt, fmt::format("{}: {}. Run the same command again", file_.url, what)};
  }

  const FileDownload& file_;
  std::atomic<std::int64_t>& arrived_;
  base::Fd out_;
  bool again_ = false;
  double retry_after_s_ = 0;
};

base::Error Download::cant_write() const {
  return {base::Code::kIo, fmt::format("can't write {}: {}. The same command goes on from here",
                                       file_.to.string(), std::strerror(errno))};
}

base::Status Download::open() {
  out_ = base::Fd(::open(file_.to.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  struct stat info {};
  if (out_.get() < 0 || fstat(out_.get(), &info) != 0) return cant_write();
  arrived_ = info.st_size;
  if (info.st_size > file_.bytes) return start_anew();
  return {};
}

base::Status Download::start_anew() {
  if (ftruncate(out_.get(), 0) != 0) return cant_write();
  arrived_ = 0;
  return {};
}

base::Status Download::begin(const net::FetchAnswer& answer) {
  if (answer.status == 206 && is_rest(answer.header("content-range"), arrived_, file_.bytes)) return {};
  if (answer.status != 200) {
    TRY(start_anew());
    return base::Error{base::Code::kIo,
                       fmt::format("{} sent another part than the one asked for", file_.url)};
  }
  if (const std::string_view length = answer.header("content-length");
      is_digits(length) && std::stoll(std::string(length)) != file_.bytes) {
    return other_file(
        fmt::format("it has {} bytes now, not the {} that were announced", length, file_.bytes));
  }
  return start_anew();  // a server without ranges, or with another file
}

base::Status Download::write(std::string_view bytes) {
  if (static_cast<std::int64_t>(bytes.size()) > file_.bytes - arrived_)
    return other_file(fmt::format("it sends more than the {} bytes that were announced", file_.bytes));
  while (!bytes.empty()) {
    const ssize_t n = pwrite(out_.get(), bytes.data(), bytes.size(), arrived_);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      again_ = false;
      return cant_write();
    }
    arrived_ += n;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

base::Status Download::run_once(net::AsyncClient& client, const base::CancelToken& cancel) {
  net::Fetch what{.url = file_.url, .bearer = file_.token, .stall_timeout_s = file_.timeout_s};
  if (arrived_ > 0) {
    what.headers.emplace_back("range", fmt::format("bytes={}-", arrived_.load()));
    if (!file_.etag.empty()) what.headers.emplace_back("if-range", file_.etag);
  }
  again_ = true;
  retry_after_s_ = 0;
  const auto answer = net::fetch(client, what,
                                 {.on_head = [this](const net::FetchAnswer& head) { return begin(head); },
                                  .on_body = [this](std::string_view bytes) { return write(bytes); }},
                                 cancel);
  if (!answer) {
    const base::Code code = answer.error().code;
    again_ = again_ &&
             (code == base::Code::kIo || code == base::Code::kDeadline || code == base::Code::kUnavailable);
    return answer.error();
  }
  if (answer->status == 416) return start_anew();  // there is no such rest: it isn't the rest of this file
  if (answer->status / 100 != 2) {
    again_ = answer->status >= 500 || answer->status == 429 || answer->status == 408;
    const std::string_view wait = answer->header("retry-after");
    if (is_digits(wait)) retry_after_s_ = std::stod(std::string(wait));
    return refusal(*answer, file_.url, !file_.token.empty());
  }
  if (!is_whole()) return base::Error{base::Code::kIo, fmt::format("{} broke off", file_.url)};
  return {};
}

base::Status Download::finish() {
  if (fsync(out_.get()) != 0) return cant_write();
  return {};
}

/// False: cancelled meanwhile.
bool wait_for(double seconds, const base::CancelToken& cancel) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!cancel.cancelled() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  return !cancel.cancelled();
}

}  // namespace

base::Status download_file(net::AsyncClient& client, const FileDownload& file,
                           std::atomic<std::int64_t>& arrived, const base::CancelToken& cancel) {
  Download download(file, arrived);
  TRY(download.open());
  double wait_s = file.first_wait_s;
  for (int fruitless = 0; !download.is_whole();) {
    const std::int64_t before = arrived;
    const base::Status ended = download.run_once(client, cancel);
    if (download.is_whole()) break;
    if (arrived > before) {
      fruitless = 0;
      wait_s = file.first_wait_s;
    }
    if (!ended && (!download.again() || ++fruitless >= file.tries)) return ended.error();
    if (ended && ++fruitless >= file.tries) {
      return base::Error{base::Code::kIo, fmt::format("{} can't be continued nor begun", file.url)};
    }
    const double asked_s = std::min(std::max(wait_s, download.retry_after_s()), kWaitMaxS);
    tell("{}: {}; trying again\n", file.to.filename().string(),
         ended ? "begins anew" : ended.error().message);
    if (!wait_for(asked_s, cancel)) return base::Error{base::Code::kCancelled, "cancelled"};
    wait_s *= 2;
  }
  return download.finish();
}

}  // namespace pmt::app
