#include "grapes/data/dialect.h"

#include "grapes/data/table.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace grapes::data {
namespace {

using testing::HasSubstr;

at::Tensor inputs_of(const std::string& text) {
  const TemporaryFolder folder;
  write_file(folder.path() / "table.csv", text);
  return all_inputs(*read_table(folder.path() / "table.csv", {}, TargetReading::automatic).train);
}

std::string message(const std::string& text) {
  return refusal<Error>([&] { inputs_of(text); });
}

TEST(NumberStyle, ReadsSignsOfTypography) {
  for (const char* space : {" ", "\u00a0", "\u2009", "\u202f"}) {
    const std::string number = "-1" + std::string(space) + "234,5";
    EXPECT_EQ(NumberStyle({',', ' '})(number), -1234.5) << number;
  }
  EXPECT_EQ(NumberStyle({'.', '\''})("1\u2019234.5"), 1234.5);
  EXPECT_EQ(NumberStyle({'.'})("\u22121.5"), -1.5);
  EXPECT_EQ(NumberStyle({'.'})("1\u00a0234"), std::nullopt);
  EXPECT_EQ(NumberStyle({'.'})("1\u00b2"), std::nullopt);
}

TEST(Dialect, ThousandsAreFoundInTheirUsualWritings) {
  const at::Tensor expected = at::tensor({1234.5F, .5F, -7654321.F}).reshape({3, 1});
  for (const char* sign : {"'", "\u2019", " ", "\u00a0", "\u202f"}) {
    const std::string s = sign;
    EXPECT_TRUE(at::equal(inputs_of("a;y\n1" + s + "234,5;u\n0,5;v\n-7" + s + "654" + s + "321;u\n"), expected)) << s;
    EXPECT_TRUE(at::equal(inputs_of("a;y\n1" + s + "234.5;u\n0.5;v\n-7" + s + "654" + s + "321;u\n"), expected)) << s;
  }
}

TEST(Dialect, TheLineOfExcelThatNamesTheDelimiterIsNotData) {
  for (const char* end : {"\n", "\r\n", "\r"}) {
    const std::string e = end;
    const at::Tensor inputs = inputs_of("sep=;" + e + "a;b;y" + e + "1,5;2;u" + e + "3;4;v" + e);
    EXPECT_TRUE(at::equal(inputs, at::tensor({1.5F, 2.F, 3.F, 4.F}).reshape({2, 2})));
  }
  EXPECT_THAT(message("sep=;\na;y\n1;u\n2\n"), HasSubstr("line 4: 1 fields, expected 2"));
}

TEST(Dialect, MissingValuesHaveManySpellings) {
  for (const char* cell :
       {"", "?", "-", "--", ".", "NA", "<NA>", "N/A", "#N/A", "#NA", "NaN", "-nan", "NULL", "nil", "None", "\\N"})
    EXPECT_TRUE(is_missing(cell)) << cell;
  for (const char* cell : {"0", "-1", ".5", "nah", "<a>", "no", "\\"}) EXPECT_FALSE(is_missing(cell)) << cell;
}

TEST(Dialect, ATableOfOneColumnAdvisesToSetTheDelimiter) {
  EXPECT_THAT(message("a~b~y\n1~2~u\n3~4~v\n"), HasSubstr("only one column, 'a~b~y'"));
  EXPECT_THAT(message("a~b~y\n1~2~u\n3~4~v\n"), HasSubstr("set delimiter"));
}

}  // namespace
}  // namespace grapes::data
