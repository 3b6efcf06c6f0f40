#include "knowledge_cache/documents/pack_reader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "knowledge_cache/own_call.h"
#include "llm/shown_passages.h"
#include "llm/sinks.h"

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kKnownMax = 100'000;
/// Where a model keeps no prefixes, or has no room for them, reading passages for each request would double its cost.
constexpr int kPauseRequests = 64;

std::vector<std::string> packs_of(const llm::Request& request) {
  llm::ShownPassages shown = request.options.get<llm::ShownPassages>();
  shown.texts.resize(std::min(shown.packs, shown.texts.size()));
  return std::move(shown.texts);
}

/// Only what stands before the passages counts; the rest of `request` is who asks.
llm::Request reading_of(const llm::Request& request, const std::string& passage) {
  llm::Request out = own_call(request);
  out.messages = request.messages;
  out.thinking = request.thinking;
  out.options.set(llm::ShownPassages{.texts = {passage}, .reads_only = true});
  return out;
}

}  // namespace

bool PackReader::may_serve(const llm::Request& request) {
  if (request.messages.empty()) return false;
  const bool first_turn = std::all_of(
      request.messages.begin(), std::prev(request.messages.end()),
      [](const llm::Message& message) { return message.role == "system" || message.role == "developer"; });
  if (!first_turn) return false;
  int pause = pause_;
  while (pause > 0 && !pause_.compare_exchange_weak(pause, pause - 1)) {
  }
  return pause <= 0;
}

base::Digest PackReader::key_of(const llm::Request& request, const std::string& passage) {
  std::string text = request.tenant;
  const auto add = [&text](const std::string& part) {
    text += '\0' + std::to_string(part.size()) + ':' + part;
  };
  for (auto message = request.messages.begin(); message != std::prev(request.messages.end()); ++message) {
    add(message->role);
    add(message->content);
  }
  add(request.thinking.template_variables + request.thinking.effort +
      (request.thinking.on ? *request.thinking.on ? "1" : "0" : "") + (request.thinking.off() ? "off" : ""));
  add(passage);
  return base::sha256(text);
}

std::vector<std::string> PackReader::unknown_of(const llm::Request& request) const {
  std::vector<std::string> out;
  for (std::string& passage : packs_of(request)) {
    const base::Digest key = key_of(request, passage);
    const std::lock_guard lock(mutex_);
    if (!known_.contains(key)) out.push_back(std::move(passage));
  }
  return out;
}

void PackReader::add(const base::Digest& key) {
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.insert(key);
}

void PackReader::prepare(const llm::Request& request, const base::CancelToken& cancel,
                         std::function<void(bool)> done) {
  const std::vector<std::string> unknown = unknown_of(request);
  if (unknown.empty()) return done(false);
  const auto left = std::make_shared<std::atomic<std::size_t>>(unknown.size());
  const auto all_read = std::make_shared<std::function<void(bool)>>(std::move(done));
  for (const std::string& passage : unknown) {
    const auto on_event = [this, left, all_read, key = key_of(request, passage)](const llm::Event& event) {
      if (std::holds_alternative<llm::Done>(event)) add(key);
      if (llm::is_terminal(event) && --*left == 0) (*all_read)(true);
    };
    model_.start(reading_of(request, passage), std::make_shared<llm::FunctionSink>(on_event), cancel);
  }
}

void PackReader::settle(const llm::Request& request, const Outcome& outcome) {
  if (outcome.found) return;
  if (outcome.just_read) pause_ = kPauseRequests;
  const std::lock_guard lock(mutex_);
  for (const std::string& passage : packs_of(request)) known_.erase(key_of(request, passage));
}

base::Status PackReader::read(const std::string& tenant, const std::vector<std::string>& passages,
                              const Progress& progress) {
  llm::Request request;
  request.tenant = tenant;
  request.messages.push_back({.role = "user", .content = {}, .name = {}, .tool_call_id = {}});
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    model_.start(reading_of(request, passages[i]), sink, {});
    const auto events = sink->wait();
    if (const auto* failed = std::get_if<llm::Failed>(&events.back())) return failed->error;
    add(key_of(request, passages[i]));
    if (progress) progress(i + 1, passages.size());
  }
  return {};
}

}  // namespace pmt::knowledge_cache
