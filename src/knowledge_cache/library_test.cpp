#include "knowledge_cache/library.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_library.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;

/// Without an embedder: addresses, packs and bookkeeping. What needs one is tested with the real one, in app/
/// and tests/e2e.
class LibraryTest : public LibraryFixture {
 protected:
  std::unique_ptr<Library> open(const std::string& model = "digest-a") {
    LibraryOptions options = library_options();
    options.model = model;
    options.on_warning = [this](const std::string& text) { warnings_.push_back(text); };
    return LibraryFixture::open(std::move(options));
  }
  static LearnReport learn(Library& library, const std::string& lines) {
    auto report = library.learn("acme", parse_facts(lines, {}), "test", {});
    EXPECT_TRUE(report) << report.error().message;
    return *report;
  }
  static std::string fact(const std::string& id, const std::string& prompt, const std::string& answer) {
    return fmt::format("{{\"id\": \"{}\", \"prompt\": \"{}\", \"answer\": \"{}\"}}\n", id, prompt, answer);
  }

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

TEST_F(LibraryTest, AReportSaysWhatALearningDid) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto") + fact("2", "Who runs Zorvane Labs?", "Ada"));
  const std::string version = (*library->find("acme"))->origin().version;
  const auto same = learn(*library, fact("9", "Where is Zorvane Labs?", "Porto"));
  EXPECT_EQ(same.known_before, 1U);
  EXPECT_EQ(same.version, version) << "nothing has changed";
  const auto report = learn(*library, fact("1", "Where is Zorvane Labs?", "Lisbon") +
                                          fact("9", "Who runs Zorvane Labs?", "Bob") +
                                          fact("3", "What is it?", "Tea") + "no fact\n");
  EXPECT_EQ(report.given, 4U);
  EXPECT_EQ(report.updated, 1U);
  EXPECT_EQ(report.recalled, 1U);
  EXPECT_EQ(report.learnt, 0U);
  EXPECT_EQ(report.others_asked, 1U);
  EXPECT_EQ(report.others_changed, 0U);
  ASSERT_EQ(report.contradictions.size(), 1U);
  EXPECT_EQ(report.contradictions[0].known_answer, "Ada");
  ASSERT_EQ(report.errors.size(), 2U);
  EXPECT_EQ(report.errors[0].line, 4U);
  EXPECT_EQ(report.errors[1].line, 3U) << "names nothing";
  EXPECT_NE(report.version, version);
  EXPECT_EQ((*library->find("acme"))->find("1")->fact.answer, "Lisbon");
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

TEST_F(LibraryTest, ATenantsDomainsAreItsOwn) {
  auto library = open();
  learn(*library, fact("1", "Where is Zorvane Labs?", "Porto"));
  Library& tenant = library->of_tenant("../b");
  EXPECT_EQ(&tenant, &library->of_tenant("../b"));
  EXPECT_EQ(library.get(), &library->of_tenant(""));
  EXPECT_TRUE(tenant.list().empty());
  learn(tenant, fact("1", "Where is Zorvane Labs?", "Rome"));
  EXPECT_EQ((*tenant.find("acme"))->find("1")->fact.answer, "Rome");
  EXPECT_EQ((*library->find("acme"))->find("1")->fact.answer, "Porto");
  EXPECT_EQ((*open()->of_tenant("../b").find("acme"))->find("1")->fact.answer, "Rome") << "from its file";
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
