#include "grapes/record/record.h"

#include "grapes/base/file.h"
#include "grapes/base/text.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <thread>

namespace grapes::record {
namespace {
namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class RecordTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("grapes-record-" + std::to_string(::getpid()) + "-" +
                                           testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

Identity identity(const std::string& arm = "bp", std::uint64_t seed = 1) {
  return {arm, seed, "digits", "mlp:64", "accuracy", "abc"};
}

Json row(int epoch) {
  return {{"epoch", epoch},
          {"step", 10 * epoch},
          {"learning_rate", 0.1},
          {"test_accuracy", 0.5 + 0.01 * epoch},
          {"layers",
           {{{"name", "0"}, {"weight_norm", 1.5}, {"factor", {{"mean", 1.8}, {"histogram", {1, 2, 3}}}}},
            {{"name", "1"}, {"weight_norm", 2.5}}}}};
}

Writer written(const fs::path& folder, int epochs) {
  Writer writer = Writer::create(folder, identity(), "lr = 0.1\n", {{"cpu", "x"}});
  for (int e = 0; e <= epochs; ++e) writer.epoch(row(e));
  return writer;
}

TEST_F(RecordTest, ReadsWhatItWrites) {
  Writer writer = written(folder_ / "a", 2);
  writer.log("began");
  writer.finish({State::diverged, 2, 20, "loss is not finite"});
  const auto run = load(folder_ / "a");
  EXPECT_EQ(run.identity.arm, "bp");
  EXPECT_EQ(run.identity.seed, 1u);
  EXPECT_EQ(run.identity.data, "digits");
  EXPECT_EQ(run.identity.model, "mlp:64");
  EXPECT_EQ(run.identity.score, "accuracy");
  EXPECT_EQ(run.identity.pairing, "abc");
  EXPECT_EQ(run.config, "lr = 0.1\n");
  EXPECT_EQ(run.env.at("cpu"), "x");
  ASSERT_EQ(run.epochs.size(), 3u);
  EXPECT_EQ(run.epochs[2], row(2));
  EXPECT_EQ(run.status.state, State::diverged);
  EXPECT_EQ(run.status.epoch, 2);
  EXPECT_EQ(run.status.step, 20);
  EXPECT_EQ(run.status.message, "loss is not finite");
  EXPECT_THAT(read_file(folder_ / "a" / "log.txt"), testing::MatchesRegex("....-..-..T..:..:..Z began\n"));
}

TEST_F(RecordTest, ANewRunHasTheStateRunning) {
  Writer::create(folder_, identity(), "", Json::object());
  EXPECT_EQ(load(folder_).status.state, State::running);
  EXPECT_TRUE(load(folder_).epochs.empty());
}

TEST_F(RecordTest, TheTableIsFlatWithoutHistograms) {
  Writer writer = written(folder_, 1);
  Json diverged = row(2);
  diverged["test_accuracy"] = std::nan("");
  writer.epoch(diverged);
  writer.finish({State::finished, 2, 20, ""});
  EXPECT_EQ(read_file(folder_ / "metrics.csv"),
            "epoch,step,learning_rate,test_accuracy,layer.0.factor.mean,layer.0.weight_norm,layer.1.weight_norm\n"
            "0,0,0.1,0.5,1.8,1.5,2.5\n"
            "1,10,0.1,0.51,1.8,1.5,2.5\n"
            "2,20,0.1,,1.8,1.5,2.5\n");
}

TEST_F(RecordTest, AFolderThatContainsARunIsAnError) {
  written(folder_, 1);
  EXPECT_THAT([&] { Writer::create(folder_, identity(), "", {}); },
              ThrowsMessage<DataError>(AllOf(HasSubstr(folder_.string()), HasSubstr("already contains a run"))));
  EXPECT_EQ(load(folder_).epochs.size(), 2u);
}

TEST_F(RecordTest, ResumingRemovesRowsAfterTheCheckpoint) {
  written(folder_, 4);
  Writer writer = Writer::resume(folder_, 2);
  ASSERT_EQ(load(folder_).epochs.size(), 3u);
  writer.epoch(row(3));
  EXPECT_EQ(load(folder_).epochs.back(), row(3));
}

TEST_F(RecordTest, ATruncatedLastLineIsIgnored) {
  written(folder_, 2);
  const std::string whole = read_file(folder_ / "metrics.jsonl");
  write_file(folder_ / "metrics.jsonl", whole + R"({"epoch": 3, "te)");
  EXPECT_EQ(load(folder_).epochs.size(), 3u);
  Writer::resume(folder_, 9).epoch(row(3));
  EXPECT_EQ(read_file(folder_ / "metrics.jsonl"), whole + row(3).dump() + "\n");
}

TEST_F(RecordTest, ErrorsNameAnyOtherInvalidLine) {
  written(folder_, 2);
  const fs::path path = folder_ / "metrics.jsonl";
  const auto with = [&](const std::string& line) {
    write_file(path, row(0).dump() + "\n" + line + "\n" + row(2).dump() + "\n");
    return [&] { load(folder_); };
  };
  const auto names = [&](const char* why) {
    return ThrowsMessage<DataError>(AllOf(HasSubstr(path.string() + ": line 2"), HasSubstr(why)));
  };
  EXPECT_THAT(with(R"({"epoch": 1, "te)"), names("invalid JSON"));
  EXPECT_THAT(with(""), names("invalid JSON"));
  EXPECT_THAT(with("[1]"), names("integer 'epoch'"));
  EXPECT_THAT(with(R"({"epoch": "one"})"), names("integer 'epoch'"));
  EXPECT_THAT(with(R"({"epoch": 0})"), names("epoch 0 after epoch 0"));
  EXPECT_THAT([&] { Writer::resume(folder_, 2); }, names("epoch 0 after epoch 0"));
}

TEST_F(RecordTest, ErrorsNameAnInvalidField) {
  written(folder_, 1);
  write_file(folder_ / "status.json", R"({"state": "asleep"})");
  EXPECT_THAT([&] { load(folder_); }, ThrowsMessage<DataError>(AllOf(HasSubstr("status.json"), HasSubstr("'asleep'"),
                                                                     HasSubstr("interrupted"))));
  write_file(folder_ / "run.json", R"({"arm": 3})");
  EXPECT_THAT([&] { load(folder_); }, ThrowsMessage<DataError>(AllOf(HasSubstr("run.json"), HasSubstr("'arm'"))));
}

TEST_F(RecordTest, AFolderWithoutARunIsAnError) {
  EXPECT_FALSE(is_run(folder_));
  EXPECT_THAT([&] { load(folder_); }, ThrowsMessage<DataError>(HasSubstr("run.json is missing")));
  EXPECT_THAT([&] { Writer::resume(folder_, 1); }, ThrowsMessage<DataError>(HasSubstr("run.json is missing")));
  EXPECT_THAT([&] { load_all({folder_}); }, ThrowsMessage<DataError>(HasSubstr(folder_.string())));
  fs::create_directories(folder_);
  EXPECT_THAT([&] { load_all({folder_}); }, ThrowsMessage<DataError>(HasSubstr("contains no run")));
}

TEST_F(RecordTest, ErrorsNameAFolderThatCannotBeCreated) {
  write_file(folder_ / "file", "");  // a file instead of a folder: an error even for root
  EXPECT_THAT([&] { Writer::create(folder_ / "file" / "run", identity(), "", {}); },
              ThrowsMessage<DataError>(HasSubstr((folder_ / "file").string())));
}

TEST_F(RecordTest, ErrorsNameAFolderWithoutPermission) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::create_directories(folder_ / "closed");
  fs::permissions(folder_ / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT([&] { Writer::create(folder_ / "closed" / "run", identity(), "", {}); },
              ThrowsMessage<DataError>(HasSubstr("closed")));
  fs::permissions(folder_ / "closed", fs::perms::owner_all);
}

TEST_F(RecordTest, RunsAreFoundAtAnyDepthOnceAndInOrder) {
  for (const char* place : {"b/seed-2", "b/seed-1", "a", "tuning/x", "b/tuning/y"})
    Writer::create(folder_ / place, identity(place), "", Json::object());
  const auto runs = load_all({folder_, folder_ / "b"});
  std::vector<std::string> arms;
  arms.reserve(runs.size());
  for (const auto& run : runs) arms.push_back(run.identity.arm);
  EXPECT_THAT(arms, testing::ElementsAre("a", "b/seed-1", "b/seed-2"));
}

TEST_F(RecordTest, ParallelRunsDoNotAffectEachOther) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      Writer writer = Writer::create(folder_ / std::to_string(t), identity("arm", static_cast<std::uint64_t>(t)), "",
                                     Json::object());
      for (int e = 0; e <= 50; ++e) {
        writer.epoch(row(e));
        writer.status({State::running, e, 10 * e, ""});
      }
      writer.finish({State::finished, 50, 500, ""});
    });
  for (auto& thread : threads) thread.join();
  const auto runs = load_all({folder_});
  ASSERT_EQ(runs.size(), 8u);
  for (std::size_t t = 0; t < runs.size(); ++t) {
    EXPECT_EQ(runs[t].identity.seed, t);
    EXPECT_EQ(runs[t].epochs.size(), 51u);
    EXPECT_EQ(runs[t].status.state, State::finished);
  }
}

TEST(State, HasANameForEachValue) { EXPECT_EQ(to_string(State::interrupted), "interrupted"); }

}  // namespace
}  // namespace grapes::record
