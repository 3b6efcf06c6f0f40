#include "knowledge_cache/packs/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/json.h"

namespace pmt::knowledge_cache {
namespace {

using nlohmann::json;

constexpr std::string_view kMagicBefore = "pmtknow1", kMagicDocuments = "pmtknow3";
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

void write(Writer& out, const Document& document) {
  out.object(6);
  out.member("name", document.name);
  out.member("type", document.media_type);
  out.member("text", document.text);
  out.member("source", document.source);
  out.member("learnt", document.learnt_unix_s);
  out.member("revision", document.revision);
}

base::Error corrupt(std::string what) {
  return {base::Code::kCorrupt, "this is no knowledge pack, or a damaged one: " + std::move(what)};
}

/// Reads members of one of the body's objects; what a member that must be there lacks is noted.
class Members {
 public:
  Members(const json& object, const char* what) : object_(object), what_(what) {
    if (!object.is_object()) missing_ = "an object";
  }
  std::string text(const char* name) {
    auto text = base::as_text(base::at(object_, name));
    if (!text) note(name);
    return text.value_or("");
  }
  std::int64_t integer(const char* name) {
    constexpr std::int64_t kMax = std::int64_t{1} << 53;  // one more or less is still a number
    const auto number = base::integer_at(object_, name);
    if (!number || *number < -kMax || *number > kMax) note(name);
    return std::clamp(number.value_or(0), -kMax, kMax);
  }
  std::int64_t count(const char* name) {
    const std::int64_t number = integer(name);
    if (number < 0) note(name);
    return std::max<std::int64_t>(number, 0);
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> out;
    for (const json& one : array(name)) {
      auto text = base::as_text(one);
      if (!text) note(name);
      out.push_back(std::move(text).value_or(""));
    }
    return out;
  }
  const json& array(const char* name) {
    if (!base::at(object_, name).is_array()) note(name);
    return base::array_at(object_, name);
  }
  bool has(const char* name) const { return !base::at(object_, name).is_null(); }
  void note(const char* name) {
    if (missing_.empty()) missing_ = name;
  }
  base::Status status() const {
    if (missing_.empty()) return {};
    return corrupt(fmt::format("{} without a right \"{}\"", what_, missing_));
  }

 private:
  const json& object_;
  const char* const what_;
  std::string missing_;
};

base::Result<Phrasings> phrasings_of(const json& from) {
  Members members(from, "phrasings");
  Phrasings out{members.texts("asked"), {}};
  for (const json& key : members.array("keys")) {
    const auto* bytes = key.get_ptr<const json::binary_t*>();
    std::vector<float> floats;
    if (bytes != nullptr) floats = unpack_key({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    const bool finite = std::all_of(floats.begin(), floats.end(), [](float x) { return std::isfinite(x); });
    if (bytes == nullptr || !finite) members.note("keys");
    out.keys.push_back(std::move(floats));
  }
  TRY(members.status());
  return out;
}

using AllPhrasings = std::vector<std::shared_ptr<const Phrasings>>;

base::Result<std::shared_ptr<const Phrasings>> phrasings_of_slot(const json& from, const AllPhrasings& all) {
  if (base::at(from, "phrasings").is_null()) {
    TRY_ASSIGN(Phrasings own, phrasings_of(from));
    return std::make_shared<const Phrasings>(std::move(own));
  }
  const auto place = base::integer_at(from, "phrasings").value_or(-1);
  if (place < 0 || static_cast<std::size_t>(place) >= all.size())
    return corrupt("a slot whose phrasings are not there");
  return all[static_cast<std::size_t>(place)];
}

base::Result<Slot> slot_of(const json& from, const AllPhrasings& phrasings) {
  Slot slot;
  TRY_ASSIGN(slot.phrasings, phrasings_of_slot(from, phrasings));
  Members members(from, "a slot");
  slot.fact.id = members.text("id");
  slot.fact.prompt = members.text("prompt");
  slot.fact.answer = members.text("answer");
  if (members.has("paraphrases")) slot.fact.paraphrases = members.texts("paraphrases");
  if (members.has("subject")) slot.fact.subject = members.text("subject");
  if (members.has("text")) slot.fact.text = members.text("text");
  slot.mention = members.text("mention");
  slot.mention_words = members.texts("words");
  slot.statement = members.text("statement");
  slot.source = members.text("source");
  slot.line = static_cast<std::size_t>(members.count("line"));
  slot.learnt_unix_s = members.integer("learnt");
  slot.revision = members.count("revision");
  TRY(members.status());
  return slot;
}

base::Result<std::shared_ptr<const Documents>> documents_of(const json& array) {
  Documents::List list;
  for (const json& one : array) {
    Members members(one, "a document");
    Document document{.name = members.text("name"),
                      .media_type = members.text("type"),
                      .text = members.text("text"),
                      .source = members.text("source"),
                      .learnt_unix_s = members.integer("learnt"),
                      .revision = members.count("revision")};
    TRY(members.status());
    list.push_back(std::make_shared<const Document>(std::move(document)));
  }
  return list.empty() ? nullptr : std::make_shared<const Documents>(std::move(list));
}

base::Result<std::shared_ptr<const Domain>> domain_of_body(const json& all) {
  Members members(all, "a body");
  AllPhrasings phrasings;
  for (const json& one : base::array_at(all, "phrasings")) {
    TRY_ASSIGN(Phrasings read, phrasings_of(one));
    phrasings.push_back(std::make_shared<const Phrasings>(std::move(read)));
  }
  Domain::Slots slots;
  for (const json& one : members.array("slots")) {
    TRY_ASSIGN(Slot read, slot_of(one, phrasings));
    slots.push_back(std::make_shared<const Slot>(std::move(read)));
  }
  Domain::Origin origin{members.text("domain"), members.text("model"), members.text("space"),
                        members.text("version"), members.integer("learnt")};
  TRY(members.status());
  TRY_ASSIGN(auto documents, documents_of(base::array_at(all, "documents")));
  return std::make_shared<const Domain>(std::move(origin), std::move(slots), std::move(documents));
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
  const Documents* const documents = domain.documents().get();
  out.object(documents == nullptr ? 7 : 8);
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
  if (documents == nullptr) return with_head(out.take());
  out.text("documents");
  out.array(documents->list().size());
  for (const auto& document : documents->list()) write(out, *document);
  return with_head(out.take(), kMagicDocuments);
}

std::string with_head(std::string_view body, std::string_view magic) {
  const base::Digest sum = base::sha256(body);
  const std::uint64_t length = body.size();
  std::string out;
  out.reserve(kHead + body.size());
  out += magic;
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out.append(reinterpret_cast<const char*>(sum.bytes.data()), sum.bytes.size());
  out += body;
  return out;
}

base::Result<std::shared_ptr<const Domain>> domain_of(std::string_view bytes) {
  const std::string_view magic = bytes.substr(0, kPackMagic.size());
  const bool known = magic == kPackMagic || magic == kMagicBefore || magic == kMagicDocuments;
  if (bytes.size() < kHead || !known) return corrupt("it doesn't begin like one");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data() + kPackMagic.size(), sizeof length);
  const std::string_view body = bytes.substr(kHead);
  if (body.size() != length) return corrupt(fmt::format("it holds {} bytes of {}", body.size(), length));
  const base::Digest sum = base::sha256(body);
  if (std::memcmp(sum.bytes.data(), bytes.data() + kHead - sum.bytes.size(), sum.bytes.size()) != 0)
    return corrupt("its checksum is wrong");
  // A pack is as large as its domain: the size isn't bounded here. Somebody may have made it by hand.
  const auto all = base::parse_cbor(body, {.bytes_max = body.size(), .byte_strings = true});
  if (!all) return corrupt("its body is " + all.error().message);
  return domain_of_body(*all);
}

std::string new_version() {
  std::random_device random;
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += fmt::format("{:08x}", random());
  return bytes;
}

}  // namespace pmt::knowledge_cache
