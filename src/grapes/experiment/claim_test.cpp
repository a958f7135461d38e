#include "grapes/experiment/claim.h"

#include "grapes/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace grapes::experiment {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Claims : public ::testing::Test {
 protected:
  Claims() {
    std::string pattern = (fs::temp_directory_path() / "grapes-claims-XXXXXX").string();
    study_ = ::mkdtemp(pattern.data());
    run_ = study_ / "arms" / "bp" / "seed-1";
  }
  ~Claims() override { fs::remove_all(study_); }

  static void write_run(const fs::path& folder, record::State state, const std::string& arm = "bp") {
    record::Identity identity;
    identity.arm = arm;
    record::Writer writer = record::Writer::create(folder, identity, "", record::Json::object());
    record::Status status;
    status.state = state;
    writer.status(status);
  }
  /// A worker on another host, as its file shows it.
  void write_worker(const std::string& id, int beat, double every) const {
    write_file(study_ / "workers" / (id + ".json"), record::Json({{"host", "other"},
                                                                  {"pid", 1},
                                                                  {"boot", "another machine"},
                                                                  {"start", "1"},
                                                                  {"beat", beat},
                                                                  {"every", every},
                                                                  {"runs", record::Json::array()}})
                                                        .dump());
  }
  std::optional<Claim> take(Worker& worker, bool again = false) {
    auto answer = Claim::take(run_, worker, again);
    if (const auto* const refused = std::get_if<Claim::Refused>(&answer)) {
      ended_ = refused->ended;
      return {};
    }
    return std::get<Claim>(std::move(answer));
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(run_.parent_path())) names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }

  /// A claim of another worker, as its files show it.
  fs::path write_claim(const std::string& id, int number = 1) const {
    const fs::path claim = run_.string() + ".claims/" + std::to_string(number);
    write_file(claim / "worker", id);
    return claim;
  }
  fs::path file_of(const std::string& id) const { return study_ / "workers" / (id + ".json"); }

  fs::path study_, run_;
  std::optional<record::Status> ended_;  ///< of the run, at the last refusal
};

void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

TEST_F(Claims, OneWorkerHasARunUntilItHasEnded) {
  Worker first(study_, 1), second(study_, 1);
  auto claim = take(first);
  ASSERT_TRUE(claim);
  EXPECT_FALSE(take(second));
  EXPECT_FALSE(ended_) << "the run is the first worker's";
  EXPECT_FALSE(take(first)) << "one claim for all threads of a worker";
  write_run(claim->record(), record::State::finished);
  EXPECT_FALSE(ended(run_)) << "only whole records are in the run's place";
  EXPECT_TRUE(claim->finish());
  EXPECT_EQ(ended(run_)->state, record::State::finished);
  EXPECT_FALSE(take(second));
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->state, record::State::finished);
  EXPECT_THAT(names(), ::testing::ElementsAre("seed-1"));
}

TEST_F(Claims, AWorkerThatLeavesHandsItsRecordOn) {
  {
    Worker first(study_, 1);
    write_run(take(first)->record(), record::State::interrupted, "the first");
    EXPECT_TRUE(has_workers(study_));
  }
  Worker second(study_, 1);
  auto claim = take(second);
  ASSERT_TRUE(claim);
  EXPECT_EQ(record::load(claim->record()).identity.arm, "the first");
  EXPECT_TRUE(claim->finish());
  EXPECT_THAT(names(), ::testing::ElementsAre("seed-1"));
}

TEST_F(Claims, AWorkerThatWakesUpLaterChangesNothing) {
  Worker slow(study_, 1000), second(study_, 1);
  auto lost = take(slow);
  write_run(lost->record(), record::State::running, "of the slow one");
  fs::remove(file_of(slow.id()));  // as others do after its silence
  auto claim = take(second);
  ASSERT_TRUE(claim);
  EXPECT_EQ(record::load(claim->record()).identity.arm, "of the slow one");
  write_run(lost->record(), record::State::finished, "too late");
  EXPECT_EQ(record::load(claim->record()).identity.arm, "of the slow one");
  EXPECT_FALSE(lost->finish());
  EXPECT_FALSE(ended(run_));
  EXPECT_TRUE(claim->finish());
  EXPECT_EQ(record::load(run_).identity.arm, "of the slow one");
  EXPECT_FALSE(lost->finish());
  EXPECT_THAT(names(), ::testing::ElementsAre("seed-1"));
}

TEST_F(Claims, AWorkerNoticesThatItsRunIsAnothers) {
  Worker slow(study_, 0.02), second(study_, 1);
  auto claim = take(slow);
  EXPECT_FALSE(claim->lost());
  fs::create_directory(run_.string() + ".claims/2");
  sleep(0.03);
  EXPECT_TRUE(claim->lost());
}

TEST_F(Claims, AWorkerOfAnotherHostIsGoneAfterSixBeatsOfOurClock) {
  const double every = 0.05;
  write_worker("other-1.1", 1, every);
  write_claim("other-1.1");
  Worker here(study_, 1);
  for (int beat = 2; beat < 6; ++beat) {  // for longer than its patience, but it beats
    EXPECT_FALSE(take(here));
    sleep(2 * every);
    write_worker("other-1.1", beat, every);
  }
  EXPECT_FALSE(take(here));
  sleep(4 * every);
  EXPECT_FALSE(take(here)) << "four beats are missing";
  sleep(4 * every);
  EXPECT_TRUE(take(here));
  EXPECT_FALSE(fs::exists(file_of("other-1.1")));
}

TEST_F(Claims, AProcessOfThisHostThatHasEndedIsGoneAtOnce) {
  Worker here(study_, 1000);
  record::Json file = record::Json::parse(read_file(file_of(here.id())));
  file["pid"] = 99999999;
  write_file(file_of("dead-1.1"), file.dump());
  write_claim("dead-1.1");
  write_file(study_ / "compare.json.dead-1-7.part", "half");
  write_file(study_ / "value" / "report.html.dead-1-8.part", "half");
  write_file(study_ / "report.html.alive-1-2.part", "of a process that is not a worker");
  EXPECT_TRUE(take(here));
  EXPECT_FALSE(fs::exists(file_of("dead-1.1")));
  EXPECT_FALSE(fs::exists(study_ / "compare.json.dead-1-7.part"));
  EXPECT_FALSE(fs::exists(study_ / "value" / "report.html.dead-1-8.part"));
  EXPECT_TRUE(fs::exists(study_ / "report.html.alive-1-2.part"));
}

TEST_F(Claims, AMachineWithoutANameIsNotThisOne) {
  Worker here(study_, 1000);
  record::Json file = record::Json::parse(read_file(file_of(here.id())));
  file["pid"] = 99999999;
  file["boot"] = "";
  write_file(file_of("other-1.1"), file.dump());
  write_claim("other-1.1");
  EXPECT_FALSE(take(here)) << "its process may be on another host";
}

TEST_F(Claims, AClaimThatCannotBeReadIsLeftToItsWorker) {
  Worker here(study_, 0.01);
  fs::create_directories(run_.string() + ".claims/1/worker");  // reading a folder is an error
  EXPECT_FALSE(take(here));
  sleep(0.1);
  EXPECT_FALSE(take(here));
}

TEST_F(Claims, AWorkerWhoseFileCannotBeUnderstoodIsGoneAfterAWhile) {
  Worker here(study_, 0.05);
  write_file(file_of("other-1.1"), "{");
  write_claim("other-1.1");
  EXPECT_FALSE(take(here));
  sleep(0.4);
  EXPECT_TRUE(take(here));
}

TEST_F(Claims, AClaimWithoutASignatureIsLeftAfterAWhile) {
  const fs::path claim = run_.string() + ".claims/1";
  fs::create_directories(claim);
  Worker here(study_, 0.05);
  EXPECT_FALSE(take(here));
  sleep(0.4);
  fs::remove(claim);
  fs::create_directories(claim);
  EXPECT_FALSE(take(here)) << "this is a new claim with an old number";
  sleep(0.4);
  EXPECT_TRUE(take(here));
}

TEST_F(Claims, FilesThatWereNotWrittenToTheEndAreRemovedFromTheRecord) {
  Worker here(study_, 1);
  const fs::path theirs = write_claim("dead-1.1") / "dead-1.1";
  write_run(theirs, record::State::running);
  write_file(theirs / "status.json.x.part", "half");
  write_file(theirs / "checkpoints" / "last.safetensors.x.part", "half");
  auto claim = take(here);
  ASSERT_TRUE(claim);
  EXPECT_TRUE(record::is_run(claim->record()));
  EXPECT_FALSE(fs::exists(claim->record() / "status.json.x.part"));
  EXPECT_FALSE(fs::exists(claim->record() / "checkpoints" / "last.safetensors.x.part"));
}

TEST_F(Claims, AWorkerThatWakesUpLeavesTheClaimThatGotItsNumber) {
  Worker slow(study_, 1000), second(study_, 1), third(study_, 1);
  auto old = take(slow);
  fs::remove(file_of(slow.id()));
  auto failed = take(second);
  write_run(failed->record(), record::State::failed, "it failed");
  EXPECT_TRUE(failed->finish());
  auto again = take(third, true);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record().parent_path(), old->record().parent_path()) << "both have number 1";
  write_run(old->record(), record::State::finished, "too late");
  EXPECT_EQ(record::load(again->record()).identity.arm, "it failed");
  EXPECT_FALSE(old->finish());
  EXPECT_FALSE(again->lost(true));
  EXPECT_TRUE(again->finish());
  EXPECT_EQ(record::load(run_).identity.arm, "it failed");
  EXPECT_THAT(names(), ::testing::ElementsAre("seed-1"));
}

TEST_F(Claims, AWorkerThatWakesUpSeesThatItsNumberIsAnothers) {
  Worker slow(study_, 1000), second(study_, 1);
  auto old = take(slow);
  fs::remove_all(run_.string() + ".claims");
  auto claim = take(second);
  ASSERT_TRUE(claim);
  EXPECT_TRUE(old->lost(true));
  EXPECT_FALSE(claim->lost(true));
}

TEST_F(Claims, OldOnesOfEndedRunsAreRemoved) {
  write_run(run_, record::State::finished);
  write_claim("dead-1.1");
  write_file(run_.string() + ".claims-dead-1.1/1/worker", "dead-1.1");
  const fs::path other = run_.parent_path() / "seed-2.claims";
  write_file(other / "1" / "worker", "alive-1.1");
  remove_old_claims(run_.parent_path());
  EXPECT_THAT(names(), ::testing::ElementsAre("seed-1", "seed-2.claims"));
}

TEST_F(Claims, TheLastWorkerRemovesWhatKilledWorkersLeft) {
  {
    Worker here(study_, 1000);
    record::Json file = record::Json::parse(read_file(file_of(here.id())));
    file["pid"] = 99999999;
    write_file(file_of("dead-1.1"), file.dump());
    here.complete();
  }
  EXPECT_FALSE(has_workers(study_));
}

TEST_F(Claims, AFailedRunIsTriedAgainByThoseThatMay) {
  write_run(run_, record::State::failed, "it failed");
  Worker here(study_, 1);
  EXPECT_FALSE(take(here, false));
  ASSERT_TRUE(ended_);
  EXPECT_EQ(ended_->state, record::State::failed);
  auto claim = take(here, true);
  ASSERT_TRUE(claim);
  EXPECT_FALSE(fs::exists(run_));
  EXPECT_EQ(record::load(claim->record()).identity.arm, "it failed");
}

TEST_F(Claims, ManyWorkersNeverShareARun) {
  constexpr int runs = 40, workers = 8;
  std::atomic<int> taken[runs] = {}, finished[runs] = {};
  std::vector<std::thread> threads;
  for (int k = 0; k < workers; ++k)
    threads.emplace_back([&] {
      Worker worker(study_, 10);
      for (int i = 0; i < runs; ++i) {
        auto answer = Claim::take(study_ / ("seed-" + std::to_string(i)), worker, false);
        if (auto* const claim = std::get_if<Claim>(&answer)) {
          ++taken[i];
          write_run(claim->record(), record::State::finished);
          if (claim->finish()) ++finished[i];
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < runs; ++i) {
    EXPECT_EQ(taken[i], 1) << i;
    EXPECT_EQ(finished[i], 1) << i;
  }
}

TEST_F(Claims, AFolderThatCannotBeWrittenIsAnErrorThatNamesIt) {
  Worker here(study_, 1);
  write_file(study_ / "arms" / "bp", "a file where a folder must be");
  EXPECT_THAT([&] { take(here); }, ::testing::ThrowsMessage<DataError>(
                                       ::testing::AllOf(HasSubstr("cannot claim a run"), HasSubstr("arms/bp"))));
}

}  // namespace
}  // namespace grapes::experiment
