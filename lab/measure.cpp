#include "lab/measure.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "base/version.h"
#include "kernels/attention.h"
#include "kernels/quant/matmul.h"

namespace pmt::lab {
namespace {

std::string first_line_of(const char* command) {
  std::string out;
  if (std::FILE* pipe = popen(command, "r")) {
    char buffer[256];
    if (std::fgets(buffer, sizeof buffer, pipe) != nullptr) out = buffer;
    pclose(pipe);
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out.empty() ? "unknown" : out;
}

std::string cell(const nlohmann::ordered_json& value) {
  if (value.is_number_float()) return fmt::format("{:.4g}", value.get<double>());
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "-";
  return value.dump();
}

void print_table(const std::vector<nlohmann::ordered_json>& rows) {
  if (rows.empty()) return;
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [key, value] : rows[0].items()) lines[0].push_back(key);
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& [key, value] : row.items()) line.push_back(cell(value));
  }
  std::vector<std::size_t> widths(lines[0].size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size() && i < widths.size(); ++i)
      widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size() && i < widths.size(); ++i)
      fmt::print("{:<{}}  ", line[i], widths[i]);
    fmt::print("\n");
  }
}

}  // namespace

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::vector<std::int32_t> some_tokens(int count, int vocabulary, unsigned seed) {
  constexpr unsigned kControl = 1000;  // ids that may be control tokens, at either end
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::uint32_t state = seed;
  for (auto& token : tokens) {
    state = state * 1664525U + 1013904223U;
    token = static_cast<std::int32_t>(kControl +
                                      (state >> 8) % (static_cast<unsigned>(vocabulary) - 2 * kControl));
  }
  return tokens;
}

std::pair<double, double> wilson(double successes, double n) {
  if (n == 0) return {0, 1};
  constexpr double kZ = 1.959964;
  const double p = successes / n, scale = 1 + kZ * kZ / n;
  const double middle = (p + kZ * kZ / (2 * n)) / scale;
  const double half = kZ * std::sqrt(p * (1 - p) / n + kZ * kZ / (4 * n * n)) / scale;
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

std::string commit() {
  return first_line_of("git describe --always --dirty --abbrev=12 2>/dev/null");
}

std::string machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  std::string model = "unknown CPU";
  std::string family;
  while (std::getline(cpuinfo, line)) {
    const auto value = line.substr(std::min(line.size(), line.find(':') + 2));
    if (line.rfind("model name", 0) == 0) model = value;
    if (line.rfind("cpu family", 0) == 0) family = value;
  }
  const kernels::QuantMatmul* const products = kernels::quant_matmul();
  return fmt::format("{} (family {}), {} cores, kernels {}, products {}", model, family,
                     std::thread::hardware_concurrency(), kernels::best_attention_kernels().name,
                     products != nullptr ? products->name : "ggml");
}

void print(const Result& result, bool json) {
  if (json) {
    nlohmann::ordered_json out = {{"name", result.name},
                                  {"commit", commit()},
                                  {"machine", machine()},
                                  {"flags", base::kBuildFlags},
                                  {"seed", result.seed},
                                  {"rows", result.rows},
                                  {"targets", nlohmann::ordered_json::array()}};
    for (const Target& t : result.targets) {
      out["targets"].push_back(
          {{"what", t.what}, {"asked", t.asked}, {"measured", t.measured}, {"holds", t.holds}});
    }
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}: commit {}, {}, {}\n\n", result.name, commit(), machine(), base::kBuildFlags);
  print_table(result.rows);
  if (!result.targets.empty()) fmt::print("\n");
  for (const Target& t : result.targets) {
    fmt::print("{}  {}: asked {}, measured {:.4g}\n", t.holds ? "holds" : "MISSED", t.what, t.asked,
               t.measured);
  }
}

void progress(const std::string& what) {
  fmt::print(stderr, "{}\n", what);
}

[[noreturn]] void fail(const std::string& why) {
  progress("error: " + why);
  std::exit(1);
}

bool take_flag(std::vector<std::string>& args, std::string_view flag) {
  const auto it = std::find(args.begin(), args.end(), flag);
  if (it == args.end()) return false;
  args.erase(it);
  return true;
}

std::string take_value(std::vector<std::string>& args, std::string_view flag, std::string fallback) {
  const auto it = std::find(args.begin(), args.end(), flag);
  if (it == args.end() || it + 1 == args.end()) return fallback;
  std::string value = *(it + 1);
  args.erase(it, it + 2);
  return value;
}

std::vector<std::string> split(const std::string& list, char at) {
  std::vector<std::string> out;
  std::istringstream in(list);
  for (std::string each; std::getline(in, each, at);) out.push_back(each);
  return out;
}

}  // namespace pmt::lab
