#include "llm/meter.h"

#include <gtest/gtest.h>

#include "llm/sinks.h"

namespace pmt::llm {
namespace {

/// Answers at once with the usage that it is given.
class Fixed final : public Completer {
 public:
  void start(Request&&, std::shared_ptr<Sink> sink, base::CancelToken) override {
    if (!usage) return sink->on_event(Failed{{base::Code::kUnavailable, "away"}});
    sink->on_event(Started{.model = "m", .created_unix_s = 1, .cache = {}});
    sink->on_event(ChoiceEnd{});
    sink->on_event(Done{.usage = *usage, .report = {}});
  }
  std::optional<Usage> usage;
};

class MeterTest : public testing::Test {
 protected:
  void ask(std::optional<Usage> usage, const std::string& key,
           base::Surface surface = base::Surface::kCompletions) {
    model.usage = std::move(usage);
    Request request;
    request.tenant = "team";
    request.key = key;
    request.surface = surface;
    const auto sink = std::make_shared<CollectingSink>();
    metered.start(std::move(request), sink, {});
    sink->wait();
  }
  base::FakeClock clock;
  base::UsageCounter used;
  std::map<std::string, double> spent;
  Meter meter{clock, {.prompt_cache_usage = &used, .on_spent = [this](const std::string& key, double usd) {
                        spent[key] += usd;
                      }}};
  Fixed model;
  MeteredCompleter metered{model, meter, {.model = "p/m", .upstream = true, .cost = [](const Usage& usage) {
                                            return Cost{.usd = static_cast<double>(usage.completion_tokens),
                                                        .prompt_cache_saved_usd = 0.5};
                                          }}};
};

TEST_F(MeterTest, CountsByModelTenantAndKey) {
  ask(Usage{.prompt_tokens = 100,
            .completion_tokens = 2,
            .cached_prompt_tokens = 60,
            .cache_written_tokens = 30},
      "ann");
  ask(Usage{.prompt_tokens = 50, .completion_tokens = 1, .cached_prompt_tokens = 0}, "ann",
      base::Surface::kPermutation);
  ask(Usage{.prompt_tokens = 7, .completion_tokens = 4}, "bob");
  ask(std::nullopt, "bob");
  const auto tallies = meter.tallies();
  ASSERT_EQ(tallies.size(), 2U);
  const Meter::Tally& ann = tallies.at({"p/m", "team", "ann"});
  EXPECT_TRUE(ann.upstream);
  EXPECT_EQ(ann.answers, 2U);
  EXPECT_EQ(ann.reported, 2U);
  EXPECT_EQ(ann.hits, 1U);
  EXPECT_EQ(ann.read, 60);
  EXPECT_EQ(ann.written, 30);
  EXPECT_EQ(ann.missed, 60);
  EXPECT_DOUBLE_EQ(ann.usd, 3);
  EXPECT_DOUBLE_EQ(ann.prompt_cache_saved_usd, 1);
  const Meter::Tally& bob = tallies.at({"p/m", "team", "bob"});
  EXPECT_EQ(bob.answers, 1U) << "one that failed took nobody knows what";
  EXPECT_EQ(bob.reported, 0U);
  EXPECT_EQ(bob.missed, 0) << "nobody spoke of a cache";
  EXPECT_EQ(spent, (std::map<std::string, double>{{"ann", 3}, {"bob", 4}}));
}

TEST_F(MeterTest, TheAuditCountsWhatWasReadAndWhere) {
  ask(Usage{.prompt_tokens = 100, .cached_prompt_tokens = 60}, "ann", base::Surface::kRlm);
  ask(Usage{.prompt_tokens = 100, .cached_prompt_tokens = 0}, "ann", base::Surface::kRlm);
  EXPECT_EQ(used.count(base::Surface::kRlm), 1U);
  const auto cells = used.by_user().at({"p/m", "team", "ann"});
  EXPECT_EQ(cells[static_cast<std::size_t>(base::Surface::kRlm)].tokens, 60);
  EXPECT_EQ(used.count(base::Surface::kCompletions), 0U);
}

}  // namespace
}  // namespace pmt::llm
