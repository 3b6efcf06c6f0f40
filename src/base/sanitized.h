// Is this build watched by a sanitizer that has an allocator of its own?
#pragma once

namespace pmt::base {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace pmt::base
