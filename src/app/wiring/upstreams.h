// The configured upstreams, each model of theirs as a Completer with the response cache in front and its
// fallbacks behind:
//
//   "provider/model" -> FallbackCompleter -> CachedCompleter -> MeteredCompleter -> RemoteCompleter -> the other server
//                                         \-> CachedCompleter of the first fallback -> ...
//
// Where an upstream has several servers (base_urls), a balanced completer over all of them stands in the
// RemoteCompleter's place.
// Thread-safety: built and stopped by one thread; the completers, servers and set_draining from any.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/api.h"
#include "app/config/upstream_config.h"
#include "base/clock.h"
#include "llm/meter.h"
#include "net/async_client.h"
#include "response_cache/cached_completer.h"
#include "upstream/remote_completer.h"
#include "upstream/server_pool.h"

namespace pmt::app {

class Upstreams {
 public:
  struct Options {
    response_cache::ResponseCache* cache = nullptr;
    bool cache_enabled = true;
    std::function<response_cache::Price(const std::string& model)> price;
    std::function<std::function<llm::Cost(const llm::Usage&)>(const std::string& model)> cost;
    llm::Meter* meter = nullptr;  // required
    base::UsageCounter* cache_usage = nullptr;
    response_cache::SemanticTier* semantic = nullptr;  // null: none
  };
  /// Requires: check_names finds nothing. Errors: kInvalidArgument, a key's variable isn't set, a certificate
  /// file can't be read.
  static base::Result<std::unique_ptr<Upstreams>> create(const std::vector<UpstreamConfig>& configs,
                                                         Options options, const base::Clock& clock);
  /// stop()
  ~Upstreams();
  Upstreams(const Upstreams&) = delete;
  Upstreams& operator=(const Upstreams&) = delete;

  /// After the local models are in `served`: adds the upstreams' and ties the fallbacks, which may be local.
  /// Errors: a fallback that isn't served.
  base::Status serve(std::map<std::string, api::ServedModel>& served);

  /// Adds the upstreams' models that embed. Errors: one that is served already.
  base::Status serve(std::map<std::string, api::ServedEmbedder>& served) const;

  struct Remote {
    llm::Completer* completer;
    llm::Api api;  // that its server speaks
  };
  /// A model's completer without cache and fallbacks, metered; nothing if there is none of that name.
  std::optional<Remote> remote(const std::string& name) const;
  std::vector<api::EngineSample> samples() const;
  /// The servers of each upstream that has several, and taking one out or putting it back. Errors: kNotFound.
  std::vector<api::UpstreamServer> servers() const;
  base::Status set_draining(const std::string& upstream, const std::string& server, bool draining) const;
  /// Ends what runs; nothing is asked any more.
  void stop();

 private:
  struct Model {
    std::unique_ptr<upstream::RemoteCompleter> remote;
    std::unique_ptr<llm::Completer> helped;   // with help for its prompt cache; null without
    std::unique_ptr<llm::Completer> metered;  // counts what it took
    std::unique_ptr<llm::Completer> cached;
    std::unique_ptr<llm::Completer> outer;  // with fallbacks; null without
    const UpstreamConfig* config = nullptr;
  };
  Upstreams(const std::vector<UpstreamConfig>& configs, Options options, const base::Clock& clock)
      : configs_(configs), options_(std::move(options)), clock_(clock) {}
  base::Status add(const UpstreamConfig& config);
  base::Status add_embeddings(const UpstreamConfig& config, net::AsyncClient& client,
                              upstream::ServerPool* pool);
  /// Null where it has one server. Errors: its key's variable isn't set, another of its name has several.
  base::Result<upstream::ServerPool*> add_pool(const UpstreamConfig& config, net::AsyncClient& client);

  const std::vector<UpstreamConfig> configs_;
  const Options options_;
  const base::Clock& clock_;
  std::vector<std::unique_ptr<upstream::ServerPool>> pools_;
  std::map<std::string, Model> models_;
  struct Embeddings {
    std::unique_ptr<llm::Forwarder> forwarder;
    std::string own_name;
    const UpstreamConfig* config;
  };
  std::map<std::string, Embeddings> embeddings_;
  /// By ca_file. Before the above in death: it ends the models' requests.
  std::map<std::string, std::unique_ptr<net::AsyncClient>> clients_;
};

}  // namespace pmt::app
