#include "knowledge_cache/library.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "knowledge_cache/packs/pack.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;

/// Without an embedder: addresses, packs and bookkeeping. What needs one is tested with the real one, in app/
/// and tests/e2e.
class LibraryTest : public testing::Test {
 protected:
  LibraryTest()
      : folder_(fs::temp_directory_path() /
                fmt::format("pmt-library-{}-{}", getpid(),
                            testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder_);
  }
  ~LibraryTest() override { fs::remove_all(folder_); }

  std::unique_ptr<Library> open(const std::string& model = "digest-a") {
    LibraryOptions options;
    options.folder = folder_.string();
    options.model_name = "m";
    options.model = model;
    options.rarity = [](std::string_view word) { return word.size() > 6 ? 12.0 : 9.0; };
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    return std::move(*Library::open(std::move(options), clock_));
  }
  static LearnReport learn(Library& library, const std::string& lines) {
    auto report = library.learn("acme", parse_facts(lines, {}), "test", {});
    EXPECT_TRUE(report) << report.error().message;
    return *report;
  }
  static std::string fact(const std::string& id, const std::string& prompt, const std::string& answer) {
    return fmt::format("{{\"id\": \"{}\", \"prompt\": \"{}\", \"answer\": \"{}\"}}\n", id, prompt, answer);
  }

  base::SystemClock clock_;
  fs::path folder_;
  std::vector<std::string> warnings_;
};

TEST_F(LibraryTest, LearnsKeepsAndForgets) {
  auto library = open();
  const auto report = learn(
      *library, fact("1", "Where is Zorvane Labs?", "Porto") + fact("2", "Who runs Zorvane Labs?", "Ada"));
  EXPECT_EQ(report.learnt, 2U);
  EXPECT_EQ(report.recalled, 2U);
  auto again = open();
  ASSERT_EQ(again->list().size(), 1U);
  EXPECT_EQ(again->list()[0].facts, 2U);
  EXPECT_EQ(again->list()[0].version, report.version);
  ASSERT_TRUE(again->forget_fact("acme", "1"));
  EXPECT_FALSE(again->forget_fact("acme", "1"));
  library->refresh();  // the other one sees it
  EXPECT_EQ((*library->find("acme"))->slots().size(), 1U);
  EXPECT_NE((*library->find("acme"))->origin().version, report.version);
  ASSERT_TRUE(library->forget("acme"));
  EXPECT_THAT(library->find("acme").error().message, testing::HasSubstr("nothing was taught"));
}

TEST_F(LibraryTest, SeesWhatAnotherProcessDoesToAFolderAtRest) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto"));
  const auto an_hour_ago = fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(folder_, an_hour_ago);
  library->refresh();  // has read it as it is
  fs::remove(folder_ / "acme.pack");
  fs::last_write_time(folder_, an_hour_ago);
  library->refresh();
  EXPECT_TRUE(library->find("acme")) << "a folder at rest isn't read again";
  learn(*open(), fact("2", "Who runs Zorvane Labs?", "Ada"));
  library->refresh();
  ASSERT_TRUE(library->find("acme"));
  EXPECT_NE((*library->find("acme"))->find("2"), nullptr);
  EXPECT_EQ((*library->find("acme"))->find("1"), nullptr);
}

TEST_F(LibraryTest, UpdatesAndContradictions) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto"));
  EXPECT_EQ(learn(*library, fact("9", "Where is Zorvane Labs?", "Porto")).known_before, 1U);
  const auto other = learn(*library, fact("9", "Where is Zorvane Labs?", "Lisbon"));
  EXPECT_EQ(other.learnt, 0U);
  ASSERT_EQ(other.contradictions.size(), 1U);
  EXPECT_EQ(other.contradictions[0].known_answer, "Porto");
  EXPECT_EQ(learn(*library, fact("1", "Where is Zorvane Labs?", "Lisbon")).updated, 1U);
  const Slot* slot = (*library->find("acme"))->find("1");
  EXPECT_EQ(slot->fact.answer, "Lisbon");
  EXPECT_EQ(slot->revision, 2);
}

TEST_F(LibraryTest, ADamagedPackIsSetAside) {
  learn(*open(), fact("1", "Where is Zorvane Labs?", "Porto"));
  const fs::path path = folder_ / "acme.pack";
  fs::resize_file(path, fs::file_size(path) - 3);
  auto library = open();
  EXPECT_TRUE(library->list().empty());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::exists(folder_ / "acme.pack.damaged-1"));
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_THAT(warnings_[0], testing::HasSubstr("set aside"));
}

TEST_F(LibraryTest, AnotherModelsPackIsRefusedAndKept) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto"));
  const std::string pack = *library->export_pack("acme");
  auto other = open("digest-b");
  EXPECT_TRUE(other->list().empty());
  EXPECT_TRUE(fs::exists(folder_ / "acme.pack"));
  EXPECT_THAT(other->import_pack(pack, "").error().message, testing::HasSubstr("another model"));
  const auto imported = library->import_pack(pack, "copy");
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->facts, 1U);
  EXPECT_NE(imported->version, (*library->find("acme"))->origin().version) << "a version never comes back";
}

TEST_F(LibraryTest, HostilePacksAreRefused) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto"));
  const std::string pack = *library->export_pack("acme");
  for (std::size_t cut = 0; cut < pack.size(); cut += 7) EXPECT_FALSE(domain_of(pack.substr(0, cut)));
  for (std::size_t at = 0; at < pack.size(); at += 3) {
    std::string edited = pack;
    edited[at] = static_cast<char>(edited[at] ^ 0x10);
    EXPECT_FALSE(domain_of(edited)) << at;
  }
}

TEST_F(LibraryTest, FactsOfOneRelationShareTheirPhrasings) {
  auto library = open();
  learn(*library,
        fact("1", "Where is Zorvane Labs?", "Porto") + fact("2", "Where is Kelmaria Labs?", "Rome"));
  learn(*library, fact("3", "Where is Brunolosa Labs?", "Bern") + fact("4", "Who runs Zorvane Labs?", "Ada"));
  const auto phrasings = [](const Library& of, const char* id) {
    return (*of.find("acme"))->find(id)->phrasings.get();
  };
  const auto shared_by_three = [&](const Library& of) {
    EXPECT_EQ(phrasings(of, "1"), phrasings(of, "2"));
    EXPECT_EQ(phrasings(of, "1"), phrasings(of, "3"));
    EXPECT_NE(phrasings(of, "1"), phrasings(of, "4"));
  };
  shared_by_three(*library);
  shared_by_three(*open());  // from the file
  std::size_t bytes = phrasings(*library, "1")->bytes() + phrasings(*library, "4")->bytes();
  for (const auto& slot : (*library->find("acme"))->slots()) bytes += slot->bytes();
  EXPECT_EQ((*library->find("acme"))->bytes(), bytes);
  ASSERT_TRUE(library->forget_fact("acme", "1"));
  EXPECT_EQ(phrasings(*open(), "2")->asked, phrasings(*library, "3")->asked);
}

TEST_F(LibraryTest, APackOfTheFirstFormIsRead) {
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
TEST_F(LibraryTest, APackOfAnyShapeIsADomainOrAnError) {
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
        if (!domain) EXPECT_EQ(domain.error().code, base::Code::kCorrupt);
        refused += domain ? 0 : 1;
      }
    }
  };
  for (const char* at : {"", "/slots/0", "/phrasings/0"}) try_each(json::json_pointer(at));
  EXPECT_GT(refused, 150U);
}

TEST_F(LibraryTest, PacksHoldTextsOfEveryLength) {
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

TEST_F(LibraryTest, TwoLearningsOfOneDomainBothCount) {
  auto a = open(), b = open();
  const auto many = [](int from) {
    std::string lines;
    for (int i = from; i < from + 20; ++i)
      lines += fact(std::to_string(i), fmt::format("Where is Zorvane{} Labs?", i), "Porto");
    return lines;
  };
  std::thread first([&] { learn(*a, many(0)); });
  std::thread second([&] { learn(*b, many(100)); });
  first.join();
  second.join();
  EXPECT_EQ(open()->list()[0].facts, 40U);
}

TEST_F(LibraryTest, AFolderThatCantBeWrittenChangesNothing) {
  if (geteuid() == 0) {
    // root writes anywhere: a file in the folder's place refuses it too.
    fs::create_directories(folder_.parent_path());
    std::ofstream(folder_.string()) << "a file";
  } else {
    fs::create_directories(folder_);
    fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  }
  auto library = open();
  const auto report =
      library->learn("acme", parse_facts(fact("1", "Where is Zorvane Labs?", "Porto"), {}), "test", {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, base::Code::kIo);
  EXPECT_TRUE(library->list().empty());
}

}  // namespace
}  // namespace pmt::knowledge_cache
