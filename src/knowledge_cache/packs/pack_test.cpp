#include "knowledge_cache/packs/pack.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

TEST(Pack, ADamagedOneIsRefused) {
  const std::string pack =
      pack_bytes(*test_domain({test_slot("1", "Where is Zorvane Labs?", "Porto", test_lexicon())}));
  ASSERT_TRUE(domain_of(pack));
  for (std::size_t cut = 0; cut < pack.size(); cut += 7) EXPECT_FALSE(domain_of(pack.substr(0, cut)));
  for (std::size_t at = 0; at < pack.size(); at += 3) {
    std::string edited = pack;
    edited[at] = static_cast<char>(edited[at] ^ 0x10);
    EXPECT_FALSE(domain_of(edited)) << at;
  }
}

TEST(Pack, TheFirstFormIsRead) {
  using nlohmann::json;
  const json slot{{"id", "1"},
                  {"prompt", "Where is Zorvane Labs?"},
                  {"answer", "Porto"},
                  {"mention", "Zorvane Labs"},
                  {"line", 1},
                  {"words", {"zorvane", "labs"}},
                  {"asked", {"where is this thing"}},
                  {"learnt", -7},
                  {"statement", "Zorvane Labs is in Porto."},
                  {"source", "test"},
                  {"revision", 1},
                  {"keys", {json::binary({0, 0, 128, 63, 1, 255})}}};
  const auto body = json::to_cbor({{"domain", "acme"},
                                   {"model", "digest-a"},
                                   {"space", ""},
                                   {"version", "v"},
                                   {"learnt", 5},
                                   {"slots", {slot}}});
  std::string pack = with_head({reinterpret_cast<const char*>(body.data()), body.size()});
  pack[7] = '1';
  const auto first = domain_of(pack);
  ASSERT_TRUE(first) << first.error().message;
  const auto now = domain_of(pack_bytes(**first));
  ASSERT_TRUE(now) << now.error().message;
  for (const auto& domain : {*first, *now}) {
    const Slot* read = domain->find("1");
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->fact.answer, "Porto");
    EXPECT_EQ(read->learnt_unix_s, -7);
    EXPECT_EQ(read->phrasings->asked, std::vector<std::string>{"where is this thing"});
    ASSERT_EQ(read->phrasings->keys.size(), 1U);
    EXPECT_NEAR(read->phrasings->keys[0][0], 1, 0.01);
    EXPECT_NEAR(read->phrasings->keys[0][1], -1, 0.01);
  }
}

/// Made by hand, with a right checksum: every member of every type, one too many levels, and left out.
TEST(Pack, AnyShapeIsADomainOrAnError) {
  using nlohmann::json;
  const json slot{{"id", "1"},     {"prompt", "p"},       {"answer", "a"},  {"mention", "m"},
                  {"line", 1},     {"words", {"m"}},      {"phrasings", 0}, {"learnt", 1},
                  {"text", "t"},   {"statement", "s"},    {"subject", "s"}, {"source", "f"},
                  {"revision", 1}, {"paraphrases", {"p"}}};
  const json whole{
      {"domain", "acme"}, {"model", "m"},
      {"space", ""},      {"version", "v"},
      {"learnt", 5},      {"phrasings", {{{"asked", {"p"}}, {"keys", {json::binary({0, 0, 128, 63, 1})}}}}},
      {"slots", {slot}}};
  const auto read = [](const json& body) {
    const auto bytes = json::to_cbor(body);
    return domain_of(with_head({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  };
  ASSERT_TRUE(read(whole)) << read(whole).error().message;
  json deep;
  for (int i = 0; i < 2000; ++i) deep = json::array({std::move(deep)});
  const json wrong[] = {nullptr,
                        true,
                        7,
                        -7,
                        1e300,
                        1.5,
                        "text",
                        json::array(),
                        {1},
                        {"text"},
                        {{"a", 1}},
                        json::binary({1}),
                        json::binary({0, 0, 128, 127, 1}),
                        deep};
  std::size_t refused = 0;
  const auto try_each = [&](const json::json_pointer& at) {
    for (const auto& [name, value] : whole.at(at).items()) {
      for (const json& other : wrong) {
        json body = whole;
        body[at][name] = other;
        const auto domain = read(body);
        EXPECT_TRUE(!domain || &other != &wrong[13]) << at << "/" << name;
        if (domain) continue;
        EXPECT_EQ(domain.error().code, base::Code::kCorrupt);
        ++refused;
      }
    }
  };
  for (const char* at : {"", "/slots/0", "/phrasings/0"}) try_each(json::json_pointer(at));
  EXPECT_GT(refused, 150U);
}

TEST(Pack, HoldsTextsOfEveryLength) {
  for (const std::size_t length : {0, 23, 24, 255, 256, 65'535, 65'536}) {
    Slot slot;
    slot.fact = {.id = "1", .answer = std::string(length, 'x')};
    slot.learnt_unix_s = -static_cast<std::int64_t>(length);
    const Domain domain({"acme", "m", "", "v", 0}, {std::make_shared<const Slot>(std::move(slot))});
    const auto read = domain_of(pack_bytes(domain));
    ASSERT_TRUE(read) << length;
    EXPECT_EQ((*read)->slots()[0]->fact.answer.size(), length);
    EXPECT_EQ((*read)->slots()[0]->learnt_unix_s, -static_cast<std::int64_t>(length));
  }
}

}  // namespace
}  // namespace pmt::knowledge_cache
