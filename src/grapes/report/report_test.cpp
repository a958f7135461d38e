#include "grapes/report/report.h"

#include "grapes/base/file.h"
#include "grapes/report/plots.h"
#include "grapes/report/synthetic_test.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <map>
#include <regex>
#include <set>

namespace grapes::report {
namespace {
namespace fs = std::filesystem;
using record::Json;
using Record = record::Run;  // inside a test, Run is GoogleTest's
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

std::string page(const std::vector<Record>& runs) { return html(synthetic::summary(runs)); }

/// Every element that is opened is closed, in order: SVG requires it, and a browser repairs HTML without a message.
void expect_well_formed(const std::string& text) {
  static const std::set<std::string> alone = {"meta", "!DOCTYPE"};
  static const std::regex tag("<(/?)([!A-Za-z0-9]+)([^>]*?)(/?)>");
  std::vector<std::string> open;
  std::set<std::string> ids;
  for (std::sregex_iterator it(text.begin(), text.end(), tag), end; it != end; ++it) {
    const std::string name = (*it)[2];
    const std::string attributes = (*it)[3];
    if (const std::size_t id = attributes.find(" id=\""); id != std::string::npos) {
      EXPECT_TRUE(ids.insert(attributes.substr(id + 5, attributes.find('"', id + 5) - id - 5)).second) << attributes;
    }
    if (alone.contains(name) || (*it)[4] == "/") continue;
    if ((*it)[1] != "/") {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << name;
    ASSERT_EQ(open.back(), name);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
  for (const char* bad : {"nan", "inf,", "inf\"", "not a number"}) EXPECT_THAT(text, Not(HasSubstr(bad)));
}

TEST(Page, HasAllSectionsInOrder) {
  Options options;
  options.title = "Five arms <on> \"trial\"";
  const std::string text = html(summarize(synthetic::records(synthetic::runs(), synthetic::tuning()), options));
  expect_well_formed(text);
  EXPECT_THAT(text, HasSubstr("Five arms &lt;on&gt; &quot;trial&quot;"));
  std::size_t at = 0;
  for (const char* part :
       {"<h1>", "class=\"lead\"", "Final scores", "Learning curves", "Numbers and tests", "class=\"findings\"",
        "Measures", "Comparisons", "Choice of the learning rates", "Modulation factors", "Gradients and weights",
        "How to read this", "Configuration", "Environment"}) {
    const std::size_t next = text.find(part, at);
    ASSERT_NE(next, std::string::npos) << part;
    at = next;
  }
}

TEST(Page, ContainsNoExternalResources) {
  const std::string text = page(synthetic::runs());
  EXPECT_THAT(text, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<link")), Not(HasSubstr("src=")),
                          Not(HasSubstr("@import")), Not(HasSubstr("href="))));
}

TEST(Page, CanBeMadeForAnyKindOfRuns) {
  using synthetic::five_arms;
  const auto some = [](std::size_t n) {
    return std::vector<synthetic::Truth>(five_arms.begin(), five_arms.begin() + static_cast<std::ptrdiff_t>(n));
  };
  std::map<std::string, std::vector<Record>> cases;
  cases["one arm"] = synthetic::runs(some(1));
  cases["one seed"] = synthetic::runs(five_arms, 1);
  cases["two seeds"] = synthetic::runs(five_arms, 2);
  cases["one epoch"] = synthetic::runs(five_arms, 3, 1);
  cases["no epoch"] = synthetic::runs(five_arms, 3, 0);
  cases["many epochs"] = synthetic::runs(some(2), 2, 200);
  cases["regression"] = synthetic::runs(five_arms, 3, 10, "r2");
  auto arms = five_arms;
  for (const char* name : {"constant", "alpha", "beta", "gamma", "an arm with a <very> long name"})
    arms.push_back({name});
  cases["many arms"] = synthetic::runs(arms, 3);
  cases["no factors, no layers"] = synthetic::runs(some(2), 2);
  for (Record& run : cases["no factors, no layers"])
    for (Json& row : run.epochs) row.erase("layers");
  cases["no test part"] = synthetic::runs(some(2), 2);
  for (Record& run : cases["no test part"])
    for (Json& row : run.epochs) row.erase("test_accuracy");
  cases["different lengths"] = synthetic::runs(some(1));
  for (Record run : synthetic::runs({five_arms[1]}, 5, 4)) cases["different lengths"].push_back(run);
  cases["diverged"] = synthetic::runs(some(2));
  cases["diverged"][7].status = {record::State::diverged, 3, 0, "the loss is <not> finite"};
  cases["diverged"][7].epochs[3]["train_loss"] = nullptr;
  cases["equal scores"] = synthetic::runs(some(2), 3);
  for (Record& run : cases["equal scores"])
    for (Json& row : run.epochs) row["test_accuracy"] = 0.5;
  for (const auto& [name, runs] : cases) {
    SCOPED_TRACE(name);
    const Summary summary = synthetic::summary(runs);
    expect_well_formed(html(summary));
    expect_well_formed(picture(summary));
    EXPECT_FALSE(table(summary).empty());
  }
}

TEST(Page, OmitsWhatWasNotRecorded) {
  std::vector<Record> runs = synthetic::runs();
  for (Record& run : runs)
    for (Json& row : run.epochs) row.erase("layers");
  EXPECT_THAT(page(runs), AllOf(Not(HasSubstr("Modulation factors")), Not(HasSubstr("Gradients and weights")),
                                Not(HasSubstr("Choice of the learning rates"))));
}

TEST(Page, PlotsTheAlignmentThatWasRecorded) {
  std::vector<Record> runs = synthetic::runs();
  EXPECT_THAT(page(runs), Not(HasSubstr("Alignment with backpropagation")));
  for (Record& run : runs)
    for (Json& row : run.epochs)
      row["layers"][0]["alignment"] = {{"transport", 40.0}, {"modulation", nullptr}, {"ratio", 1.5}};
  const std::string text = page(runs);
  expect_well_formed(text);
  EXPECT_THAT(text, AllOf(HasSubstr("Alignment with backpropagation"), HasSubstr("and that of backpropagation</h3>"),
                          HasSubstr("Norm of B over norm of W</h3>"), Not(HasSubstr("with and without modulation")),
                          Not(HasSubstr("Between the weights W"))));
}

TEST(Page, PlotsTheDoseThatWasRecorded) {
  std::vector<Record> runs = synthetic::runs();
  EXPECT_THAT(page(runs), Not(HasSubstr("Dose of the modulation")));
  for (Record& run : runs)
    for (Json& row : run.epochs)
      row["layers"][0]["dose"] = {{"angle", 2.5}, {"size", nullptr}, {"responsibility", {{"cv", 0.02}}}};
  const std::string text = page(runs);
  expect_well_formed(text);
  EXPECT_THAT(text, AllOf(HasSubstr("Dose of the modulation"), HasSubstr("on the rule’s route</h3>"),
                          HasSubstr("Coefficient of variation of the responsibilities</h3>"),
                          Not(HasSubstr("over that without</h3>")), Not(HasSubstr("last update of an epoch"))));
}

TEST(Colors, AnArmHasTheSameColorInEveryComparison) {
  const Colors few = colors_of({"bp", "uniform"}), many = colors_of({"zeta", "bp", "grapes", "uniform"});
  EXPECT_EQ(few.at("uniform"), many.at("uniform"));
  EXPECT_NE(many.at("zeta"), many.at("bp"));
  EXPECT_THAT(plot::plot_style, AllOf(HasSubstr(".line." + few.at("uniform") + " { stroke-dasharray: 7 3 }"),
                                      Not(HasSubstr(".line." + few.at("bp") + " "))));
}

TEST(Colors, EveryArmHasAColorOfTheStyle) {
  std::vector<std::string> names;
  for (const KnownArm& arm : known_arms) names.push_back(arm.name);
  for (const auto& [arm, color] : colors_of(names)) EXPECT_THAT(plot::plot_style, HasSubstr("." + color + " {")) << arm;
  const Colors two = colors_of({"bp", "balanced", "balanced-shuffled"});
  EXPECT_NE(two.at("balanced"), two.at("balanced-shuffled"));
  EXPECT_NE(two.at("balanced"), two.at("bp"));
}

class WriteTest : public testing::Test {
 protected:
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_ = fs::temp_directory_path() / ("grapes-report-" + std::to_string(::getpid()));
};

TEST_F(WriteTest, TheSameRecordsGiveTheSameBytes) {
  synthetic::write(synthetic::runs(synthetic::five_arms, 2, 4), folder_);
  EXPECT_EQ(write(summarize(read({folder_})), folder_ / "a"), folder_ / "a" / "report.html");
  write(summarize(read({folder_ / "runs" / "grapes", folder_ / "runs"})), folder_ / "b");
  for (const char* file : {"report.html", "summary.json", "picture.svg"})
    EXPECT_EQ(read_file(folder_ / "a" / file), read_file(folder_ / "b" / file)) << file;
  EXPECT_EQ(Json::parse(read_file(folder_ / "a" / "summary.json"))["arms"].size(), 5u);
}

TEST_F(WriteTest, FindsTheTuningRunsBesideTheRuns) {
  const auto tuning_of = [](const std::vector<fs::path>& folders) { return read(folders).conditions.front().tuning; };
  Json comparison = {{"arms", {"bp"}},
                     {"given_rates", Json::object()},
                     {"learning_rates", Json::object()},
                     {"tuning", synthetic::tuning()}};
  for (const char* name : {"a", "b"}) synthetic::write(synthetic::runs(synthetic::five_arms, 1, 2), folder_ / name);
  write_file(folder_ / "a" / "compare.json", comparison.dump());
  EXPECT_EQ(tuning_of({folder_ / "a"}), synthetic::tuning());
  EXPECT_TRUE(tuning_of({folder_}).is_null());
  comparison["tuning"] = nullptr;
  write_file(folder_ / "b" / "compare.json", comparison.dump());
  EXPECT_TRUE(tuning_of({folder_ / "b"}).is_null());
  EXPECT_TRUE(tuning_of({folder_ / "a", folder_ / "b"}).is_null());
  write_file(folder_ / "b" / "compare.json", "[");
  EXPECT_THAT([&] { read({folder_ / "b"}); }, ThrowsMessage<DataError>(HasSubstr("compare.json")));
}

TEST_F(WriteTest, ASweepHasOneConditionPerValue) {
  synthetic::write(synthetic::runs(synthetic::five_arms, 2, 2), folder_ / "4");
  synthetic::write(synthetic::runs({{"grapes", 0.01}}, 2, 2), folder_ / "0.5");
  write_file(folder_ / "sweep.json", R"({"key": "k={}", "values": [4, 0.5, 8], "arms": ["bp", "grapes"]})");
  const Records records = read({folder_});
  ASSERT_EQ(records.conditions.size(), 3u);
  EXPECT_EQ(records.swept, "k={}");
  EXPECT_EQ(records.conditions[1].name, "0.5");
  EXPECT_EQ(records.conditions[1].value, 0.5);
  EXPECT_EQ(records.conditions[1].runs.size(), 2u);
  EXPECT_TRUE(records.conditions[2].runs.empty());
  EXPECT_THAT(table(summarize(records)), HasSubstr("diverged"));
  EXPECT_THAT([&] { read({folder_, folder_ / "4"}); }, ThrowsMessage<DataError>(HasSubstr("give it alone")));
}

TEST_F(WriteTest, NothingIsWrittenIfNoRunFinished) {
  std::vector<Record> runs = synthetic::runs(synthetic::five_arms, 1, 2);
  for (Record& run : runs) run.status.state = record::State::interrupted;
  synthetic::write(runs, folder_);
  EXPECT_THAT([&] { write(summarize(read({folder_})), folder_ / "out"); },
              ThrowsMessage<DataError>(HasSubstr("no finished run")));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace grapes::report
