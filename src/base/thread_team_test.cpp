#include "base/thread_team.h"

#include <ctime>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct Case {
  const char* name;
  int members;
  Patience patience;
};

/// More members than this machine has cores, most of them: whoever waits then holds up whom it waits for.
class ThreadTeamTest : public ::testing::TestWithParam<Case> {};

TEST_P(ThreadTeamTest, NobodyGoesOnBeforeAllAreThere) {
  ThreadTeam team(GetParam().members, GetParam().patience);
  constexpr int kMeetings = 500;
  // Plain integers: the meetings alone order who writes and who reads, as the thread sanitizer sees.
  std::vector<int> done(static_cast<std::size_t>(team.members()));
  std::vector<int> wrong(done.size());
  team.run(team.members(), [&](int member) {
    const auto at = static_cast<std::size_t>(member);
    for (int i = 1; i <= kMeetings; ++i) {
      done[at] = i;
      team.meet();
      for (const int other : done) wrong[at] += other != i;
      team.meet();
    }
  });
  EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
}

TEST_P(ThreadTeamTest, TheLastOneToComeActsForAll) {
  ThreadTeam team(GetParam().members, GetParam().patience);
  constexpr int kMeetings = 500;
  std::vector<int> part(static_cast<std::size_t>(team.members()));
  std::vector<int> wrong(part.size());
  int sum = 0, times = 0;
  team.run(team.members(), [&](int member) {
    const auto at = static_cast<std::size_t>(member);
    for (int i = 1; i <= kMeetings; ++i) {
      part[at] = i;
      team.meet([&] {
        sum = std::accumulate(part.begin(), part.end(), 0);
        ++times;
      });
      wrong[at] += sum != i * team.members();
    }
  });
  EXPECT_EQ(times, kMeetings);
  EXPECT_EQ(std::accumulate(wrong.begin(), wrong.end(), 0), 0);
}

TEST_P(ThreadTeamTest, RunsOneWorkAfterAnother) {
  ThreadTeam team(GetParam().members, GetParam().patience);
  std::vector<int> runs(static_cast<std::size_t>(team.members()));
  for (int i = 0; i < 200; ++i) {
    team.run(team.members(), [&](int member) { ++runs[static_cast<std::size_t>(member)]; });
    ASSERT_EQ(runs, std::vector<int>(runs.size(), i + 1));
  }
}

TEST_P(ThreadTeamTest, ARunMayLeaveMembersOut) {
  ThreadTeam team(GetParam().members, GetParam().patience);
  std::vector<int> runs(static_cast<std::size_t>(team.members())), want(runs.size());
  for (int i = 0; i < 300; ++i) {
    const int members = 1 + i * 7 % team.members();
    int together = 0;
    team.run(members, [&](int member) {
      ++runs[static_cast<std::size_t>(member)];
      team.meet([&] { together = std::accumulate(runs.begin(), runs.end(), 0); });
    });
    for (int member = 0; member < members; ++member) ++want[static_cast<std::size_t>(member)];
    ASSERT_EQ(runs, want);
    ASSERT_EQ(together, std::accumulate(want.begin(), want.end(), 0));
  }
}

std::string name_of(const ::testing::TestParamInfo<Case>& each) {
  return each.param.name;
}

INSTANTIATE_TEST_SUITE_P(Teams, ThreadTeamTest,
                         ::testing::Values(Case{"One", 1, {microseconds(50), Nanos(0)}},
                                           Case{"TwoThatSleepAtOnce", 2, {Nanos(0), Nanos(0)}},
                                           Case{"TwoPatient", 2, {milliseconds(1), milliseconds(1)}},
                                           Case{"FiveThatSleepAtOnce", 5, {Nanos(0), Nanos(0)}},
                                           Case{"EightBrieflyPatient", 8, {microseconds(20), Nanos(0)}},
                                           Case{"FourPatient", 4, {microseconds(200), microseconds(200)}}),
                         name_of);

/// Of this process, all threads together.
Nanos cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanos(time.tv_nsec);
}

TEST(ThreadTeamPatienceTest, WhoWaitsLongerThanThatUsesNoCore) {
  ThreadTeam team(2, {milliseconds(1), milliseconds(1)});
  const Nanos before = cpu_time();
  team.run(team.members(), [&](int member) {
    if (member == 0) std::this_thread::sleep_for(milliseconds(200));
    team.meet();
    if (member == 1) std::this_thread::sleep_for(milliseconds(200));
  });
  std::this_thread::sleep_for(milliseconds(200));  // nothing to run
  EXPECT_LT(cpu_time() - before, milliseconds(60)) << "of 600 ms";
}

TEST(ThreadTeamPatienceTest, MayChangeBetweenRuns) {
  ThreadTeam team(3, {Nanos(0), Nanos(0)});
  int sum = 0;
  for (int i = 0; i < 300; ++i) {
    team.set_patience(i % 2 == 0 ? Patience{microseconds(100), microseconds(100)}
                                 : Patience{Nanos(0), Nanos(0)});
    team.run(team.members(), [&](int) { team.meet([&] { ++sum; }); });
  }
  EXPECT_EQ(sum, 300);
}

TEST(ThreadTeamIdsTest, AreThoseOfTheThreadsThatItStarted) {
  const ThreadTeam team(4);
  EXPECT_EQ(std::set<int>(team.thread_ids().begin(), team.thread_ids().end()).size(), 3U);
  EXPECT_EQ(ThreadTeam(1).thread_ids().size(), 0U);
}

}  // namespace
}  // namespace pmt::base
