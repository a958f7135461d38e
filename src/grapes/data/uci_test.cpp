#include "grapes/data/uci.h"

#include "grapes/base/file.h"
#include "grapes/data/open.h"
#include "grapes/data/take.h"
#include "grapes/data/test_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace grapes::data {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

/// "1,2,...,n" with this separator, other numbers for another `first`.
std::string numbers(int n, int first, const std::string& separator = ",") {
  std::string text;
  for (int i = 0; i < n; ++i) text += (i > 0 ? separator : "") + std::to_string((first + 7 * i) % 17);
  return text;
}
std::string numbers(int n, int first, const std::string& separator, const std::string& last) {
  return numbers(n, first, separator) + separator + last + "\n";
}

/// Lines as in a file of the repository, and what they are read as.
struct Example {
  std::string text;
  std::int64_t inputs;
  std::vector<std::string> classes;  ///< for regression, the name of the target
  std::string test_text = "";
};

const std::map<std::string, Example>& examples() {
  static const std::map<std::string, Example> of = {
      {"abalone",
       {"M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\nF,0.53,0.42,0.135,0.677,0.2565,0.1415,0.21,9\n"
        "I,0.33,0.255,0.08,0.205,0.0895,0.0395,0.055,7\n",
        10,
        {"rings"}}},
      {"adult",
       {"39, State-gov, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, "
        "United-States, <=50K\n52, Private, 209642, HS-grad, 9, Divorced, Sales, Husband, White, Female, 0, 0, 45, "
        "United-States, >50K\n54, ?, 180211, HS-grad, 10, Divorced, ?, Husband, White, Male, 0, 0, 60, Cuba, >50K\n",
        6 + 2 + 2 + 2 + 2 + 2 + 1 + 2 + 2,
        {"<=50K", ">50K"},
        "|1x3 Cross validator\n25, Private, 226802, HS-grad, 7, Never-married, Sales, Husband, White, Male, 0, 0, 40, "
        "Cuba, <=50K.\n38, ?, 89814, HS-grad, 9, Divorced, ?, Husband, White, Male, 0, 0, 50, United-States, >50K.\n"}},
      {"airfoil",
       {"800\t0\t0.3048\t71.3\t0.00266337\t126.201\n1000\t0\t0.3048\t71.3\t0.00266337\t125.201\n",
        5,
        {"sound_pressure"}}},
      {"auto-mpg",
       {"18.0   8   307.0      130.0      3504.      12.0   70  1\t\"chevrolet chevelle malibu\"\n"
        "25.0   4   98.00      ?          2046.      19.0   71  1\t\"ford pinto\"\n"
        "15.0   8   350.0      165.0      3693.      11.5   70  1\t\"buick skylark 320\"\n",
        7,
        {"mpg"}}},
      {"bank-marketing",
       {"\"age\";\"job\";\"balance\";\"contact\";\"y\"\n58;\"management\";2143;\"unknown\";\"no\"\n"
        "44;\"technician\";29;\"cellular\";\"yes\"\n",
        6,
        {"no", "yes"}}},
      {"banknote", {"3.6216,8.6661,-2.8073,-0.44699,0\n-1.3971,3.3191,-1.3927,-1.9948,1\n", 4, {"0", "1"}}},
      {"breast-cancer", {"842302,M," + numbers(30, 1) + "\n8510426,B," + numbers(30, 2) + "\n", 30, {"B", "M"}}},
      {"car",
       {"vhigh,vhigh,2,2,small,low,unacc\nlow,med,5more,more,big,high,vgood\nlow,low,4,4,med,med,acc\n",
        2 + 3 + 3 + 3 + 3 + 3,
        {"acc", "unacc", "vgood"}}},
      {"covertype", {numbers(54, 1, ",", "5") + numbers(54, 3, ",", "2"), 54, {"2", "5"}}},
      {"german-credit",
       {"A11 6 A34 A43 1169 A65 A75 4 A93 A101 4 A121 67 A143 A152 2 A173 1 A192 A201 1\n"
        "A12 48 A32 A43 5951 A61 A73 2 A92 A101 2 A121 22 A143 A152 1 A173 1 A191 A201 2\n",
        7 + 2 + 2 + 1 + 2 + 2 + 2 + 1 + 1 + 1 + 1 + 1 + 2 + 1,
        {"1", "2"}}},
      {"glass",
       {"1,1.52101,13.64,4.49,1.10,71.78,0.06,8.75,0.00,0.00,1\n2,1.51761,13.89,3.60,1.36,72.73,0.48,7.83,0.00,0.00,"
        "7\n",
        9,
        {"1", "7"}}},
      {"heart-disease",
       {"63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,0\n"
        "67.0,1.0,4.0,160.0,286.0,0.0,2.0,108.0,1.0,1.5,2.0,3.0,3.0,2\n"
        "52.0,1.0,3.0,138.0,223.0,0.0,0.0,169.0,0.0,0.0,1.0,?,3.0,0\n",
        13,
        {"0", "2"}}},
      {"ionosphere", {numbers(34, 1, ",", "g") + numbers(34, 2, ",", "b"), 34, {"b", "g"}}},
      {"iris",
       {"5.1,3.5,1.4,0.2,Iris-setosa\n7.0,3.2,4.7,1.4,Iris-versicolor\n6.3,3.3,6.0,2.5,Iris-virginica\n",
        4,
        {"Iris-setosa", "Iris-versicolor", "Iris-virginica"}}},
      {"letter-recognition",
       {"T,2,8,3,5,1,8,13,0,6,6,10,8,0,8,0,8\nI,5,12,3,7,2,10,5,5,4,13,3,9,2,8,4,10\n", 16, {"I", "T"}}},
      {"magic",
       {"28.7967,16.0021,2.6449,0.3918,0.1982,27.7004,22.011,-8.2027,40.092,81.8828,g\n"
        "31.6036,11.7235,2.5185,0.5303,0.3773,26.2722,23.8238,-9.9574,6.3609,205.261,h\n",
        10,
        {"g", "h"}}},
      {"mushroom",
       {"p,x,s,n,t,p,f,c,n,k,e,e,s,s,w,w,p,w,o,p,k,s,u\ne,b,s,w,t,l,f,c,b,n,e,?,s,s,w,w,p,w,o,p,n,n,m\n"
        "e,x,y,w,t,l,f,c,b,k,e,c,s,s,w,w,p,w,o,p,k,n,m\n",
        2 + 2 + 2 + 1 + 2 + 1 + 1 + 2 + 2 + 1 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 2 + 2 + 2,
        {"e", "p"}}},
      {"nursery",
       {"usual,proper,complete,1,convenient,convenient,nonprob,recommended,recommend\n"
        "great_pret,very_crit,foster,more,critical,inconv,problematic,not_recom,not_recom\n",
        16,
        {"not_recom", "recommend"}}},
      {"optdigits",
       {numbers(64, 1, ",", "0") + numbers(64, 3, ",", "9"),
        64,
        {"0", "9"},
        numbers(64, 2, ",", "0") + numbers(64, 4, ",", "9")}},
      {"pendigits",
       {" 47,100, 27, 81, 57, 37, 26,  0,  0, 23, 56, 53,100, 90, 40, 98, 8\n"
        "  0, 89, 27,100, 42, 75, 29, 45, 15, 15, 37,  0, 69,  2,100,  6, 2\n",
        16,
        {"2", "8"},
        "  0, 89, 27,100, 42, 75, 29, 45, 15, 15, 37,  0, 69,  2,100,  6, 2\n"
        " 88, 92,  2, 99, 16, 66, 94, 37, 70,  0,  0, 24, 42, 65,100,100, 8\n"}},
      {"satimage",
       {numbers(36, 1, " ", "3") + numbers(36, 3, " ", "7"),
        36,
        {"3", "7"},
        numbers(36, 2, " ", "3") + numbers(36, 4, " ", "7")}},
      {"seeds",
       {"15.26\t14.84\t0.871\t5.763\t3.312\t2.221\t5.22\t1\n14.38\t14.21\t0.8951\t5.386\t3.312\t2.462\t4.956\t1\n"
        "12.7\t13.41\t0.8874\t5.183\t3.091\t8.456\t5\t\t2\n",
        7,
        {"1", "2"}}},
      {"sonar", {numbers(60, 1, ",", "R") + numbers(60, 2, ",", "M"), 60, {"M", "R"}}},
      {"spambase", {numbers(57, 1, ",", "1") + numbers(57, 2, ",", "0"), 57, {"0", "1"}}},
      {"tic-tac-toe",
       {"x,x,x,x,o,o,x,o,o,positive\no,b,x,b,x,o,b,x,o,negative\n", 2 * 6 + 3, {"negative", "positive"}}},
      {"wine",
       {"1,14.23,1.71,2.43,15.6,127,2.8,3.06,.28,2.29,5.64,1.04,3.92,1065\n"
        "2,12.37,.94,1.36,10.6,88,1.98,.57,.28,.42,1.95,1.05,1.82,520\n",
        13,
        {"1", "2"}}},
      {"wine-quality-red",
       {"\"fixed acidity\";\"volatile acidity\";\"pH\";\"quality\"\n7.4;0.7;3.51;5\n11.2;0.28;3.16;6\n",
        3,
        {"5", "6"}}},
      {"wine-quality-white",
       {"\"fixed acidity\";\"volatile acidity\";\"pH\";\"quality\"\n7;0.27;3;6\n6.3;0.3;3.3;7\n", 3, {"6", "7"}}},
      {"yacht", {"-2.3 0.568 4.78 3.99 3.17 0.125 0.11 \n-2.3 0.568 4.78 3.99 3.17 0.150 0.27 \n", 6, {"resistance"}}},
      {"yeast",
       {"ADT1_YEAST  0.58  0.61  0.47  0.13  0.50  0.00  0.48  0.22  MIT\n"
        "ADT2_YEAST  0.43  0.67  0.48  0.27  0.50  0.00  0.53  0.22  CYT\n",
        8,
        {"CYT", "MIT"}}},
      {"zoo", {"aardvark,1,0,0,1,0,0,1,1,1,1,0,0,4,0,0,1,1\nbass,0,0,1,0,0,1,1,1,1,0,0,1,0,1,0,0,4\n", 16, {"1", "4"}}},
  };
  return of;
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

class Uci : public testing::Test {
 protected:
  /// Installs a table as if it had been downloaded.
  void install(const Source& source) const {
    const Example& example = examples().at(source.name);
    const bool header = source.table->options.dialect.names.empty();
    const std::size_t body = header ? example.text.find('\n') + 1 : 0;
    write_file(folder_.path() / "in" / source.name / source.files[0].name,
               example.text.substr(0, body) + repeated(example.text.substr(body), 5) + "\n");
    if (source.files.size() > 1)
      write_file(folder_.path() / "in" / source.name / source.files[1].name, example.test_text + "\n");
    take(source.name, folder_.path() / "in" / source.name);
  }
  static Options named(const std::string& name) {
    Options options;
    options.data = name;
    options.download = false;
    options.validation_split = 0;
    return options;
  }

  TemporaryFolder folder_;
  Variable cache_{"XDG_CACHE_HOME", (folder_.path() / "cache").string()};
  Variable data_{"GRAPES_DATA", ""};
};

TEST_F(Uci, EveryTableIsReadInItsOwnFormat) {
  for (const Source& source : uci_sources()) {
    SCOPED_TRACE(source.name);
    install(source);
    const Example& example = examples().at(source.name);
    const Splits splits = open(named(source.name), 1);
    EXPECT_EQ(splits.info.input_shape, std::vector<std::int64_t>{example.inputs});
    EXPECT_EQ(splits.info.classes, example.classes);
    EXPECT_EQ(splits.info.problem == ProblemKind::regression, source.table->targets == TargetReading::numbers);
    EXPECT_FALSE(splits.train->get(file_order(splits.train->size())).inputs.isnan().any().item<bool>());
    EXPECT_THAT(splits.notes, Contains(StartsWith("normalize = ")));
    if (source.files.size() > 1) {
      EXPECT_EQ(splits.test->size(), std::count(example.test_text.begin(), example.test_text.end(), '\n') -
                                         example.test_text.starts_with('|'));
      EXPECT_EQ(splits.test->targets()[-1].item<std::int64_t>(), 1);
      EXPECT_FALSE(splits.test->get(file_order(splits.test->size())).inputs.isnan().any().item<bool>());
    }
  }
}

TEST_F(Uci, TheUsersOptionsReplaceTheTables) {
  for (const Source& source : uci_sources())
    if (source.name == "abalone" || source.name == "auto-mpg") install(source);
  Options options = named("abalone");
  options.table.target = "sex";
  EXPECT_THAT(open(options, 1).info.classes, ElementsAre("F", "I", "M"));
  options.table.target = "";
  options.table.columns = "length,height";
  EXPECT_THAT(open(options, 1).info.inputs, ElementsAre("length", "height"));
  options.table.dialect.delimiter = "semicolon";
  EXPECT_THAT(refusal([&] { open(options, 1); }), HasSubstr("abalone.data: expected 9 columns"));
  options = named("auto-mpg");
  options.table.missing = Missing::drop;
  const Splits dropped = open(options, 1);
  EXPECT_EQ(dropped.train->size() + dropped.test->size(), 10);
}

TEST_F(Uci, AnotherFileOfTheSameNameIsRefused) {
  write_file(folder_.path() / "iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n");
  take("iris", folder_.path() / "iris.data");
  EXPECT_THAT(
      refusal([] { open(named("iris"), 1); }),
      HasSubstr(
          "iris.data: expected 5 columns (sepal_length, sepal_width, petal_length, petal_width, species); got 3"));
}

}  // namespace
}  // namespace grapes::data
