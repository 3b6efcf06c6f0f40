#include "response_cache/store/deep_size.h"

#include <type_traits>

#include "response_cache/store/node_pool.h"

namespace pmt::response_cache {
namespace {

// glibc's malloc keeps 8 B a block and rounds up to 16.
std::size_t block(std::size_t bytes) {
  return bytes == 0 ? 0 : (bytes + 8 + 15) / 16 * 16;
}

std::size_t heap(const std::string& s) {
  static const std::size_t kInline = std::string().capacity();
  return s.capacity() <= kInline ? 0 : block(s.capacity() + 1);
}

template <class T>
std::size_t heap_of_array(const std::vector<T>& v) {
  return block(v.capacity() * sizeof(T));
}

std::size_t heap(const std::vector<std::string>& strings) {
  std::size_t bytes = heap_of_array(strings);
  for (const auto& s : strings) bytes += heap(s);
  return bytes;
}

std::size_t heap(const llm::TokenLogprob& token) {
  std::size_t bytes = heap(token.token) + heap_of_array(token.top);
  for (const auto& [text, logprob] : token.top) bytes += heap(text);
  return bytes;
}

std::size_t heap(const llm::Started& e) {
  return heap(e.model) + heap(e.more) + (e.cache ? heap(e.cache->key) : 0);
}

std::size_t heap(const llm::Delta& e) {
  std::size_t bytes = heap(e.text) + heap(e.reasoning) + heap(e.more) + heap(e.choice_more) +
                      heap_of_array(e.logprobs) + heap_of_array(e.calls);
  for (const auto& token : e.logprobs) bytes += heap(token);
  for (const auto& call : e.calls)
    bytes += heap(call.id) + heap(call.name) + heap(call.arguments) + heap(call.sent);
  return bytes;
}

std::size_t heap(const llm::ChoiceEnd& e) {
  return heap(e.tool_calls) + heap(e.said) + heap(e.choice_more);
}

std::size_t heap(const llm::Done& e) {
  std::size_t bytes =
      heap_bytes(e.report.engine) + heap_bytes(e.report.upstream) + heap(e.usage.details) + heap(e.extra);
  if (e.report.cache) bytes += heap(e.report.cache->key) + heap(e.report.cache->why);
  if (e.report.kv) bytes += heap(e.report.kv->mode);
  if (e.report.knowledge) bytes += heap(e.report.knowledge->domains) + heap(e.report.knowledge->facts);
  return bytes + heap(e.report.ignored) + heap(e.report.unfollowed);
}

std::size_t heap(const llm::Failed& e) {
  return heap(e.error.message) + heap(e.error.field);
}

std::size_t heap(const RecordedAnswer& answer) {
  std::size_t bytes = heap_of_array(answer.events);
  for (const auto& event : answer.events) bytes += heap_bytes(event);
  return bytes;
}

std::size_t heap(const nlohmann::json& value) {
  return heap_bytes(value);
}

constexpr std::size_t kTreeNodeBytes = 32;  // a red-black tree node's colour and three pointers
// An entry's share of the table, which is a quarter to half full.
constexpr std::size_t kSlotsBytes = 3 * 24;

}  // namespace

std::size_t heap_bytes(const nlohmann::json& root) {
  using json = nlohmann::json;
  std::size_t bytes = 0;
  std::vector<const json*> open{&root};
  while (!open.empty()) {
    const json& value = *open.back();
    open.pop_back();
    if (const auto* text = value.get_ptr<const std::string*>()) {
      bytes += block(sizeof(std::string)) + heap(*text);
    } else if (const auto* array = value.get_ptr<const json::array_t*>()) {
      bytes += block(sizeof(json::array_t)) + heap_of_array(*array);
      for (const auto& item : *array) open.push_back(&item);
    } else if (const auto* object = value.get_ptr<const json::object_t*>()) {
      bytes += block(sizeof(json::object_t));
      for (const auto& [key, item] : *object) {
        bytes += block(kTreeNodeBytes + sizeof(json::object_t::value_type)) + heap(key);
        open.push_back(&item);
      }
    }
  }
  return bytes;
}

std::size_t heap_bytes(const llm::Event& event) {
  return std::visit([](const auto& e) { return heap(e); }, event);
}

std::size_t entry_bytes(const Entry& entry) {
  return block(sizeof(Entry) + kSharedPtrBytes) + node_pool::kBlockBytes + kSlotsBytes +
         heap(entry.meta.tenant) + heap(entry.meta.name_space) + heap(entry.meta.model) +
         heap(entry.meta.question) + heap(entry.meta.semantic_scope) + heap(entry.meta.tags) +
         heap_of_array(entry.meta.made_of) +
         std::visit([](const auto& content) { return heap(content); }, entry.value.content);
}

}  // namespace pmt::response_cache
