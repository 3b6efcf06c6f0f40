#include "knowledge_cache/documents/documents.h"

#include <array>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/document_request.h"
#include "knowledge_cache/documents/attach.h"
#include "knowledge_cache/library.h"
#include "knowledge_cache/pack_references.h"
#include "knowledge_cache/packs/pack.h"
#include "knowledge_cache/test_library.h"

namespace pmt::knowledge_cache {
namespace {

constexpr char kHandbook[] =
    "# Handbook\n\n## Leave\n\nEmployees have twenty-seven days of paid leave a year.\n\n## Visitors\n\n"
    "Visitors sign at the front desk and wear a green badge.\n";

Document document(std::string name, std::string text) {
  return *document_of(std::move(name), "", std::move(text));
}

Documents documents_of(const std::string& text) {
  return Documents({std::make_shared<const Document>(document("handbook.md", text))});
}

TEST(DocumentOf, ReadsWhatItsNameSays) {
  EXPECT_EQ(document("a.md", "# A").media_type, "text/markdown");
  EXPECT_EQ(document("a", "A").media_type, "text/plain");
  EXPECT_EQ(document("A.HTML", "<p>one<p>two").text, "one\n\ntwo");
  EXPECT_EQ(document_of("a.txt", "text/html; charset=utf-8", "<b>x</b>")->text, "x");
  EXPECT_EQ(media_type_of("facts.jsonl"), "");
}

TEST(DocumentOf, RefusesTheRest) {
  for (const auto& [name, type, text] :
       std::vector<std::array<std::string, 3>>{{"", "", "x"},
                                               {"a/b", "", "x"},
                                               {"..", "", "x"},
                                               {"a", "image/png", "x"},
                                               {"a.pdf", "", "x"},
                                               {"a", "", " \n"},
                                               {"a", "", "\xFF"},
                                               {"a", "", std::string("a\0b", 3)}})
    EXPECT_FALSE(document_of(name, type, text)) << name << type << text;
  EXPECT_EQ(document_of("a", "", "xx", {.text_bytes_max = 1}).error().code, base::Code::kTooLarge);
}

TEST(Documents, FindTheRightPassageAlone) {
  const Documents documents = documents_of(kHandbook);
  const auto found = documents.find("How many days of leave do employees have?");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(std::string(documents.text_of(documents.passages()[found[0].passage])),
              testing::HasSubstr("twenty-seven"));
}

TEST(Documents, FindNothingForWhatIsAboutSomethingElse) {
  const Documents documents = documents_of(kHandbook);
  for (const char* const question : {"What is the capital of France?", "Hello!", "What is it?", "",
                                     "Write a poem about the sea and a green boat at night."})
    EXPECT_TRUE(documents.find(question).empty()) << question;
  EXPECT_TRUE(documents.find(std::string(2'000, 'x') + " leave employees days").empty())
      << "a text of its own";
}

TEST(Attach, PutsTheBestLast) {
  llm::Request request;
  request.messages.push_back({.role = "user",
                              .content = "Which badge do visitors of the desk wear?",
                              .name = {},
                              .tool_call_id = {}});
  const auto list = Documents::List{
      std::make_shared<const Document>(document("a.md", "Visitors of the desk wear a green badge.")),
      std::make_shared<const Document>(document(
          "b.md", "Visitors wear a badge of some colour at the desk, says the old book of the house."))};
  const auto domain = std::make_shared<const Domain>(Domain::Origin{"acme", "m", "", "v", 0}, Domain::Slots(),
                                                     std::make_shared<const Documents>(list));
  const Candidates found = candidates_of(request, conversation_of(request), {domain});
  const Attachment shown = attachment_of(found, {});
  ASSERT_EQ(shown.sources.size(), 2U);
  EXPECT_EQ(shown.sources.back().document, "a.md");
  EXPECT_EQ(shown.passages.back(), list[0]->text);
  // What the embedder finds nearer wins over some words.
  ASSERT_TRUE(found.need_nearness());
  EXPECT_THAT(found.texts(), testing::ElementsAre(request.messages[0].content, list[0]->text, list[1]->text));
  EXPECT_EQ(attachment_of(found, {1, 0, 0, 1, 1, 0}).sources.back().document, "b.md");
  EXPECT_EQ(attachment_of(found, {1, 0, 1, 0, 1, 0}).sources.back().document, "a.md") << "equally near";
  request.options.set(DocumentRequest{.attach = DocumentUse::kOff});
  EXPECT_TRUE(candidates_of(request, conversation_of(request), {domain}).empty());
}

TEST(Attach, ShowsAtMostThreeOfManyThatFit) {
  llm::Request request;
  request.messages.push_back(
      {.role = "user", .content = "What colour is the badge?", .name = {}, .tool_call_id = {}});
  Documents::List list;
  for (int i = 0; i < 20; ++i)
    list.push_back(std::make_shared<const Document>(
        document(fmt::format("{}.md", i), fmt::format("The badge of house {} has a colour.", i))));
  const auto domain = std::make_shared<const Domain>(Domain::Origin{"acme", "m", "", "v", 0}, Domain::Slots(),
                                                     std::make_shared<const Documents>(list));
  const Candidates found = candidates_of(request, conversation_of(request), {domain});
  ASSERT_EQ(found.passages.size(), kRankedMax);
  std::vector<float> rows(2 * (1 + kRankedMax), 0);
  rows[0] = 1;
  for (const std::size_t near : {7U, 3U, 9U}) rows[2 * (1 + near)] = 0.5F + 0.01F * static_cast<float>(near);
  const Attachment shown = attachment_of(found, rows);
  ASSERT_EQ(shown.passages.size(), kPassagesMax);
  std::vector<std::string> wanted;
  for (const std::size_t near : {3U, 7U, 9U})
    wanted.emplace_back(
        domain->documents()->text_of(domain->documents()->passages()[found.passages[near].found.passage]));
  EXPECT_EQ(shown.passages, wanted) << "the nearest, the best last";
}

TEST(Pack, HoldsDocuments) {
  const auto list = Documents::List{std::make_shared<const Document>(document("a.md", kHandbook))};
  const Domain domain({"acme", "m", "", "v", 7}, {}, std::make_shared<const Documents>(list));
  const std::string bytes = pack_bytes(domain);
  EXPECT_TRUE(bytes.starts_with("pmtknow3")) << "an older program must not read it and lose them";
  const auto read = domain_of(bytes);
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_NE((*read)->documents(), nullptr);
  EXPECT_EQ((*read)->documents()->list()[0]->text, kHandbook);
  EXPECT_EQ((*read)->documents()->list()[0]->media_type, "text/markdown");
  EXPECT_TRUE(pack_bytes(Domain({"acme", "m", "", "v", 7}, {})).starts_with("pmtknow2"));
}

class DocumentLibraryTest : public LibraryFixture {
 protected:
  std::unique_ptr<Library> open() {
    LibraryOptions options = library_options();
    options.document_limits = {.domain_bytes_max = 1'000, .documents_max = 2};
    return LibraryFixture::open(std::move(options));
  }
  std::vector<std::string> references(Library& library, const std::string& question) {
    llm::Request request;
    request.knowledge = {"acme"};
    request.messages.push_back({.role = "user", .content = question, .name = {}, .tool_call_id = {}});
    settle_knowledge(library, request);
    return request.knowledge;
  }
};

TEST_F(DocumentLibraryTest, LearnsReplacesAndForgets) {
  auto library = open();
  const auto first = library->learn_document("acme", document("a.md", kHandbook), "test");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->passages, 2U);
  const auto same = library->learn_document("acme", document("a.md", kHandbook), "test");
  EXPECT_TRUE(same->known_before);
  EXPECT_EQ(same->version, first->version) << "nothing has changed";
  const auto changed = library->learn_document("acme", document("a.md", "Leave is gone."), "test");
  EXPECT_EQ(changed->revision, 2);
  EXPECT_NE(changed->version, first->version);
  auto other = open();  // another process
  EXPECT_EQ((*other->find("acme"))->documents()->list()[0]->text, "Leave is gone.");
  EXPECT_EQ(other->list()[0].documents, 1U);
  ASSERT_TRUE(other->learn(
      "acme", parse_facts(R"({"prompt": "Where is Zorvane Labs?", "answer": "Porto"})", {}), "test", {}));
  EXPECT_NE((*other->find("acme"))->documents(), nullptr) << "facts leave documents alone";
  ASSERT_TRUE(other->forget_document("acme", "a.md"));
  EXPECT_FALSE(other->forget_document("acme", "a.md"));
  library->refresh();
  EXPECT_EQ((*library->find("acme"))->documents(), nullptr);
  EXPECT_EQ((*library->find("acme"))->slots().size(), 1U);
}

TEST_F(DocumentLibraryTest, IsBounded) {
  auto library = open();
  ASSERT_TRUE(library->learn_document("acme", document("a", std::string(600, 'a')), "test"));
  EXPECT_EQ(library->learn_document("acme", document("b", std::string(600, 'b')), "test").error().code,
            base::Code::kTooLarge);
  EXPECT_TRUE(library->learn_document("acme", document("a", std::string(900, 'b')), "test"))
      << "in place of the first";
  EXPECT_TRUE(library->learn_document("acme", document("b", "b"), "test"));
  EXPECT_FALSE(library->learn_document("acme", document("c", "c"), "test"));
  EXPECT_EQ((*library->find("acme"))->documents()->list().size(), 2U);
}

TEST_F(DocumentLibraryTest, KeysHaveTheVersionOnlyWhereAPassageIsShown) {
  auto library = open();
  const auto report = library->learn_document("acme", document("a.md", kHandbook), "test");
  EXPECT_THAT(references(*library, "How many days of leave do employees have?"),
              testing::ElementsAre("acme@" + report->version));
  EXPECT_THAT(references(*library, "What is the capital of France?"), testing::ElementsAre("acme@"));
}

TEST_F(DocumentLibraryTest, TenantsAreApart) {
  auto library = open();
  ASSERT_TRUE(library->of_tenant("ann").learn_document("acme", document("a.md", kHandbook), "test"));
  EXPECT_FALSE(library->of_tenant("bob").find("acme"));
  EXPECT_FALSE(library->find("acme"));
}

}  // namespace
}  // namespace pmt::knowledge_cache
