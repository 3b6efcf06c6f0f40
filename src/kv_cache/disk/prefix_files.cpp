#include "kv_cache/disk/prefix_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <queue>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/guard.h"

namespace pmt::kv_cache {
namespace {

namespace fs = std::filesystem;
using base::Digest;

constexpr std::string_view kEnding = ".kv", kAside = ".kv.damaged-", kPartial = ".partial";

/// Reading the whole file into memory that is there already.
base::Status read_into(const std::string& path, std::string& out) {
  const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
    return base::Error{base::Code::kNotFound, "it is gone"};
  out.resize(static_cast<std::size_t>(info.st_size));
  std::size_t at = 0;
  while (at < out.size()) {
    const ssize_t n = ::read(file.get(), out.data() + at, out.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return base::Error{base::Code::kCorrupt, "it can't be read to its end"};
    at += static_cast<std::size_t>(n);
  }
  return {};
}

void remove_file(const std::string& path) {
  ::unlink(path.c_str());
}

/// Nobody but the server's user has any business in it.
void make_private(const fs::path& folder) {
  std::error_code failed;  // told when a file is written
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), failed);
  constexpr mode_t kOwnerOnly = 0700;
  ::mkdir(folder.c_str(), kOwnerOnly);
}

}  // namespace

base::Result<std::unique_ptr<PrefixFiles>> PrefixFiles::open(PrefixFilesOptions options,
                                                             const base::Clock& clock) {
  make_private(options.path);
  const std::string name = (fs::path(options.path) / "lock").string();
  base::Fd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.get() < 0) {
    return base::Error{base::Code::kIo, fmt::format("can't write to the prefixes' folder {}: {}",
                                                    options.path, std::strerror(errno))};
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("another server uses the prefixes' folder {}: give each its own, prefixes.path "
                    "in the config",
                    options.path)};
  }
  std::unique_ptr<PrefixFiles> files(new PrefixFiles(std::move(options), clock, std::move(lock)));
  files->load();
  files->writer_ =
      std::thread([raw = files.get()] { base::keep_running({base::Thread::kDisk}, [raw] { raw->run(); }); });
  return files;
}

PrefixFiles::PrefixFiles(PrefixFilesOptions options, const base::Clock& clock, base::Fd lock)
    : options_(std::move(options)), clock_(clock), lock_(std::move(lock)), codec_(options_.secret) {
  stats_.bytes_max = options_.bytes_max;
  stats_.encrypted = !options_.secret.empty();
}

PrefixFiles::~PrefixFiles() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void PrefixFiles::load() {
  const std::lock_guard lock(mutex_);
  std::error_code failed;
  for (const auto& folder : fs::directory_iterator(options_.path, failed)) {
    if (!folder.is_directory(failed)) continue;
    const std::string tenant = folder.path().filename().string();
    for (const auto& file : fs::directory_iterator(folder.path(), failed))
      load_file(tenant, file.path().filename().string());
  }
  make_room(0, {});
}

void PrefixFiles::load_file(const std::string& folder, const std::string& name) {
  const std::string path = (fs::path(options_.path) / folder / name).string();
  if (name.ends_with(kPartial)) return remove_file(path);
  if (name.find(kAside) != std::string::npos) {
    ++aside_;
    return;
  }
  if (!name.ends_with(kEnding)) return;
  const auto key = Digest::of_hex(std::string_view(name).substr(0, name.size() - kEnding.size()));
  std::string header(BlockFile::kHeaderBytes, '\0');
  const base::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!key || file.get() < 0 || ::fstat(file.get(), &info) != 0) return;
  const ssize_t got = ::pread(file.get(), header.data(), header.size(), 0);
  header.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const auto block = codec_.read_header(header, static_cast<std::uint64_t>(info.st_size));
  Entry entry{.folder = folder, .parent = {}, .bytes = info.st_size, .used_unix_s = info.st_mtim.tv_sec};
  if (!block && block.error().code == base::Code::kForbidden) {
    entry.foreign = true;
    return add(*key, std::move(entry));
  }
  if (!block || block->key != *key)
    return aside(path, block ? "it is another block's" : block.error().message);
  entry.parent = block->parent;
  entry.compute_ms = block->compute_ms;
  entry.written_unix_s = block->written_unix_s;
  add(*key, std::move(entry));
}

std::string PrefixFiles::folder_of(const std::string& tenant) const {
  constexpr std::size_t kDigits = 32;
  return base::sha256(name_secret().hex() + tenant).hex().substr(0, kDigits);
}

std::string PrefixFiles::file_of(const Digest& key, const Entry& entry) const {
  return (fs::path(options_.path) / entry.folder / (key.hex() + std::string(kEnding))).string();
}

void PrefixFiles::add(const Digest& key, Entry entry) {
  if (entries_.contains(key)) return;
  stats_.bytes += entry.bytes;
  ++children_[entry.parent];
  entries_.emplace(key, std::move(entry));
}

void PrefixFiles::forget(Entries::iterator entry) {
  stats_.bytes -= entry->second.bytes;
  if (const auto parent = children_.find(entry->second.parent); --parent->second == 0)
    children_.erase(parent);
  entries_.erase(entry);
}

void PrefixFiles::remove(Entries::iterator entry) {
  remove_file(file_of(entry->first, entry->second));
  forget(entry);
}

/// A damaged file: it may tell somebody why, but not take more and more room.
void PrefixFiles::aside(const std::string& file, const std::string& why) {
  ++stats_.damaged;
  if (aside_ < kAsideMax) {
    if (const auto moved = base::set_aside(file)) {
      ++aside_;
      return options_.on_warning(
          fmt::format("prefixes on disk: {}: {}. It was set aside as {}, what it held is computed again",
                      file, why, fs::path(*moved).filename().string()));
    }
  }
  remove_file(file);
  options_.on_warning(
      fmt::format("prefixes on disk: {}: {}. It was removed, what it held is computed again", file, why));
}

std::size_t PrefixFiles::known(std::span<const Digest> chain) const {
  const std::lock_guard lock(mutex_);
  std::size_t count = 0;
  for (const Digest& key : chain) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end() || entry->second.foreign) break;
    ++count;
  }
  return count;
}

bool PrefixFiles::expects(const Digest& key) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(key) || expected_.contains(key);
}

base::Result<std::span<const std::byte>> PrefixFiles::read(const Digest& key, std::string& buffer,
                                                           BlockInfo& info) {
  std::string file;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(key);
    if (entry == entries_.end() || entry->second.foreign)
      return base::Error{base::Code::kNotFound, "no such block"};
    file = file_of(key, entry->second);
  }
  auto pages = [&]() -> base::Result<std::span<const std::byte>> {
    TRY(read_into(file, buffer));
    TRY_ASSIGN(const auto found, codec_.decode(buffer, info));
    if (info.key != key) return base::Error{base::Code::kCorrupt, "it is another block's"};
    return found;
  }();
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return base::Error{base::Code::kNotFound, "it was wiped"};
  if (!pages) {
    forget(entry);
    if (pages.error().code != base::Code::kNotFound) aside(file, pages.error().message);
    return pages.error();
  }
  ++stats_.reads;
  ++entry->second.uses;
  entry->second.used_unix_s = clock_.unix_seconds();
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = clock_.unix_seconds(), .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, file.c_str(), times, 0);
  return pages;
}

std::shared_ptr<const WriteTicket> PrefixFiles::submit(std::vector<BlockToWrite> blocks,
                                                       std::uint64_t epoch) {
  auto ticket = std::make_shared<WriteTicket>();
  {
    const std::lock_guard lock(mutex_);
    if (epoch != epoch_ || stop_) return ticket;
    for (BlockToWrite& block : blocks) {
      if (entries_.contains(block.info.key) || !expected_.insert(block.info.key).second) continue;
      ++ticket->left_;
      waiting_.push_back({std::move(block), ticket});
    }
  }
  wake_.notify_one();
  return ticket;
}

void PrefixFiles::ended(const Waiting& waiting) {
  expected_.erase(waiting.block.info.key);
  --waiting.ticket->left_;
  idle_.notify_all();
}

void PrefixFiles::drop_waiting(const std::function<bool(const Waiting&)>& which) {
  std::erase_if(waiting_, [&](const Waiting& waiting) {
    if (!which(waiting)) return false;
    ++stats_.dropped;
    ended(waiting);
    return true;
  });
}

void PrefixFiles::cancel(const WriteTicket& ticket) {
  std::unique_lock lock(mutex_);
  drop_waiting([&](const Waiting& waiting) { return waiting.ticket.get() == &ticket; });
  idle_.wait(lock, [&] { return ticket.done(); });
}

bool PrefixFiles::wait(const WriteTicket& ticket, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [&] { return ticket.done(); });
}

void PrefixFiles::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
    if (stop_) return drop_waiting([](const Waiting&) { return true; });
    write_next(lock);
  }
}

void PrefixFiles::write_next(std::unique_lock<std::mutex>& lock) {
  if (failing_ && clock_.now() - failed_at_ < kAfterFailure)
    return drop_waiting([](const Waiting&) { return true; });
  writing_ = std::move(waiting_.front());
  waiting_.pop_front();
  const BlockToWrite& block = writing_->block;
  std::int64_t bytes = BlockFile::kHeaderBytes;
  for (const auto& page : block.pages) bytes += static_cast<std::int64_t>(page.size());
  if (reachable(block.info) && make_room(bytes, block.info.parent)) {
    lock.unlock();
    const base::Status written = base::guarded({base::Thread::kDisk}, [&] { return write(block); });
    lock.lock();
    settle(block, written);
  } else {
    ++stats_.dropped;
  }
  ended(*writing_);
  writing_.reset();
}

base::Status PrefixFiles::write(const BlockToWrite& block) {
  const fs::path folder = fs::path(options_.path) / folder_of(block.tenant);
  make_private(folder);
  std::string bytes;
  TRY(codec_.encode(block.info, block.pages, bytes));
  return base::replace_file((folder / (block.info.key.hex() + std::string(kEnding))).string(), bytes);
}

void PrefixFiles::settle(const BlockToWrite& block, const base::Status& written) {
  if (written) {
    failing_ = false;
    ++stats_.writes;
    std::int64_t bytes = BlockFile::kHeaderBytes;
    for (const auto& page : block.pages) bytes += static_cast<std::int64_t>(page.size());
    return add(block.info.key, {.folder = folder_of(block.tenant),
                                .parent = block.info.parent,
                                .bytes = bytes,
                                .compute_ms = block.info.compute_ms,
                                .written_unix_s = block.info.written_unix_s,
                                .used_unix_s = clock_.unix_seconds()});
  }
  ++stats_.failures;
  if (!std::exchange(failing_, true)) {
    options_.on_warning(fmt::format(
        "prefixes on disk: {}. What was read is kept in memory only, until writing works again: it is tried every {} s",
        written.error().message, kAfterFailure.count()));
  }
  failed_at_ = clock_.now();
}

/// Computing saved a byte: the more often and the later it was used, the more.
double PrefixFiles::worth(const Entry& entry) const {
  if (entry.foreign) return 0;
  constexpr double kFreshSeconds = 60;
  const auto unused =
      static_cast<double>(std::max<std::int64_t>(0, clock_.unix_seconds() - entry.used_unix_s));
  return (1.0 + entry.uses) * entry.compute_ms / static_cast<double>(entry.bytes) / (unused + kFreshSeconds);
}

/// Reading goes on from block to block: what follows a block that isn't there could never be read.
bool PrefixFiles::reachable(const BlockInfo& block) const {
  return block.parent == Digest() || entries_.contains(block.parent);
}

/// False: there can be no room for so much. `kept`: the block that the new one goes on from.
bool PrefixFiles::make_room(std::int64_t bytes, const Digest& kept) {
  if (bytes > options_.bytes_max) return false;
  if (stats_.bytes + bytes <= options_.bytes_max) return true;
  // A little more than is needed, so that not each block looks through all.
  constexpr std::int64_t kSlackPart = 64;
  const std::int64_t target =
      std::max<std::int64_t>(0, options_.bytes_max - bytes - options_.bytes_max / kSlackPart);
  using Candidate = std::pair<double, Digest>;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> leaves;
  for (const auto& [key, entry] : entries_) {
    if (!children_.contains(key) && key != kept) leaves.emplace(worth(entry), key);
  }
  while (stats_.bytes > target && !leaves.empty()) {
    const auto entry = entries_.find(leaves.top().second);
    leaves.pop();
    const Digest parent = entry->second.parent;
    remove(entry);
    ++stats_.evicted;
    const auto above = entries_.find(parent);
    if (above != entries_.end() && !children_.contains(parent) && parent != kept)
      leaves.emplace(worth(above->second), parent);
  }
  return stats_.bytes + bytes <= options_.bytes_max;
}

std::vector<Digest> PrefixFiles::chosen(const WipeFilter& filter) const {
  const std::string folder = filter.tenant ? folder_of(*filter.tenant) : "";
  std::unordered_map<Digest, std::vector<Digest>, base::DigestHash> below;
  std::unordered_set<Digest, base::DigestHash> taken;
  std::vector<Digest> out;
  const auto take = [&](const Digest& key) {
    if (entries_.contains(key) && taken.insert(key).second) out.push_back(key);
  };
  for (const auto& [key, entry] : entries_) {
    below[entry.parent].push_back(key);
    if (filter.tenant && entry.folder != folder) continue;
    if (!filter.key_prefix || key.hex().starts_with(*filter.key_prefix)) take(key);
  }
  if (!filter.key_prefix) return out;
  const std::vector<Digest> named = out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto children = below.find(out[i]);
    if (children == below.end()) continue;
    for (const Digest& child : std::vector<Digest>(children->second)) take(child);
  }
  for (Digest key : named) {
    for (auto parent = entries_.at(key).parent; entries_.contains(parent) && !taken.contains(parent);
         parent = entries_.at(parent).parent) {
      const auto& all = below.at(parent);
      if (!std::all_of(all.begin(), all.end(), [&](const Digest& each) { return taken.contains(each); }))
        break;
      take(parent);
    }
  }
  return out;
}

/// What damaged files hold is somebody's text, too.
void PrefixFiles::remove_leftovers(const std::optional<std::string>& folder) {
  std::error_code failed;
  for (const auto& each : fs::directory_iterator(options_.path, failed)) {
    if (!each.is_directory(failed) || (folder && each.path().filename() != *folder)) continue;
    for (const auto& file : fs::directory_iterator(each.path(), failed)) {
      if (file.path().filename().string().find(kAside) == std::string::npos) continue;
      remove_file(file.path().string());
      --aside_;
    }
  }
}

std::size_t PrefixFiles::wipe(const WipeFilter& filter) {
  std::unique_lock lock(mutex_);
  ++epoch_;
  const auto concerns = [&](const Waiting& waiting) {
    return !filter.tenant || waiting.block.tenant == *filter.tenant;
  };
  drop_waiting(concerns);
  idle_.wait(lock, [&] { return !writing_ || !concerns(*writing_); });
  std::vector<std::string> files;
  for (const Digest& key : chosen(filter)) {
    const auto entry = entries_.find(key);
    files.push_back(file_of(key, entry->second));
    forget(entry);
  }
  remove_leftovers(filter.tenant ? std::optional(folder_of(*filter.tenant)) : std::nullopt);
  stats_.wiped += files.size();
  lock.unlock();  // models need not wait for thousands of files
  for (const std::string& file : files) remove_file(file);
  return files.size();
}

PrefixFilesStats PrefixFiles::stats() const {
  const std::lock_guard lock(mutex_);
  PrefixFilesStats out = stats_;
  out.entries = static_cast<std::int64_t>(entries_.size());
  out.waiting = static_cast<std::int64_t>(expected_.size());
  const std::int64_t now = clock_.unix_seconds();
  for (const auto& [key, entry] : entries_) {
    if (!entry.foreign)
      out.oldest_s = std::max(out.oldest_s, static_cast<double>(now - entry.written_unix_s));
  }
  return out;
}

}  // namespace pmt::kv_cache
