#include "api/routes/knowledge_worker.h"

#include <utility>

#include "base/guard.h"
#include "base/priority.h"

namespace pmt::api {

using nlohmann::json;

KnowledgeWorker::KnowledgeWorker() : thread_([this] { loop(); }) {}

KnowledgeWorker::~KnowledgeWorker() {
  stop();
}

void KnowledgeWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void KnowledgeWorker::loop() {
  base::give_way();
  for (;;) {
    std::function<void()> act;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      act = std::move(waiting_.front());
      waiting_.pop_front();
    }
    base::survives({base::Thread::kKnowledge}, act);
  }
}

base::Status KnowledgeWorker::run(std::function<void()> act) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kWaitingMax)
    return base::Error{base::Code::kUnavailable,
                       "Too many changes of knowledge are waiting: try again later."};
  waiting_.push_back(std::move(act));
  wake_.notify_one();
  return {};
}

base::Result<json> KnowledgeWorker::start(std::string id, std::string domain, std::string owner, Work work) {
  json first{{"id", id},        {"object", "knowledge.job"}, {"domain", std::move(domain)},
             {"tenant", owner}, {"status", "queued"},        {"done", 0},
             {"of", 0}};
  {
    const std::lock_guard lock(mutex_);
    jobs_[id].state = first;
    jobs_[id].owner = std::move(owner);
  }
  const base::Status queued = run([this, id, work = std::move(work)] {
    update(
        id, [](json& state) { state["status"] = "running"; }, false);
    const auto on_progress = [&](std::size_t done, std::size_t of) {
      update(
          id,
          [&](json& state) {
            state["done"] = done;
            state["of"] = of;
          },
          false);
    };
    base::Result<json> result = json();
    const base::Status worked =
        base::guarded({base::Thread::kKnowledge, id}, [&] { result = work(on_progress); });
    if (!worked) result = worked.error();
    update(
        id,
        [&](json& state) {
          state["status"] = result ? "done" : "failed";
          if (result) {
            state["report"] = *result;
          } else {
            state["error"] = {{"code", base::to_string(result.error().code)},
                              {"message", result.error().message}};
          }
        },
        true);
  });
  if (!queued) {
    const std::lock_guard lock(mutex_);
    jobs_.erase(id);
    return queued.error();
  }
  return first;
}

void KnowledgeWorker::update(const std::string& id, const std::function<void(json&)>& change, bool ended) {
  std::vector<Watcher> watchers;
  json state;
  {
    const std::lock_guard lock(mutex_);
    Job& job = jobs_[id];
    change(job.state);
    job.ended = ended;
    state = job.state;
    watchers = job.watchers;
    if (ended) {
      job.watchers.clear();
      finished_.push_back(id);
      if (finished_.size() > kJobsKept) {
        jobs_.erase(finished_.front());
        finished_.pop_front();
      }
    }
  }
  for (const Watcher& watcher : watchers)
    base::survives({base::Thread::kKnowledge, id}, [&] { watcher(state, ended); });
}

base::Result<json> KnowledgeWorker::state(const std::string& id, const Owner& owner) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end() || !found->second.seen_by(owner))
    return base::Error{base::Code::kNotFound, "There is no job '" + id.substr(0, 64) + "'."};
  return found->second.state;
}

json KnowledgeWorker::states(const Owner& owner) const {
  const std::lock_guard lock(mutex_);
  json out = json::array();
  for (const std::string& id : finished_) {
    if (const Job& job = jobs_.at(id); job.seen_by(owner)) out.push_back(job.state);
  }
  for (const auto& [id, job] : jobs_) {
    if (!job.ended && job.seen_by(owner)) out.push_back(job.state);
  }
  return out;
}

base::Status KnowledgeWorker::watch(const std::string& id, const Owner& owner, Watcher watcher) {
  json state;
  bool ended = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || !found->second.seen_by(owner))
      return base::Error{base::Code::kNotFound, "There is no job '" + id.substr(0, 64) + "'."};
    state = found->second.state;
    ended = found->second.ended;
    if (!ended) found->second.watchers.push_back(watcher);
  }
  watcher(state, ended);
  return {};
}

}  // namespace pmt::api
