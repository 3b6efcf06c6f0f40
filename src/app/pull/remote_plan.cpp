#include "app/pull/remote_plan.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "net/link.h"

namespace pmt::app {

namespace {

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

/// hf:... for a link to a file of the hub: HUB/USER/REPO/resolve/REVISION/FILE, or its page with "blob".
std::optional<engine::HubSource> hub_file(const Hub& hub, const std::string& link) {
  if (hub.url.empty() || !link.starts_with(hub.url + "/")) return std::nullopt;
  const std::string path = link.substr(hub.url.size() + 1, link.find_first_of("?#") - hub.url.size() - 1);
  for (const std::string_view kind : {"/resolve/", "/blob/"}) {
    const std::size_t at = path.find(kind);
    const std::size_t revision = at + kind.size();
    const std::size_t file = at == std::string::npos ? at : path.find('/', revision);
    if (file == std::string::npos) continue;
    const auto source = engine::parse_hub_source(fmt::format(
        "hf:{}@{}:{}", path.substr(0, at), path.substr(revision, file - revision), path.substr(file + 1)));
    if (source) return *source;
  }
  return std::nullopt;
}

/// What the source is called once it is known which file is meant.
engine::HubSource as_chosen(engine::HubSource source, const std::string& path) {
  if (source.wanted.empty()) source.wanted = engine::has_quantization(path, "Q4_K_M") ? "Q4_K_M" : path;
  return source;
}

/// The name of what is loaded, its size, and its sum where it is one file.
void set_whole(engine::PulledModel& model) {
  const auto part = engine::part_name(model.fetched.front().file);
  model.file = part && part->count > 1 ? part->stem + ".gguf" : model.fetched.front().file;
  model.bytes = 0;
  for (const engine::PulledFile& one : model.fetched) model.bytes += one.bytes;
  model.sha256 = model.fetched.size() == 1 ? model.fetched.front().sha256 : "";
}

base::Result<RemotePlan> plan_of_hub(net::AsyncClient& client, const Hub& hub,
                                     const engine::HubSource& source, const PlanOptions& options) {
  if (hub.url.empty()) {
    return base::invalid(
        "hf:... is on a hub, and HF_ENDPOINT isn't set: export HF_ENDPOINT=https://HOST with the hub's "
        "address, or that of a mirror",
        "HF_ENDPOINT");
  }
  std::string listing;
  const std::string revision = net::percent_encoded(source.revision);
  const net::Fetch what{
      .url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", hub.url, source.repo, revision),
      .headers = {{"accept", "application/json"}},
      .bearer = hub.token,
      .stall_timeout_s = options.timeout_s};
  const auto keep = [&](std::string_view bytes) -> base::Status {
    if (listing.size() + bytes.size() > base::kJsonBytesMax)
      return base::Error{base::Code::kTooLarge, "the hub's listing has no end"};
    listing.append(bytes);
    return {};
  };
  TRY_ASSIGN(const net::FetchAnswer answer, net::fetch(client, what, {.on_body = keep}));
  if (answer.status / 100 != 2) return refusal(answer, source.text(), !hub.token.empty());
  TRY_ASSIGN(const HubListing read, read_listing(listing));
  TRY_ASSIGN(const std::vector<HubListing::File> files, choose_files(read, source));
  RemotePlan plan{.token = hub.token};
  plan.model.source = as_chosen(source, files.front().path).text();
  plan.model.server = hub.url;
  plan.model.revision = read.commit;
  for (const HubListing::File& file : files) {
    plan.urls.push_back(fmt::format("{}/{}/resolve/{}/{}", hub.url, source.repo,
                                    read.commit.empty() ? revision : net::percent_encoded(read.commit),
                                    net::percent_encoded(file.path)));
    plan.model.fetched.push_back({.file = file_name(file.path), .bytes = file.bytes, .sha256 = file.sha256});
  }
  set_whole(plan.model);
  return plan;
}

/// The whole size by Content-Range or Content-Length; -1 where neither says it.
std::int64_t size_of(const net::FetchAnswer& answer) {
  std::string text(answer.header(answer.status == 206 ? "content-range" : "content-length"));
  if (answer.status == 206) text = text.substr(text.find('/') + 1);
  const bool digits =
      !text.empty() && text.size() < 19 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? std::stoll(text) : -1;
}

/// Asks for one byte of the file: its size, and what tells it from another one.
base::Result<engine::PulledFile> look_at(net::AsyncClient& client, const std::string& url, double timeout_s) {
  const net::Fetch what{.url = url, .headers = {{"range", "bytes=0-0"}}, .stall_timeout_s = timeout_s};
  std::int64_t bytes = -1;
  bool enough = false;
  net::FetchAnswer head;
  const auto stop = [&](std::string_view) -> base::Status {
    if (head.status == 206) return {};
    enough = true;
    return base::Error{base::Code::kCancelled, "enough"};  // a server without ranges sends all of it
  };
  const auto keep = [&](const net::FetchAnswer& answer) -> base::Status {
    head = answer;
    bytes = size_of(answer);
    return {};
  };
  const auto answer = net::fetch(client, what, {.on_head = keep, .on_body = stop});
  if (!answer && !enough) return answer.error();
  if (answer) head = *answer;
  if (head.status / 100 != 2) return refusal(head, url, false);
  if (bytes <= 0) {
    return base::Error{base::Code::kBadGateway, fmt::format("{} doesn't say how many bytes it has", url)};
  }
  engine::PulledFile file{.bytes = bytes};
  std::string linked(head.header("x-linked-etag"));  // a hub's, where it has the file elsewhere
  std::erase(linked, '"');
  if (const auto sum = base::Digest::of_hex(linked)) file.sha256 = sum->hex();
  if (const std::string_view etag = head.header("etag"); etag.starts_with('"')) file.etag = etag;
  return file;
}

/// The link with the file's name replaced by `file`.
std::string beside(const net::Link& link, const std::string& file) {
  const std::size_t query = std::min(link.target.find('?'), link.target.size());
  const std::size_t slash = link.target.rfind('/', query);
  return link.server.origin() + link.target.substr(0, slash + 1) + file + link.target.substr(query);
}

base::Result<RemotePlan> plan_of_link(net::AsyncClient& client, const std::string& source,
                                      const PlanOptions& options) {
  TRY_ASSIGN(const net::Link link, net::parse_link(source));
  const std::string file = file_name(link.target.substr(0, link.target.find('?')));
  const auto part = engine::part_name(file);
  if (!file.ends_with(".gguf")) {
    return base::invalid(fmt::format("'{}' doesn't end in the name of a .gguf file", source), "name");
  }
  if (!link.server.tls && !net::is_this_machine(link.server) && options.sha256.empty()) {
    return base::invalid(
        fmt::format("'{}' comes without TLS, so anybody on the way could change it: say its sum "
                    "with --sha256, or use https",
                    source),
        "name");
  }
  if (part && !options.sha256.empty()) {
    return base::invalid("--sha256 is for one file, and this model has several", "sha256");
  }
  RemotePlan plan;
  plan.model.source = source;
  plan.model.server = link.server.origin();
  for (int number = 1; number <= (part ? part->count : 1); ++number) {
    const std::string name = part ? engine::part_file(part->stem, number, part->count) : file;
    plan.urls.push_back(beside(link, name));
    TRY_ASSIGN(engine::PulledFile one, look_at(client, plan.urls.back(), options.timeout_s));
    one.file = name;
    if (!options.sha256.empty()) one.sha256 = options.sha256;
    plan.model.fetched.push_back(std::move(one));
  }
  set_whole(plan.model);
  return plan;
}

}  // namespace

base::Result<Hub> hub_of_environment() {
  Hub hub{.url = env("HF_ENDPOINT"), .token = env("HF_TOKEN")};
  if (hub.url.empty()) return hub;
  while (hub.url.ends_with('/')) hub.url.pop_back();
  const auto url = net::parse_url(hub.url);
  if (!url) return base::invalid("HF_ENDPOINT: " + url.error().message, "HF_ENDPOINT");
  if (!hub.token.empty() && !url->tls && !net::is_this_machine(*url)) {
    return base::invalid(
        "HF_TOKEN would go over the network unencrypted: HF_ENDPOINT must begin with https://",
        "HF_ENDPOINT");
  }
  return hub;
}

base::Result<RemotePlan> plan_pull(net::AsyncClient& client, const Hub& hub, const std::string& source,
                                   const PlanOptions& options) {
  const auto linked = hub_file(hub, source);
  if (!engine::is_hub_source(source) && !linked) return plan_of_link(client, source, options);
  if (!options.sha256.empty())
    return base::invalid("--sha256 is for a URL: the hub says its files' sums", "sha256");
  if (linked) return plan_of_hub(client, hub, *linked, options);
  TRY_ASSIGN(const engine::HubSource parsed, engine::parse_hub_source(source));
  return plan_of_hub(client, hub, parsed, options);
}

base::Error refusal(const net::FetchAnswer& answer, const std::string& what, bool had_token) {
  const std::string own(answer.header("x-error-message"));
  const std::string said = fmt::format("{} was refused with status {}{}", what, answer.status,
                                       own.empty() ? "" : fmt::format(" (\"{}\")", own.substr(0, 300)));
  switch (answer.status) {
    case 401:
      return {base::Code::kUnauthorized,
              had_token
                  ? said + ": HF_TOKEN isn't valid, or may not read it. Is the name right?"
                  : said +
                        ": there is no such model, or it is private or gated. Is the name right? Else set "
                        "HF_TOKEN to a token that may read it"};
    case 403:
      return {base::Code::kForbidden,
              said +
                  ": its terms must be accepted on the model's page first, by the user whose "
                  "token HF_TOKEN is"};
    case 404:
      return {base::Code::kNotFound, said + ": there is no such model, revision or file"};
    case 429:
      return {base::Code::kExhausted,
              said + ": too many requests. Try again later; a token in HF_TOKEN may do more"};
    default:
      return {base::Code::kBadGateway, said + ". Try again later, or name a mirror in HF_ENDPOINT"};
  }
}

}  // namespace pmt::app
