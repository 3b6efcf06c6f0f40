#include "upstream/prompt_cache.h"

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/json_text.h"
#include "upstream/body_edit.h"
#include "upstream/request_json.h"
#include "upstream/sent_prefixes.h"

namespace pmt::upstream {
namespace {

constexpr std::string_view kMark = R"({"type":"ephemeral"})";
constexpr std::string_view kName = "cache_control";
constexpr int kTurnsMarked = 2;

/// `object` with a breakpoint on it.
std::string marked(std::string_view object) {
  const auto members = base::members_of(object);
  BodyEdit edit(object, members);
  edit.set(kName, std::string(kMark));
  return edit.text();
}

std::string array_of(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out.append(out.size() > 1 ? "," : "").append(item);
  return out + "]";
}

std::vector<std::string> copies(const std::vector<std::string_view>& items) {
  return {items.begin(), items.end()};
}

/// A content with a breakpoint on its last text; "" where there is none to put it on.
std::string marked_content(std::string_view content) {
  if (content.starts_with('"') && content != "\"\"")
    return R"([{"type":"text","text":)" + std::string(content) + R"(,"cache_control":)" + std::string(kMark) +
           "}]";
  if (!content.starts_with('[')) return {};
  auto parts = copies(base::items_of(content));
  if (parts.empty() || !parts.back().starts_with('{')) return {};
  parts.back() = marked(parts.back());
  return array_of(parts);
}

/// "" where it can't have one.
std::string marked_message(std::string_view message) {
  const auto members = base::members_of(message);
  if (base::value_of(members, "role") == R"("tool")") return marked(message);
  std::string content = marked_content(base::value_of(members, "content"));
  if (content.empty()) return {};
  BodyEdit edit(message, members);
  edit.set("content", std::move(content));
  return edit.text();
}

bool is_instruction(std::string_view role) {
  return role == R"("system")" || role == R"("developer")";
}
bool is_turn(std::string_view role) {
  return role == R"("user")" || role == R"("tool")";
}

/// The messages with breakpoints: on the last that instructs, and on the last turns.
std::string marked_messages(std::string_view text) {
  auto messages = copies(base::items_of(text));
  bool instruction = false;
  int turns = 0;
  for (std::size_t i = messages.size(); i-- > 0;) {
    if (!messages[i].starts_with('{')) return std::string(text);
    const auto members = base::members_of(messages[i]);
    const std::string role(base::value_of(members, "role"));
    const bool instructs = is_instruction(role);
    const bool wanted = instructs ? !instruction : is_turn(role) && turns < kTurnsMarked;
    if (!wanted) continue;
    std::string with = marked_message(messages[i]);
    if (with.empty()) continue;
    messages[i] = std::move(with);
    instruction = instruction || instructs;
    turns += instructs ? 0 : 1;
  }
  return array_of(messages);
}

void add_breakpoints(BodyEdit& body) {
  if (const std::string_view tools = body.value("tools"); tools.starts_with('[')) {
    auto items = copies(base::items_of(tools));
    if (!items.empty() && items.back().starts_with('{')) {
      items.back() = marked(items.back());
      body.set("tools", array_of(items));
    }
  }
  if (const std::string_view messages = body.value("messages"); messages.starts_with('['))
    body.set("messages", marked_messages(messages));
}

/// The same request as a body of its own, which is sent as it is.
void keep_as_sent(llm::Request& request, std::string text) {
  auto sent = std::make_shared<llm::SentBody>();
  sent->text = std::move(text);
  for (base::JsonMember& member : base::members_of(sent->text)) {
    auto& kept = sent->members.emplace_back();
    static_cast<base::JsonMember&>(kept) = std::move(member);
    kept.held = true;
  }
  sent->sampling = request.sampling;
  sent->max_tokens = request.max_tokens;
  sent->logprobs = request.logprobs;
  sent->n = request.n;
  if (request.sent) sent->not_local = request.sent->not_local;
  request.sent = std::move(sent);
}

}  // namespace

std::string prompt_cache_key(const llm::Request& request) {
  std::string said;
  const auto add = [&said](const std::string& text) {
    said.append(std::to_string(text.size())).append(":").append(text);
  };
  add(request.tenant);
  for (const llm::Message& message : request.messages) {
    add(message.role);
    add(message.content);
    add(message.more);
    if (message.role == "user") break;
  }
  constexpr std::size_t kDigits = 36;
  return "pmt-" + base::sha256(said).hex().substr(0, kDigits);
}

std::string PromptCacheKeys::key_for(const llm::Request& request) {
  const std::vector<std::uint64_t> chain = chain_of(request);
  std::string own = prompt_cache_key(request);
  const std::uint64_t conversation = std::hash<std::string>{}(own);
  const std::lock_guard lock(mutex_);
  SharedPtr shared = find(conversation);
  if (shared == nullptr) shared = choose(chain);
  if (shared == nullptr) shared = std::make_shared<Shared>(Shared{.key = std::move(own), .lately = {}});
  remember(conversation, shared);
  for (const std::uint64_t block : chain) {
    const SharedPtr known = find(block);
    remember(block, known != nullptr && has_room(*known) ? known : shared);
  }
  shared->lately.push_back(clock_.now());
  if (shared->lately.size() > static_cast<std::size_t>(options_.key_requests)) shared->lately.pop_front();
  return shared->key;
}

PromptCacheKeys::SharedPtr PromptCacheKeys::choose(std::span<const std::uint64_t> chain) const {
  for (std::size_t blocks = chain.size(); blocks > 0 && 2 * blocks >= chain.size(); --blocks) {
    SharedPtr shared = find(chain[blocks - 1]);
    if (shared != nullptr && has_room(*shared)) return shared;
  }
  return nullptr;
}

bool PromptCacheKeys::has_room(Shared& shared) const {
  const auto now = clock_.now();
  const auto is_old = [&](base::Nanos sent) {
    return base::ms_between(sent, now) > options_.key_seconds * 1e3;
  };
  while (!shared.lately.empty() && is_old(shared.lately.front())) shared.lately.pop_front();
  return shared.lately.size() < static_cast<std::size_t>(options_.key_requests / 2);
}

PromptCacheKeys::SharedPtr PromptCacheKeys::find(std::uint64_t entry) const {
  for (const Generation* generation : {&now_, &before_}) {
    if (const auto at = generation->find(entry); at != generation->end()) return at->second;
  }
  return nullptr;
}

void PromptCacheKeys::remember(std::uint64_t entry, const SharedPtr& shared) {
  if (now_.size() >= entries_max_ && !now_.contains(entry)) before_ = std::exchange(now_, {});
  now_[entry] = shared;
}

llm::Request with_prompt_cache_help(llm::Request request, PromptCacheOptions options,
                                    const RemoteOptions& remote, const std::string& key) {
  if (!options.any() || request.endpoint != llm::Endpoint::kChat) return request;
  const std::string text = request_body(request, remote, request.stream && remote.stream);
  const auto members = base::members_of(text);
  BodyEdit body(text, members);
  // Within a text the quotes would be escaped.
  const bool has_own = text.find("\"cache_control\"") != std::string::npos;
  if (options.key && base::is_null(body.value("prompt_cache_key")))
    body.set("prompt_cache_key", base::json_quoted(key));
  if (options.breakpoints && !has_own) add_breakpoints(body);
  keep_as_sent(request, body.text());
  return request;
}

}  // namespace pmt::upstream
