#include "grapes/data/csv.h"

#include "grapes/data/open.h"
#include "grapes/data/summary.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace grapes::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Csv : public testing::Test {
 protected:
  Collection read(const std::string& text, const std::string& labels = "",
                  TargetReading asked = TargetReading::automatic) {
    write_file(file_, text);
    return read_csv(file_, labels, asked);
  }
  std::string message(const std::string& text, const std::string& labels = "",
                      TargetReading asked = TargetReading::automatic) {
    return refusal<Error>([&] { read(text, labels, asked); });
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "table.csv";
};

TEST_F(Csv, TextClassesAreNumberedAlphabetically) {
  const Collection c = read("x,species,z\n1,iris,2\n-3e1,aster,.5\n+4,iris,0\n", "species");
  EXPECT_EQ(c.train->info().problem, ProblemKind::classification);
  EXPECT_THAT(c.train->info().classes, ElementsAre("aster", "iris"));
  EXPECT_THAT(c.train->info().inputs, ElementsAre("x", "z"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 2.F, -30.F, .5F, 4.F, 0.F}).reshape({3, 2})));
}

TEST_F(Csv, QuotesCommasAndLineEndsWithinFields) {
  const Collection c =
      read("\xef\xbb\xbf\"a,b\",Label\r\n1,\"say \"\"no\"\"\"\r\n\"2\",\"two\nlines\"\r\n3,\"\"\"\"\r\n");
  EXPECT_THAT(c.train->info().inputs, ElementsAre("a,b"));
  EXPECT_THAT(c.train->info().classes, ElementsAre("\"", "say \"no\"", "two\nlines"));
  EXPECT_EQ(all_inputs(*c.train)[1].item<float>(), 2);
}

TEST_F(Csv, WholeNumbersThatRepeatAreClassesOthersAreValues) {
  const Collection classes = read("x,y\n1,3\n2,7\n3,3\n4,7\n");
  EXPECT_EQ(classes.train->info().problem, ProblemKind::classification);
  EXPECT_THAT(classes.train->info().classes, ElementsAre("3", "7"));
  EXPECT_THAT(classes.notes, ElementsAre(HasSubstr("read as classes")));
  EXPECT_EQ(read("x,y\n1,3\n2,7\n3,4\n4,9\n").train->info().problem, ProblemKind::regression);
  EXPECT_EQ(read("x,y\n1,3\n2,7.5\n3,3\n4,7.5\n").train->info().problem, ProblemKind::regression);
  EXPECT_EQ(read("x,y\n1,3\n2,7\n3,3\n4,7\n", "", TargetReading::numbers).train->info().problem,
            ProblemKind::regression);
  const Collection two = read("u,x,v\n1,2,3\n4,5,6\n", "u, v");
  EXPECT_THAT(two.train->info().classes, ElementsAre("u", "v"));
  EXPECT_TRUE(at::equal(two.train->targets(), at::tensor({1.F, 3.F, 4.F, 6.F}).reshape({2, 2})));
}

TEST_F(Csv, ATextColumnIsOneInputPerText) {
  const Collection c = read("city,size,y\nOslo,1,a\nBergen,2,b\nOslo,3,a\n");
  EXPECT_THAT(c.train->info().inputs, ElementsAre("city=Bergen", "city=Oslo", "size"));
  EXPECT_TRUE(
      at::equal(all_inputs(*c.train), at::tensor({0.F, 1.F, 1.F, 1.F, 0.F, 2.F, 0.F, 1.F, 3.F}).reshape({3, 3})));
  EXPECT_THAT(c.notes, ElementsAre(HasSubstr("'city' (2)")));
  std::string many = "id,y\n";
  for (int i = 0; i < 65; ++i) many += "name" + std::to_string(i) + "," + std::to_string(i % 2) + "\n";
  EXPECT_THAT(message(many), HasSubstr("column 'id': 65 different texts"));
}

TEST_F(Csv, TheLastColumnIsTheTargetIfNoneIsNamedSo) {
  const Collection c = read("a,b\n1,x\n2,y\n");
  EXPECT_THAT(c.notes, ElementsAre(HasSubstr("the last, 'b', is the target")));
  EXPECT_THAT(read("Target,b\nx,1\ny,2\n").train->info().inputs, ElementsAre("b"));
}

TEST_F(Csv, NamesFileLineAndColumnOfEveryFault) {
  const std::string file = file_.string();
  EXPECT_THAT(message("a,y\n1,x\n,z\n"), HasSubstr(file + ", line 3, column 'a': the value is missing"));
  EXPECT_THAT(message("a,y\n1,x\nNA,z\n"), HasSubstr("line 3, column 'a': the value is missing"));
  EXPECT_THAT(message("a,y\n1,x\n1.5.2,z\n"), HasSubstr("line 3, column 'a': '1.5.2' is not a number"));
  EXPECT_THAT(message("a,y\n1,x\n1e99,z\n"), HasSubstr("line 3, column 'a': '1e99' is not a finite number"));
  EXPECT_THAT(message("a,y\n1,x\ninf,z\n"), HasSubstr("line 3, column 'a': 'inf' is not a finite number"));
  EXPECT_THAT(message("a,y\n1,2\n3,x\n"), HasSubstr("line 3, column 'y': 'x' is not a number"));
  EXPECT_THAT(message("a,y\n\"1\n\",x\n1,2,3\n"), HasSubstr("line 4: 3 fields, expected 2"));
  EXPECT_THAT(message("a,y\n1,x\n\n2,z\n"), HasSubstr("line 3: is empty"));
  EXPECT_THAT(message("a,y\n1,\"x\n2,z\n"), HasSubstr("line 2: a quote that is never closed"));
  EXPECT_THAT(message("a,y\n1,\"x\"z\n"), HasSubstr("line 2: text after a closing quote"));
  EXPECT_THAT(message("a,y\n1,x\"z\n"), HasSubstr("line 2: a quote within a field"));
  EXPECT_THAT(message(std::string("a,y\n1,\0\n", 8)), HasSubstr("zero byte"));
  EXPECT_THAT(message("a,y,a\n1,x,2\n"), HasSubstr("line 1: two columns named 'a'"));
  EXPECT_THAT(message(",a,y\n0,1,x\n"), HasSubstr("line 1: column 1 has no name"));
  EXPECT_THAT(message("a;y\n1;x\n"), HasSubstr("expected names between commas"));
  EXPECT_THAT(message("1,2\n3,4\n"), HasSubstr("line 1: only numbers, expected the names"));
  EXPECT_THAT(message(""), HasSubstr("is empty"));
  EXPECT_THAT(message("a,y\n"), HasSubstr("no rows"));
  EXPECT_THAT(message("y\nx\nz\n"), HasSubstr("all columns are targets"));
  EXPECT_THAT(message("a,y\n1,x\n2,x\n"), HasSubstr("all 2 examples have the same class"));
  EXPECT_THAT(message("a,y\n1,x\n2,z\n", "", TargetReading::numbers), HasSubstr("texts like 'x', expected numbers"));
  EXPECT_THAT(message("a,spezies\n1,x\n2,z\n", "species"),
              HasSubstr("label_column species: " + file + " has no such column (did you mean 'spezies'?)"));
}

TEST_F(Csv, NeverCrashesOnATruncatedOrGarbledFile) {
  const std::string text = "a,\"b\"\"b\",y\r\n1,\"2\",x\r\n3,4,\"z\"\r\n";
  for (std::size_t n = 0; n < text.size(); ++n) {
    for (const char garbage : {'"', ',', '\n', '\0', '\xff'}) {
      for (const std::string& broken : {text.substr(0, n), text.substr(0, n) + garbage + text.substr(n + 1)}) {
        try {
          const Collection c = read(broken);
          EXPECT_EQ(all_inputs(*c.train).size(0), c.train->targets().size(0));
        } catch (const DataError& error) {
          EXPECT_THAT(error.what(), HasSubstr("table.csv"));
        }
      }
    }
  }
}

TEST_F(Csv, InputsForAModelAreFoundByName) {
  const Collection c = read("city,size,y\nOslo,1,a\nBergen,2,b\nOslo,3,a\n");
  write_file(file_, "size,other,city\n7,?,Bergen\n");
  EXPECT_TRUE(at::equal(csv_inputs(file_, c.train->info()), at::tensor({1.F, 0.F, 7.F}).reshape({1, 3})));
  write_file(file_, "0,1,9\n1,0,8\n");
  EXPECT_TRUE(
      at::equal(csv_inputs(file_, c.train->info()), at::tensor({0.F, 1.F, 9.F, 1.F, 0.F, 8.F}).reshape({2, 3})));
  write_file(file_, "size,city\n7,Bodo\n");
  EXPECT_THAT(refusal([&] { csv_inputs(file_, c.train->info()); }),
              HasSubstr("line 2, column 'city': 'Bodo' did not occur in the training data; known texts: Bergen, Oslo"));
  write_file(file_, "siz,city\n7,Oslo\n");
  EXPECT_THAT(refusal([&] { csv_inputs(file_, c.train->info()); }),
              HasSubstr("no column for the input 'size' (did you mean"));
  write_file(file_, "1,2\n");
  EXPECT_THAT(refusal([&] { csv_inputs(file_, c.train->info()); }), HasSubstr("2 fields, expected 3"));
}

TEST_F(Csv, OpensAsASplitDataSet) {
  std::string text = "x,label\n";
  for (int i = 0; i < 100; ++i) text += std::to_string(i) + (i % 4 == 0 ? ",rare\n" : ",often\n");
  write_file(file_, text);
  Options options;
  options.data = file_.string();
  const Splits splits = open(options, 3);
  EXPECT_TRUE(at::equal(at::bincount(splits.test->targets()), at::tensor({15, 5}, at::kLong)));
  EXPECT_TRUE(at::equal(at::bincount(splits.validation->targets()), at::tensor({6, 2}, at::kLong)));
  EXPECT_EQ(splits.train->size(), 72);
  EXPECT_THAT(summary(splits), HasSubstr("classification, inputs 1 from"));
  options.test_split = 0;
  EXPECT_THAT(refusal<UsageError>([&] { open(options, 3); }), HasSubstr("test_split 0"));
  options.test_split = 0.2;
  options.augment = parse_augmentation("rotate=5");
  EXPECT_THAT(refusal<UsageError>([&] { open(options, 3); }), HasSubstr("not images"));
}

}  // namespace
}  // namespace grapes::data
