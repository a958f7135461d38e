#include "grapes/cli/settings.h"

#include "grapes/experiment/form.h"

#include <gmock/gmock.h>

#include <string>

namespace grapes::cli {
namespace {

/// The configuration for a command line.
experiment::Config parsed(const std::string& line, const std::set<std::string>& leave_out = {}) {
  CLI::App app;
  Settings settings;
  settings.add(app, {}, leave_out);
  app.parse(line);
  experiment::Config config;
  settings.apply(config);
  return config;
}

TEST(Settings, ARowOfTheTableIsAnOption) {
  EXPECT_THROW(parsed("--margin 3"), CLI::ExtrasError);
  const experiment::AddedKey added(experiment::key("margin", experiment::scope::learning, "a key of this test",
                                                   experiment::at_least(1), &train::Options::checkpoint_every));
  EXPECT_EQ(parsed("--margin 3").training.checkpoint_every, 3);
  EXPECT_THROW(parsed("--margin 0"), UsageError);
  EXPECT_THROW(parsed("--margin 3", {"margin"}), CLI::ExtrasError);
}

TEST(Settings, AnAbbreviationIsTheSameOption) {
  EXPECT_EQ(parsed("--lr 0.5").optimizer.learning_rate, 0.5);
  EXPECT_EQ(parsed("--lr 0.5 --learning-rate 0.25").optimizer.learning_rate, 0.25);
}

TEST(Settings, AVerbCannotExcludeAnUnknownKey) { EXPECT_THROW(parsed("", {"learningrate"}), UsageError); }

}  // namespace
}  // namespace grapes::cli
