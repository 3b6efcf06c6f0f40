#include "response_cache/flight/single_flight.h"

#include <utility>

#include "llm/sinks.h"

namespace pmt::response_cache {

SingleFlight::SingleFlight(llm::Completer& inner, ResponseCache& cache, const base::Clock& clock,
                           Options options)
    : inner_(inner), cache_(cache), clock_(clock), options_(std::move(options)) {}

double SingleFlight::price(const llm::Request& request, const llm::Usage& usage) const {
  if (usage.usd) return *usage.usd;
  return options_.price ? options_.price(request, usage) : 0;
}

/// For the audit. `tokens`: that were not computed for this request.
void SingleFlight::count_use(const llm::Request& request, std::int64_t tokens) {
  if (options_.usage == nullptr) return;
  options_.usage->add(
      request.surface, clock_.unix_seconds(),
      {.tokens = tokens, .who = {.model = options_.model, .tenant = request.tenant, .key = request.key}});
}

void SingleFlight::replay_hit(const Key& key, const Entry& entry, Hit hit, const llm::Request& request,
                              llm::Sink& sink) {
  const llm::CacheReport report{
      .status = hit.similarity ? llm::CacheStatus::kSemanticHit
                : hit.stale    ? llm::CacheStatus::kStale
                               : llm::CacheStatus::kHit,
      .key = key.hex(),
      .age_s = std::chrono::duration<double>(clock_.now() - entry.stored_at).count(),
      .similarity = hit.similarity,
      .tokens_saved = entry.meta.tokens,
      .usd_saved = entry.meta.usd,
      .seconds_saved = entry.meta.compute_s,
      .why = {},
  };
  count_use(request, entry.meta.tokens);
  replay(std::get<RecordedAnswer>(entry.value.content), report, sink);
}

void SingleFlight::join(const std::shared_ptr<Waiter>& waiter) {
  if (waiter->cancelled()) {
    waiter->forward(llm::Failed{base::Error{base::Code::kCancelled, "the caller left"}});
    return;
  }
  const Waiter::Job& job = waiter->job();
  std::shared_ptr<Flight> flight;
  Found found;
  bool leads = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto running = flights_.find(job.key); running != flights_.end()) {
      flight = running->second;
      ++flight->waiting_;
    } else if (found = cache_.tiers().find_in_ram(job.key, {.max_age_s = job.request->cache.max_age_s,
                                                            .answers_only = true,
                                                            .asker = asker_of(job.request->engine_call)});
               !found) {
      flight = std::make_shared<Flight>(*this, job, Flight::Ask::kWait);
      flights_.emplace(job.key, flight);
      leads = true;
    }
    if (flight) {
      flight->stores_ = flight->stores_ || job.writes;
      waiter->enter(flight, leads);
    }
  }
  if (!flight) {
    waiter->found_after_all();
    llm::FunctionSink past_the_waiter([&](llm::Event event) { waiter->forward(std::move(event)); });
    replay_hit(job.key, *found.entry, {}, *job.request, past_the_waiter);
    return;
  }
  flight->log_.attach(waiter);
  if (leads) flight->run(flight);
  if (waiter->cancelled()) waiter->leave();  // cancelled before it had entered
}

void SingleFlight::lead_alone(const std::shared_ptr<Waiter>& waiter) {
  auto flight = std::make_shared<Flight>(*this, waiter->job(), Flight::Ask::kNothing);
  flight->stores_ = waiter->job().writes;
  waiter->enter(flight, true);
  flight->log_.attach(waiter);
  flight->run(flight);
  if (waiter->cancelled()) waiter->leave();
}

void SingleFlight::refresh(Waiter::Job job) {
  const auto nobody = std::make_shared<llm::FunctionSink>([](const llm::Event&) {});
  const auto waiter = std::make_shared<Waiter>(*this, std::move(job), nobody, base::CancelToken());
  std::shared_ptr<Flight> flight;
  {
    const std::lock_guard lock(mutex_);
    auto& place = flights_[waiter->job().key];
    if (place) return;
    flight = place = std::make_shared<Flight>(*this, waiter->job(), Flight::Ask::kDontWait);
    flight->stores_ = true;
    waiter->enter(flight, true);
  }
  flight->log_.attach(waiter);
  flight->run(flight);
}

bool SingleFlight::must_store(const Flight& flight) {
  const std::lock_guard lock(mutex_);
  return flight.stores_;
}

void SingleFlight::take_out(const Flight& flight) {
  std::shared_ptr<Flight> removed;  // freed after the lock
  const std::lock_guard lock(mutex_);
  const auto found = flights_.find(flight.job_.key);
  if (found == flights_.end() || found->second.get() != &flight) return;
  removed = std::move(found->second);
  flights_.erase(found);
}

void SingleFlight::leave(const std::shared_ptr<Flight>& flight, const Waiter& waiter) {
  bool last = false;
  {
    const std::lock_guard lock(mutex_);
    last = --flight->waiting_ == 0;
    if (last) {
      const auto found = flights_.find(flight->job_.key);
      if (found != flights_.end() && found->second == flight) flights_.erase(found);
    }
  }
  flight->log_.detach(waiter, llm::Failed{base::Error{base::Code::kCancelled, "the caller left"}});
  if (last) flight->cancel_inner_.cancel();
}

void Flight::run(const std::shared_ptr<Flight>& self) {
  if (ask_ == Ask::kNothing) return compute(self);
  table_.cache_.tiers().fetch(
      job_.key,
      {.lease = job_.writes,
       .wait = ask_ == Ask::kWait,
       .max_age_s = job_.request->cache.max_age_s,
       .given_up = [self] { return self->cancel_inner_.cancelled(); },
       .who = {.model = table_.options_.model, .tenant = job_.request->tenant, .key = {}}},
      [self](Fetched fetched) { self->go_on(self, std::move(fetched)); });
}

void Flight::go_on(const std::shared_ptr<Flight>& self, Fetched fetched) {
  reservation_ = std::move(fetched.reservation);
  if (fetched.entry && end_with(fetched.entry, fetched.waited)) return;
  if (fetched.busy || cancel_inner_.cancelled()) {
    const char* const why = fetched.busy ? "another server computes it" : "the caller left";
    return on_event(llm::Failed{base::Error{base::Code::kCancelled, why}});
  }
  compute(self);
}

/// False if what was found is no answer.
bool Flight::end_with(const EntryPtr& found, bool waited) {
  const auto* const answer = std::get_if<RecordedAnswer>(&found->value.content);
  if (answer == nullptr) return false;
  shared_ = found;
  shared_waited_ = waited;
  for (const llm::Event& event : answer->events) {
    if (llm::is_terminal(event)) table_.take_out(*this);
    log_.append(event);
  }
  return true;
}

void Flight::compute(const std::shared_ptr<Flight>& self) {
  if (job_.observation) ++job_.observation->computations;
  if (ask_ == Ask::kNothing) reservation_ = table_.cache_.tiers().reserve();
  started_at_ = table_.clock_.now();
  table_.inner_.start(llm::Request(*job_.request), self, cancel_inner_);
}

void Flight::on_event(llm::Event&& event) {
  const bool terminal = llm::is_terminal(event);
  if (const auto* done = std::get_if<llm::Done>(&event)) {
    recorder_.add(event);
    store(*done);
  } else if (!terminal) {
    recorder_.add(event);
  }
  if (terminal) {
    reservation_ = {};
    table_.take_out(*this);
  }
  log_.append(std::move(event));
}

namespace {

std::vector<Key> keys_of(const std::vector<std::string>& digests) {
  std::vector<Key> keys;
  for (const std::string& digest : digests) {
    if (const auto key = Key::of_hex(digest)) keys.push_back(*key);
  }
  return keys;
}

}  // namespace

void Flight::store(const llm::Done& done) {
  const base::Nanos computed_at = table_.clock_.now();
  seen_.compute_ms = base::ms_between(started_at_, computed_at);
  const llm::Request& request = *job_.request;
  seen_.usd = table_.price(request, done.usage);
  if (done.transient || !table_.must_store(*this)) return;
  const auto stored =
      table_.cache_.store(job_.key, Value{recorder_.take()},
                          StoreOptions{.tokens = total_tokens(done.usage),
                                       .reusable = true,
                                       .ttl_s = request.cache.ttl_s,
                                       .tenant = request.tenant,
                                       .name_space = request.cache.name_space,
                                       .model = table_.options_.model,
                                       .tags = request.cache.tags,
                                       .question = job_.question,
                                       .semantic_scope = job_.semantic_scope,
                                       .usd = seen_.usd,
                                       .compute_s = seen_.compute_ms / 1e3,
                                       .stale_s = request.cache.stale_while_revalidate_s.value_or(0),
                                       .made_of = keys_of(done.report.made_of),
                                       .engine_call = request.engine_call},
                          std::exchange(reservation_, {}));
  seen_.store_ms = base::ms_between(computed_at, table_.clock_.now());
  seen_.stored = stored.has_value() && *stored;
  if (stored && !*stored) seen_.store_note = "not stored: what it was computed from was purged meanwhile";
  if (!stored) seen_.store_note = "not stored: " + stored.error().message;
}

}  // namespace pmt::response_cache
