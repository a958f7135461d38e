#include "grapes/embedded/template.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace grapes::embedded {
namespace {

TEST(Template, FillsHolesAndKeepsWhatIsWanted) {
  constexpr std::string_view text =
      "int @a@ = @b@;\n//@ if x\nx @a@\n//@ if not y\nno y\n//@ end\n//@ end\n//@ if y\ny\n//@ end\nend\n";
  EXPECT_EQ(fill(text, {{"a", "n"}, {"b", "1,\n2"}}, {"x"}), "int n = 1,\n2;\nx n\nno y\nend\n");
  EXPECT_EQ(fill(text, {{"a", "n"}, {"b", "2"}}, {"y"}), "int n = 2;\ny\nend\n");
  EXPECT_EQ(fill(text, {{"a", "n"}, {"b", "2"}}, {"x", "y"}), "int n = 2;\nx n\ny\nend\n");
}

TEST(Template, AFaultyOneIsNoticed) {
  EXPECT_THROW(fill("@a@\n", {}, {}), std::logic_error);
  EXPECT_THROW(fill("one @ alone\n", {}, {}), std::logic_error);
  EXPECT_THROW(fill("//@ if x\n", {}, {}), std::logic_error);
  EXPECT_THROW(fill("//@ end\n", {}, {}), std::logic_error);
}

}  // namespace
}  // namespace grapes::embedded
