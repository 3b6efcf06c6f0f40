#include "response_cache/store/deep_size.h"

#include <gtest/gtest.h>

#include <malloc.h>

#include "base/sanitized.h"

namespace pmt::response_cache {
namespace {

using json = nlohmann::json;

json sample_json() {
  json value = json::array();
  for (int i = 0; i < 500; ++i) {
    value.push_back({{"id", i},
                     {"text", std::string(static_cast<std::size_t>(i), 'x')},
                     {"a member with a long name", {1.5, nullptr, true}}});
  }
  return value;
}

std::vector<llm::Event> sample_events() {
  std::vector<llm::Event> events;
  for (int i = 0; i < 500; ++i) {
    llm::Delta delta{.choice = 0, .text = std::string(static_cast<std::size_t>(i % 40), 'y'), .logprobs = {}};
    delta.logprobs.push_back(
        {.token = "a token that is quite long", .logprob = -1, .top = {{"b", -2.0F}, {"c", -3.0F}}});
    events.emplace_back(std::move(delta));
  }
  return events;
}

TEST(DeepSize, GrowsWithWhatIsHeld) {
  EXPECT_EQ(heap_bytes(json(1)), 0U);
  EXPECT_GE(heap_bytes(json(std::string(1000, 'x'))), 1000U);
  EXPECT_LE(heap_bytes(json(std::string(1000, 'x'))), 1100U);
  const llm::Event done = llm::Done{.usage = {}, .report = {}};
  EXPECT_EQ(heap_bytes(done), 0U);
  llm::Done with_facts;
  with_facts.report.knowledge =
      llm::KnowledgeReport{.domains = {}, .slots_read = 1, .facts = {std::string(200, 'f')}};
  EXPECT_GE(heap_bytes(llm::Event(with_facts)), 200U);
}

// The allocator's own count is the judge. It misses small blocks that were freed before and are used again.
TEST(DeepSize, AgreesWithTheAllocator) {
  if (base::kSanitized) GTEST_SKIP() << "a sanitizer's allocator does not tell mallinfo2";
  const auto in_use = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;  // a large block is a mapping of its own
  };
  const auto check = [&](auto make, auto size_of) {
    const std::size_t before = in_use();
    const auto value = make();
    const auto held = static_cast<double>(in_use() - before);
    EXPECT_NEAR(static_cast<double>(size_of(value)), held, 0.05 * held);
  };
  check(sample_json, [](const json& value) { return heap_bytes(value); });
  check(sample_events, [](const std::vector<llm::Event>& events) {
    std::size_t bytes = events.capacity() * sizeof(llm::Event);
    for (const auto& event : events) bytes += heap_bytes(event);
    return bytes;
  });
}

}  // namespace
}  // namespace pmt::response_cache
