#include "api/routes/knowledge_routes.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "api/errors.h"
#include "api/routes/documents.h"
#include "base/json.h"
#include "net/sse.h"

namespace pmt::api {
namespace {

using knowledge_cache::Library;
using nlohmann::json;

constexpr char kJobs[] = "jobs";  // where a domain's name stands, so no domain can be called so here
constexpr char kDocuments[] = "documents";

base::Status check_name(const std::string& domain) {
  if (domain == kJobs)
    return base::invalid("'jobs' is a path of this API: call the domain something else.", "domain");
  return knowledge_cache::check_domain_name(domain);
}

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void answer(const Exchange& exchange, const json& body, int status = 200) {
  send_json(*exchange.responder, status, text_of(body));
}

/// Kept by reference.
struct Sources {
  const ApiOptions& options;
  KnowledgeWorker& worker;
  const Access& access;
};

/// The model that the query names.
std::string name_of_model(const ApiOptions& options, const Exchange& exchange) {
  const std::string named(exchange.request.query_value("model"));
  return named.empty() ? options.knowledge_model : named;
}

/// What that model was taught, by all tenants. Errors are answered.
Library* whole_library(const ApiOptions& options, const Exchange& exchange) {
  const std::string name = name_of_model(options, exchange);
  const auto found = options.models.find(name);
  if (found != options.models.end() && found->second.knowledge != nullptr) return found->second.knowledge;
  send_error(
      *exchange.responder,
      {base::Code::kNotFound,
       name.empty() ? "This server runs without a knowledge cache."
                    : fmt::format("The model '{}' has no knowledge cache here: one that comes on demand, or "
                                  "another server's, can't be taught.",
                                  name.substr(0, 64)),
       "model"});
  return nullptr;
}

/// Whose knowledge the request is about. Errors: another's than the caller may touch.
base::Result<std::string> tenant_of(const Access& access, const Exchange& exchange) {
  const std::string named(exchange.request.query_value("tenant"));
  if (named.empty() || named == exchange.caller->tenant()) return exchange.caller->tenant();
  if (!exchange.caller->is_operator())
    return base::Error{base::Code::kForbidden, "This needs a key with the scope admin.", "tenant"};
  const auto known = access.tenants();
  if (std::find(known.begin(), known.end(), named) != known.end()) return named;
  return base::Error{base::Code::kNotFound,
                     fmt::format("No key belongs to a tenant '{}'.", named.substr(0, 64)), "tenant"};
}

/// The part of it that is the tenant's. Errors are answered.
Library* library_of(const Sources& sources, const Exchange& exchange) {
  const auto tenant = tenant_of(sources.access, exchange);
  if (!tenant) {
    send_error(*exchange.responder, tenant.error());
    return nullptr;
  }
  Library* const library = whole_library(sources.options, exchange);
  return library == nullptr ? nullptr : &library->of_tenant(*tenant);
}

/// Whose jobs the caller sees.
KnowledgeWorker::Owner owner_for(const Exchange& exchange) {
  if (exchange.caller->is_operator()) return std::nullopt;
  return exchange.caller->tenant();
}

/// "acme/facts/17" -> {"acme", "facts", "17"}; a fact's id has no slash.
std::vector<std::string> parts_of(const std::string& tail) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= tail.size();) {
    const std::size_t end = std::min(tail.find('/', at), tail.size());
    parts.push_back(tail.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

void not_there(const Exchange& exchange) {
  send_error(*exchange.responder,
             {base::Code::kNotFound,
              fmt::format("There is no {} {} here.", exchange.request.method, exchange.request.path)});
}

void show_all(const Sources& sources, const Exchange& exchange) {
  Library* const whole = whole_library(sources.options, exchange);
  if (whole == nullptr) return;
  const bool all = exchange.caller->is_operator() && exchange.request.query_value("tenant").empty();
  std::vector<std::string> tenants;
  if (all) {
    tenants = sources.access.tenants();
  } else {
    const auto one = tenant_of(sources.access, exchange);
    if (!one) return send_error(*exchange.responder, one.error());
    tenants = {*one};
  }
  json domains = json::array();
  for (const std::string& tenant : tenants) {
    Library& library = whole->of_tenant(tenant);
    library.refresh();
    for (const auto& info : library.list()) {
      domains.push_back(domain_json(info));
      domains.back()["tenant"] = tenant;
    }
  }
  answer(exchange, {{"model", whole->options().model_name}, {"domains", std::move(domains)}});
}

void show_job(KnowledgeWorker& worker, const Exchange& exchange, const std::string& id) {
  const KnowledgeWorker::Owner owner = owner_for(exchange);
  if (exchange.request.header("accept").find("text/event-stream") == std::string_view::npos) {
    const auto state = worker.state(id, owner);
    return state ? answer(exchange, *state) : send_error(*exchange.responder, state.error());
  }
  if (const auto state = worker.state(id, owner); !state)
    return send_error(*exchange.responder, state.error());
  exchange.responder->start_stream(
      {200, {{"content-type", "text/event-stream"}, {"cache-control", "no-cache"}}, {}});
  const base::Status watched =
      worker.watch(id, owner, [responder = exchange.responder](const json& state, bool ended) {
        responder->write(net::sse_event(text_of(state)));
        if (!ended) return;
        responder->write(net::sse_event("[DONE]"));
        responder->finish_stream();
      });
  if (!watched) exchange.responder->finish_stream();  // it ended and was dropped since
}

void show_domain(Library& library, const Exchange& exchange, const std::string& domain) {
  library.refresh();
  const auto found = library.find(domain);
  if (!found) return send_error(*exchange.responder, found.error());
  answer(exchange, facts_json(**found));
}

void export_domain(Library& library, const Exchange& exchange, const std::string& domain) {
  library.refresh();
  auto bytes = library.export_pack(domain);
  if (!bytes) return send_error(*exchange.responder, bytes.error());
  exchange.responder->send(
      {200,
       {{"content-type", "application/octet-stream"},
        {"content-disposition", fmt::format("attachment; filename=\"{}.pack\"", domain)}},
       std::move(*bytes)});
}

void show_documents(Library& library, const Exchange& exchange, const std::vector<std::string>& parts) {
  if (parts.size() > 3) return not_there(exchange);
  library.refresh();
  const auto found = library.find(parts[0]);
  if (!found) return send_error(*exchange.responder, found.error());
  if (parts.size() == 2) return answer(exchange, documents_json(**found));
  const auto document = document_json(**found, parts[2]);
  document ? answer(exchange, *document) : send_error(*exchange.responder, document.error());
}

void get(const Sources& sources, const Exchange& exchange) {
  const auto parts = parts_of(exchange.tail);
  if (parts.size() == 2 && parts[0] == kJobs) return show_job(sources.worker, exchange, parts[1]);
  if (parts.size() == 1 && parts[0] == kJobs)
    return answer(exchange, {{"jobs", sources.worker.states(owner_for(exchange))}});
  Library* library = library_of(sources, exchange);
  if (library == nullptr) return;
  if (parts.size() == 1) return show_domain(*library, exchange, parts[0]);
  if (parts.size() == 2 && parts[1] == "export") return export_domain(*library, exchange, parts[0]);
  if (parts.size() >= 2 && parts[1] == kDocuments) return show_documents(*library, exchange, parts);
  not_there(exchange);
}

/// {"facts": [...]}, [...], or JSON lines.
base::Result<knowledge_cache::ParsedFacts> read_facts(const std::string& body) {
  const knowledge_cache::Limits limits;
  if (body.find_first_not_of(" \t\r\n") == std::string::npos)
    return base::invalid("The body must hold facts: {\"facts\": [...]}, or JSON lines.", "facts");
  const auto whole = base::parse_json(body);
  if (whole && whole->is_array()) return knowledge_cache::facts_of(*whole, limits);
  if (whole && whole->is_object() && whole->contains("facts")) {
    const json& facts = base::at(*whole, "facts");
    if (!facts.is_array()) return base::invalid("'facts' must be an array of facts.", "facts");
    return knowledge_cache::facts_of(facts, limits);
  }
  return knowledge_cache::parse_facts(body, limits);
}

void learn(const Sources& sources, Library& library, const std::string& tenant, const Exchange& exchange,
           const std::string& domain) {
  if (const base::Status named = check_name(domain); !named)
    return send_error(*exchange.responder, named.error());
  auto facts = read_facts(exchange.request.body);
  if (!facts) return send_error(*exchange.responder, facts.error());
  if (facts->facts.empty()) {
    const std::string why = facts->errors.empty()
                                ? "there is none"
                                : fmt::format("line {}: {}", facts->errors[0].line, facts->errors[0].message);
    return send_error(*exchange.responder, base::invalid("No fact could be read: " + why + ".", "facts"));
  }
  const auto shared = std::make_shared<knowledge_cache::ParsedFacts>(std::move(*facts));
  const auto started = sources.worker.start(
      "job-" + random_hex(sources.options.random, 8), domain, tenant,
      [&library, &options = sources.options, domain,
       shared](const KnowledgeWorker::Progress& progress) -> base::Result<json> {
        TRY_ASSIGN(const auto report, library.learn(domain, std::move(*shared), "api", progress));
        json told = report_json(report);
        told["ended_unix_s"] = options.clock->unix_seconds();
        return told;
      });
  if (!started) return send_error(*exchange.responder, started.error());
  answer(exchange, *started, 202);
}

/// The passages are on the disk before the model reads any: what reads them later is the first question, at worst.
base::Result<json> learn_and_read(Library& library, const ServedModel& model, const std::string& tenant,
                                  const std::string& domain, knowledge_cache::Document document,
                                  const KnowledgeWorker::Progress& progress) {
  const std::string name = document.name;
  TRY_ASSIGN(const auto report, library.learn_document(domain, std::move(document), "api"));
  json told = document_report_json(report);
  const auto found = library.find(domain);
  if (!model.read_passages || !found || (*found)->documents() == nullptr) return told;
  const auto begin = std::chrono::steady_clock::now();
  const auto passages = passages_of(*(*found)->documents(), name);
  const base::Status read = model.read_passages(tenant, passages, progress);
  told["read"] = read ? passages.size() : 0;
  told["read_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return told;
}

void learn_document(const Sources& sources, Library& library, const std::string& tenant,
                    const Exchange& exchange, const std::string& domain) {
  if (const base::Status named = check_name(domain); !named)
    return send_error(*exchange.responder, named.error());
  auto document = read_document(exchange.request.body);
  if (!document) return send_error(*exchange.responder, document.error());
  const auto shared = std::make_shared<knowledge_cache::Document>(std::move(*document));
  const auto started = sources.worker.start(
      "job-" + random_hex(sources.options.random, 8), domain, tenant,
      [&library, &model = sources.options.models.at(name_of_model(sources.options, exchange)),
       &options = sources.options, tenant, domain,
       shared](const KnowledgeWorker::Progress& progress) -> base::Result<json> {
        TRY_ASSIGN(json told, learn_and_read(library, model, tenant, domain, std::move(*shared), progress));
        told["ended_unix_s"] = options.clock->unix_seconds();
        return told;
      });
  if (!started) return send_error(*exchange.responder, started.error());
  answer(exchange, *started, 202);
}

void import_pack(Library& library, KnowledgeWorker& worker, const Exchange& exchange) {
  const std::string name(exchange.request.query_value("domain"));
  if (name == kJobs) return send_error(*exchange.responder, check_name(name).error());
  const auto bytes = std::make_shared<std::string>(exchange.request.body);
  const base::Status queued = worker.run([&library, name, bytes, responder = exchange.responder] {
    const auto info = library.import_pack(*bytes, name);
    if (!info) return send_error(*responder, info.error());
    send_json(*responder, 200, text_of(domain_json(*info)));
  });
  if (!queued) send_error(*exchange.responder, queued.error());
}

void post(const Sources& sources, const Exchange& exchange) {
  const auto parts = parts_of(exchange.tail);
  Library* library = library_of(sources, exchange);
  if (library == nullptr) return;
  if (parts.size() == 1 && parts[0] == "import") return import_pack(*library, sources.worker, exchange);
  if (parts.size() == 2 && parts[1] == "facts")
    return learn(sources, *library, *tenant_of(sources.access, exchange), exchange, parts[0]);
  if (parts.size() == 2 && parts[1] == kDocuments)
    return learn_document(sources, *library, *tenant_of(sources.access, exchange), exchange, parts[0]);
  not_there(exchange);
}

/// A fact, a document or the domain, as the path's parts say.
base::Status forget_part(Library& library, const std::vector<std::string>& parts) {
  if (parts.size() == 1) return library.forget(parts[0]);
  return parts[1] == kDocuments ? library.forget_document(parts[0], parts[2])
                                : library.forget_fact(parts[0], parts[2]);
}

bool has_documents(const Library& library, const std::string& domain) {
  const auto found = library.find(domain);
  return found && (*found)->documents() != nullptr;
}

void forget(const Sources& sources, const Exchange& exchange) {
  const auto parts = parts_of(exchange.tail);
  Library* library = library_of(sources, exchange);
  if (library == nullptr) return;
  const bool one = parts.size() == 3 && (parts[1] == "facts" || parts[1] == kDocuments);
  if (!one && parts.size() != 1) return not_there(exchange);
  const base::Status queued =
      sources.worker.run([library, one, parts, &options = sources.options,
                          tenant = *tenant_of(sources.access, exchange), responder = exchange.responder] {
        const bool was_read = has_documents(*library, parts[0]) && (!one || parts[1] == kDocuments);
        if (const base::Status done = forget_part(*library, parts); !done)
          return send_error(*responder, done.error());
        // What the model read of a document is a prefix, and its keys and values tell what was in it.
        if (was_read && options.wipe_prefixes) options.wipe_prefixes({.tenant = tenant});
        json body{{"domain", parts[0]}, {"forgotten", true}};
        if (one) body[parts[1] == kDocuments ? "document" : "id"] = parts[2];
        send_json(*responder, 200, text_of(body));
      });
  if (!queued) send_error(*exchange.responder, queued.error());
}

}  // namespace

json domain_json(const knowledge_cache::DomainInfo& info) {
  return {{"domain", info.name},         {"version", info.version},  {"facts", info.facts},
          {"things", info.things},       {"bytes", info.bytes},      {"learnt_unix_s", info.learnt_unix_s},
          {"documents", info.documents}, {"passages", info.passages}};
}

json facts_json(const knowledge_cache::Domain& domain) {
  json facts = json::array();
  for (const auto& slot : domain.slots()) {
    facts.push_back({{"id", slot->fact.id},
                     {"prompt", slot->fact.prompt},
                     {"answer", slot->fact.answer},
                     {"paraphrases", slot->fact.paraphrases},
                     {"subject", slot->mention},
                     {"source", slot->source},
                     {"line", slot->line},
                     {"revision", slot->revision},
                     {"learnt_unix_s", slot->learnt_unix_s},
                     {"bytes", slot->bytes()}});
  }
  return {
      {"domain", domain.origin().name}, {"version", domain.origin().version}, {"facts", std::move(facts)}};
}

json report_json(const knowledge_cache::LearnReport& report) {
  json errors = json::array(), contradictions = json::array();
  for (const auto& error : report.errors)
    errors.push_back({{"line", error.line}, {"message", error.message}});
  for (const auto& c : report.contradictions) {
    contradictions.push_back({{"id", c.id},
                              {"known_id", c.known_id},
                              {"prompt", c.prompt},
                              {"answer", c.answer},
                              {"known_answer", c.known_answer}});
  }
  return {{"domain", report.domain},
          {"version", report.version},
          {"given", report.given},
          {"learnt", report.learnt},
          {"updated", report.updated},
          {"known_before", report.known_before},
          {"recalled", report.recalled},
          {"generalised", {{"asked", report.unseen_asked}, {"recalled", report.unseen_recalled}}},
          {"others", {{"asked", report.others_asked}, {"changed", report.others_changed}}},
          {"contradictions", std::move(contradictions)},
          {"errors", std::move(errors)},
          {"bytes_a_fact", report.bytes_a_fact},
          {"seconds", report.seconds},
          {"seconds_a_fact", report.seconds_a_fact}};
}

void take_knowledge_of_name(const ApiOptions& options, llm::Request& request) {
  if (options.models.contains(request.model)) return;
  const auto parts = [&] {
    std::vector<std::string> out;
    for (std::size_t at = 0; at <= request.model.size();) {
      const std::size_t end = std::min(request.model.find('+', at), request.model.size());
      out.push_back(request.model.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }();
  if (parts.size() < 2 || !options.models.contains(parts[0])) return;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (std::find(request.knowledge.begin(), request.knowledge.end(), parts[i]) == request.knowledge.end())
      request.knowledge.push_back(parts[i]);
  }
  request.model = parts[0];
}

base::Status resolve_knowledge(const ServedModel& model, llm::Request& request) {
  if (request.knowledge.empty()) return {};
  if (model.knowledge == nullptr) {
    return base::invalid(
        fmt::format("'permutation.knowledge': the model '{}' {}.", request.model.substr(0, 64),
                    model.on_demand
                        ? "comes on demand, and only one that is loaded at the start (load = \"start\" "
                          "in its [[model]]) can be taught"
                        : "can't be taught: leave it out"),
        "permutation.knowledge");
  }
  knowledge_cache::Library& library = model.knowledge->of_tenant(request.tenant);
  library.refresh();
  for (std::string& name : request.knowledge) {
    auto domain = library.find(name);
    if (!domain) {
      base::Error error = domain.error();
      error.field = "permutation.knowledge";
      return error;
    }
    name += "@" + (*domain)->origin().version;
  }
  return {};
}

void add_knowledge_routes(Router& router, const ApiOptions& options, KnowledgeWorker& worker) {
  const auto add = [&](const char* method, const char* pattern,
                       void (*act)(const Sources&, const Exchange&)) {
    router.add(method, pattern,
               [sources = Sources{options, worker, router.access()}, act](const Exchange& exchange) {
                 act(sources, exchange);
               });
  };
  add("GET", "/v1/knowledge", show_all);
  add("GET", "/v1/knowledge/{path}", get);
  add("POST", "/v1/knowledge/{path}", post);
  add("DELETE", "/v1/knowledge/{path}", forget);
}

}  // namespace pmt::api
