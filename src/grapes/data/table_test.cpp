#include "grapes/data/table.h"

#include "grapes/base/random.h"
#include "grapes/data/dialect.h"
#include "grapes/data/fill.h"
#include "grapes/data/open.h"
#include "grapes/data/summary.h"
#include "grapes/data/test_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

namespace grapes::data {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class Table : public testing::Test {
 protected:
  Collection read(const std::string& text, const TableOptions& options = {},
                  TargetReading asked = TargetReading::automatic) {
    write_file(file_, text);
    return read_table(file_, options, asked);
  }
  std::string message(const std::string& text, const TableOptions& options = {},
                      TargetReading asked = TargetReading::automatic) {
    return refusal<Error>([&] { read(text, options, asked); });
  }
  at::Tensor again(const std::string& text, const DatasetInfo& info) {
    write_file(file_, text);
    return table_inputs(file_, {}, info);
  }
  static TableOptions target(const std::string& name) {
    TableOptions options;
    options.target = name;
    return options;
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "table.csv";
};

TEST_F(Table, TextClassesAreNumberedAlphabetically) {
  const Collection c = read("x,species,z\n1,iris,2\n-3e1,aster,.5\n+4,iris,0\n", target("species"));
  EXPECT_EQ(c.train->info().problem, ProblemKind::classification);
  EXPECT_THAT(c.train->info().classes, ElementsAre("aster", "iris"));
  EXPECT_THAT(c.train->info().inputs, ElementsAre("x", "z"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 2.F, -30.F, .5F, 4.F, 0.F}).reshape({3, 2})));
}

TEST_F(Table, ReadsAPipe) {
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(file_) << "x,y\n1,0\n2,1\n"; });
  const Collection c = read_table(file_, {}, TargetReading::automatic);
  writer.join();
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.F, 2.F}).reshape({2, 1})));
}

TEST_F(Table, ReadsQuotesCommasAndLineEndsWithinFields) {
  const Collection c =
      read("\xef\xbb\xbf\"a,b\",Label\r\n1,\"say \"\"no\"\"\"\r\n\"2\",\"two\nlines\"\r\n3,\"\"\"\"\r\n");
  EXPECT_THAT(c.train->info().inputs, ElementsAre("a,b"));
  EXPECT_THAT(c.train->info().classes, ElementsAre("\"", "say \"no\"", "two\nlines"));
  EXPECT_EQ(all_inputs(*c.train)[1].item<float>(), 2);
}

TEST_F(Table, RepeatedIntegersAreClassesOtherNumbersAreValues) {
  const Collection classes = read("x,y\n1,3\n2,7\n3,3\n4,7\n");
  EXPECT_EQ(classes.train->info().problem, ProblemKind::classification);
  EXPECT_THAT(classes.train->info().classes, ElementsAre("3", "7"));
  EXPECT_THAT(classes.notes, Contains(HasSubstr("read as classes")));
  EXPECT_EQ(read("x,y\n1,3\n2,7\n3,4\n4,9\n").train->info().problem, ProblemKind::regression);
  EXPECT_EQ(read("x,y\n1,3\n2,7.5\n3,3\n4,7.5\n").train->info().problem, ProblemKind::regression);
  EXPECT_EQ(read("x,y\n1,3\n2,7\n3,3\n4,7\n", {}, TargetReading::numbers).train->info().problem,
            ProblemKind::regression);
  const Collection two = read("u,x,v\n1,2,3\n4,5,6\n", target("u, v"));
  EXPECT_THAT(two.train->info().classes, ElementsAre("u", "v"));
  EXPECT_TRUE(at::equal(two.train->targets(), at::tensor({1.F, 3.F, 4.F, 6.F}).reshape({2, 2})));
}

TEST_F(Table, ATextColumnIsOneInputPerText) {
  const Collection c = read("city,size,y\nOslo,1,a\nBergen,2,b\nOslo,3,a\n");
  EXPECT_THAT(c.train->info().inputs, ElementsAre("city=Bergen", "city=Oslo", "size"));
  EXPECT_TRUE(
      at::equal(all_inputs(*c.train), at::tensor({0.F, 1.F, 1.F, 1.F, 0.F, 2.F, 0.F, 1.F, 3.F}).reshape({3, 3})));
  EXPECT_THAT(c.notes, Contains(HasSubstr("'city' (2)")));
  std::string many = "id,y\n";
  for (int i = 0; i < 65; ++i) many += "name" + std::to_string(i) + "," + std::to_string(i % 2) + "\n";
  EXPECT_THAT(message(many), HasSubstr("column 'id': 65 different texts"));
}

TEST_F(Table, TheLastColumnIsTheTargetByDefault) {
  const Collection c = read("a,b\n1,x\n2,y\n");
  EXPECT_THAT(c.notes, Contains(HasSubstr("the last, 'b', is the target")));
  EXPECT_THAT(read("Target,b\nx,1\ny,2\n").train->info().inputs, ElementsAre("b"));
}

TEST_F(Table, NamesFileLineAndColumnOfEveryFault) {
  const std::string file = file_.string();
  EXPECT_THAT(message("a,y\n1,x\n1.5.2,z\n"), HasSubstr(file + ", line 3, column 'a': '1.5.2' is not a number"));
  EXPECT_THAT(message("a,y\n1,x\n1e99,z\n"), HasSubstr("line 3, column 'a': '1e99' is not a finite number"));
  EXPECT_THAT(message("a,y\n1,x\ninf,z\n"), HasSubstr("line 3, column 'a': 'inf' is not a finite number"));
  EXPECT_THAT(message("a,y\n1,2\n3,x\n"), HasSubstr("line 3, column 'y': 'x' is not a number"));
  EXPECT_THAT(message("a,y\n\"1\n\",x\n2,z\n1,2,3\n"), HasSubstr("line 5: 3 fields, expected 2"));
  EXPECT_THAT(message("a,y\n1,\"x\n2,z\n"), HasSubstr("line 2: a quote that is never closed"));
  EXPECT_THAT(message("a,y\n1,\"x\"z\n"), HasSubstr("line 2: text after a closing quote"));
  EXPECT_THAT(message("a,y\n1,x\"z\n"), HasSubstr("line 2: a quote within a field"));
  EXPECT_THAT(message(std::string("a,y\n1,\0\n", 8)), HasSubstr("zero byte"));
  EXPECT_THAT(message("a,y,a\n1,x,2\n"), HasSubstr("two columns named 'a'"));
  EXPECT_THAT(message(""), HasSubstr("is empty"));
  EXPECT_THAT(message("a,y\n"), HasSubstr("no rows"));
  EXPECT_THAT(message("y\nx\nz\n"), HasSubstr("has only one column, 'y', expected inputs and a target"));
  EXPECT_THAT(message("a,y\n1,x\n2,x\n"), HasSubstr("all 2 examples have the same class"));
  EXPECT_THAT(message("a,y\n1,x\n2,z\n", {}, TargetReading::numbers), HasSubstr("texts like 'x', expected numbers"));
  EXPECT_THAT(message("a,spezies\n1,x\n2,z\n", target("species")),
              HasSubstr("target species: " + file + " has no such column (did you mean 'spezies'?)"));
  EXPECT_THAT(message("a,y\n1,x\n2,z\n", target("3")), HasSubstr("target 3: " + file + " has no such column"));
  TableOptions unknown;
  unknown.encoding = "klingon";
  EXPECT_THAT(message("a,y\n1,x\n", unknown), HasSubstr("encoding klingon: unknown"));
  std::string own = "a,name\n";
  for (int i = 0; i < 20; ++i) own += std::to_string(i * 7 % 5) + ",person" + std::to_string(i) + "\n";
  EXPECT_THAT(message(own), HasSubstr("column 'name': 20 classes in 20 rows"));
}

/// Three rows of two numbers and a class.
void expect_the_same(const Collection& c) {
  EXPECT_THAT(c.train->info().classes, ElementsAre("ash", "oak"));
  EXPECT_TRUE(at::equal(c.train->targets(), at::tensor({1, 0, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(all_inputs(*c.train), at::tensor({1.5F, 1000.F, -2.F, 25.F, .25F, 7.F}).reshape({3, 2})))
      << all_inputs(*c.train);
}

TEST(NumberStyle, GivesTheNearestDoubleToEveryNumber) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text = i % 3 == 0 ? "-" : "";
    const auto digits = static_cast<int>(1 + random.below(18));
    const auto point = static_cast<int>(random.below(20));
    for (int k = 0; k < digits; ++k) {
      if (k == point) text += '.';
      text += static_cast<char>('0' + random.below(10));
    }
    const std::optional<double> number = NumberStyle{'.'}(text);
    ASSERT_TRUE(number) << text;
    ASSERT_EQ(*number, std::strtod(text.c_str(), nullptr)) << text;
    std::replace(text.begin(), text.end(), '.', ',');
    ASSERT_EQ(NumberStyle{','}(text), number) << text;
  }
  for (const char* text : {"", "-", ".", "-.", "1.2.3", "1-", "--1", "1 2", "0x10"})
    EXPECT_FALSE(NumberStyle{'.'}(text)) << text;
}

TEST_F(Table, EveryDialectGivesTheSameNumbers) {
  const std::string comma = "a,b,kind\n1.5,1000,oak\n-2,25,ash\n.25,7,oak\n";
  const std::string european = "a;b;kind\r\n1,5;1.000;oak\r\n-2;25;ash\r\n0,25;7;oak\r\n";
  std::string utf16 = "\xff\xfe", latin =
                                      "gr\xf6\xdf"
                                      "e;b;kind\n1,5;1000;oak\n-2,0;25;ash\n0,25;7;oak\n";
  for (const char c : comma) utf16 += {c, '\0'};
  for (const std::string& text : {
           comma,
           european,
           latin,
           utf16,
           utf16.substr(2),
           "\xef\xbb\xbf" + european,
           gzip(european),
           std::string("a\tb\tkind\n1.5\t1,000\toak\n-2\t25\tash\n0.25\t7\toak\n"),
           std::string("a|b|kind\n1.5|1000|oak\n\n-2|25|ash\n0.25|7|oak\n\n\n"),
           std::string(
               "\"a\",\"b\",\"kind\"\n\"1,5\",\"1000\",\"oak\"\n\"-2,0\",\"25\",\"ash\"\n\"0,25\",\"7\",\"oak\"\n"),
           std::string("1.5, 1000, oak\n-2, 25, ash\n0.25, 7, oak\n"),
           std::string("  1.5 1000   oak\n  -2\t25 ash \n0.25 7 \"oak\"\n"),
           std::string("1,5 1000 oak\n-2,0 25 ash\n0,25 7 oak\n"),
           std::string("% made by hand\n1.5,1000,oak\n# a remark, with commas, within\n-2,25,ash\n0.25,7,oak\n"),
           std::string("a,b,kind,\n1.5,1000,oak,\n-2,25,ash,\n0.25,7,oak,\n"),
           std::string("\"a\",\"b\",\"kind\"\n\"1\",1.5,1000,\"oak\"\n\"2\",-2,25,\"ash\"\n\"3\",0.25,7,\"oak\"\n"),
           std::string(",a,b,kind\n0,1.5,1000,oak\n1,-2,25,ash\n2,.25,7,oak\n"),
           std::string("Id,a,b,kind\r1,1.5,1 000,oak\r2,-2,25,ash\r3,.25,7,oak\r"),
       }) {
    SCOPED_TRACE(text);
    expect_the_same(read(text));
  }
  expect_the_same(read("kind;x;a;b\noak;0;1,5;1000\nash;1;-2;25\noak;5;0,25;7\n", [] {
    TableOptions options = target("kind");
    options.ignore = "2";
    return options;
  }()));
  expect_the_same(read("oak;0;1,5;1000\nash;1;-2;25\noak;5;0,25;7\n", [] {
    TableOptions options = target("1");
    options.columns = "3-4";
    return options;
  }()));
  TableOptions said = target("kind");
  said.dialect = {"~", "yes", "comma"};
  expect_the_same(read("8~9~kind\n1,5~1.000~oak\n-2~25~ash\n0,25~7~oak\n", said));
}

TEST_F(Table, TheDetectedFormatIsOneLine) {
  EXPECT_EQ(read("a;b\n1,5;x\n2;y\n").notes.at(0),
            "2 rows of 2 columns separated by ';', with a header, decimal comma, UTF-8");
  EXPECT_EQ(read("# x y\n1 2.5\n3 4.5\n").notes.at(0),
            "2 rows of 2 columns separated by spaces, without a header, comments after #, UTF-8");
  EXPECT_THAT(read("# x y\n1 2.5\n3 4.5\n").train->info().inputs, ElementsAre("x"));
  EXPECT_THAT(read("id,x,y\n1,5,.5\n2,6,.7\n3,8,.9\n").notes,
              Contains("'id' only numbers the rows and is not used as an input"));
  EXPECT_THAT(read("time,y\n1,.5\n2,.7\n3,.9\n").train->info().inputs, ElementsAre("time"));
  EXPECT_THAT(read("label,0,1,2\na,5,5,5\nb,6,6,6\n").train->info().inputs, ElementsAre("0", "1", "2"));
  EXPECT_THAT(read("p,x,e\nq,x,e\np,x,f\nq,y,f\n").train->info().inputs.at(0), "column 1=p");
}

TEST_F(Table, MissingValuesAreCountedByColumn) {
  const std::string text = "a,city,y\n1,Oslo,0.5\n?,Oslo,1.5\n3,,2.5\n5,Rome,NaN\n9,Oslo,4.5\n";
  EXPECT_THAT(message(text),
              HasSubstr(": 3 of 5 rows have missing values: 1 in 'a', 1 in 'city', 1 in 'y'; the first is in " +
                        file_.string() + ", line 3, column 'a'; set missing to drop, mean"));
  TableOptions options;
  options.missing = Missing::drop;
  EXPECT_TRUE(
      at::equal(all_inputs(*read(text, options).train), at::tensor({1.F, 1.F, 0.F, 9.F, 1.F, 0.F}).reshape({2, 3})));
  options.missing = Missing::mean;
  const Collection c = read(text, options);
  EXPECT_THAT(c.notes, Contains(HasSubstr("; 1 rows were dropped; inputs are filled")));
  DatasetInfo info = c.train->info();
  info.fill = fill_of(*c.train, Missing::mean);
  EXPECT_THAT(info.fill, ElementsAre(testing::FloatEq(13.F / 3), 1.F, 0.F));
  EXPECT_THAT(fill_of(*c.train, Missing::median), ElementsAre(3.F, 1.F, 0.F));
  EXPECT_TRUE(at::allclose(again("city,a\n-,null\nRome,2\n", info),
                           at::tensor({13.F / 3, 1.F, 0.F, 2.F, 0.F, 1.F}).reshape({2, 3})));
  info.fill.clear();
  EXPECT_THAT(refusal([&] { again("city,a\nRome,2\nRome,\n", info); }),
              HasSubstr("line 3, column 'a': the value is missing, and the model was trained"));
  const Collection often = read("a,b\n1,x\n2,x\n2,z\n7,z\nNA,z\n", options);
  EXPECT_THAT(fill_of(*often.train, Missing::most_common), ElementsAre(2.F));
}

TEST_F(Table, NeverCrashesOnATruncatedOrGarbledFile) {
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

TEST_F(Table, ColumnsForAModelAreFoundByName) {
  const Collection c = read("city,size,y\nOslo,1,a\nBergen,2,b\nOslo,3,a\n");
  write_file(file_, "size,other,city\n7,?,Bergen\n");
  EXPECT_TRUE(at::equal(table_inputs(file_, {}, c.train->info()), at::tensor({1.F, 0.F, 7.F}).reshape({1, 3})));
  write_file(file_, "0,1,9\n1,0,8\n");
  EXPECT_TRUE(
      at::equal(table_inputs(file_, {}, c.train->info()), at::tensor({0.F, 1.F, 9.F, 1.F, 0.F, 8.F}).reshape({2, 3})));
  write_file(file_, "size,city\n7,Bodo\n");
  EXPECT_THAT(refusal([&] { table_inputs(file_, {}, c.train->info()); }),
              HasSubstr("line 2, column 'city': 'Bodo' did not occur in the training data; known texts: Bergen, Oslo"));
  write_file(file_, "siz,city\n7,Oslo\n");
  EXPECT_THAT(refusal([&] { table_inputs(file_, {}, c.train->info()); }),
              HasSubstr("no column for the input 'size' (did you mean"));
  EXPECT_TRUE(at::equal(again("Oslo,9\n", c.train->info()), at::tensor({0.F, 1.F, 9.F}).reshape({1, 3})));
  EXPECT_THAT(refusal([&] { again("1,2,3,4\n", c.train->info()); }), HasSubstr("4 fields in a line, expected 2"));
  const Collection unnamed = read("1,2,a\n3,4,b\n5,6,a\n");
  const at::Tensor inputs = at::tensor({8.F, 9.F}).reshape({1, 2});
  EXPECT_TRUE(at::equal(again("8,9\n", unnamed.train->info()), inputs));
  EXPECT_TRUE(at::equal(again("8,9,b\n", unnamed.train->info()), inputs));
  EXPECT_TRUE(at::equal(again("length;width\n8;9\n", unnamed.train->info()), inputs));
}

TEST_F(Table, OpensAsASplitDataSet) {
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

TEST_F(Table, InputsAndTargetsAreScaledByTheTrainingExamples) {
  std::string text = "a,b,y\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{},{},{}\n", i * 1000, i % 7 * 0.001, 5e6 + i * i);
  write_file(file_, text);
  Options options;
  options.data = file_.string();
  const Splits splits = open(options, 1);
  const at::Tensor inputs = all_inputs(*splits.train), targets = splits.train->targets().to(at::kDouble);
  EXPECT_TRUE(at::allclose(inputs.mean(0), at::zeros({2}), 0, 1e-5));
  EXPECT_TRUE(at::allclose(inputs.std(0, false), at::ones({2}), 1e-4));
  EXPECT_FALSE(at::allclose(all_inputs(*splits.test).mean(0), at::zeros({2}), 0, 1e-5));
  ASSERT_EQ(splits.info.target_mean.size(), 1);
  EXPECT_DOUBLE_EQ(splits.info.target_mean[0], targets.mean().item<double>());
  EXPECT_DOUBLE_EQ(splits.info.target_deviation[0], targets.std(false).item<double>());

  // The scales from one set of examples are applied to another.
  const Fitted fitted{splits.info, splits.normalization};
  const Splits other = open(options, 2, {}, &fitted);
  EXPECT_EQ(other.info.target_mean, splits.info.target_mean);
  EXPECT_TRUE(at::equal(other.normalization.shift, splits.normalization.shift));
  options.normalize = "unit";
  EXPECT_THAT(open(options, 1).info.target_mean, testing::IsEmpty());
  EXPECT_EQ(all_inputs(*open(options, 1).train).max().item<float>(),
            all_inputs(*open(options, 1).train).select(1, 0).max().item<float>());
}

TEST_F(Table, ColumnsAndClassesOfATrainedModelAreFoundByName) {
  DatasetInfo known;
  known.inputs = {"b", "city=Oslo", "city=Rome", "a"};
  known.classes = {"yes", "no", "maybe"};
  const auto read = [&](const std::string& text, const DatasetInfo& info, const TableOptions& options = {}) {
    write_file(file_, text);
    return read_table(file_, options, TargetReading::automatic, &info);
  };
  const Collection found = read("extra,city,answer,a,label,b\n7,Rome,9,1,no,10\n7,Oslo,9,2,yes,20\n", known);
  EXPECT_EQ(found.train->info().inputs, known.inputs);
  EXPECT_EQ(found.train->info().classes, known.classes);
  const Batch batch = found.train->get(at::arange(2));
  EXPECT_TRUE(at::equal(batch.inputs, at::tensor({10.F, 0.F, 1.F, 1.F, 20.F, 1.F, 0.F, 2.F}).view({2, 4})));
  EXPECT_TRUE(at::equal(batch.targets, at::tensor({1, 0}, at::kLong)));
  // The only column that is no input has the targets, whatever it is called and wherever it stands.
  EXPECT_TRUE(at::equal(read("answer,city,b,a\nmaybe,Oslo,1,1\nno,Oslo,1,1\n", known).train->targets(),
                        at::tensor({2, 1}, at::kLong)));
  const auto refused = [&](const std::string& text, const DatasetInfo& info) {
    try {
      read(text, info);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("nothing was refused");
  };
  EXPECT_THAT(refused("city,B,a,label\nOslo,1,1,no\nOslo,1,1,yes\n", known),
              HasSubstr("no column for the input 'b' (did you mean 'B'?); it has: city, B, a, label"));
  EXPECT_THAT(refused("city,b,a,label\nOslo,1,1,no\nOslo,1,1,often\n", known),
              HasSubstr("the class 'often' was not in the training data; expected yes, no, maybe"));
  EXPECT_THAT(refused("city,b,a\nOslo,1,1\n", known), HasSubstr("every column is an input of the network"));

  DatasetInfo prices;
  prices.problem = ProblemKind::regression;
  prices.inputs = {"a"};
  prices.classes = {"price"};
  EXPECT_EQ(read("price,a,label\n5,1,0\n6,1,0\n", prices).train->targets()[1].item<float>(), 6);
}

TEST_F(Table, IntegersFrom0To255AreScaledLikePictures) {
  std::string text = "label";
  for (int i = 0; i < 64; ++i) text += ",p" + std::to_string(i);
  for (int row = 0; row < 40; ++row) {
    text += "\n" + std::to_string(row % 2);
    for (int i = 0; i < 64; ++i) text += "," + std::to_string((row * 37 + i * 11) % 256);
  }
  write_file(file_, text + "\n");
  Options options;
  options.data = file_.string();
  const Splits splits = open(options, 1);
  EXPECT_THAT(splits.notes, Contains(HasSubstr("normalize = pixels")));
  EXPECT_FLOAT_EQ(all_inputs(*splits.train).max().item<float>(), 1);
  EXPECT_FLOAT_EQ(all_inputs(*splits.train).min().item<float>(), 0);
}

TEST_F(Table, FillsComeFromTheTrainingExamplesOnly) {
  std::string text = "a,b,y\n";
  for (int i = 0; i < 100; ++i) text += fmt::format("{},{},{}\n", i % 10 == 0 ? "" : std::to_string(i * i), i, i % 2);
  write_file(file_, text);
  Options options;
  options.data = file_.string();
  options.normalize = "unit";
  options.table.missing = Missing::mean;
  const Splits splits = open(options, 1);
  const at::Tensor a = all_inputs(*splits.train).select(1, 0).to(at::kDouble),
                   b = all_inputs(*splits.train).select(1, 1);
  const at::Tensor there = b.fmod(10).ne(0);
  EXPECT_NEAR(splits.info.fill[0], a.masked_select(there).mean().item<double>(), 1e-3);
  EXPECT_TRUE(a.masked_select(there.logical_not()).eq(splits.info.fill[0]).all().item<bool>());
  EXPECT_TRUE(all_inputs(*splits.test).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace grapes::data
