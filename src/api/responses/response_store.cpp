#include "api/responses/response_store.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace pmt::api {
namespace {

constexpr std::size_t kRecordBytes = 512;  // around the texts
constexpr std::size_t kItemBytes = 48;
constexpr std::size_t kIdBytes = 24;  // of an id: hex digits

std::size_t bytes_of(const StoredResponse& response) {
  std::size_t bytes = kRecordBytes + response.json.size();
  for (const auto* items : {&response.input, &response.output}) {
    for (const std::string& item : *items) bytes += item.size() + kItemBytes;
  }
  return bytes;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& items) {
  to.insert(to.end(), items.begin(), items.end());
}

}  // namespace

bool ResponseStore::expired(const Record& record) const {
  return !record.response->running &&
         base::ms_between(record.stored_at, clock_.now()) > options_.ttl_s * 1000;
}

ResponseStore::Record* ResponseStore::find_locked(const std::string& id, const ResponseReader& reader) {
  const auto at = records_.find(id);
  if (at == records_.end()) return nullptr;
  if (expired(at->second)) {
    ++expired_;
    remove_locked(at);
    return nullptr;
  }
  const std::string& owner = at->second.response->tenant;
  if (owner != reader.tenant && !reader.is_operator) return nullptr;
  std::list<std::string>& order = tenants_[owner].order;
  order.splice(order.end(), order, at->second.place);
  return &at->second;
}

void ResponseStore::remove_locked(Records::iterator at) {
  Record& record = at->second;
  const auto of = tenants_.find(record.response->tenant);
  of->second.bytes -= record.bytes;
  bytes_ -= record.bytes;
  if (record.response->running) --of->second.running;
  of->second.order.erase(record.place);
  if (of->second.order.empty()) tenants_.erase(of);
  records_.erase(at);
}

bool ResponseStore::evict_one_locked(Tenant& tenant) {
  for (const std::string& id : tenant.order) {
    const auto at = records_.find(id);
    if (at->second.response->running) continue;
    ++(expired(at->second) ? expired_ : evicted_);
    remove_locked(at);
    return true;
  }
  return false;
}

void ResponseStore::make_room_locked() {
  while (bytes_ > options_.bytes_max) {
    const auto most = std::ranges::max_element(
        tenants_, [](const auto& a, const auto& b) { return a.second.bytes < b.second.bytes; });
    if (most == tenants_.end() || !evict_one_locked(most->second)) return;
  }
}

void ResponseStore::insert_locked(const std::string& id, StoredResponse response) {
  const std::size_t bytes = bytes_of(response);
  const bool running = response.running.has_value();
  if (bytes > options_.tenant_bytes_max && !running) return;
  const std::string name = response.tenant;
  Tenant& tenant = tenants_[name];
  while (tenant.bytes + bytes > options_.tenant_bytes_max && tenant.order.size() > 1 &&
         evict_one_locked(tenant)) {
  }
  // A tenant whose last record went is forgotten, so it is looked up anew.
  if (tenant.bytes + bytes > options_.tenant_bytes_max && tenant.order.size() == 1 &&
      !records_.at(tenant.order.front()).response->running) {
    evict_one_locked(tenant);
  }
  Tenant& own = tenants_[name];
  own.order.push_back(id);
  own.bytes += bytes;
  own.running += running ? 1 : 0;
  bytes_ += bytes;
  records_[id] = {.response = std::make_shared<const StoredResponse>(std::move(response)),
                  .bytes = bytes,
                  .stored_at = clock_.now(),
                  .place = std::prev(own.order.end())};
  make_room_locked();
}

base::Status ResponseStore::add(const std::string& id, StoredResponse response) {
  const std::lock_guard lock(mutex_);
  const auto tenant = tenants_.find(response.tenant);
  if (response.running && tenant != tenants_.end() && tenant->second.running >= options_.running_max) {
    return base::Error{
        base::Code::kExhausted,
        fmt::format("{} responses run in the background already: wait for one to end.", options_.running_max),
        "background"};
  }
  insert_locked(id, std::move(response));
  return {};
}

void ResponseStore::update(const std::string& id, StoredResponse response) {
  const std::lock_guard lock(mutex_);
  const auto at = records_.find(id);
  if (at == records_.end() || !at->second.response->running) return;
  remove_locked(at);
  insert_locked(id, std::move(response));
}

std::shared_ptr<const StoredResponse> ResponseStore::find(const std::string& id,
                                                          const ResponseReader& reader) {
  const std::lock_guard lock(mutex_);
  const Record* const record = find_locked(id, reader);
  return record == nullptr ? nullptr : record->response;
}

bool ResponseStore::erase(const std::string& id, const ResponseReader& reader) {
  std::optional<base::CancelToken> running;
  {
    const std::lock_guard lock(mutex_);
    const Record* const record = find_locked(id, reader);
    if (record == nullptr) return false;
    running = record->response->running;
    remove_locked(records_.find(id));
  }
  if (running) running->cancel();
  return true;
}

base::Result<std::vector<std::string>> ResponseStore::conversation(const std::string& id,
                                                                   const ResponseReader& reader) {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const StoredResponse>> turns;
  for (std::string at = id; !at.empty(); at = turns.back()->previous) {
    const Record* const record = find_locked(at, reader);
    if (record == nullptr) {
      return base::invalid(fmt::format("'previous_response_id': the response '{}'{} isn't kept here{}.",
                                       at.substr(0, 64), at == id ? "" : ", which it went on from,",
                                       at == id ? "" : " any more: send the conversation as input"),
                           "previous_response_id");
    }
    if (record->response->running) {
      return base::invalid(
          fmt::format("'previous_response_id': the response '{}' isn't finished: wait for it.", at),
          "previous_response_id");
    }
    turns.push_back(record->response);
  }
  std::vector<std::string> items;
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    append(items, (*turn)->input);
    append(items, (*turn)->output);
  }
  return items;
}

std::vector<std::string> ResponseStore::inputs(const std::string& id, const ResponseReader& reader) {
  const auto response = find(id, reader);
  if (response == nullptr) return {};
  std::vector<std::string> items;
  if (!response->previous.empty()) {
    if (auto earlier = conversation(response->previous, reader)) items = *std::move(earlier);
  }
  append(items, response->input);
  return items;
}

std::optional<std::string> ResponseStore::item(const std::string& item_id, const ResponseReader& reader) {
  const std::size_t stem = item_id.find('_') + 1;  // 0: there is no stem
  if (stem == 0 || item_id.size() < stem + kIdBytes + 2) return std::nullopt;
  const char side = item_id[stem + kIdBytes];
  std::size_t index = 0;
  const char* const end = item_id.data() + item_id.size();
  const auto [read, error] = std::from_chars(item_id.data() + stem + kIdBytes + 1, end, index);
  if (error != std::errc() || read != end || (side != 'i' && side != 'o')) return std::nullopt;
  const auto response = find("resp_" + item_id.substr(stem, kIdBytes), reader);
  if (response == nullptr) return std::nullopt;
  const std::vector<std::string>& items = side == 'i' ? response->input : response->output;
  if (index >= items.size()) return std::nullopt;
  return items[index];
}

ResponseStoreStats ResponseStore::stats() const {
  const std::lock_guard lock(mutex_);
  return {.responses = records_.size(), .bytes = bytes_, .evicted = evicted_, .expired = expired_};
}

}  // namespace pmt::api
