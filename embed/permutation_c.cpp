// permutation.h's functions over Engine: each checks what it was given, asks, and translates the answer.
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <permutation/permutation.h>

#include "base/json.h"
#include "base/version.h"
#include "embed/opened.h"

namespace pmt::embed {
namespace {

constexpr char kChat[] = "/v1/chat/completions";

bool given(const char* data, std::size_t size) {
  return data != nullptr || size == 0;
}

std::string body_of(const char* data, std::size_t size) {
  return size == 0 ? std::string() : std::string(data, size);
}

Failure open_config(const base::Result<app::Config>& config, permutation_engine** out) {
  if (!config) return failure_of(config.error());
  auto engine = Engine::open(*config);
  if (!engine) return failure_of(engine.error());
  const auto handle = std::make_shared<permutation_engine>(std::move(*engine));
  keep(handle);
  *out = handle.get();
  return {};
}

/// A request whose whole answer is wanted, or nothing but that it was done.
int ask(permutation_engine* engine, Request request, permutation_text* answer, permutation_error* error) {
  return answered(error, [&]() -> Failure {
    const auto used = use(engine);
    if (!used) return closed();
    std::string body;
    if (Failure failure = used->answer(std::move(request), &body); failure.code > PERMUTATION_END)
      return failure;
    if (answer != nullptr) *answer = text_of(std::move(body));
    return {};
  });
}

/// `name` is a part of a path of its own.
Failure check_name(const char* name, const char* field) {
  if (name == nullptr || *name == '\0') return bad("A name is wanted here.", field);
  if (std::string_view(name).find_first_of("/?%#") != std::string_view::npos)
    return bad("The name must have no '/', '?', '%' or '#'.", field);
  return {};
}

Failure stream(Call& call, permutation_on_event on_event, void* user) {
  Failure ended;
  std::string event;
  while ((ended = call.next(-1, &event)).code == PERMUTATION_OK) {
    try {
      const CallbackScope scope;
      if (on_event(user, event.c_str(), event.size()) == 0) continue;
      ended = {PERMUTATION_CANCELLED, "The callback wanted no more."};
    } catch (...) {
      ended = {PERMUTATION_CALLBACK, "The callback threw an exception. The request was cancelled."};
    }
    break;
  }
  call.cancel();
  return ended.code == PERMUTATION_END ? Failure{} : ended;
}

bool streams(std::string_view request) {
  const auto parsed = base::parse_json(request);
  return parsed && base::flag_at(*parsed, "stream").value_or(false);
}

}  // namespace
}  // namespace pmt::embed

using namespace pmt::embed;  // NOLINT(google-build-using-namespace): the functions below are the interface
using pmt::base::parse_json;

int permutation_abi(void) {
  return PERMUTATION_ABI;
}

const char* permutation_version(void) {
  return pmt::base::kVersion;
}

void permutation_text_free(permutation_text* text) {
  if (text == nullptr) return;
  delete static_cast<std::shared_ptr<const void>*>(text->owner);
  *text = {};
}

int permutation_engine_open(const char* config, size_t size, permutation_engine** engine,
                            permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (engine == nullptr || !given(config, size)) return bad("'engine' or 'config' is NULL.");
    *engine = nullptr;
    return open_config(library_config(body_of(config, size), "config"), engine);
  });
}

int permutation_engine_open_file(const char* path, permutation_engine** engine, permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (engine == nullptr || path == nullptr) return bad("'engine' or 'path' is NULL.");
    *engine = nullptr;
    const auto text = pmt::app::read_config(path);
    if (!text) return failure_of(text.error());
    return open_config(library_config(*text, path), engine);
  });
}

int permutation_engine_close(permutation_engine* engine) {
  return answered(nullptr, [&]() -> Failure {
    if (in_callback()) return {PERMUTATION_REFUSED};
    const bool done = engine != nullptr && engine->close([](Engine& open) { open.stop(); });
    return done ? Failure{} : closed();
  });
}

int permutation_complete(permutation_engine* engine, const char* request, size_t size,
                         permutation_text* answer, permutation_error* error) {
  if (answer != nullptr) *answer = {};
  return answered(error, [&]() -> Failure {
    if (answer == nullptr || !given(request, size)) return bad("'request' or 'answer' is NULL.");
    const auto used = use(engine);
    if (!used) return closed();
    std::string body = body_of(request, size);
    // Cheaper than reading it twice: few requests have the word.
    if (body.find("\"stream\"") != std::string::npos && streams(body))
      return bad("'stream' must not be true here: use permutation_stream.", "stream");
    std::string text;
    Failure failure = used->answer({.method = "POST", .target = kChat, .body = std::move(body)}, &text);
    if (failure.code == PERMUTATION_OK) *answer = text_of(std::move(text));
    return failure;
  });
}

int permutation_stream(permutation_engine* engine, const char* path, const char* request, size_t size,
                       permutation_on_event on_event, void* user, permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (on_event == nullptr || !given(request, size)) return bad("'request' or 'on_event' is NULL.");
    const auto used = use(engine);
    if (!used) return closed();
    const auto call = used->begin(
        {.method = "POST", .target = path == nullptr ? kChat : path, .body = body_of(request, size)});
    return stream(*call, on_event, user);
  });
}

int permutation_start(permutation_engine* engine, const char* path, const char* request, size_t size,
                      permutation_call* call, permutation_error* error) {
  return answered(error, [&]() -> Failure {
    if (call == nullptr || !given(request, size)) return bad("'request' or 'call' is NULL.");
    *call = 0;
    const auto used = use(engine);
    if (!used) return closed();
    *call = used->keep(used->begin(
        {.method = "POST", .target = path == nullptr ? kChat : path, .body = body_of(request, size)}));
    return {};
  });
}

int permutation_next(permutation_engine* engine, permutation_call call, double timeout_s,
                     permutation_text* event, permutation_error* error) {
  if (event != nullptr) *event = {};
  return answered(error, [&]() -> Failure {
    if (event == nullptr) return bad("'event' is NULL.");
    const auto used = use(engine);
    if (!used) return closed();
    const auto found = used->find(call);
    if (found == nullptr) return {PERMUTATION_NOT_FOUND, "There is no such call, or it has ended."};
    std::string text;
    Failure failure = found->next(timeout_s, &text);
    if (failure.code == PERMUTATION_OK) {
      *event = text_of(std::move(text));
    } else if (failure.code != PERMUTATION_TIMEOUT) {
      static_cast<void>(used->forget(call));
    }
    return failure;
  });
}

int permutation_cancel(permutation_engine* engine, permutation_call call) {
  return answered(nullptr, [&]() -> Failure {
    const auto used = use(engine);
    if (!used) return closed();
    const auto found = used->find(call);
    if (found == nullptr) return {PERMUTATION_NOT_FOUND};
    found->cancel();
    return {};
  });
}

int permutation_end(permutation_engine* engine, permutation_call call) {
  return answered(nullptr, [&]() -> Failure {
    const auto used = use(engine);
    if (!used) return closed();
    const auto found = used->forget(call);
    if (found == nullptr) return {PERMUTATION_NOT_FOUND};
    found->cancel();
    return {};
  });
}

int permutation_request(permutation_engine* engine, const char* method, const char* target, const char* body,
                        size_t size, permutation_text* answer, permutation_error* error) {
  if (answer != nullptr) *answer = {};
  if (method == nullptr || target == nullptr || answer == nullptr || !given(body, size))
    return tell(bad("'method', 'target', 'body' or 'answer' is NULL."), error);
  return ask(engine, {.method = method, .target = target, .body = body_of(body, size)}, answer, error);
}

int permutation_audit(permutation_engine* engine, permutation_text* json, permutation_error* error) {
  return permutation_request(engine, "GET", "/v1/audit", nullptr, 0, json, error);
}

int permutation_kv(permutation_engine* engine, permutation_text* json, permutation_error* error) {
  return permutation_request(engine, "GET", "/v1/kv", nullptr, 0, json, error);
}

int permutation_learn(permutation_engine* engine, const char* domain, const char* facts, size_t size,
                      permutation_text* report, permutation_error* error) {
  if (report != nullptr) *report = {};
  return answered(error, [&]() -> Failure {
    if (Failure wrong = check_name(domain, "domain"); wrong.code != PERMUTATION_OK) return wrong;
    if (!given(facts, size)) return bad("'facts' is NULL.");
    const auto used = use(engine);
    if (!used) return closed();
    std::string job, state;
    const std::string path = "/v1/knowledge/";
    Failure failure = used->answer(
        {.method = "POST", .target = path + domain + "/facts", .body = body_of(facts, size)}, &job);
    if (failure.code != PERMUTATION_OK) return failure;
    const auto begun = parse_json(job);
    failure = used->last_event({.method = "GET",
                                .target = path + "jobs/" + (begun ? pmt::base::text_at(*begun, "id") : ""),
                                .body = {},
                                .headers = {{"accept", "text/event-stream"}}},
                               &state);
    if (failure.code != PERMUTATION_OK) return failure;
    const auto ended = parse_json(state);
    if (!ended) return {PERMUTATION_INTERNAL, "The teaching ended without a report."};
    if (const auto& told = pmt::base::object_at(*ended, "error"); !told.empty())
      return {PERMUTATION_REFUSED, pmt::base::text_at(told, "message"), pmt::base::text_at(told, "field")};
    if (report != nullptr) *report = text_of(std::move(state));
    return {};
  });
}

int permutation_forget(permutation_engine* engine, const char* domain, const char* fact_id,
                       permutation_error* error) {
  Failure wrong = check_name(domain, "domain");
  if (wrong.code == PERMUTATION_OK && fact_id != nullptr) wrong = check_name(fact_id, "fact_id");
  if (wrong.code != PERMUTATION_OK) return tell(wrong, error);
  std::string target = std::string("/v1/knowledge/") + domain;
  if (fact_id != nullptr) target.append("/facts/").append(fact_id);
  return ask(engine, {.method = "DELETE", .target = std::move(target), .body = {}}, nullptr, error);
}

int permutation_knowledge(permutation_engine* engine, const char* domain, permutation_text* json,
                          permutation_error* error) {
  if (json != nullptr) *json = {};
  if (json == nullptr) return tell(bad("'json' is NULL."), error);
  std::string target = "/v1/knowledge";
  if (domain != nullptr) {
    if (const Failure wrong = check_name(domain, "domain"); wrong.code != PERMUTATION_OK)
      return tell(wrong, error);
    target.append("/").append(domain);
  }
  return ask(engine, {.method = "GET", .target = std::move(target), .body = {}}, json, error);
}
