#include "compression/quality.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "base/check.h"
#include "base/file_digest.h"
#include "base/json.h"

namespace pmt::compression {

// In the generated file.
// NOLINTBEGIN(readability-identifier-naming)
extern const char k_kv_quality_json[];
extern const std::size_t k_kv_quality_json_size;
// NOLINTEND(readability-identifier-naming)

namespace {

constexpr int kSchema = 1;

std::string_view embedded() {
  return {k_kv_quality_json, k_kv_quality_json_size};
}

base::Error corrupt(const std::string& what) {
  return {base::Code::kCorrupt, "results of compression: " + what};
}

double number_at(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& found = base::at(object, key);
  return found.is_number() ? found.get<double>() : -1;
}

std::string string_at(const nlohmann::json& object, std::string_view key) {
  const nlohmann::json& found = base::at(object, key);
  return found.is_string() ? found.get<std::string>() : std::string();
}

base::Result<Measurement> row_of(const nlohmann::json& row) {
  Measurement out;
  out.task = string_at(row, "task");
  const std::string mode = string_at(row, "mode");
  if (mode != name_of(Mode::kQueryAware) && mode != name_of(Mode::kQueryAgnostic))
    return corrupt("no mode is called " + mode);
  out.mode = mode == name_of(Mode::kQueryAware) ? Mode::kQueryAware : Mode::kQueryAgnostic;
  out.ratio = number_at(row, "ratio");
  out.by_request = string_at(row, "by") == "request";
  out.questions = string_at(row, "unit") == "questions";
  out.exact_right = number_at(row, "exact_right");
  out.kept_right = number_at(row, "kept_right");
  const nlohmann::json& tokens = base::array_at(row, "prompt_tokens");
  if (tokens.size() == 2 && tokens[0].is_number_integer() && tokens[1].is_number_integer()) {
    out.tokens_min = tokens[0].get<int>();
    out.tokens_max = tokens[1].get<int>();
  }
  if (out.task.empty() || out.ratio <= 1 || out.exact_right < 0 || out.kept_right < 0)
    return corrupt("a row lacks its task, ratio or counts");
  return out;
}

/// Whether a measured model has a file of so many bytes.
bool any_of_size(std::uintmax_t bytes) {
  const auto all = base::parse_json(embedded());
  CHECK(all.has_value());
  const nlohmann::json& models = base::object_at(*all, "models");
  return std::any_of(models.begin(), models.end(), [&](const nlohmann::json& model) {
    return number_at(model, "file_bytes") == static_cast<double>(bytes);
  });
}

/// Right answers by task.
struct Counts {
  double exact = 0, kept = 0;
};

}  // namespace

base::Result<Quality> read_quality(std::string_view json, std::string_view digest) {
  const auto all = base::parse_json(json);
  if (!all) return corrupt(all.error().message);
  if (number_at(*all, "schema") != kSchema) return corrupt("it is of another schema");
  std::vector<Measurement> rows;
  for (const nlohmann::json& row : base::array_at(*all, "rows")) {
    if (string_at(row, "model") != digest) continue;
    TRY_ASSIGN(Measurement read, row_of(row));
    rows.push_back(std::move(read));
  }
  return Quality(std::move(rows));
}

Quality quality_of(const std::string& model_path) {
  std::error_code missing;
  const auto bytes = std::filesystem::file_size(model_path, missing);
  if (missing || !any_of_size(bytes)) return {};
  const auto digest = base::digest_of_file(model_path);
  if (!digest) return {};
  auto read = read_quality(embedded(), digest->hex());
  return read ? std::move(*read) : Quality();
}

std::vector<std::string> Quality::safe_tasks(Mode mode, double ratio) const {
  const bool exact = mode == Mode::kExact || ratio <= 1;
  double judged = 0;  // the least measured ratio that isn't below
  for (const Measurement& each : rows_) {
    if (each.ratio >= ratio && (judged == 0 || each.ratio < judged)) judged = each.ratio;
  }
  // A task is safe where every row of it says so: it may have been measured at several lengths.
  std::map<std::string, bool> safe;
  for (const Measurement& each : rows_) {
    if (!exact && (each.mode != mode || each.ratio != judged)) continue;
    const auto [at, first] = safe.try_emplace(each.task, true);
    at->second = at->second && (exact || each.kept() >= kSafeShare);
  }
  std::vector<std::string> out;
  for (const auto& [task, is] : safe) {
    if (is) out.push_back(task);
  }
  return out;
}

Mode Quality::better(double ratio, int prompt_tokens) const {
  double judged = 0;
  const auto tells = [&](const Measurement& each) {
    return each.by_request && each.questions && each.ratio >= ratio && each.tokens_min <= prompt_tokens &&
           prompt_tokens < each.tokens_max;
  };
  for (const Measurement& each : rows_) {
    if (tells(each) && (judged == 0 || each.ratio < judged)) judged = each.ratio;
  }
  std::map<std::string, Counts> aware, agnostic;
  for (const Measurement& each : rows_) {
    if (!tells(each) || each.ratio != judged) continue;
    Counts& of = (each.mode == Mode::kQueryAware ? aware : agnostic)[each.task];
    of.exact += each.exact_right;
    of.kept += each.kept_right;
  }
  Counts by_question, for_any;
  for (const auto& [task, counts] : aware) {
    const auto other = agnostic.find(task);
    if (other == agnostic.end()) continue;
    by_question.exact += counts.exact;
    by_question.kept += counts.kept;
    for_any.exact += other->second.exact;
    for_any.kept += other->second.kept;
  }
  const bool measured = by_question.exact > 0 && for_any.exact > 0;
  return measured && by_question.kept / by_question.exact > for_any.kept / for_any.exact
             ? Mode::kQueryAware
             : Mode::kQueryAgnostic;
}

}  // namespace pmt::compression
