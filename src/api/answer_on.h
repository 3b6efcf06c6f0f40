// An answer that takes longer than an I/O thread has: made on a worker's thread, and only if the client is still
// there when its turn comes. Thread-safety: any thread. Errors: 503 if too much waits.
#pragma once

#include <functional>
#include <string>

#include "api/background.h"
#include "api/router.h"
#include "base/result.h"

namespace pmt::api {

/// `body` gives the JSON, or the error to answer with. What it refers to outlives the worker's stop.
void answer_on(Background& worker, const Exchange& exchange,
               std::function<base::Result<std::string>(const Exchange&)> body);

/// For answers that need a model's vocabulary, which may have to be loaded first: then only others of the
/// kind wait.
struct VocabularyWorkers {
  Background quick, patient;
  void stop() {
    quick.stop();
    patient.stop();
  }
};

/// `body` is asked by the quick worker, with `waits` false; where it would have to wait, the patient one
/// asks it again.
void answer_on(VocabularyWorkers& workers, const Exchange& exchange,
               std::function<base::Result<std::string>(const Exchange&, bool waits)> body);

}  // namespace pmt::api
