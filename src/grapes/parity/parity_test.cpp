#include "grapes/parity/parity.h"

#include "grapes/base/error.h"
#include "grapes/base/file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace grapes::parity {
namespace {

namespace fs = std::filesystem;

/// Made by the authors' program, see tests/parity_cases.py.
const fs::path ours = fs::path(GRAPES_SOURCE_DIR) / "tests" / "parity";
const fs::path published = fs::path(GRAPES_SOURCE_DIR) / ".." / "shared" / "reference";

std::vector<fs::path> cases_in(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".json" && entry.path().filename() != "index.json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

void expect_parity(const std::vector<fs::path>& files) {
  for (const fs::path& file : files)
    for (const at::ScalarType dtype : {at::kDouble, at::kFloat}) {
      const Result result = compare(read(file), {.dtype = dtype});
      EXPECT_TRUE(result.passed()) << file << " " << dtype;
      EXPECT_EQ(result.tolerance, dtype == at::kDouble ? 1e-12 : 2e-6);
      EXPECT_GE(result.lines.size(), 3U) << file << ": weights at two updates and the outputs";
      for (const auto& line : result.lines) EXPECT_LE(line.difference, result.tolerance) << file << " " << line.what;
    }
}

TEST(Parity, EqualsTheAuthorsProgramOnThePublishedCases) {
  const auto files = cases_in(published);
  if (files.empty()) GTEST_SKIP() << "the published cases (../shared/reference) are missing";
  EXPECT_EQ(files.size(), 17U);
  expect_parity(files);
}

TEST(Parity, EqualsTheAuthorsProgramOnMoreCases) {
  const auto files = cases_in(ours);
  EXPECT_EQ(files.size(), 8U);
  expect_parity(files);
}

TEST(Parity, ThePlainReferencePassesTheSameCases) {
  for (const fs::path& file : cases_in(ours)) EXPECT_TRUE(compare(read(file), {.plain = true}).passed()) << file;
}

TEST(Parity, WithNagTheFactorsOfFaComeFromTheWeightsAtRest) {
  Case recorded = read(ours / "FAgrapes_NAG_relu.json");
  EXPECT_TRUE(recorded.training.factors_at_rest);
  recorded.training.factors_at_rest = false;
  EXPECT_FALSE(compare(recorded).passed());
}

TEST(Parity, DetectsAnyDifferentNumber) {
  const Case good = read(ours / "IFAgrapes_mom_relu.json");
  ASSERT_TRUE(compare(good).passed());
  const auto differs = [&](auto change) {
    Case bad = good;
    change(bad);
    return !compare(bad).passed();
  };
  EXPECT_TRUE(differs([](Case& c) { c.weights_after.at(1)[0] = c.weights_after.at(1)[0] + 1e-9; }));
  EXPECT_TRUE(differs([](Case& c) { c.outputs = c.outputs + 1e-9; }));
  EXPECT_TRUE(differs([](Case& c) { c.factors[0].values = c.factors[0].values + 1e-9; }));
  EXPECT_TRUE(differs([](Case& c) { c.optimizer.learning_rate = 1e300; })) << "it diverges";
}

TEST(Parity, WritesWeightsInTheFormatOfTheCase) {
  const fs::path file = ours / "BPgrapes_SGD_Lrelu.json";
  const Case recorded = read(file);
  const nlohmann::json ours_written = to_json(compare(recorded).weights);
  const nlohmann::json theirs = nlohmann::json::parse(read_file(file)).at("weights_after");
  ASSERT_EQ(ours_written.size(), theirs.size());
  for (const auto& [k, matrices] : theirs.items())
    for (std::size_t l = 0; l < matrices.size(); ++l)
      for (std::size_t r = 0; r < matrices[l].size(); ++r)
        for (std::size_t i = 0; i < matrices[l][r].size(); ++i)
          EXPECT_NEAR(ours_written.at(k)[l][r][i].get<double>(), matrices[l][r][i].get<double>(), 1e-12);
}

TEST(Parity, ErrorsNameTheField) {
  const fs::path file = fs::temp_directory_path() / "grapes-parity-test.json";
  const auto message = [&](const std::string& content) -> std::string {
    write_file(file, content);
    try {
      read(file);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  const nlohmann::json good = nlohmann::json::parse(read_file(ours / "FAgrapes_NAG_relu.json"));
  const auto with = [&](const char* field, const nlohmann::json& value) {
    nlohmann::json bad = good;
    bad[field] = value;
    return message(bad.dump());
  };
  EXPECT_EQ(message(good.dump()), "");
  EXPECT_NE(message("{").find("invalid JSON"), std::string::npos);
  EXPECT_NE(message("{}").find("format"), std::string::npos);
  EXPECT_NE(message(R"({"format": "grapes-golden/1"})").find("layers"), std::string::npos);
  EXPECT_NE(with("learn_type", "XX").find("learn_type: expected one of BP, BPgrapes"), std::string::npos);
  EXPECT_NE(with("output_activation", "step_f").find("output_activation"), std::string::npos);
  EXPECT_NE(with("labels", nlohmann::json::array({9})).find("labels: expected 12 numbers"), std::string::npos);
  EXPECT_NE(with("feedback", nlohmann::json::array()).find("feedback: expected 3 matrices"), std::string::npos);
  EXPECT_NE(with("snapshots", {1, 99}).find("1 to 3; got 99"), std::string::npos);
  fs::remove(file);
}

}  // namespace
}  // namespace grapes::parity
