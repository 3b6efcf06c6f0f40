#include "response_cache/disk/store_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/fd.h"
#include "base/file.h"

// The format is LMDB 0.9's on a 64-bit little-endian machine: what mdb.c calls MDB_page, MDB_node, MDB_meta
// and MDB_db.
namespace pmt::response_cache {
namespace {

using Page = std::uint64_t;

constexpr std::uint32_t kMagic = 0xBEEFC0DE, kVersion = 1;
constexpr std::uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8;  // MDB_page::mp_flags
constexpr std::uint16_t kLarge = 1;                                        // MDB_node::mn_flags: F_BIGDATA
constexpr std::uint16_t kIntegerKeys = 8;                                  // MDB_db::md_flags
constexpr std::size_t kPageHeader = 16, kNodeHeader = 8, kMetaBytes = 136, kKeyBytes = 32;
constexpr std::size_t kPageBytesMin = 512, kPageBytesMax = 32'768, kDepthMax = 32;
constexpr Page kNone = ~Page{0}, kFirstPage = 2;
// A page that was taken and given back within one transaction is never written: the file may be shorter than
// its pages. Beyond this, the number of pages is no number of pages.
constexpr Page kUnwrittenMax = 1 << 16;
constexpr std::uint64_t kTransactionsMax = std::uint64_t{1} << 56;  // far from where counting on would end

template <class T>
T number(std::string_view bytes, std::size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

base::Error damaged(const std::string& what) {
  return {base::Code::kCorrupt, what};
}
base::Error damaged(Page page, const char* what) {
  return damaged(fmt::format("page {}: {}", page, what));
}

/// MDB_db: one tree.
struct Tree {
  explicit Tree(std::string_view bytes)
      : flags(number<std::uint16_t>(bytes, 4)),
        depth(number<std::uint16_t>(bytes, 6)),
        branches(number<Page>(bytes, 8)),
        leaves(number<Page>(bytes, 16)),
        overflows(number<Page>(bytes, 24)),
        entries(number<std::uint64_t>(bytes, 32)),
        root(number<Page>(bytes, 40)) {}
  std::uint16_t flags, depth;
  Page branches, leaves, overflows;
  std::uint64_t entries;
  Page root;
};

struct Meta {
  explicit Meta(std::string_view bytes)
      : page_bytes(number<std::uint32_t>(bytes, 24)),
        free(bytes.substr(24)),
        main(bytes.substr(72)),
        last_page(number<Page>(bytes, 120)),
        transaction(number<std::uint64_t>(bytes, 128)) {}
  std::uint32_t page_bytes;
  Tree free, main;
  Page last_page;
  std::uint64_t transaction;
};

/// MDB_node: one item of a page.
struct Node {
  Node(std::string_view page, std::size_t at, bool leaf)
      : low(number<std::uint32_t>(page, at)),
        flags(number<std::uint16_t>(page, at + 4)),
        key_bytes(number<std::uint16_t>(page, at + 6)) {
    const std::size_t content = !leaf ? 0 : flags == kLarge ? sizeof(Page) : low;
    bytes = (kNodeHeader + key_bytes + content + 1) / 2 * 2;
    if (at + bytes > page.size()) return;
    key = page.substr(at + kNodeHeader, key_bytes);
    data = page.substr(at + kNodeHeader + key_bytes, content);
  }
  Page child() const { return low | static_cast<Page>(flags) << 32; }

  std::uint32_t low;  // of a leaf: the data's size
  std::uint16_t flags, key_bytes;
  std::size_t bytes;
  std::string_view key, data;
};

class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    struct stat info {};
    if (!is_open() || ::fstat(fd_.get(), &info) != 0) return;
    bytes_ = static_cast<std::uint64_t>(info.st_size);
    asked_.assign(bytes_ / kAhead + 1, false);
  }
  bool is_open() const { return fd_.get() >= 0; }
  std::uint64_t bytes() const { return bytes_; }

  /// False unless all of it could be read.
  bool read(std::uint64_t at, std::size_t size, std::string& out) {
    if (at >= bytes_ || size > bytes_ - at) return false;
    ask_ahead(at);
    out.resize(size);
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, size - done, static_cast<off_t>(at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      done += static_cast<std::size_t>(n);
    }
    return true;
  }

 private:
  static constexpr std::uint64_t kAhead = 4 << 20;

  /// Keys are hashes, so the next one's page is anywhere: a disk that is asked page by page takes 20 times as
  /// long as one that is asked for their surroundings.
  void ask_ahead(std::uint64_t at) {
    const std::size_t part = at / kAhead;
    if (asked_[part]) return;
    asked_[part] = true;
    (void)::readahead(fd_.get(), static_cast<off64_t>(part * kAhead), kAhead);
  }

  base::Fd fd_;
  std::uint64_t bytes_ = 0;
  std::vector<bool> asked_;  // by part of kAhead
};

class Check {
 public:
  explicit Check(File& file) : file_(file), bytes_(file.bytes()) {}
  base::Status run();

 private:
  enum class Keys { kDigests, kTransactions };
  struct Counts {
    Page branches = 0, leaves = 0, overflows = 0;
    std::uint64_t entries = 0;
  };
  struct Walk {
    const Tree& tree;
    const Keys keys;
    Counts counts;
    std::string last_key;       // the greatest so far
    bool last_is_item = false;  // else a branch's, and the first item below it may be the same
  };

  base::Status read_meta();
  base::Status check_meta() const;
  base::Status walk_tree(const Tree& tree, Keys keys);
  base::Status walk(Walk& walk, Page page, std::size_t depth);
  base::Status walk_branch(Walk& walk, Page page, const std::vector<Node>& nodes, std::size_t depth);
  base::Status walk_leaf(Walk& walk, Page page, const std::vector<Node>& nodes);
  base::Result<std::vector<Node>> nodes_of(Page page, std::string_view bytes, bool leaf) const;
  base::Status check_key(Walk& walk, Page page, const Node& node, bool is_item) const;
  base::Result<Page> overflow_pages(Page holder, const Node& node);
  base::Status free_pages(Page holder, const Node& node);
  base::Status take(Page page, Page count = 1);

  std::size_t page_bytes() const { return meta_.page_bytes; }
  std::uint64_t place(Page page) const { return page * page_bytes(); }

  File& file_;
  const std::uint64_t bytes_;
  Meta meta_{std::string(kMetaBytes, '\0')};
  std::vector<bool> taken_;  // by page: reached by a tree, or free
};

base::Status Check::read_meta() {
  std::vector<Meta> metas;
  std::size_t at = 0;
  for (int i = 0; i < 2; ++i) {
    std::string bytes;
    if (!file_.read(at, kPageHeader + kMetaBytes, bytes)) return damaged("it ends before its second page");
    const std::string_view meta = std::string_view(bytes).substr(kPageHeader);
    if ((number<std::uint16_t>(bytes, 10) & kMeta) == 0 || number<std::uint32_t>(meta, 0) != kMagic ||
        number<std::uint32_t>(meta, 4) != kVersion)
      return damaged(static_cast<Page>(i), "it isn't LMDB's");
    metas.emplace_back(meta);
    const std::size_t size = metas.back().page_bytes;
    if (size < kPageBytesMin || size > kPageBytesMax || (size & (size - 1)) != 0 ||
        size != metas.front().page_bytes)
      return damaged(static_cast<Page>(i), "its page size is none");
    at = size;
  }
  // As LMDB chooses; transaction n writes page n % 2.
  const std::size_t current = metas[0].transaction < metas[1].transaction ? 1 : 0;
  meta_ = metas[current];
  if (meta_.transaction != 0 && meta_.transaction % 2 != current)
    return damaged(current, "its transaction belongs on the other one");
  return check_meta();
}

base::Status Check::check_meta() const {
  const Page pages_max = bytes_ / meta_.page_bytes + kUnwrittenMax;
  if (meta_.last_page < kFirstPage - 1 || meta_.last_page >= pages_max)
    return damaged("its number of pages doesn't fit its size");
  // Of the flags only the low byte says how a tree is read.
  if ((meta_.free.flags & 0xFF) != kIntegerKeys || (meta_.main.flags & 0xFF) != 0)
    return damaged("its trees are of another kind");
  if (meta_.transaction > kTransactionsMax) return damaged("its transaction's number is none");
  return {};
}

base::Status Check::run() {
  if (bytes_ == 0) return {};
  TRY(read_meta());
  taken_.assign(meta_.last_page + 1, false);
  TRY(walk_tree(meta_.main, Keys::kDigests));
  return walk_tree(meta_.free, Keys::kTransactions);
}

base::Status Check::walk_tree(const Tree& tree, Keys keys) {
  Walk walk{.tree = tree, .keys = keys, .counts = {}, .last_key = {}};
  if (tree.root == kNone) {
    if (tree.depth != 0) return damaged("a tree has a depth and no root");
  } else {
    if (tree.depth == 0 || tree.depth > kDepthMax) return damaged("a tree's depth is none");
    TRY(this->walk(walk, tree.root, 1));
  }
  const Counts& found = walk.counts;
  if (found.branches != tree.branches || found.leaves != tree.leaves || found.overflows != tree.overflows ||
      found.entries != tree.entries)
    return damaged("a tree has other pages or entries than it says");
  return {};
}

/// Each page belongs to one owner: else writing to one would change another.
base::Status Check::take(Page page, Page count) {
  if (page < kFirstPage || page > meta_.last_page || count > meta_.last_page - page + 1)
    return damaged(page, "there is no such page");
  for (Page i = page; i < page + count; ++i) {
    if (taken_[i]) return damaged(i, "it is used twice");
    taken_[i] = true;
  }
  return {};
}

base::Status Check::walk(Walk& walk, Page page, std::size_t depth) {
  TRY(take(page));
  std::string bytes;
  if (!file_.read(place(page), page_bytes(), bytes)) return damaged(page, "it can't be read");
  const bool leaf = depth == walk.tree.depth;
  if (number<Page>(bytes, 0) != page) return damaged(page, "it says that it is another");
  if (number<std::uint16_t>(bytes, 10) != (leaf ? kLeaf : kBranch))
    return damaged(page, "it is of another kind than its tree says");
  TRY_ASSIGN(const std::vector<Node> nodes, nodes_of(page, bytes, leaf));
  ++(leaf ? walk.counts.leaves : walk.counts.branches);
  return leaf ? walk_leaf(walk, page, nodes) : walk_branch(walk, page, nodes, depth);
}

/// The items, which fill the page from `upper` to its end without a gap.
base::Result<std::vector<Node>> Check::nodes_of(Page page, std::string_view bytes, bool leaf) const {
  const std::size_t lower = number<std::uint16_t>(bytes, 12), upper = number<std::uint16_t>(bytes, 14);
  if (lower < kPageHeader || lower % 2 != 0 || upper < lower || upper > bytes.size())
    return damaged(page, "its bounds are none");
  const std::size_t count = (lower - kPageHeader) / 2;
  if (count < (leaf ? 1U : 2U)) return damaged(page, "it has too few items");
  std::vector<Node> nodes;
  std::vector<std::pair<std::size_t, std::size_t>> extents;
  nodes.reserve(count);
  extents.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = number<std::uint16_t>(bytes, kPageHeader + 2 * i);
    if (at < upper || at + kNodeHeader > bytes.size() || at % 2 != 0)
      return damaged(page, "an item is outside");
    nodes.emplace_back(bytes, at, leaf);
    if (leaf && nodes.back().flags != 0 && nodes.back().flags != kLarge)
      return damaged(page, "an item is of a kind that isn't used here");
    extents.emplace_back(at, nodes.back().bytes);
  }
  std::ranges::sort(extents);
  std::size_t end = upper;
  for (const auto& [at, size] : extents) {
    if (at != end) return damaged(page, "its items don't lie side by side");
    end += size;
  }
  if (end != bytes.size()) return damaged(page, "its items don't fill it");
  return nodes;
}

base::Status Check::walk_branch(Walk& walk, Page page, const std::vector<Node>& nodes, std::size_t depth) {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    // What the first child holds is bounded by the level above.
    if (i > 0) TRY(check_key(walk, page, nodes[i], false));
    TRY(this->walk(walk, nodes[i].child(), depth + 1));
  }
  return {};
}

/// A branch's key is above all keys of the child before it, and not above any of its own child's.
base::Status Check::check_key(Walk& walk, Page page, const Node& node, bool is_item) const {
  const bool digests = walk.keys == Keys::kDigests;
  if (node.key.size() != (digests ? kKeyBytes : sizeof(std::uint64_t)))
    return damaged(page, "a key has another length");
  // Transactions in an order that compares as bytes do.
  std::string key(node.key);
  if (!digests) std::ranges::reverse(key);
  if (key < walk.last_key || (walk.last_is_item && key == walk.last_key))
    return damaged(page, "its keys are out of order");
  walk.last_key = std::move(key);
  walk.last_is_item = is_item;
  return {};
}

base::Status Check::walk_leaf(Walk& walk, Page page, const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    TRY(check_key(walk, page, node, true));
    if (node.flags == kLarge) {
      TRY_ASSIGN(const Page pages, overflow_pages(page, node));
      walk.counts.overflows += pages;
    }
    if (walk.keys == Keys::kTransactions) TRY(free_pages(page, node));
    ++walk.counts.entries;
  }
  return {};
}

/// Of a value that has pages of its own.
base::Result<Page> Check::overflow_pages(Page holder, const Node& node) {
  const Page first = number<Page>(node.data, 0);
  std::string header;
  if (first > meta_.last_page || !file_.read(place(first), kPageHeader, header))
    return damaged(holder, "a large value is nowhere");
  const Page pages = number<std::uint32_t>(header, 12);
  const Page needed = (kPageHeader - 1 + node.low) / page_bytes() + 1;
  if (number<Page>(header, 0) != first || number<std::uint16_t>(header, 10) != kOverflow || pages < needed)
    return damaged(first, "it isn't the large value's that it should be");
  TRY(take(first, pages));
  if (place(first) + kPageHeader + node.low > bytes_) return damaged(first, "it goes beyond the file's end");
  return pages;
}

/// A list of pages that a transaction has freed: how many, then they, the greatest first.
base::Status Check::free_pages(Page holder, const Node& node) {
  const auto transaction = number<std::uint64_t>(node.key, 0);
  if (transaction == 0 || transaction > meta_.transaction)
    return damaged(holder, "pages were freed by a transaction that never was");
  std::string bytes(node.data);
  if (node.flags == kLarge && !file_.read(place(number<Page>(node.data, 0)) + kPageHeader, node.low, bytes))
    return damaged(holder, "a list of free pages can't be read");
  const std::size_t room = bytes.size() / sizeof(Page);
  if (room == 0 || bytes.size() % sizeof(Page) != 0 || number<std::uint64_t>(bytes, 0) > room - 1)
    return damaged(holder, "a list of free pages has another length");
  Page before = kNone;
  for (std::size_t i = 1; i <= number<std::uint64_t>(bytes, 0); ++i) {
    const Page page = number<Page>(bytes, i * sizeof(Page));
    if (page >= before) return damaged(holder, "a list of free pages is out of order");
    TRY(take(page));
    before = page;
  }
  return {};
}

}  // namespace

base::Status check_store(const std::string& path) {
  TRY(base::check_file(path));
  File file(path);
  if (!file.is_open())
    return base::Error{base::Code::kIo, fmt::format("can't read {}: {}", path, std::strerror(errno))};
  return Check(file).run();
}

}  // namespace pmt::response_cache
