// What a model is asked in a trial of what it writes (root_trial.h): questions about made-up contexts whose answers are
// known, which only code or only a query answers.
// Thread-safety: pure functions. Cost: some milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pmt::rlm {

inline constexpr int kTrialQuestions = 10;  // two of each of five kinds

struct TrialQuestion {
  std::string kind, question;
  std::vector<std::string> context;
  std::string answer;
};

/// How many notes mention something, what numbers in them add up to, who wrote the most notes, how many people wrote any,
/// and a number that stands once in a text no window holds. The same ones for the same seed.
std::vector<TrialQuestion> program_questions(std::uint64_t seed);

/// Of a CSV of parcels, what no program makes a query of: all but one city, a range of weights, either of two couriers,
/// the best of groups by their mean, how many groups are large. The same ones for the same seed.
std::vector<TrialQuestion> query_questions(std::uint64_t seed);

/// Whether a text says the known answer, and at most one other number or name beside it.
bool says(const std::string& text, const TrialQuestion& asked);

}  // namespace pmt::rlm
