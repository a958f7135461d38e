#include "grapes/base/text.h"

#include <gtest/gtest.h>

namespace grapes {
namespace {

TEST(Columns, AlignByLetterAndRepeatTheLastLetter) {
  EXPECT_EQ(columns({{"arm", "n", "rate"}, {"bp", "10", "0.1"}}, "lr"), "arm   n  rate\nbp   10   0.1\n");
  EXPECT_EQ(columns({{"a", "bb", "c"}, {"aa", "b", "ccc"}}), "a   bb  c\naa  b   ccc\n");
  EXPECT_EQ(columns({{"a", "b", "c"}, {"aa", "bb", "cc"}}, "rlr"), " a  b    c\naa  bb  cc\n");
}

TEST(Columns, CountCharactersAndNotBytes) {
  EXPECT_EQ(display_width("−0.5 ± 1"), 8u);
  EXPECT_EQ(columns({{"déjà", "1"}, {"vu", "2"}}, "l"), "déjà  1\nvu    2\n");
}

TEST(Columns, EndLinesWithoutSpacesAndTakeRowsOfAnyLength) {
  EXPECT_EQ(columns({{"a", "long"}, {"b", ""}, {"c"}}), "a  long\nb\nc\n");
  EXPECT_EQ(columns({}), "");
}

}  // namespace
}  // namespace grapes
