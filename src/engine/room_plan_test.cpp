#include "engine/room_plan.h"

#include <gmock/gmock.h>

namespace pmt::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Resident> three() {
  return {{.bytes = 10, .last_used = base::Nanos(3)},
          {.bytes = 10, .last_used = base::Nanos(1), .busy = true},
          {.bytes = 10, .last_used = base::Nanos(2)}};
}

TEST(RoomPlan, NobodyGoesWhereThereIsRoom) {
  EXPECT_THAT(plan_room(5, 5, three()), IsEmpty());
}

TEST(RoomPlan, TheLeastRecentlyUsedGoesFirstAndNoMoreThanItTakes) {
  EXPECT_THAT(plan_room(15, 5, three()), ElementsAre(2));
  EXPECT_THAT(plan_room(25, 5, three()), ElementsAre(2, 0));
}

TEST(RoomPlan, ABusyOneGoesAfterAllThatAreIdle) {
  EXPECT_THAT(plan_room(26, 5, three()), ElementsAre(2, 0, 1));
}

TEST(RoomPlan, AllGoWhereEvenThatIsTooLittle) {
  EXPECT_THAT(plan_room(1000, -5, three()), ElementsAre(2, 0, 1));
}

}  // namespace
}  // namespace pmt::engine
