#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "app/commands/text_table.h"
#include "app/pull/remote_plan.h"
#include "base/hash.h"
#include "base/json.h"
#include "text/plain_words.h"

namespace pmt::app {

namespace {

using File = HubListing::File;

constexpr std::string_view kUsual = "Q4_K_M";

/// The files of one model: one, or the parts that it was cut into.
struct Candidate {
  std::string path;  // the file's, or the parts' stem
  std::vector<File> files;
  int count = 1;  // of its parts

  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const File& file : files) sum += file.bytes;
    return sum;
  }
};

/// A vision projector or an importance matrix has the suffix and is no model.
bool is_model(const std::string& path) {
  const std::string name = text::lower(std::filesystem::path(path).filename().string());
  return name.ends_with(".gguf") && !name.starts_with("mmproj") && name.find("imatrix") == std::string::npos;
}

std::vector<Candidate> candidates(const HubListing& listing) {
  std::map<std::string, Candidate> by_path;
  for (const File& file : listing.files) {
    if (!file.path.ends_with(".gguf")) continue;
    const auto part = engine::part_name(file.path);
    const std::string path = part ? part->stem : file.path;
    Candidate& one = by_path.try_emplace(part ? fmt::format("{}/{}", path, part->count) : path).first->second;
    one.path = path;
    one.count = part ? part->count : 1;
    one.files.push_back(file);
  }
  std::vector<Candidate> all;
  for (auto& [key, one] : by_path) {
    std::ranges::sort(one.files, {}, &File::path);  // numbers of one width
    all.push_back(std::move(one));
  }
  return all;
}

std::string list_of(const std::vector<Candidate>& all) {
  constexpr std::size_t kShown = 40;
  std::vector<std::string> lines;
  for (const Candidate& one : all) {
    if (lines.size() == kShown) {
      lines.push_back(fmt::format("  and {} more", all.size() - kShown));
      break;
    }
    lines.push_back(fmt::format("  {}  {}", one.count > 1 ? one.files.front().path : one.path,
                                human_bytes(static_cast<double>(one.bytes()))));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

/// Those that the words after the colon mean.
std::vector<Candidate> fitting(const std::vector<Candidate>& all, const std::string& wanted) {
  std::vector<Candidate> fit;
  for (const Candidate& one : all) {
    const bool named = std::ranges::any_of(one.files, [&](const File& file) { return file.path == wanted; });
    if (named) return {one};
    if (is_model(one.files.front().path) && engine::has_quantization(one.path, wanted)) fit.push_back(one);
  }
  return fit;
}

base::Status check_parts(const Candidate& one) {
  bool whole = static_cast<int>(one.files.size()) == one.count;
  for (const File& file : one.files) whole = whole && file.bytes > 0;
  if (whole) return {};
  return base::Error{base::Code::kNotFound,
                     fmt::format("the hub lists {} of the {} parts of {}, or not their sizes",
                                 one.files.size(), one.count, one.path)};
}

}  // namespace

base::Result<HubListing> read_listing(std::string_view json) {
  const auto read = base::parse_json(json);
  HubListing listing;
  if (read) {
    listing.commit = base::text_at(*read, "sha");
    for (const nlohmann::json& one : base::array_at(*read, "siblings")) {
      const nlohmann::json& large = base::object_at(one, "lfs");
      const auto bytes = base::integer_at(large, "size");
      const auto sum = base::Digest::of_hex(base::text_at(large, "sha256"));
      listing.files.push_back({.path = base::text_at(one, "rfilename"),
                               .bytes = bytes ? *bytes : base::integer_at(one, "size").value_or(-1),
                               .sha256 = sum ? sum->hex() : ""});
    }
  }
  if (!listing.files.empty()) return listing;
  return base::Error{
      base::Code::kBadGateway,
      "the hub's listing is not what a hub answers: does HF_ENDPOINT name a hub or its mirror?"};
}

base::Result<std::vector<File>> choose_files(const HubListing& listing, const engine::HubSource& source) {
  const std::vector<Candidate> all = candidates(listing);
  std::vector<Candidate> models = all;
  std::erase_if(models, [](const Candidate& one) { return !is_model(one.files.front().path); });
  if (models.empty() && source.wanted.empty()) {
    return base::Error{
        base::Code::kNotFound,
        fmt::format("{} has no GGUF file: its models must be converted first. Many repositories "
                    "have a sister whose name ends in -GGUF",
                    source.repo)};
  }
  std::vector<Candidate> fit =
      models.size() == 1 && source.wanted.empty()
          ? models
          : fitting(all, source.wanted.empty() ? std::string(kUsual) : source.wanted);
  if (fit.size() == 1) {
    TRY(check_parts(fit.front()));
    return std::move(fit.front().files);
  }
  if (fit.empty() && !source.wanted.empty()) {
    return base::Error{base::Code::kNotFound, fmt::format("{} has no GGUF of \"{}\". It has:\n{}",
                                                          source.repo, source.wanted, list_of(all))};
  }
  return base::invalid(
      fmt::format("{} has several GGUFs: write one's quantization or path after a colon, as in "
                  "hf:{}:{}\n{}",
                  source.repo, source.repo, (fit.empty() ? models : fit).front().files.front().path,
                  list_of(fit.empty() ? models : fit)),
      "name");
}

}  // namespace pmt::app
