// permutation learn, permutation knowledge list|show|forget|export|import: the packs of a model here, or, with --url,
// those of a running server.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "api/routes/documents.h"
#include "api/routes/knowledge_routes.h"
#include "app/commands/commands.h"
#include "app/commands/document_file.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/commands/text_table.h"
#include "app/wiring/model_choice.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/local_engine.h"
#include "knowledge_cache/packs/pack.h"

namespace pmt::app {

namespace {

using nlohmann::json;

struct KnowledgeOptions {
  std::string domain, file, model, fact, document;
  std::vector<std::string> files;  // to learn
  ServerAddress server;
  bool as_json = false;
};

/// Where the packs are, opened here: a model's words and an embedder only where something is to be learnt.
struct Here {
  base::SystemClock clock;
  std::unique_ptr<engine::LocalEngine> local;       // to learn
  std::unique_ptr<knowledge_cache::Library> packs;  // to look and to forget
  knowledge_cache::Library* library = nullptr;      // whichever there is

  base::Status open(const KnowledgeOptions& options, bool to_learn) {
    TRY_ASSIGN(auto model, resolve_spec(options.model));
    if (!to_learn) {
      TRY_ASSIGN(packs, engine::open_knowledge(model.name, model.path, {}, {}, clock));
      library = packs.get();
      return {};
    }
    TRY_ASSIGN(auto embedder, resolve_embedder({}));
    TRY_ASSIGN(local, engine::LocalEngine::open({.models = {std::move(model)},
                                                 .embedder = std::move(embedder),
                                                 .knowledge = engine::KnowledgeOptions{}},
                                                clock));
    library = local->models()[0].library.get();
    return {};
  }
};

std::string target_of(const KnowledgeOptions& options, const std::string& tail) {
  std::string target = "/v1/knowledge" + tail;
  if (!options.model.empty())
    target += (tail.find('?') == std::string::npos ? "?model=" : "&model=") + percent_encoded(options.model);
  return target;
}

base::Result<std::string> read_input(const std::string& file) {
  if (file == "-") return std::string((std::istreambuf_iterator<char>(std::cin)), {});
  // A PDF is no text.
  return knowledge_cache::media_type_of(file).empty() ? base::read_text_file(file) : base::read_file(file);
}

/// A count that the server gave, 0 where it gave none.
std::int64_t count_at(const json& object, std::string_view key) {
  return base::integer_at(object, key).value_or(0);
}

base::Error not_ours(const std::string& url, const char* what) {
  return {base::Code::kCorrupt,
          fmt::format("{} answered without {}: is it a Permutation server?", url, what)};
}

std::string some_of(const json& share, std::string_view some) {
  return fmt::format("{} of {}", count_at(share, some), count_at(share, "asked"));
}

void show_report(const json& report, const std::string& file) {
  for (const json& error : base::array_at(report, "errors")) {
    fmt::print(stderr, "{}:{}: {}\n", file, count_at(error, "line"), base::text_at(error, "message"));
  }
  const json& contradictions = base::array_at(report, "contradictions");
  for (const json& c : contradictions) {
    fmt::print(
        stderr,
        "contradiction, not learnt: \"{}\" is \"{}\" by fact {}, and \"{}\" here. To change it give that id, "
        "or forget it\n",
        base::text_at(c, "prompt"), base::text_at(c, "known_answer"), base::text_at(c, "known_id"),
        base::text_at(c, "answer"));
  }
  const auto number = [&](const char* name) { return std::to_string(count_at(report, name)); };
  const std::int64_t changed = count_at(report, "learnt") + count_at(report, "updated");
  std::vector<std::vector<std::string>> rows{
      {"what", "count"},
      {"facts given", number("given")},
      {"learnt", number("learnt")},
      {"updated", number("updated")},
      {"known before", number("known_before")},
      {"contradictions", std::to_string(contradictions.size())},
      {"left out", std::to_string(base::array_at(report, "errors").size())},
      {"recalled by their own prompt", fmt::format("{} of {}", count_at(report, "recalled"), changed)},
      {"recalled by an unseen phrasing", some_of(base::object_at(report, "generalised"), "recalled")},
      {"facts known before that changed", some_of(base::object_at(report, "others"), "changed")},
      {"bytes a fact", number("bytes_a_fact")},
      {"seconds a fact", fmt::format("{:.4f}", base::number_at(report, "seconds_a_fact").value_or(0))}};
  fmt::print("{}", text_table(rows));
}

/// Shows how far it is on a terminal, on one line.
void show_progress(std::size_t done, std::size_t of) {
  fmt::print(stderr, "\rlearning: {} of {} phrasings{}", done, of, done == of ? "\n" : "");
  std::fflush(stderr);
}

/// `what`: "facts" or "documents", and `told`: a member of the report.
base::Result<json> learn_there(const KnowledgeOptions& options, const std::string& what,
                               const std::string& body, const char* told) {
  TRY_ASSIGN(json job, server_call(options.server, "POST",
                                   target_of(options, "/" + options.domain + "/" + what), body));
  const std::string id = base::text_at(job, "id");
  if (id.empty()) return not_ours(options.server.url, "the job's id");
  for (;;) {
    TRY_ASSIGN(job, server_call(options.server, "GET", "/v1/knowledge/jobs/" + percent_encoded(id)));
    const std::string status = base::text_at(job, "status");
    if (status == "done") {
      const json& report = base::at(job, "report");
      if (!base::integer_at(report, told)) return not_ours(options.server.url, "the job's report");
      return report;
    }
    if (status == "failed") {
      return base::Error{base::Code::kUnprocessable, base::text_at(base::at(job, "error"), "message")};
    }
    if (status.empty()) return not_ours(options.server.url, "the job's status");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

base::Result<json> learn_facts_here(const KnowledgeOptions& options, const std::string& file,
                                    const std::string& facts) {
  auto parsed = knowledge_cache::parse_facts(facts, {});
  if (parsed.facts.empty()) {
    const std::string why = parsed.errors.empty()
                                ? "it is empty"
                                : fmt::format("line {}: {}", parsed.errors[0].line, parsed.errors[0].message);
    return base::Error{base::Code::kUnprocessable, fmt::format("no fact in {}: {}", file, why)};
  }
  Here here;
  TRY(here.open(options, true));
  TRY_ASSIGN(const auto report, here.library->learn(options.domain, std::move(parsed), file, show_progress));
  return api::report_json(report);
}

/// What the packs here learn is read by the model when a server is first asked about it.
base::Result<json> learn_document(const KnowledgeOptions& options, const std::string& file,
                                  std::string content) {
  TRY_ASSIGN(knowledge_cache::Document document, document_of_file(file, std::move(content)));
  if (!options.server.url.empty()) {
    const json body = {
        {"name", document.name},
        {"content", document.text},
        {"media_type", document.media_type == "text/html" ? "text/plain" : document.media_type}};
    return learn_there(options, "documents", body.dump(), "passages");
  }
  Here here;
  TRY(here.open(options, false));
  TRY_ASSIGN(const auto report, here.library->learn_document(options.domain, std::move(document), file));
  return api::document_report_json(report);
}

void show_document_report(const json& report) {
  const char* const did = base::at(report, "known_before") == true ? "known before"
                          : count_at(report, "revision") > 1       ? "updated"
                                                                   : "learnt";
  fmt::print(
      "{}: {}, {} passages, {}, {:.2f} s\n", base::text_at(report, "document"), did,
      count_at(report, "passages"), human_bytes(static_cast<double>(count_at(report, "bytes"))),
      base::number_at(report, "seconds").value_or(0) + base::number_at(report, "read_seconds").value_or(0));
}

/// Of one file: what was learnt, shown unless it is for a program.
base::Result<json> learn_file(const KnowledgeOptions& options, const std::string& file) {
  TRY_ASSIGN(std::string content, read_input(file));
  if (is_document(file, content)) {
    TRY_ASSIGN(json report, learn_document(options, file, std::move(content)));
    if (!options.as_json) show_document_report(report);
    return report;
  }
  TRY_ASSIGN(json report, options.server.url.empty() ? learn_facts_here(options, file, content)
                                                     : learn_there(options, "facts", content, "learnt"));
  if (!options.as_json) show_report(report, file);
  return report;
}

int learn(const KnowledgeOptions& options) {
  if (const base::Status named = knowledge_cache::check_domain_name(options.domain); !named)
    return report_by_code(named.error());
  json reports = json::array();
  bool all = true;
  for (const std::string& file : options.files) {
    auto report = learn_file(options, file);
    if (!report) return report_by_code(report.error());
    all =
        all && base::array_at(*report, "errors").empty() && base::array_at(*report, "contradictions").empty();
    reports.push_back(std::move(*report));
  }
  if (options.as_json) fmt::print("{}\n", (reports.size() == 1 ? reports[0] : reports).dump(2));
  return all ? kExitDone : kExitFailed;
}

base::Result<json> list_of(const KnowledgeOptions& options) {
  if (!options.server.url.empty()) {
    TRY_ASSIGN(const json all, server_call(options.server, "GET", target_of(options, "")));
    if (!base::at(all, "domains").is_array()) return not_ours(options.server.url, "a list of domains");
    return base::at(all, "domains");
  }
  Here here;
  TRY(here.open(options, false));
  json domains = json::array();
  for (const auto& info : here.library->list()) domains.push_back(api::domain_json(info));
  return domains;
}

int list(const KnowledgeOptions& options) {
  const auto domains = list_of(options);
  if (!domains) return report_by_code(domains.error());
  if (options.as_json) {
    fmt::print("{}\n", domains->dump(2));
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows{{"domain", "facts", "things", "documents", "size", "version"}};
  for (const json& d : *domains) {
    rows.push_back({base::text_at(d, "domain"), std::to_string(count_at(d, "facts")),
                    std::to_string(count_at(d, "things")), std::to_string(count_at(d, "documents")),
                    human_bytes(base::number_at(d, "bytes").value_or(0)),
                    base::text_at(d, "version").substr(0, 12)});
  }
  fmt::print("{}", text_table(rows));
  return kExitDone;
}

base::Result<json> facts_of(const KnowledgeOptions& options) {
  if (!options.server.url.empty())
    return server_call(options.server, "GET", target_of(options, "/" + options.domain));
  Here here;
  TRY(here.open(options, false));
  TRY_ASSIGN(const auto domain, here.library->find(options.domain));
  return api::facts_json(*domain);
}

int show(const KnowledgeOptions& options) {
  const auto domain = facts_of(options);
  if (!domain) return report_by_code(domain.error());
  if (options.as_json) {
    fmt::print("{}\n", domain->dump(2));
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows{{"id", "about", "prompt", "answer", "from", "revision"}};
  for (const json& fact : base::array_at(*domain, "facts")) {
    rows.push_back({base::text_at(fact, "id"), base::text_at(fact, "subject"), base::text_at(fact, "prompt"),
                    base::text_at(fact, "answer"),
                    fmt::format("{}:{}", base::text_at(fact, "source"), count_at(fact, "line")),
                    std::to_string(count_at(fact, "revision"))});
  }
  fmt::print("{}", text_table(rows));
  return kExitDone;
}

base::Status forget_it(const KnowledgeOptions& options) {
  if (!options.server.url.empty()) {
    const std::string tail = !options.fact.empty()       ? "/facts/" + percent_encoded(options.fact)
                             : !options.document.empty() ? "/documents/" + percent_encoded(options.document)
                                                         : "";
    TRY(server_call(options.server, "DELETE", target_of(options, "/" + options.domain + tail)));
    return {};
  }
  Here here;
  TRY(here.open(options, false));
  if (!options.document.empty()) return here.library->forget_document(options.domain, options.document);
  return options.fact.empty() ? here.library->forget(options.domain)
                              : here.library->forget_fact(options.domain, options.fact);
}

int forget(const KnowledgeOptions& options) {
  const base::Status done = forget_it(options);
  if (!done) return report_by_code(done.error());
  if (options.as_json) {
    json told = {{"forgotten", options.domain}};
    if (!options.fact.empty()) told["fact"] = options.fact;
    if (!options.document.empty()) told["document"] = options.document;
    fmt::print("{}\n", told.dump(2));
    return kExitDone;
  }
  const std::string& part = options.document.empty() ? options.fact : options.document;
  fmt::print("forgotten: {}{}\n", options.domain, part.empty() ? "" : "/" + part);
  return kExitDone;
}

base::Result<std::string> pack_of(const KnowledgeOptions& options) {
  if (!options.server.url.empty())
    return server_text(options.server, "GET", target_of(options, "/" + options.domain + "/export"));
  Here here;
  TRY(here.open(options, false));
  return here.library->export_pack(options.domain);
}

int export_pack(const KnowledgeOptions& options) {
  const auto pack = pack_of(options);
  if (!pack) return report_by_code(pack.error());
  if (const base::Status written = base::replace_file(options.file, *pack); !written)
    return report_by_code(written.error());
  if (options.as_json) {
    const json told = {{"domain", options.domain}, {"file", options.file}, {"bytes", pack->size()}};
    fmt::print("{}\n", told.dump(2));
  }
  return kExitDone;
}

base::Result<json> imported(const KnowledgeOptions& options, const std::string& pack) {
  if (!options.server.url.empty()) {
    const std::string as = options.domain.empty() ? "" : "?domain=" + percent_encoded(options.domain);
    return server_call(options.server, "POST", target_of(options, "/import" + as), pack);
  }
  Here here;
  TRY(here.open(options, true));
  TRY_ASSIGN(const auto info, here.library->import_pack(pack, options.domain));
  return api::domain_json(info);
}

int import_pack(const KnowledgeOptions& options) {
  const auto pack = base::read_file(options.file);
  if (!pack) return report_by_code(pack.error());
  const auto info = imported(options, *pack);
  if (!info) return report_by_code(info.error());
  if (options.as_json) {
    fmt::print("{}\n", info->dump(2));
    return kExitDone;
  }
  fmt::print("imported: {}, {} facts, {} documents\n", base::text_at(*info, "domain"),
             count_at(*info, "facts"), count_at(*info, "documents"));
  return kExitDone;
}

void add_where(CLI::App* command, const std::shared_ptr<KnowledgeOptions>& options) {
  command->add_option("--model", options->model,
                      "Whose knowledge: a catalogue name or a GGUF; default: the first");
  add_server_options(*command, options->server,
                     "Of a running server, e.g. http://127.0.0.1:8080; default: the packs here");
}

}  // namespace

void add_learn(CLI::App& root, Command& chosen) {
  const auto options = std::make_shared<KnowledgeOptions>();
  CLI::App* command =
      root.add_subcommand("learn", "Teach a model facts and documents: a domain pack, nothing forgotten");
  command->add_option("domain", options->domain, "The domain's name, e.g. acme")->required();
  command
      ->add_option(
          "files", options->files,
          "JSON lines of facts, {\"id\", \"prompt\", \"answer\", \"paraphrases\"} or {\"id\", \"text\"}; - "
          ": standard input. Documents: .txt, .md, .html, .csv, and .pdf, which pdftotext reads")
      ->required();
  add_where(command, options);
  command->add_flag("--json", options->as_json, "The report as JSON");
  add_examples(*command, {"permutation learn acme facts.jsonl",
                          "permutation learn acme handbook.md prices.html manual.pdf",
                          "permutation learn acme facts.jsonl --url http://127.0.0.1:8080 --json"});
  command->callback([options, &chosen] { chosen = [options] { return learn(*options); }; });
}

void add_knowledge(CLI::App& root, Command& chosen) {
  CLI::App* command =
      root.add_subcommand("knowledge", "What models were taught: list, show, forget, export, import");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, int (*act)(const KnowledgeOptions&)) {
    const auto options = std::make_shared<KnowledgeOptions>();
    CLI::App* sub = command->add_subcommand(name, help);
    add_where(sub, options);
    sub->add_flag("--json", options->as_json, "As JSON");
    sub->callback([options, act, &chosen] { chosen = [options, act] { return act(*options); }; });
    return std::pair(sub, options);
  };
  const auto listing = add("list", "The domains", list);
  add_examples(*listing.first, {"permutation knowledge list", "permutation knowledge list --json"});
  const auto showing = add("show", "A domain's facts, and where they come from", show);
  showing.first->add_option("domain", showing.second->domain)->required();
  add_examples(*showing.first, {"permutation knowledge show acme"});
  const auto forgetting = add("forget", "A domain, or one fact or document of it", forget);
  forgetting.first->add_option("domain", forgetting.second->domain)->required();
  CLI::Option* const fact =
      forgetting.first->add_option("--fact", forgetting.second->fact, "Only the fact of this id");
  forgetting.first->add_option("--document", forgetting.second->document, "Only the document of this name")
      ->excludes(fact);
  add_examples(*forgetting.first,
               {"permutation knowledge forget acme", "permutation knowledge forget acme --fact ceo"});
  const auto exporting = add("export", "A domain's pack into a file", export_pack);
  exporting.first->add_option("domain", exporting.second->domain)->required();
  exporting.first->add_option("file", exporting.second->file)->required();
  add_examples(*exporting.first, {"permutation knowledge export acme acme.pack"});
  const auto importing = add("import", "A pack from a file", import_pack);
  importing.first->add_option("file", importing.second->file)->required();
  importing.first->add_option("--as", importing.second->domain, "Another name for the domain");
  add_examples(*importing.first, {"permutation knowledge import acme.pack --as acme2"});
}

}  // namespace pmt::app
