#include "app/commands/report_error.h"

#include <nlohmann/json.hpp>

namespace pmt::app {
namespace {

bool as_json = false;

}  // namespace

void report_as_json() {
  as_json = true;
}

int report_error(const base::Error& error) {
  if (!as_json) {
    tell("permutation: {}\n", error.message);
    return kExitFailed;
  }
  nlohmann::json told = {{"message", error.message}};
  if (!error.field.empty()) told["field"] = error.field;
  const std::string text = nlohmann::json{{"error", std::move(told)}}.dump(
                               2, ' ', false, nlohmann::json::error_handler_t::replace) +
                           "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitFailed;
}

int report_wrong_usage(const base::Error& error) {
  report_error(error);
  return kExitWrongUsage;
}

int report_by_code(const base::Error& error) {
  return error.code == base::Code::kInvalidArgument ? report_wrong_usage(error) : report_error(error);
}

}  // namespace pmt::app
