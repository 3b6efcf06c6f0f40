// The program that the root model writes, turn by turn, in a sandboxed REPL that holds the context.
//
// A turn: the root is asked with everything that happened so far; every ```repl block of its answer runs;
// what they printed goes back, cut. It ends with answer["ready"] = True or FINAL(...) in a block, or with a
// line FINAL(...) or FINAL_VAR(...) in the text (final_call.h), or at iterations_max with the root's last word. rlm_query
// starts the same one level deeper, in a REPL of its own; level depth_max is a plain leaf call.
//
// Of a session the REPL is kept from one request to the next: `context_0`, `context_1`, ... are its contexts, `context` is
// the last, `history` a list of {"question", "answer"}. A REPL that has ended meanwhile is started anew with all but the
// variables, and kept.lost says why.
// Thread-safety: any thread. Errors: the root model's; the budget's; kCancelled; what the sandbox lacks. An
// error below (a leaf, a child, a program) is the program's to handle.
#pragma once

#include <string>
#include <vector>

#include "rlm/run.h"
#include "rlm/sessions.h"

namespace pmt::rlm {

/// `kept`: with one context at least.
base::Result<Outcome> run_repl(Run& run, const std::string& question, Session& kept);

/// The ```repl (or ```python) blocks of an answer.
std::vector<std::string> repl_blocks(const std::string& text);
}  // namespace pmt::rlm
