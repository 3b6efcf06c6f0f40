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

#include "api/routes/knowledge_routes.h"
#include "app/commands/commands.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"
#include "app/commands/text_table.h"
#include "app/wiring/knowledge_setup.h"
#include "app/wiring/model_choice.h"
#include "base/file.h"
#include "knowledge_cache/packs/pack.h"

namespace pmt::app {

namespace {

using nlohmann::json;

struct KnowledgeOptions {
  std::string domain, file, model, url, fact;
  bool as_json = false;
};

/// Where the packs are, opened here: a model's words and an embedder only where something is to be learnt.
struct Here {
  base::SystemClock clock;
  std::unique_ptr<inference::LocalModel> model;
  std::unique_ptr<inference::LocalEmbedder> embedder;
  std::unique_ptr<knowledge_cache::Library> library;

  base::Status open(const KnowledgeOptions& options, bool to_learn) {
    TRY_ASSIGN(auto wanted,
               resolve_models(options.model.empty() ? std::vector<ModelConfig>{}
                                                    : std::vector{model_from_spec(options.model)}));
    KnowledgeSetup setup{.model_name = wanted[0].name, .model_path = wanted[0].path};
    if (to_learn) {
      TRY_ASSIGN(model, inference::LocalModel::load(wanted[0], clock));
      TRY_ASSIGN(auto found, resolve_embedder({}));
      embedder = inference::LocalEmbedder::create(std::move(found), clock);
      setup.model = model.get();
      setup.embedder = embedder.get();
      setup.embedder_name = embedder->name();
    }
    TRY_ASSIGN(library, open_knowledge(setup, clock));
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
  return base::read_text_file(file);
}

void show_report(const json& report, const std::string& file) {
  for (const json& error : report["errors"]) {
    fmt::print(stderr, "{}:{}: {}\n", file, error["line"].get<std::size_t>(),
               error["message"].get<std::string>());
  }
  for (const json& c : report["contradictions"]) {
    fmt::print(
        stderr,
        "contradiction, not learnt: \"{}\" is \"{}\" by fact {}, and \"{}\" here. To change it give that id, "
        "or forget it\n",
        c["prompt"].get<std::string>(), c["known_answer"].get<std::string>(),
        c["known_id"].get<std::string>(), c["answer"].get<std::string>());
  }
  const auto number = [&](const char* name) { return report[name].get<std::size_t>(); };
  const std::size_t changed = number("learnt") + number("updated");
  std::vector<std::vector<std::string>> rows{
      {"what", "count"},
      {"facts given", std::to_string(number("given"))},
      {"learnt", std::to_string(number("learnt"))},
      {"updated", std::to_string(number("updated"))},
      {"known before", std::to_string(number("known_before"))},
      {"contradictions", std::to_string(report["contradictions"].size())},
      {"left out", std::to_string(report["errors"].size())},
      {"recalled by their own prompt", fmt::format("{} of {}", number("recalled"), changed)},
      {"recalled by an unseen phrasing",
       fmt::format("{} of {}", report["generalised"]["recalled"].get<std::size_t>(),
                   report["generalised"]["asked"].get<std::size_t>())},
      {"facts known before that changed",
       fmt::format("{} of {}", report["others"]["changed"].get<std::size_t>(),
                   report["others"]["asked"].get<std::size_t>())},
      {"bytes a fact", std::to_string(number("bytes_a_fact"))},
      {"seconds a fact", fmt::format("{:.4f}", report["seconds_a_fact"].get<double>())}};
  fmt::print("{}", text_table(rows));
}

/// Shows how far it is on a terminal, on one line.
void show_progress(std::size_t done, std::size_t of) {
  fmt::print(stderr, "\rlearning: {} of {} phrasings{}", done, of, done == of ? "\n" : "");
  std::fflush(stderr);
}

base::Result<json> learn_there(const KnowledgeOptions& options, const std::string& facts) {
  TRY_ASSIGN(json job,
             server_call(options.url, "POST", target_of(options, "/" + options.domain + "/facts"), facts));
  const std::string id = job["id"];
  for (;;) {
    TRY_ASSIGN(job, server_call(options.url, "GET", "/v1/knowledge/jobs/" + id));
    if (job["status"] == "done") return job["report"];
    if (job["status"] == "failed")
      return base::Error{base::Code::kUnprocessable, job["error"]["message"].get<std::string>()};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

base::Result<json> learn_here(const KnowledgeOptions& options, const std::string& facts) {
  auto parsed = knowledge_cache::parse_facts(facts, {});
  if (parsed.facts.empty()) {
    const std::string why = parsed.errors.empty()
                                ? "it is empty"
                                : fmt::format("line {}: {}", parsed.errors[0].line, parsed.errors[0].message);
    return base::Error{base::Code::kUnprocessable, fmt::format("no fact in {}: {}", options.file, why)};
  }
  Here here;
  TRY(here.open(options, true));
  TRY_ASSIGN(const auto report,
             here.library->learn(options.domain, std::move(parsed), options.file, show_progress));
  return api::report_json(report);
}

int learn(const KnowledgeOptions& options) {
  if (const base::Status named = knowledge_cache::check_domain_name(options.domain); !named)
    return report_by_code(named.error());
  const auto facts = read_input(options.file);
  if (!facts) return report_by_code(facts.error());
  const auto report = options.url.empty() ? learn_here(options, *facts) : learn_there(options, *facts);
  if (!report) return report_by_code(report.error());
  if (options.as_json) {
    fmt::print("{}\n", report->dump(2));
  } else {
    show_report(*report, options.file);
  }
  const bool all = (*report)["errors"].empty() && (*report)["contradictions"].empty();
  return all ? kExitDone : kExitFailed;
}

base::Result<json> list_of(const KnowledgeOptions& options) {
  if (!options.url.empty()) {
    TRY_ASSIGN(const json all, server_call(options.url, "GET", target_of(options, "")));
    return all["domains"];
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
  std::vector<std::vector<std::string>> rows{{"domain", "facts", "things", "size", "version"}};
  for (const json& d : *domains) {
    rows.push_back({d["domain"], d["facts"].dump(), d["things"].dump(), human_bytes(d["bytes"].get<double>()),
                    d["version"].get<std::string>().substr(0, 12)});
  }
  fmt::print("{}", text_table(rows));
  return kExitDone;
}

base::Result<json> facts_of(const KnowledgeOptions& options) {
  if (!options.url.empty()) return server_call(options.url, "GET", target_of(options, "/" + options.domain));
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
  for (const json& fact : (*domain)["facts"]) {
    rows.push_back({fact["id"], fact["subject"], fact["prompt"], fact["answer"],
                    fmt::format("{}:{}", fact["source"].get<std::string>(), fact["line"].get<std::size_t>()),
                    fact["revision"].dump()});
  }
  fmt::print("{}", text_table(rows));
  return kExitDone;
}

base::Status forget_it(const KnowledgeOptions& options) {
  if (!options.url.empty()) {
    const std::string tail = options.fact.empty() ? "" : "/facts/" + percent_encoded(options.fact);
    TRY(server_call(options.url, "DELETE", target_of(options, "/" + options.domain + tail)));
    return {};
  }
  Here here;
  TRY(here.open(options, false));
  return options.fact.empty() ? here.library->forget(options.domain)
                              : here.library->forget_fact(options.domain, options.fact);
}

int forget(const KnowledgeOptions& options) {
  const base::Status done = forget_it(options);
  if (!done) return report_by_code(done.error());
  fmt::print("forgotten: {}{}\n", options.domain, options.fact.empty() ? "" : "/" + options.fact);
  return kExitDone;
}

base::Result<std::string> pack_of(const KnowledgeOptions& options) {
  if (!options.url.empty())
    return server_text(options.url, "GET", target_of(options, "/" + options.domain + "/export"));
  Here here;
  TRY(here.open(options, false));
  return here.library->export_pack(options.domain);
}

int export_pack(const KnowledgeOptions& options) {
  const auto pack = pack_of(options);
  if (!pack) return report_by_code(pack.error());
  const base::Status written = base::replace_file(options.file, *pack);
  return written ? kExitDone : report_by_code(written.error());
}

base::Result<json> imported(const KnowledgeOptions& options, const std::string& pack) {
  if (!options.url.empty()) {
    const std::string as = options.domain.empty() ? "" : "?domain=" + percent_encoded(options.domain);
    return server_call(options.url, "POST", target_of(options, "/import" + as), pack);
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
  fmt::print("imported: {}, {} facts\n", (*info)["domain"].get<std::string>(),
             (*info)["facts"].get<std::size_t>());
  return kExitDone;
}

void add_where(CLI::App* command, const std::shared_ptr<KnowledgeOptions>& options) {
  command->add_option("--model", options->model,
                      "Whose knowledge: a catalogue name or a GGUF; default: the first");
  command->add_option("--url", options->url,
                      "Of a running server, e.g. http://127.0.0.1:8080; default: the packs here");
}

}  // namespace

void add_learn(CLI::App& root, Command& chosen) {
  const auto options = std::make_shared<KnowledgeOptions>();
  CLI::App* command =
      root.add_subcommand("learn", "Teach a model facts: a domain pack, in seconds, nothing forgotten");
  command->add_option("domain", options->domain, "The domain's name, e.g. acme")->required();
  command
      ->add_option("facts", options->file,
                   "JSON lines of {\"id\", \"prompt\", \"answer\", \"paraphrases\"} or {\"id\", \"text\"}; - "
                   ": standard input")
      ->required();
  add_where(command, options);
  command->add_flag("--json", options->as_json, "The report as JSON");
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
    sub->callback([options, act, &chosen] { chosen = [options, act] { return act(*options); }; });
    return std::pair(sub, options);
  };
  const auto listing = add("list", "The domains", list);
  listing.first->add_flag("--json", listing.second->as_json, "As JSON");
  const auto showing = add("show", "A domain's facts, and where they come from", show);
  showing.first->add_option("domain", showing.second->domain)->required();
  showing.first->add_flag("--json", showing.second->as_json, "As JSON");
  const auto forgetting = add("forget", "A domain, or one fact of it", forget);
  forgetting.first->add_option("domain", forgetting.second->domain)->required();
  forgetting.first->add_option("--fact", forgetting.second->fact, "Only the fact of this id");
  const auto exporting = add("export", "A domain's pack into a file", export_pack);
  exporting.first->add_option("domain", exporting.second->domain)->required();
  exporting.first->add_option("file", exporting.second->file)->required();
  const auto importing = add("import", "A pack from a file", import_pack);
  importing.first->add_option("file", importing.second->file)->required();
  importing.first->add_option("--as", importing.second->domain, "Another name for the domain");
}

}  // namespace pmt::app
