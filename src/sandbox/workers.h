// The programs that run inside, as text: worker.py and monty_worker.py, embedded by CMake.
#pragma once

namespace pmt::sandbox {

extern const char* const kWorkerSource;
extern const char* const kMontyWorkerSource;

}  // namespace pmt::sandbox
