#include "grapes/cost/energy.h"

#include "grapes/base/error.h"
#include "grapes/base/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::cost {
namespace {

using testing::HasSubstr;

const std::string good = R"(name = "mine"
source = "a data sheet"
[[numbers]]
name = "int4"
bits = 4
multiply = 2
add = 0.5
compare = 0.25
divide = 3
[[memory]]
name = "near"
bytes = 8
width = 8
access = 10
[[memory]]
name = "far"
width = 16
access = 100
)";

std::string said(std::string text, const std::string& what, const std::string& instead) {
  text.replace(text.find(what), what.size(), instead);
  try {
    parse_energies(text, "mine.toml");
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Energy, TheDefaultTableIsHorowitz) {
  const EnergyTable& table = standard_energies();
  const Numbers& float32 = find_row(table.numbers, "numbers", "float32");
  EXPECT_EQ(float32.multiply, 3.7);
  EXPECT_EQ(float32.add, 0.9);
  EXPECT_EQ(find_row(table.numbers, "numbers", "float16").multiply, 1.1);
  EXPECT_EQ(find_row(table.numbers, "numbers", "int8").add, 0.1) << "sums of products have 32 bits";
  EXPECT_EQ(table.holding(2048, 32).name, "8 KB") << "8192 bytes fit";
  EXPECT_EQ(table.holding(2049, 32).name, "32 KB");
  EXPECT_EQ(table.holding(262144, 32).name, "1 MB");
  EXPECT_EQ(table.holding(262145, 32).name, "DRAM");
  EXPECT_EQ(table.holding(262145, 8).name, "1 MB") << "a quarter of the bytes";
  EXPECT_THAT(table.source, HasSubstr("ISSCC 2014"));
}

TEST(Energy, SumsTheEnergyOfEveryOperationAndAccess) {
  const EnergyTable table = parse_energies(good, "mine.toml");
  Work work;
  work.macs = 3;             // 3 · (2 + 0.5) = 7.5
  work.multiplications = 1;  // 2
  work.additions = 4;        // 2
  work.comparisons = 8;      // 2
  work.divisions = 2;        // 6
  work.accesses = {{"small", 16, 5, 1}, {"large", 17, 2, 2}};
  const Energy energy = Prices{table, table.numbers.front()}.of(work);
  EXPECT_DOUBLE_EQ(energy.arithmetic, 19.5);
  // 16 words of 4 bits are 8 bytes and fit the first memory: 6 · 10 · 4/8 = 30; 17 do not: 4 · 100 · 4/16 = 100.
  EXPECT_DOUBLE_EQ(energy.memory, 130);
}

TEST(Energy, ErrorsNameTheLineAndTheKey) {
  EXPECT_EQ(said(good, "add = 0.5", "add = -1"), "mine.toml:7: key 'add' of [[numbers]]: expected a number >= 0");
  EXPECT_EQ(said(good, "bits = 4", "bits = 0"), "mine.toml:5: key 'bits' of [[numbers]]: expected a number > 0");
  EXPECT_EQ(said(good, "bits = 4", "bits = inf"), "mine.toml:5: key 'bits' of [[numbers]]: expected a number > 0");
  EXPECT_EQ(said(good, "divide = 3", ""), "mine.toml:3: key 'divide' is missing in [[numbers]]");
  EXPECT_EQ(said(good, "divide = 3", "divide = 3\ndevide = 3"),
            "mine.toml:10: unknown key 'devide' (did you mean 'divide'?) in [[numbers]]");
  EXPECT_EQ(said(good, "source = \"a data sheet\"", "source = 3"),
            "mine.toml:2: key 'source' of a table of energies: expected text");
  EXPECT_EQ(said(good, "name = \"far\"", "name = \"far\"\nbytes = 9"),
            "mine.toml:17: key 'bytes' of [[memory]]: omit it for the last memory, which is unlimited");
  EXPECT_EQ(
      said(good, "name = \"far\"", "name = \"far\"\nbytes = 8\nwidth = 8\naccess = 1\n[[memory]]\nname = \"last\""),
      "mine.toml:17: key 'bytes' of [[memory]]: expected more than for the previous memory");
  EXPECT_THAT(said(good, "access = 100", "access = "), HasSubstr("mine.toml:18: "));
  EXPECT_THROW(read_energies("nowhere.toml"), DataError);
}

}  // namespace
}  // namespace grapes::cost
