// The demo's step about the knowledge cache: facts learnt, asked in other words, forgotten.
#pragma once

#include "app/demo_steps.h"

namespace pmt::app {

/// The server's packs must be in a folder of the demo's own.
DemoStep demo_knowledge(const DemoServer& server);

}  // namespace pmt::app
