#include "engine/model_source.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "text/plain_words.h"

namespace pmt::engine {

namespace {

constexpr std::string_view kHub = "hf:";
constexpr std::string_view kSuffix = ".gguf";
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kDigits = 5;  // gguf-split's

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool has_only(std::string_view text, std::string_view more) {
  return std::ranges::all_of(
      text, [&](char c) { return is_letter_or_digit(c) || more.find(c) != std::string_view::npos; });
}

/// A path that stays where it is put: no empty, "." or ".." folders.
bool is_tame_path(std::string_view path) {
  if (path.empty() || path.starts_with('/') || path.ends_with('/')) return false;
  for (const auto& piece : std::filesystem::path(path)) {
    if (piece.empty() || piece == "." || piece == "..") return false;
  }
  return true;
}

std::optional<int> number_at(std::string_view text, std::size_t at) {
  const std::string_view digits = text.substr(at, kDigits);
  const bool fine =
      digits.size() == kDigits && digits.find_first_not_of("0123456789") == std::string_view::npos;
  return fine ? std::optional(std::stoi(std::string(digits))) : std::nullopt;
}

}  // namespace

std::string HubSource::text() const {
  return fmt::format("{}{}{}{}{}{}", kHub, repo, revision == "main" ? "" : "@",
                     revision == "main" ? "" : revision, wanted.empty() ? "" : ":", wanted);
}

bool is_hub_source(std::string_view spec) {
  return spec.starts_with(kHub);
}

bool is_source(std::string_view spec) {
  return is_hub_source(spec) || spec.starts_with("https://") || spec.starts_with("http://");
}

base::Result<HubSource> parse_hub_source(const std::string& spec) {
  std::string_view rest = spec;
  if (is_hub_source(rest)) rest.remove_prefix(kHub.size());
  HubSource out;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    out.wanted = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (const std::size_t sign = rest.find('@'); sign != std::string_view::npos) {
    out.revision = rest.substr(sign + 1);
    rest = rest.substr(0, sign);
  }
  out.repo = rest;
  const bool repo = std::ranges::count(rest, '/') == 1 && is_tame_path(rest) && has_only(rest, "/._-");
  const bool revision = is_tame_path(out.revision) && has_only(out.revision, "/._-");
  const bool wanted = out.wanted.empty() || (is_tame_path(out.wanted) && has_only(out.wanted, "/._-+ ()"));
  if (repo && revision && wanted && !spec.ends_with(':')) return out;
  return base::invalid(fmt::format("'{}' names no model on the hub: write hf:USER/REPO:QUANTIZATION, e.g. "
                                   "hf:user/repo-GGUF:Q4_K_M, or a file of the repository after the colon; "
                                   "hf:USER/REPO@REVISION:... takes another revision than main",
                                   spec),
                       "name");
}

bool has_quantization(std::string_view file, std::string_view quantization) {
  const std::string in = text::lower(file);
  const std::string wanted = text::lower(quantization);
  const auto borders = [](char c) { return !is_letter_or_digit(c) && c != '_'; };
  for (std::size_t at = in.find(wanted); !wanted.empty() && at != std::string::npos;
       at = in.find(wanted, at + 1)) {
    const std::size_t end = at + wanted.size();
    if ((at == 0 || borders(in[at - 1])) && (end == in.size() || borders(in[end]))) return true;
  }
  return false;
}

std::optional<PartName> part_name(std::string_view file) {
  constexpr std::string_view kOf = "-of-";
  const std::size_t tail = 1 + kDigits + kOf.size() + kDigits + kSuffix.size();  // -00002-of-00003.gguf
  if (file.size() <= tail || !file.ends_with(kSuffix)) return std::nullopt;
  const std::size_t at = file.size() - tail;
  const auto number = number_at(file, at + 1);
  const auto count = number_at(file, at + 1 + kDigits + kOf.size());
  if (file[at] != '-' || file.substr(at + 1 + kDigits, kOf.size()) != kOf || !number || !count)
    return std::nullopt;
  if (*number < 1 || *number > *count) return std::nullopt;
  return PartName{.stem = std::string(file.substr(0, at)), .number = *number, .count = *count};
}

std::string part_file(const std::string& stem, int number, int count) {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, number, count, kSuffix);
}

std::string name_of_file(std::string_view file) {
  const auto part = part_name(file);
  std::string name = std::filesystem::path(part ? std::string_view(part->stem) : file).filename().string();
  if (!part && name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  name = text::lower(name);
  std::ranges::replace_if(
      name,
      [](char c) {
        return !has_only({&c, 1}, "._-");
      },
      '-');
  while (name.starts_with('.')) name.erase(0, 1);
  return name.substr(0, kNameBytesMax);
}

bool is_model_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' && has_only(name, "._-");
}

}  // namespace pmt::engine
