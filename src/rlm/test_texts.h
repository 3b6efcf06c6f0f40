// Texts that are hard on whoever reads them once and in order, and what every reader of them is held to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>

#include "rlm/watch.h"

namespace pmt::rlm {

inline constexpr const char* kTextKinds[] = {
    "prose",      "log",      "short lines", "one line", "one word", "newlines", "spaces",
    "commas",     "csv",      "headers",     "few rows", "rules",    "pairs",    "json",
    "new fields", "no UTF-8", "three bytes", "dots",     "any bytes"};

/// At least `bytes` of a kind; the same every time.
inline std::string text_of_kind(std::string_view kind, std::size_t bytes) {
  std::mt19937 random(7);
  std::string text;
  const auto word = [&] {
    for (auto n = 2 + random() % 9; n > 0; --n) text += static_cast<char>('a' + random() % 26);
  };
  const auto number = [&] { text += std::to_string(random() % 1'000); };
  for (std::size_t i = 0; text.size() < bytes; ++i) {
    const std::string n = std::to_string(i);
    if (kind == "prose") {
      word();
      text += i % 12 == 11 ? ". " : " ";
      if (i % 100 == 99) text += "\n\n";
    } else if (kind == "log") {
      text +=
          "2026-01-01 12:00:01 INFO worker-" + std::to_string(random() % 32) + ": request " + n + " took ";
      number();
      text += " ms\n";
    } else if (kind == "short lines") {
      text += "x y z\n";
    } else if (kind == "one line") {
      word();
      text += ' ';
    } else if (kind == "one word") {
      text += "abcdefgh";
    } else if (kind == "newlines") {
      text += "\n\n\n\n";
    } else if (kind == "spaces") {
      text += "        ";
    } else if (kind == "commas") {
      text += "a,";
    } else if (kind == "csv") {
      text += i == 0 ? "id,name,amount\n" : n + ",";
      if (i > 0) word();
      if (i > 0) text += "," + n + "\n";
    } else if (kind == "headers") {
      text += i % 2 == 0 ? "alpha,beta,gamma\n" : "alpha|beta|gamma|delta;epsilon\n";
    } else if (kind == "few rows") {
      text += i % 4 == 3 ? "a,b\n" : "alpha,beta,gamma\n";
    } else if (kind == "rules") {
      text += i % 1'000 == 0 ? "alpha,beta,gamma\n" : "---|---\n";
    } else if (kind == "pairs") {
      text += "a=1 b=" + n + "\n";
    } else if (kind == "json") {
      text += R"({"id": )" + n + R"(, "kind": "cat"})" + "\n";
    } else if (kind == "new fields") {
      text += "a" + n + "=1; b" + n + "=2\n";
    } else if (kind == "no UTF-8") {
      text += "\x80\x80\x80\x80";
    } else if (kind == "three bytes") {
      text += "\xe6\x97\xa5";
    } else if (kind == "dots") {
      text += "1.2.";
    } else {
      text += static_cast<char>(random() % 256);
    }
  }
  return text;
}

/// Of this thread alone: other load on the machine doesn't count.
inline double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

inline double seconds_of(const std::function<void()>& work) {
  double least = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double begin = cpu_seconds();
    work();
    least = std::min(least, cpu_seconds() - begin);
  }
  return least;
}

/// Sixteen times the text: a square would be 256 times the time.
inline void expect_linear(const char* kind, const std::function<void(const std::string&)>& work) {
  const std::string small = text_of_kind(kind, 64 << 10), large = text_of_kind(kind, 1 << 20);
  const double before = seconds_of([&] { work(small); }), after = seconds_of([&] { work(large); });
  EXPECT_LT(after, 48 * std::max(before, 1e-4)) << kind << ": " << before << " s, then " << after << " s";
}

/// Work over a text that is cancelled from elsewhere before long: CPU time after it counts.
inline void expect_ends_when_cancelled(const char* kind, const std::string& text,
                                       const std::function<base::Status(const std::string&, Watch&)>& work) {
  const base::CancelToken cancel;
  double cancelled_at = -1;
  int said = 0;
  Watch watch(cancel, nullptr, [&](const std::string&) {  // in the working thread, at a tenth
    if (++said > 1) return;
    cancel.cancel();
    cancelled_at = cpu_seconds();
  });
  const base::Status done = work(text, watch);
  const double ended_at = cpu_seconds();
  if (done) return;  // it needed no second look
  EXPECT_EQ(done.error().code, base::Code::kCancelled) << kind;
  EXPECT_LT(ended_at - cancelled_at, 0.1) << kind;
}

}  // namespace pmt::rlm
