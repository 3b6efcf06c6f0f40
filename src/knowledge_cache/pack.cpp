#include "knowledge_cache/pack.h"

#include <cstring>
#include <exception>
#include <random>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace pmt::knowledge_cache {
namespace {

using nlohmann::json;

constexpr std::string_view kMagic = "pmtknow2", kMagicBefore = "pmtknow1";
constexpr std::size_t kHead = 8 + 8 + 32;

/// CBOR (RFC 8949), straight into bytes. Forgetting a fact writes its domain's pack: by way of a tree of
/// values that took ten times as long as all else.
class Writer {
 public:
  explicit Writer(std::size_t bytes_about) { out_.reserve(bytes_about); }

  void object(std::size_t members) { head(5, members); }
  void array(std::size_t elements) { head(4, elements); }
  void number(std::uint64_t value) { head(0, value); }
  void number(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    value < 0 ? head(1, ~bits) : head(0, bits);
  }
  void text(std::string_view value) { run(3, value); }
  void binary(std::string_view value) { run(2, value); }
  void texts(const std::vector<std::string>& values) {
    array(values.size());
    for (const std::string& value : values) text(value);
  }

  template <class Value>
  void member(std::string_view name, const Value& value) {
    text(name);
    if constexpr (std::is_convertible_v<Value, std::string_view>) {
      text(value);
    } else if constexpr (std::is_integral_v<Value>) {
      number(value);
    } else {
      texts(value);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  void run(unsigned major, std::string_view value) {
    head(major, value.size());
    out_ += value;
  }
  void head(unsigned major, std::uint64_t value) {
    const auto first = [&](unsigned more) { out_ += static_cast<char>(major << 5U | more); };
    if (value < 24) return first(static_cast<unsigned>(value));
    const unsigned log_bytes = value <= 0xFF ? 0 : value <= 0xFFFF ? 1 : value <= 0xFFFF'FFFF ? 2 : 3;
    first(24 + log_bytes);
    for (int shift = (8 << log_bytes) - 8; shift >= 0; shift -= 8) out_ += static_cast<char>(value >> shift);
  }

  std::string out_;
};

void write(Writer& out, const Phrasings& phrasings) {
  out.object(2);
  out.member("asked", phrasings.asked);
  out.text("keys");
  out.array(phrasings.keys.size());
  for (const auto& key : phrasings.keys) out.binary(pack_key(key));
}

void write(Writer& out, const Slot& slot, std::size_t phrasings) {
  const Fact& fact = slot.fact;
  out.object(11 + (fact.paraphrases.empty() ? 0U : 1U) + (fact.subject.empty() ? 0U : 1U) +
             (fact.text.empty() ? 0U : 1U));
  out.member("id", fact.id);
  out.member("prompt", fact.prompt);
  out.member("answer", fact.answer);
  if (!fact.paraphrases.empty()) out.member("paraphrases", fact.paraphrases);
  if (!fact.subject.empty()) out.member("subject", fact.subject);
  if (!fact.text.empty()) out.member("text", fact.text);
  out.member("mention", slot.mention);
  out.member("words", slot.mention_words);
  out.member("phrasings", phrasings);
  out.member("statement", slot.statement);
  out.member("source", slot.source);
  out.member("line", slot.line);
  out.member("learnt", slot.learnt_unix_s);
  out.member("revision", slot.revision);
}

Phrasings phrasings_of(const json& from) {
  Phrasings out{from.at("asked"), {}};
  for (const json& key : from.at("keys")) {
    const auto& bytes = key.get_binary();
    out.keys.push_back(unpack_key({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  }
  return out;
}

Slot slot_of(const json& from, const std::vector<std::shared_ptr<const Phrasings>>& phrasings) {
  Slot slot;
  slot.phrasings = from.contains("phrasings") ? phrasings.at(from["phrasings"].get<std::size_t>())
                                              : std::make_shared<const Phrasings>(phrasings_of(from));
  slot.fact.id = from.at("id");
  slot.fact.prompt = from.at("prompt");
  slot.fact.answer = from.at("answer");
  slot.fact.paraphrases = from.value("paraphrases", std::vector<std::string>{});
  slot.fact.subject = from.value("subject", "");
  slot.fact.text = from.value("text", "");
  slot.mention = from.at("mention");
  slot.mention_words = from.at("words");
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
  std::vector<const Phrasings*> phrasings;
  std::unordered_map<const Phrasings*, std::size_t> places;
  for (const auto& slot : domain.slots()) {
    if (places.emplace(slot->phrasings.get(), phrasings.size()).second)
      phrasings.push_back(slot->phrasings.get());
  }
  constexpr std::size_t kNamesOfMembers = 160;  // a slot's
  Writer out(domain.bytes() + kNamesOfMembers * (domain.slots().size() + 1));
  out.object(7);
  out.member("domain", origin.name);
  out.member("model", origin.model);
  out.member("space", origin.space);
  out.member("version", origin.version);
  out.member("learnt", origin.learnt_unix_s);
  out.text("phrasings");
  out.array(phrasings.size());
  for (const Phrasings* one : phrasings) write(out, *one);
  out.text("slots");
  out.array(domain.slots().size());
  for (const auto& slot : domain.slots()) write(out, *slot, places.at(slot->phrasings.get()));
  return with_head(out.take());
}

std::string with_head(std::string_view body) {
  const base::Digest sum = base::sha256(body);
  const std::uint64_t length = body.size();
  std::string out;
  out.reserve(kHead + body.size());
  out += kMagic;
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(reinterpret_cast<const char*>(sum.bytes.data()), sum.bytes.size());
  out += body;
  return out;
}

base::Result<std::shared_ptr<const Domain>> domain_of(std::string_view bytes) {
  const std::string_view magic = bytes.substr(0, kMagic.size());
  if (bytes.size() < kHead || (magic != kMagic && magic != kMagicBefore))
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
    std::vector<std::shared_ptr<const Phrasings>> phrasings;
    for (const json& one : all.value("phrasings", json::array()))
      phrasings.push_back(std::make_shared<const Phrasings>(phrasings_of(one)));
    Domain::Slots slots;
    for (const json& slot : all.at("slots"))
      slots.push_back(std::make_shared<const Slot>(slot_of(slot, phrasings)));
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
