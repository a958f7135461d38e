#include "grapes/record/events.h"

#include <gmock/gmock.h>

namespace grapes::record {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Events, ChecksumsAreThoseOfTheFormat) {
  // The start of a file that TensorFlow writes at second 0: the framed version. The checksums follow the format's
  // description: CRC-32C, rotated by 15 bits plus 0xa282ead8.
  const std::string file = first_event(0);
  EXPECT_EQ(file.substr(0, 8), std::string("\x18\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(file.substr(8, 4), "\xa3\x7f\x4b\x22");
  EXPECT_THAT(file, HasSubstr("\x1a\x0d"
                              "brain.Event:2"));
}

TEST(Events, NumbersThatAreNotFiniteAreLeftOut) {
  const std::string event_ = event({{"step", 300}, {"train_loss", nullptr}, {"test_loss", 0.5}}, 1);
  EXPECT_THAT(event_, HasSubstr("test/loss"));
  EXPECT_THAT(event_, Not(HasSubstr("train/loss")));
}

TEST(Events, ATruncatedFileEndsAtItsLastCompleteRecord) {
  const std::string first = first_event(1), second = event({{"step", 1}, {"test_loss", 1.0}}, 2);
  for (std::size_t cut = 0; cut <= second.size(); ++cut) {
    const std::string file = first + second.substr(0, cut);
    const Events whole = whole_events(file, 9);
    EXPECT_EQ(whole.count, cut == second.size() ? 2u : 1u);
    EXPECT_EQ(whole.bytes, cut == second.size() ? file : first);
  }
  EXPECT_EQ(whole_events(first + second, 1).bytes, first);
  EXPECT_EQ(whole_events("", 5).count, 0u);
}

}  // namespace
}  // namespace grapes::record
