#include "lab/ruler_words.h"

#include <fmt/format.h>

namespace pmt::lab {
namespace {

constexpr const char* kAdjectives[] = {
    "amber",  "brisk",   "calm",   "dusty",   "eager", "faded",  "gentle", "hollow", "ivory",  "jolly",
    "keen",   "lucid",   "mellow", "narrow",  "opal",  "patchy", "quiet",  "rugged", "silver", "tidy",
    "urban",  "vivid",   "woolly", "young",   "zesty", "bitter", "cloudy", "deep",   "frosty", "glossy",
    "humble", "icy",     "lofty",  "mossy",   "noble", "plain",  "rapid",  "sturdy", "tender", "upper",
    "velvet", "western", "bright", "crooked", "dim",   "early",  "fierce", "grave"};

constexpr const char* kNouns[] = {
    "lantern",  "harbor", "meadow",   "kettle",  "anvil",    "basket",  "cactus",   "dagger",
    "easel",    "falcon", "goblet",   "hammock", "island",   "jacket",  "kayak",    "ladder",
    "magnet",   "nectar", "orchard",  "paddle",  "quarry",   "ribbon",  "saddle",   "tunnel",
    "umbrella", "violin", "walnut",   "yogurt",  "zipper",   "badger",  "candle",   "drawer",
    "engine",   "fiddle", "garden",   "hinge",   "inkwell",  "jigsaw",  "kernel",   "locket",
    "mirror",   "needle", "otter",    "pebble",  "quiver",   "raft",    "spindle",  "teapot",
    "urn",      "valley", "windmill", "bonnet",  "chimney",  "dolphin", "envelope", "feather",
    "glacier",  "helmet", "igloo",    "jewel",   "knapsack", "lemon",   "marble",   "notebook"};

constexpr const char* kFirsts[] = {"lamp",  "storm", "river", "cloth", "grain", "flint", "cedar", "north",
                                   "bread", "chalk", "plum",  "frost", "steel", "wheat", "cliff", "honey",
                                   "maple", "ocean", "paper", "ridge", "smoke", "thorn", "vine",  "water",
                                   "birch", "cloud", "drift", "ember", "fern",  "glass", "hazel", "juniper"};

constexpr const char* kSeconds[] = {
    "wood", "field", "gate",  "house", "yard",  "mark",  "light", "path",    "stone",  "bridge", "craft",
    "song", "bell",  "crest", "dance", "fold",  "guard", "hook",  "journey", "keeper", "lock",   "tower",
    "nest", "post",  "quilt", "ring",  "shelf", "trade", "union", "vault",   "wheel",  "barn"};

template <std::size_t A, std::size_t B>
std::vector<std::string> pairs_of(const char* const (&first)[A], const char* joint,
                                  const char* const (&second)[B], RulerRandom& random) {
  std::vector<std::string> out;
  out.reserve(A * B);
  for (const char* a : first) {
    for (const char* b : second) out.push_back(fmt::format("{}{}{}", a, joint, b));
  }
  random.shuffle(out);
  return out;
}

}  // namespace

RulerRandom::RulerRandom(std::initializer_list<std::uint32_t> seeds) {
  std::seed_seq sequence(seeds);
  random_.seed(sequence);
}

std::vector<std::string> ruler_names(RulerRandom& random) {
  return pairs_of(kAdjectives, "-", kNouns, random);
}

std::vector<std::string> ruler_compounds(RulerRandom& random) {
  return pairs_of(kFirsts, "", kSeconds, random);
}

std::string ruler_letters(RulerRandom& random, std::size_t length, char first, char last) {
  std::string out;
  const auto letters = static_cast<std::size_t>(last - first) + 1;
  for (std::size_t i = 0; i < length; ++i)
    out += static_cast<char>(first + static_cast<char>(random.below(letters)));
  return out;
}

std::string ruler_number(RulerRandom& random) {
  constexpr std::size_t kLeast = 1'000'000, kMost = 9'999'999;
  return std::to_string(kLeast + random.below(kMost - kLeast + 1));
}

std::string ruler_uuid(RulerRandom& random) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : out) {
    if (c == 'x') c = kHex[random.below(16)];
    if (c == 'y') c = kHex[8 + random.below(4)];
  }
  return out;
}

const std::vector<std::string>& ruler_noise() {
  static const std::vector<std::string> kSentences = {
      "The road goes over the hill.", "A dog sleeps by the door.",
      "Rain falls on the roof.",      "The soup is warm.",
      "Somebody closes a window.",    "Then it is evening again."};
  return kSentences;
}

}  // namespace pmt::lab
