// The demo's steps: each does one thing against a running server, measures it, and says whether what it
// claims came true.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::app {

struct DemoServer {
  std::string url;
  std::string model;
};

struct DemoStep {
  std::string title;
  std::string broken = {};                            // which claim did not hold; "" when all did
  std::vector<std::string> lines = {};                // for people
  nlohmann::json figures = nlohmann::json::object();  // the same, for --json
};

/// Ends the server and starts another on the same folders.
using RestartServer = std::function<base::Result<DemoServer>()>;
/// A long text is read and a document learnt; the server is restarted, and both are asked about again. `server`: the
/// new one, afterwards.
DemoStep demo_restart(DemoServer& server, const RestartServer& restart);
/// A question, computed; the same again, from the cache.
std::vector<DemoStep> demo_miss_then_hit(const DemoServer& server);
/// The first question in other words: the semantic tier's answer, or why it gave none.
DemoStep demo_paraphrase(const DemoServer& server);
/// A new question, many times at once.
DemoStep demo_many_at_once(const DemoServer& server);
/// A long document, through the engine `permutation`, with its trace.
DemoStep demo_long_document(const DemoServer& server);
/// The same document with its keys and values exact, 8 and 64 times compressed, side by side.
DemoStep demo_compression(const DemoServer& server);
/// A question about ten times as much as the model takes, through the engine `rlm`.
DemoStep demo_rlm(const DemoServer& server);
/// Each engine answers with a pack, compressed keys and values, and the second time out of the cache.
DemoStep demo_engines(const DemoServer& server);
/// Last: the audit must have counted what the steps before did. Its table is in `lines`, its JSON in
/// `figures`.
DemoStep demo_audit(const DemoServer& server);

}  // namespace pmt::app
