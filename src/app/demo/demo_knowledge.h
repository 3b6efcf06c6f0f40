// The demo's step about the knowledge cache: facts learnt, asked in other words, forgotten.
#pragma once

#include "app/demo/demo_steps.h"
#include "base/result.h"

namespace pmt::app {

/// The body of POST /v1/knowledge/{domain}/{what}.
struct DemoLesson {
  std::string domain, body;
  std::string what = "facts";  // or "documents"
};
/// Waits for it: the job's report. Errors: the server's.
base::Result<nlohmann::json> demo_teach(const DemoServer& server, const DemoLesson& lesson);
/// The server's packs must be in a folder of the demo's own.
DemoStep demo_knowledge(const DemoServer& server);

}  // namespace pmt::app
