#include "grapes/dist/place.h"

#include "grapes/base/error.h"

#include <gmock/gmock.h>

#include <map>

namespace grapes::dist {
namespace {

using ::testing::HasSubstr;

Environment of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

std::string refusal(const std::map<std::string, std::string>& variables) {
  try {
    place_in(of(variables));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Place, AProcessWithoutVariablesIsAlone) {
  const Place place = place_in(of({}));
  EXPECT_TRUE(place.alone());
  EXPECT_TRUE(place.first());
  EXPECT_EQ(describe(place), "1");
}

TEST(Place, TorchrunsVariablesAreRead) {
  const Place place = place_in(of({{"RANK", "3"},
                                   {"WORLD_SIZE", "4"},
                                   {"LOCAL_RANK", "1"},
                                   {"MASTER_ADDR", "n1"},
                                   {"MASTER_PORT", "4000"},
                                   {"TORCHELASTIC_RUN_ID", "none"},
                                   {"TORCHELASTIC_RESTART_COUNT", "2"}}));
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.restarts, 2);
  EXPECT_EQ(describe(place), "rank 3 of 4, started by torchrun, rank 0 at n1:4000");
}

TEST(Place, ThePortOfTorchrunsOwnStoreIsNotUsed) {
  const Place place = place_in(of({{"RANK", "0"},
                                   {"WORLD_SIZE", "2"},
                                   {"MASTER_ADDR", "n1"},
                                   {"MASTER_PORT", "4000"},
                                   {"TORCHELASTIC_USE_AGENT_STORE", "True"}}));
  EXPECT_EQ(place.port, 4001);
}

TEST(Place, OpenMpiOnOneMachineNeedsNoAddress) {
  std::map<std::string, std::string> variables = {{"OMPI_COMM_WORLD_RANK", "1"},
                                                  {"OMPI_COMM_WORLD_SIZE", "2"},
                                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_EQ(describe(place_in(of(variables))), "rank 1 of 2, started by Open MPI, rank 0 at 127.0.0.1:29500");
  variables["OMPI_COMM_WORLD_LOCAL_SIZE"] = "1";
  EXPECT_THAT(refusal(variables), HasSubstr("MASTER_ADDR is missing; set it to the host of rank 0"));
}

TEST(Place, SlurmsFirstHostHasRank0) {
  std::map<std::string, std::string> variables = {
      {"SLURM_PROCID", "2"}, {"SLURM_STEP_NUM_TASKS", "3"}, {"SLURM_LOCALID", "0"}, {"SLURM_JOB_ID", "12345678"}};
  for (const auto& [list, first] : std::map<std::string, std::string>{{"n[03-05,9],m1", "n03"},
                                                                      {"n[7,9]", "n7"},
                                                                      {"n[7]", "n7"},
                                                                      {"n[1-2]-ib", "n1-ib"},
                                                                      {"rack[1-2]n[3-4],m1", "rack1n3"},
                                                                      {"m1,n[3-5]", "m1"},
                                                                      {"m1", "m1"}}) {
    variables["SLURM_STEP_NODELIST"] = list;
    EXPECT_EQ(describe(place_in(of(variables))), "rank 2 of 3, started by Slurm, rank 0 at " + first + ":29678");
  }
}

TEST(Place, ABatchScriptOfSlurmIsAlone) {
  EXPECT_TRUE(place_in(of({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}})).alone());
}

TEST(Place, WrongVariablesAreNamed) {
  EXPECT_THAT(refusal({{"RANK", "0"}}), HasSubstr("WORLD_SIZE is missing, although RANK is set"));
  EXPECT_THAT(refusal({{"RANK", "two"}, {"WORLD_SIZE", "2"}}),
              HasSubstr("RANK must be an integer from 0 to 2147483647; got 'two'"));
  EXPECT_THAT(refusal({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "n"}}), HasSubstr("below the number of"));
  EXPECT_THAT(refusal({{"RANK", "1"}, {"WORLD_SIZE", "2"}}), HasSubstr("MASTER_ADDR is missing"));
  EXPECT_THAT(refusal({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "n"}, {"MASTER_PORT", "70000"}}),
              HasSubstr("MASTER_PORT must be an integer from 1 to 65535; got '70000'"));
}

}  // namespace
}  // namespace grapes::dist
