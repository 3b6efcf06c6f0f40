// What every command's exit status means: the contract with scripts.
#pragma once

namespace pmt::app {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;         // asked rightly, but it could not be done: stderr says why
inline constexpr int kExitWrongUsage = 2;     // the command line or the config file is wrong
inline constexpr int kExitInterrupted = 130;  // by Ctrl-C: what was kept is said

}  // namespace pmt::app
