#include "inference/prefix_disk.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "inference/job_fixture.h"
#include "inference/prefix_reuse.h"
#include "inference/prefix_scope.h"

namespace pmt::inference {
namespace {

using kv_cache::KvHeadId;
using kv_cache::LayerId;

class PrefixDiskTest : public JobFixture {
 protected:
  void SetUp() override {
    JobFixture::SetUp();
    path_ = std::filesystem::temp_directory_path() / fmt::format("permutation-prefix-disk-{}", getpid());
    std::filesystem::remove_all(path_);
    options_.prefix_wipes = &wipes_;
    options_.model_digest = "tiny";
    start();
  }
  void TearDown() override {
    reuse_.reset();
    files_.reset();
    EXPECT_EQ(pool_->stats().pages_used, 0U) << "pins went with their owner";
    std::filesystem::remove_all(path_);
  }
  /// As after a restart: memory is empty, the disk is as it was.
  void start() {
    reuse_.reset();
    files_.reset();
    files_ = std::move(*kv_cache::PrefixFiles::open({.path = path_.string(), .bytes_max = 1 << 30}, clock_));
    options_.prefix_files = files_.get();
    reuse_.emplace(*pool_, options_, clock_, counters_);
  }
  /// Begins `job`, as far as it can go on from a prefix.
  std::int64_t begin(Job& job) {
    EXPECT_TRUE(make_choices(job));
    reuse_->reuse(job);
    return job.kv.prefix_tokens_reused;
  }
  /// Reads the rest: each token's page rows become a byte that tells of it.
  void read_rest(Job& job) {
    kv_cache::SequenceKv& sequence = job.running[0].sequence();
    const int from = sequence.tokens();
    read(job);
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      for (std::uint32_t head = 0; head < 2; ++head) {
        const auto pages = sequence.table(LayerId(layer), KvHeadId(head)).pages;
        for (std::size_t i = static_cast<std::size_t>(from) / kernels::kPageTokens; i < pages.size(); ++i)
          std::memset(pool_->data(pages[i]), mark(job, layer, head, i),
                      pool_->bytes_of(kv_cache::PageSize::kLarge));
      }
    }
  }
  static int mark(const Job& job, std::uint32_t layer, std::uint32_t head, std::size_t page) {
    return (job.prompt[page * kernels::kPageTokens] + static_cast<int>(layer * 2 + head)) % 251;
  }
  void expect_pages_of(const Job& job) {
    const kv_cache::SequenceKv& sequence = job.running[0].sequence();
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      for (std::uint32_t head = 0; head < 2; ++head) {
        const auto pages = sequence.table(LayerId(layer), KvHeadId(head)).pages;
        for (std::size_t i = 0; i < pages.size(); ++i)
          ASSERT_EQ(static_cast<int>(*pool_->data(pages[i])), mark(job, layer, head, i)) << "page " << i;
      }
    }
  }
  void read_and_remember(Job& job) {
    begin(job);
    read_rest(job);
    clock_.advance(std::chrono::seconds(1));
    reuse_->remember(job, job.running[0]);
  }

  std::filesystem::path path_;
  kv_cache::PrefixWipes wipes_;
  std::unique_ptr<kv_cache::PrefixFiles> files_;
  std::optional<PrefixReuse> reuse_;
};

TEST_F(PrefixDiskTest, ARestartGoesOnFromTheDisk) {
  {
    const auto first = job("first", 300);
    read_and_remember(*first);
    EXPECT_EQ(first->kv.prefix_source, "");
    EXPECT_EQ(first->kv.prefix_key.size(), 64U);
    const auto same = job("same", 300);
    EXPECT_EQ(begin(*same), 299);
    EXPECT_EQ(same->kv.prefix_source, "memory");
  }
  start();
  const auto second = job("second", 310);
  EXPECT_EQ(begin(*second), 256) << "whole blocks";
  EXPECT_EQ(second->kv.prefix_source, "disk");
  expect_pages_of(*second);
  EXPECT_EQ(counters_.prefix_disk_hits, 1U);
  EXPECT_EQ(counters_.prefix_disk_tokens, 256U);
  read_rest(*second);
  expect_pages_of(*second);
}

TEST_F(PrefixDiskTest, WhatMemoryHasIsNotReadAgain) {
  {
    const auto first = job("first", 400);
    read_and_remember(*first);
  }
  start();
  {
    auto shorter = job("shorter", 150);
    read_and_remember(*shorter);
    EXPECT_EQ(shorter->kv.prefix_source, "disk");
  }
  const auto longer = job("longer", 390);
  EXPECT_EQ(begin(*longer), 384);
  EXPECT_EQ(counters_.prefix_disk_tokens, 128U + 256U);
  expect_pages_of(*longer);
}

TEST_F(PrefixDiskTest, AnotherScopeOrModelFindsNothing) {
  {
    const auto first = job("first", 200);
    read_and_remember(*first);
  }
  start();
  const auto other = job("other", 200);
  other->prefix_scope = tenant_scope("bob");
  EXPECT_EQ(begin(*other), 0);
  options_.model_digest = "another";
  EXPECT_EQ(begin(*job("model", 200)), 0);
  EXPECT_EQ(counters_.prefix_disk_misses, 3U) << "the first one's too";
}

TEST_F(PrefixDiskTest, ABlockThatIsDamagedIsReadByTheModel) {
  {
    const auto first = job("first", 300);
    read_and_remember(*first);
  }
  start();
  for (const auto& file : std::filesystem::recursive_directory_iterator(path_)) {
    if (file.path().extension() != ".kv") continue;
    std::filesystem::resize_file(file.path(), 1000);
    break;
  }
  const auto second = job("second", 300);
  EXPECT_LT(begin(*second), 256);
  expect_pages_of(*second);
  EXPECT_EQ(files_->stats().damaged, 1U);
  read_rest(*second);
  reuse_->remember(*second, second->running[0]);
}

TEST_F(PrefixDiskTest, AWipeReachesMemoryAndWhatRuns) {
  const auto anns = [this](const std::string& id, int tokens, int text) {
    auto out = job(id, tokens, text);
    out->user.tenant = "ann";
    out->prefix_scope = tenant_scope("ann");
    return out;
  };
  const auto running = anns("running", 300, 1);
  {
    const auto first = anns("first", 200, 0);
    read_and_remember(*first);
    begin(*running);
    while (files_->stats().waiting > 0) {
    }
  }
  wipes_.add("ann");
  EXPECT_GT(files_->wipe({.tenant = "ann"}), 0U);
  read_rest(*running);
  reuse_->remember(*running, running->running[0]);
  EXPECT_EQ(begin(*anns("again", 200, 0)), 0);
  EXPECT_EQ(begin(*anns("running again", 300, 1)), 0);
  EXPECT_EQ(reuse_->index().entries(), 0U);
  EXPECT_EQ(files_->stats().entries, 0);
}

TEST_F(PrefixDiskTest, AWipeOfAnotherTenantKeepsWhatMemoryHolds) {
  const auto first = job("first", 200);
  first->prefix_scope = tenant_scope("ann");
  read_and_remember(*first);
  wipes_.add("bob");
  const auto same = job("same", 200);
  same->prefix_scope = tenant_scope("ann");
  EXPECT_EQ(begin(*same), 199);
}

TEST_F(PrefixDiskTest, PagesThatWaitForTheDiskGoWhenRequestsNeedThem) {
  {
    const auto first = job("first", 900);  // 116 of 128 pages
    read_and_remember(*first);
  }
  ASSERT_LT(pool_->pages_free(), 20U);
  reuse_->give_up(120);
  EXPECT_GE(pool_->pages_free(), 120U);
}

}  // namespace
}  // namespace pmt::inference
