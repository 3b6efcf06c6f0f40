#include "telemetry/json_log.h"

#include <sstream>

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace pmt::telemetry {
namespace {

using nlohmann::json;

struct Lines {
  explicit Lines(const char* name)
      : sink(std::make_shared<spdlog::sinks::ostream_sink_mt>(text)), logger(name, sink) {
    logger.set_formatter(json_log_formatter());
  }
  std::ostringstream text;
  std::shared_ptr<spdlog::sinks::ostream_sink_mt> sink;
  spdlog::logger logger;
};

TEST(JsonLog, OneLineIsOneObjectWhateverIsInTheMessage) {
  Lines lines("permutation");
  lines.logger.warn("a \"quoted\"\nmessage \xff");
  const std::string text = lines.text.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  const json line = json::parse(text);
  EXPECT_EQ(line["level"], "warning");
  EXPECT_THAT(line["message"].get<std::string>(), ::testing::StartsWith("a \"quoted\"\nmessage "));
  EXPECT_THAT(line["time"].get<std::string>(), ::testing::MatchesRegex("....-..-..T..:..:..\\....Z"));
}

TEST(JsonLog, AStructuredMessagesMembersStandInTheLine) {
  Lines lines(kStructuredLogger);
  lines.logger.info(json{{"event", "request"}, {"status", 200}}.dump());
  const json line = json::parse(lines.text.str());
  EXPECT_EQ(line["event"], "request");
  EXPECT_EQ(line["status"], 200);
  EXPECT_FALSE(line.contains("message"));
}

}  // namespace
}  // namespace pmt::telemetry
