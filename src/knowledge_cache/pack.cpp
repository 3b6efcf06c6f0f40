#include "knowledge_cache/pack.h"

#include <cstring>
#include <exception>
#include <random>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace pmt::knowledge_cache {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "pmtknow1";
constexpr std::size_t kHead = 8 + 8 + 32;

json binary(const std::string& bytes) {
  return json::binary({bytes.begin(), bytes.end()});
}

json slot_json(const Slot& slot) {
  json keys = json::array();
  for (const auto& key : slot.keys) keys.push_back(binary(pack_key(key)));
  json out{{"id", slot.fact.id},      {"prompt", slot.fact.prompt},   {"answer", slot.fact.answer},
           {"mention", slot.mention}, {"words", slot.mention_words},  {"asked", slot.asked},
           {"keys", std::move(keys)}, {"statement", slot.statement},  {"source", slot.source},
           {"line", slot.line},       {"learnt", slot.learnt_unix_s}, {"revision", slot.revision}};
  if (!slot.fact.paraphrases.empty()) out["paraphrases"] = slot.fact.paraphrases;
  if (!slot.fact.subject.empty()) out["subject"] = slot.fact.subject;
  if (!slot.fact.text.empty()) out["text"] = slot.fact.text;
  return out;
}

Slot slot_of(const json& from) {
  Slot slot;
  slot.fact.id = from.at("id");
  slot.fact.prompt = from.at("prompt");
  slot.fact.answer = from.at("answer");
  slot.fact.paraphrases = from.value("paraphrases", std::vector<std::string>{});
  slot.fact.subject = from.value("subject", "");
  slot.fact.text = from.value("text", "");
  slot.mention = from.at("mention");
  slot.mention_words = from.at("words");
  slot.asked = from.at("asked");
  for (const json& key : from.at("keys")) {
    const auto& bytes = key.get_binary();
    slot.keys.push_back(unpack_key({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  slot.statement = from.at("statement");
  slot.source = from.at("source");
  slot.line = from.at("line");
  slot.learnt_unix_s = from.at("learnt");
  slot.revision = from.at("revision");
  return slot;
}

base::Error corrupt(std::string what) {
  return {base::Code::kCorrupt, "this is no knowledge pack, or a damaged one: " + std::move(what)};
}

}  // namespace

std::string pack_bytes(const Domain& domain) {
  const Domain::Origin& origin = domain.origin();
  json slots = json::array();
  for (const auto& slot : domain.slots()) slots.push_back(slot_json(*slot));
  const auto body = json::to_cbor({{"domain", origin.name},
                                   {"model", origin.model},
                                   {"space", origin.space},
                                   {"version", origin.version},
                                   {"learnt", origin.learnt_unix_s},
                                   {"slots", std::move(slots)}});
  return with_head({reinterpret_cast<const char*>(body.data()), body.size()});
}

std::string with_head(std::string_view body) {
  const base::Digest sum = base::sha256(body);
  const std::uint64_t length = body.size();
  std::string out(kMagic);
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(reinterpret_cast<const char*>(sum.bytes.data()), sum.bytes.size());
  out += body;
  return out;
}

base::Result<std::shared_ptr<const Domain>> domain_of(std::string_view bytes) {
  if (bytes.size() < kHead || bytes.substr(0, kMagic.size()) != kMagic)
    return corrupt("it doesn't begin like one");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data() + kMagic.size(), sizeof length);
  const std::string_view body = bytes.substr(kHead);
  if (body.size() != length) return corrupt(fmt::format("it holds {} bytes of {}", body.size(), length));
  const base::Digest sum = base::sha256(body);
  if (std::memcmp(sum.bytes.data(), bytes.data() + kHead - sum.bytes.size(), sum.bytes.size()) != 0)
    return corrupt("its checksum is wrong");
  try {
    const json all = json::from_cbor(body);
    Domain::Slots slots;
    for (const json& slot : all.at("slots")) slots.push_back(std::make_shared<const Slot>(slot_of(slot)));
    return std::make_shared<const Domain>(Domain::Origin{all.at("domain"), all.at("model"), all.at("space"),
                                                         all.at("version"), all.at("learnt")},
                                          std::move(slots));
  } catch (const std::exception& error) {  // a pack that somebody made by hand, with its checksum
    return corrupt(error.what());
  }
}

std::string new_version() {
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += fmt::format("{:08x}", random());
  return bytes;
}

}  // namespace pmt::knowledge_cache
