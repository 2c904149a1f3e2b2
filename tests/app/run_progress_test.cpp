#include "app/run_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "app/report_chart.h"

namespace tenon {
namespace {

using ::testing::HasSubstr;

StepProgress middle() {
  StepProgress step;
  step.step = 1234;
  step.steps = 5000;
  step.learning_rate = 3e-4;
  return step;
}

TEST(BarText, HasEverythingAtEightyColumns) {
  EXPECT_EQ(bar_text(middle(), 0.69315, "1204 rows/s", "0:12", 79),
            "[====               ] 1234/5000  loss 0.6932  0:12 left  1204 rows/s  lr 0.0003");
}

TEST(BarText, LeavesOutWhatHasNoRoomAndIsNeverWider) {
  for (std::size_t columns = 8; columns < 200; ++columns) {
    EXPECT_LE(bar_text(middle(), 0.69315, "1204 rows/s", "0:12", columns).size(), columns);
  }
  EXPECT_THAT(bar_text(middle(), 0.69315, "1204 rows/s", "0:12", 45), HasSubstr("loss 0.6932"));
}

TEST(BarText, IsFullAtTheLastStep) {
  StepProgress step = middle();
  step.step = step.steps;
  EXPECT_THAT(bar_text(step, 1, "1 rows/s", "0:00", 79), HasSubstr("=] 5000/5000"));
}

TEST(Smoothed, FollowsTheLastValuesAndBeginsAtTheFirst) {
  Smoothed smoothed;
  smoothed.add(10);
  EXPECT_DOUBLE_EQ(smoothed.value(), 10);
  for (int i = 0; i < 50; ++i) smoothed.add(2);
  EXPECT_NEAR(smoothed.value(), 2, 1e-3);
}

TEST(Chart, IsDrawnOfWhatIsFiniteAndNothingIsNoChart) {
  Chart chart;
  chart.title = "a < b";
  EXPECT_EQ(chart_html(chart), "");
  chart.lines.push_back({.label = "one", .points = {{1, 2}, {2, std::nan("")}, {3, 4}}});
  const std::string html = chart_html(chart);
  EXPECT_THAT(html, HasSubstr("a &lt; b"));
  EXPECT_THAT(html, HasSubstr("points='64.0,210.0 508.0,10.0 '"));
}

}  // namespace
}  // namespace tenon
