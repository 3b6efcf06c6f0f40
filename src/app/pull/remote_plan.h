// What is to be fetched for a model on the hub or at a URL: asked of the server before the first byte. The hub's
// address and token come from the environment, by the names that the hub's own client has: HF_ENDPOINT and HF_TOKEN.
// Thread-safety: any thread. Errors: kInvalidArgument (what was asked for can't be), kNotFound, kUnauthorized,
// kForbidden, kBadGateway (nonsense), those of net::fetch; each says what to do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/model_source.h"
#include "engine/pulled_models.h"
#include "net/fetch.h"

namespace pmt::app {

/// Where the hub is, and what it knows us by.
struct Hub {
  std::string url = {};    // without a last slash; "": nobody said where it is
  std::string token = {};  // "" for none
};
/// Errors: HF_ENDPOINT is no URL; a token that would go over the network in the clear.
base::Result<Hub> hub_of_environment();

struct RemotePlan {
  engine::PulledModel model =
      {};  // its name "" until someone gives one; `file`, `bytes` and `sha256` as far as known
  std::vector<std::string> urls = {};  // of model.fetched
  std::string token = {};              // for the servers of `urls`
};

struct PlanOptions {
  std::string sha256 = {};  // that a URL's file must have, by who asks for it
  double timeout_s = 30;
};
/// `source`: hf:... or a URL; a link to a file's page on the hub is understood as hf:..., too.
base::Result<RemotePlan> plan_pull(net::AsyncClient& client, const Hub& hub, const std::string& source,
                                   const PlanOptions& options);

/// The hub's answer to "what is in this repository". Errors: kBadGateway.
struct HubListing {
  struct File {
    std::string path = {};
    std::int64_t bytes = -1;  // unknown
    std::string sha256 = {};
  };
  std::string commit = {};
  std::vector<File> files = {};
};
base::Result<HubListing> read_listing(std::string_view json);

/// The GGUF files of what is wanted, parts in their order. Errors: kNotFound or kInvalidArgument, listing what there
/// is.
base::Result<std::vector<HubListing::File>> choose_files(const HubListing& listing,
                                                         const engine::HubSource& source);

/// What a server says with a status that isn't 2xx, and what to do about it. `what`: the repository or the link.
base::Error refusal(const net::FetchAnswer& answer, const std::string& what, bool had_token);

}  // namespace pmt::app
